"""One recorded event."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.web.asker import Row
from flightlog.web.endpoint import Call, Endpoint, one
from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.wire.lines import OneEvent
from flightlog_schemas.wire.reply import Recorded


class EventAsked(Struct, kw_only=True):
    """Which event."""

    seq: Annotated[int, Meta(ge=1, le=INT64_MAX, description="Its position in the log.")]


async def _event(call: Call, asked: EventAsked) -> Row:
    return one(await call.asker.one(OneEvent(seq=asked.seq)))


ENDPOINTS: Final = (
    Endpoint(
        path="/events/{seq}",
        title="One event",
        about="As it is stored, with what the daemon knows of it.",
        asked=EventAsked,
        item=Recorded,
        run=_event,
    ),
)
