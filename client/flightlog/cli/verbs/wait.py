"""`flightlog wait`: until an execution has ended."""

from typing import Any, get_args

import click

from flightlog.cli.options import DurationType, execution_argument
from flightlog.cli.output import shown
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.wire.query import Status, Wait

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
    the time is up, or when there is no such execution.
    """
    request = Wait(
        execution_id=execution,
        until=None if until == "ended" else until,  # type: ignore[arg-type]  # Choice allows no other
        timeout_ms=None if timeout is None else timeout // 1000,
    )
    output = session.output()
    with session.ask(patient=True) as daemon:
        answer = daemon.one(request, dict[str, Any])
    if as_json:
        output.json(shown(answer))
    else:
        output.line(output.safe(str(answer["status"])))
