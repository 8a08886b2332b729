"""What a run of batches holds of one execution beside state events: log lines mostly."""

from msgspec import Struct


class Quiet(Struct, gc=False):
    """Counts and bounds of an execution's quiet events (log lines, usage, users' own types).

    Attributes:
        execution_id: Whose.
        levels: Log lines by level range, TRACE to FATAL.
        first_seq: No later than the position of the first of them; an earlier one is another event's.
        last_seq: Position of the last of them.
        first_time: Earliest time, microseconds since the epoch.
    """

    execution_id: str
    levels: list[int]
    first_seq: int
    last_seq: int
    first_time: int
