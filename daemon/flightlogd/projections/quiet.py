"""What a run of batches holds of one execution beside state events: log lines mostly."""

from msgspec import Struct


class Quiet(Struct, gc=False):
    """Counts and bounds of an execution's quiet events (log lines, usage, users' own types).

    Attributes:
        execution_id: Whose.
        levels: Log lines by level range, TRACE to FATAL.
        first_seq: Position of the first event of the execution in these batches.
        last_seq: Position of the last.
        first_time: Earliest time, microseconds since the epoch.
    """

    execution_id: str
    levels: list[int]
    first_seq: int
    last_seq: int
    first_time: int
