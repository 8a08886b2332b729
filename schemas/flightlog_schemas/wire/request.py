"""What every question to query.sock has in common."""

from typing import Annotated

from msgspec import Meta, Struct

from flightlog_schemas.limits import Count

PAGE_LIMIT = 1000
"""Most answers to one request for a page."""

STATS_LIMIT = 100
"""Most of a kind that one answer with statistics lists."""

Limit = Annotated[int, Meta(ge=0, le=PAGE_LIMIT)]
StatsLimit = Annotated[int, Meta(ge=0, le=STATS_LIMIT)]
LevelNumber = Annotated[int, Meta(ge=1, le=24)]
Hosts = tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...]
"""Names of machines, as `hosts` lists them."""
WaitMs = Annotated[int, Meta(ge=0, le=24 * 3600 * 1000)]


class Request(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What every request may say: answer once position `min_seq` is readable, waiting at most `wait_ms`."""

    min_seq: Count = 0
    wait_ms: WaitMs = 5000
