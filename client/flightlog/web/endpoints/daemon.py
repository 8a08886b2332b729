"""The daemon: how it is, and who reads how far."""

from typing import Annotated, Final

from msgspec import Meta, Struct

from flightlog.cli.output import shown_status
from flightlog.web.asker import Row
from flightlog.web.endpoint import Call, Endpoint, Nothing, listing
from flightlog.web.params import Hosts, Limit
from flightlog_schemas.answers import DaemonStatus, Host, NamedCursor
from flightlog_schemas.limits import Count
from flightlog_schemas.wire.lines import Cursors
from flightlog_schemas.wire.query import HostsRequest


class CursorsAsked(Struct, kw_only=True):
    """Which page of the list."""

    after: Annotated[Count, Meta(description="The `next` of the page before.")] = 0
    limit: Limit = 1000


class HostsAsked(Struct, kw_only=True):
    """Which machines, and which page of the list."""

    host: Hosts = ()
    after: Annotated[str, Meta(max_length=300, description="The `next` of the page before.")] = ""
    limit: Limit = 1000


async def _status(call: Call, _: Nothing) -> Row:
    return shown_status(await call.asker.status())


def _hosts(asked: HostsAsked, _: int) -> HostsRequest:
    return HostsRequest(host=asked.host, after=asked.after, limit=asked.limit)


def _cursors(asked: CursorsAsked, _: int) -> Cursors:
    return Cursors(after=asked.after, limit=asked.limit)


ENDPOINTS: Final = (
    Endpoint(
        path="/status",
        title="How the daemon is",
        about="Its state, how much it holds, whether its read models keep up.",
        asked=Nothing,
        item=DaemonStatus,
        run=_status,
    ),
    listing(
        "/hosts",
        "hosts",
        "Machines whose logs are here, this one first: how much of each, how its executions stand.",
        HostsAsked,
        Host,
        _hosts,
    ),
    listing(
        "/cursors",
        "cursors",
        "Named cursors of the user who runs this server, for root those of all users.",
        CursorsAsked,
        NamedCursor,
        _cursors,
    ),
)
