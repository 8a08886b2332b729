"""`flightlog finish`: the end of an execution that `start` began."""

from typing import Any, Final

import click

from flightlog import commands
from flightlog.cli.options import COUNT, execution_argument
from flightlog.cli.verb import Session, verb
from flightlog_schemas.events.envelope import ErrorInfo

OUTCOMES: Final = ("succeeded", "partial", "failed", "cancelled")


@verb("finish", "flightlog finish EXEC --outcome failed --error 'no space on the target' --count files=12")
@execution_argument
@click.option("--outcome", type=click.Choice(OUTCOMES), help="[default: succeeded, with --error failed]")
@click.option("--error", "message", metavar="MSG", help="What went wrong.")
@click.option(
    "--count", "counts", type=COUNT, multiple=True, metavar="K=N", help="Added to a counter; may be repeated."
)
def command(
    session: Session,
    execution: str,
    outcome: Any,
    message: str | None,
    counts: tuple[tuple[str, int], ...],
) -> None:
    """End an execution.

    Refused with exit code 1 and nothing written: an unknown execution, and one that has ended in another
    way. Ending it again in the same way changes nothing and is no error.
    """
    if outcome is None:
        outcome = "succeeded" if message is None else "failed"
    elif outcome == "succeeded" and message is not None:
        raise click.UsageError("what succeeded has no --error")
    summed: dict[str, int] = {}
    for key, number in counts:
        summed[key] = summed.get(key, 0) + number
    ended = commands.finish(
        execution,
        outcome,
        error=None if message is None else ErrorInfo(message=message),
        counts=summed,
        daemon=session.daemon,
    )
    if ended is None:
        session.say(f"{execution} had ended already: {outcome}")
