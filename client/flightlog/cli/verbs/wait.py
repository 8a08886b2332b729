"""`flightlog wait`: until an execution has ended."""

import math
import time
from typing import Any, get_args

import click
from msgspec.structs import replace

from flightlog.cli.follow import Patience
from flightlog.cli.options import DurationType, execution_argument
from flightlog.cli.output import shown
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import DaemonAway, NotUnderstood, QueryFailed
from flightlog_schemas.statuses import Status
from flightlog_schemas.wire.query import Wait

LONGEST_US = 24 * 3_600_000_000


@verb("wait", "flightlog wait EXEC --until succeeded --timeout 5m && deploy")
@execution_argument
@click.option(
    "--until",
    type=click.Choice(["ended", *get_args(Status)]),
    default="ended",
    show_default=True,
    help="What to wait for; ended is any ending.",
)
@click.option(
    "--timeout", type=DurationType(LONGEST_US), help="Give up after this long: 30s, 5m [default: never]."
)
@json_option
def command(session: Session, execution: str, until: str, timeout: int | None, as_json: bool) -> None:
    """Wait until an execution has ended.

    Prints the status that it has then. Exit code 1 at once when it ended in another way than asked for, when
    the time is up, or when there is no such execution. A daemon that goes away meanwhile is waited for.
    """
    request = Wait(
        execution_id=execution,
        until=None if until == "ended" else until,  # type: ignore[arg-type]  # Choice allows no other
        timeout_ms=None if timeout is None else timeout // 1000,
    )
    output = session.output()
    with Patience(session) as daemon:
        answer = _await(daemon, request)
    if as_json:
        output.json(shown(answer))
    else:
        output.line(output.safe(str(answer["status"])))


def _await(daemon: Patience, request: Wait) -> dict[str, Any]:
    """Return the answer, asking again after a break, all within the time that was given."""
    limit_ms = request.timeout_ms
    deadline = math.inf if limit_ms is None else time.monotonic() + limit_ms / 1000
    while True:
        try:
            return daemon.connection.one(request, dict[str, Any])
        except DaemonAway as error:
            if isinstance(error, NotUnderstood):
                raise
            if not daemon.return_of_daemon(deadline):
                raise QueryFailed("timed_out", "flightlogd did not come back in time") from None
        if limit_ms is not None:
            request = replace(request, timeout_ms=max(0, int((deadline - time.monotonic()) * 1000)))
