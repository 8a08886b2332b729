"""Where an event was recorded first, if that was not here: it came by an import, or from another machine."""

from typing import Annotated

from msgspec import Meta, Struct

from flightlog_schemas.limits import Count, Id, Micros

Host = Annotated[str, Meta(min_length=1, max_length=255)]


class Origin(Struct, kw_only=True, forbid_unknown_fields=True):
    """A place in another log.

    Attributes:
        log_id: Which log.
        host: The name of its machine.
        seq: The position there.
        received: When it was received there, microseconds since the epoch.
    """

    log_id: Id
    host: Host
    seq: Count
    received: Micros
