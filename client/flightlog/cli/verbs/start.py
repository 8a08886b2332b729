"""`flightlog start`: an execution of a script."""

import click

from flightlog.cli.options import ID, PAIR, surrounding_execution
from flightlog.cli.project import project_here, project_named
from flightlog.cli.strict import Refusal, write
from flightlog.cli.verb import Session, verb
from flightlog.clock import now_us
from flightlog.errors import AppendRefused
from flightlog.ids import new_id
from flightlog.process import process_identity
from flightlog_schemas.events.execution import ExecutionStarted, Owner


@verb(
    "start",
    "export FLIGHTLOG_EXECUTION_ID=$(flightlog start --name nightly --owner $$)",
    "flightlog log 'copying' && ./copy.sh; flightlog finish",
)
@click.option("--id", "execution_id", type=ID, help="The id to go by [default: a new one].")
@click.option("--name", help="What people call it.")
@click.option("--project", metavar="DIR", help="Its project [default: the one you are in].")
@click.option("--goal", help="What it is for.")
@click.option("--tool-version", help="The version of what runs.")
@click.option("--phases", metavar="A,B,C", help="Its own chain of phases, two or more.")
@click.option("--complexity", type=click.IntRange(1, 5), help="1 to 5.")
@click.option(
    "--label", "labels", type=PAIR, multiple=True, metavar="K=V", help="A named fact; may be repeated."
)
@click.option("--owner", type=click.IntRange(min=1), metavar="PID", help="The process whose end is its end.")
@click.argument("arguments", metavar="[-- ARGS...]", nargs=-1)
def command(
    session: Session,
    execution_id: str | None,
    name: str | None,
    project: str | None,
    goal: str | None,
    tool_version: str | None,
    phases: str | None,
    complexity: int | None,
    labels: tuple[tuple[str, str], ...],
    owner: int | None,
    arguments: tuple[str, ...],
) -> None:
    """Start an execution and print its id.

    ARGS are recorded as its arguments. Its project is the root of the Git work tree you are in, else the
    current directory. Within another execution ($FLIGHTLOG_EXECUTION_ID) it is a child of that one. Without
    --owner it runs until `finish`.
    """
    event = ExecutionStarted(
        execution_id=execution_id or new_id(),
        time=now_us(),
        name=name,
        project=project_here() if project is None else project_named(project),
        goal=goal,
        tool_version=tool_version,
        phases=None if phases is None else _phases(phases),
        complexity=complexity,
        labels=dict(labels) or None,
        owner=None if owner is None else _owner(owner),
        args=arguments or None,
        parent_id=surrounding_execution(session),
        expect_seq=0,
    )
    try:
        write(session, event)
    except AppendRefused as refused:
        if any(reply.code == "conflict" for reply in refused.refused):
            raise Refusal(f"{event.execution_id} exists already, nothing was written") from refused
        raise
    session.output().line(event.execution_id)


def _phases(text: str) -> tuple[str, ...]:
    phases = tuple(part.strip() for part in text.split(","))
    if len(phases) < 2 or len(set(phases)) < len(phases) or not all(phases):
        raise click.BadParameter("two or more different names, separated by commas", param_hint="'--phases'")
    return phases


def _owner(pid: int) -> Owner:
    owner = process_identity(pid)
    if owner is None:
        raise click.BadParameter(f"there is no process {pid}", param_hint="'--owner'")
    return owner
