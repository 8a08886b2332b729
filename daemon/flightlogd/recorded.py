"""An event with what only the daemon can say of it."""

from collections.abc import Iterator

from msgspec import Struct

from flightlog_schemas.events import Event
from flightlogd.batch import Batch

DAEMON_PRODUCER = "flightlogd"
"""The daemon is a producer of its own; nobody else may use this name."""

ROOT_UID = 0


class Recorded(Struct, gc=False):
    """One stored event.

    Attributes:
        seq: Position in the log.
        received: When, microseconds since the epoch by the daemon.
        uid: The peer's user, by the kernel.
        pid: The peer's process.
        producer: Which client instance.
        line: Its number there.
        event: What it says.
    """

    seq: int
    received: int
    uid: int
    pid: int
    producer: str
    line: int
    event: Event

    @property
    def time(self) -> int:
        """When it happened: by the producer's clock, else when it was received."""
        return self.received if self.event.time is None else self.event.time


def recorded_singles(batch: Batch) -> Iterator[Recorded]:
    """Yield the events of a batch that projections take one by one."""
    spans = iter(batch.spans)
    span = next(spans)
    for index, event in batch.facts.singles:
        while index >= span.index + span.count:
            span = next(spans)
        yield Recorded(
            batch.first_seq + index,
            batch.received,
            span.uid,
            span.pid,
            span.producer,
            span.first_line + index - span.index,
            event,
        )
