"""An event with what only the daemon can say of it."""

from collections.abc import Iterator

from msgspec import Struct

from flightlog_schemas.events import Event, Provenance
from flightlogd.batch import Batch, origin_of
from flightlogd.elsewhere import is_elsewhere

DAEMON_PRODUCER = "flightlogd"
"""The daemon is a producer of its own; nobody else may use this name."""

ROOT_UID = 0


def is_daemon(producer: str) -> bool:
    """Say whether a producer is a daemon: this one, or the one that recorded the event first."""
    return producer == DAEMON_PRODUCER or (
        is_elsewhere(producer) and producer.endswith(f"/{DAEMON_PRODUCER}")
    )


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
        repeated: How it came here, where it was recorded elsewhere first.
    """

    seq: int
    received: int
    uid: int
    pid: int
    producer: str
    line: int
    event: Event
    repeated: Provenance | None = None

    @property
    def provenance(self) -> Provenance:
        """How it came here: by its own word, but what happened elsewhere is not live here."""
        said = self.event.provenance
        return self.repeated if self.repeated is not None and said == "live" else said

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
        place = origin_of(span)
        yield Recorded(
            batch.first_seq + index,
            batch.received,
            span.uid,
            span.pid,
            span.producer,
            span.first_line + index - span.index,
            event,
            None if place is None else "relay" if place.relayed else "import",
        )
