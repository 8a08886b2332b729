"""`flightlog cancel`: an execution that is no longer wanted."""

import click

from flightlog import commands
from flightlog.cli.options import execution_argument
from flightlog.cli.verb import Session, verb


@verb("cancel", "flightlog cancel EXEC --reason 'the goal has changed'")
@execution_argument
@click.option("--reason", metavar="TEXT", help="Why.")
def command(session: Session, execution: str, reason: str | None) -> None:
    """End an execution as cancelled.

    Refused with exit code 1 and nothing written: an unknown execution, and one that has ended, in whatever
    way. What it runs is not stopped by this: the log tells what happens, it does not make it happen.
    """
    commands.cancel(execution, reason=reason, daemon=session.daemon)
