"""The tool about the recorder itself."""

from typing import Final

from flightlog.cli.output import shown_status
from flightlog.mcp.call import Call, Item
from flightlog.mcp.tool import Arguments, Said, Tool
from flightlog_schemas.answers import DaemonStatus
from flightlog_schemas.wire.query import StatusRequest


class StatusAsked(Arguments, kw_only=True):
    """Arguments of `daemon_status`: none of its own."""


class StatusTold(Said, kw_only=True):
    """Answer of `daemon_status`."""

    status: DaemonStatus


def _status(call: Call, _asked: StatusAsked) -> Item:
    [row] = call.ask(StatusRequest())
    return call.answer({"status": call.item(shown_status(row))})


STATUS: Final = Tool(
    name="daemon_status",
    title="How the recorder is",
    about="How flightlog's daemon is: faults that it waits out, how far the log and its read models are, what"
    " was refused, sizes, how many executions run. For when answers seem to be missing something.",
    arguments=StatusAsked,
    answer=StatusTold,
    run=_status,
)
