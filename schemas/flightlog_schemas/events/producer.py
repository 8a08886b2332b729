"""`producer.*`: what a producer has to say about its own delivery."""

from flightlog_schemas.events.envelope import Event
from flightlog_schemas.limits import Count


class ProducerDropped(Event, kw_only=True, tag="producer.dropped"):
    """The producer had to leave events out; nothing is lost in silence."""

    count: Count
    by_level: dict[str, Count] | None = None
    reason: str | None = None
