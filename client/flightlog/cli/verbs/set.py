"""`flightlog set`: settings of an execution."""

import click

from flightlog import commands
from flightlog.cli.options import COMPLEXITY, PAIR, PROCESS_ID, execution_argument
from flightlog.cli.verb import Session, verb


@verb(
    "set",
    "flightlog set EXEC --complexity 1",
    "flightlog set EXEC --no-auto-advance --reason 'wait for the review'",
    "flightlog set --label host=a1 --owner $$",
)
@execution_argument
@click.option("--complexity", type=COMPLEXITY, help="1 to 5: how much of the default chain is taken.")
@click.option("--auto-advance/--no-auto-advance", default=None, help="Whether steps need no reason.")
@click.option(
    "--force-full/--no-force-full",
    default=None,
    help="Whether all phases are taken, whatever the complexity.",
)
@click.option(
    "--label", "labels", type=PAIR, multiple=True, metavar="K=V", help="A named fact; may be repeated."
)
@click.option("--owner", type=PROCESS_ID, metavar="PID", help="The process whose end is its end from now on.")
@click.option("--reason", metavar="TEXT", help="Why.")
def command(
    session: Session,
    execution: str,
    complexity: int | None,
    auto_advance: bool | None,
    force_full: bool | None,
    labels: tuple[tuple[str, str], ...],
    owner: int | None,
    reason: str | None,
) -> None:
    """Change settings of an execution.

    What is left out stays; labels are merged by name. One that has no chain of phases gets the default one
    by any of the first three. Refused with exit code 1 and nothing written: an unknown execution, and one
    that has ended, whose labels alone may still be set.
    """
    if not labels and all(value is None for value in (complexity, auto_advance, force_full, owner)):
        raise click.UsageError("nothing to set")
    commands.set_(
        execution,
        complexity=complexity,
        auto_advance=auto_advance,
        force_full=force_full,
        labels=dict(labels),
        owner=owner,
        reason=reason,
        daemon=session.daemon,
    )
