"""`flightlog log`: one line into the log of an execution."""

import click

from flightlog.cli.options import ID, LEVEL, PAIR, surrounding_task
from flightlog.cli.verb import Session, verb
from flightlog.clock import now_us
from flightlog.context import EXECUTION_ID_VARIABLE, inherited_execution_id
from flightlog_schemas.events.log import Log


@verb("log", "flightlog log EXEC --level WARN --field disk=sda 'disk is nearly full'")
@click.argument("words", metavar="[EXEC] MESSAGE", nargs=-1, required=True)
@click.option("--level", type=LEVEL, default="INFO", show_default=True, help="A name, or 1 to 24.")
@click.option("--source", help="What says it.")
@click.option("--task", type=ID, metavar="ID", help="The task that it belongs to [default: the one around].")
@click.option(
    "--field", "fields", type=PAIR, multiple=True, metavar="K=V", help="A named fact; may be repeated."
)
def command(
    session: Session,
    words: tuple[str, ...],
    level: str,
    source: str | None,
    task: str | None,
    fields: tuple[tuple[str, str], ...],
) -> None:
    """Write one line into an execution's log.

    Returns once it is on disk. With one argument it is the message, and the execution is
    $FLIGHTLOG_EXECUTION_ID.
    """
    if len(words) > 2:
        raise click.UsageError("more than EXEC and MESSAGE; put the message in quotes")
    execution = words[0] if len(words) == 2 else inherited_execution_id()
    if not execution:
        raise click.UsageError(
            f"which execution? Give its id before the message, or set {EXECUTION_ID_VARIABLE}"
        )
    daemon = session.daemon
    found = daemon.execution(ID.convert(execution, None, None))
    daemon.write(
        Log(
            execution_id=found.execution_id,
            time=now_us(),
            message=words[-1],
            level=level.upper(),
            source=source,
            task_id=surrounding_task(found.execution_id, task),
            fields=dict(fields) or None,
        ),
    )
