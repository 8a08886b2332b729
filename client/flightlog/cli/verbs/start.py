"""`flightlog start`: an execution of a script."""

from typing import Any, get_args

import click

from flightlog import commands
from flightlog.cli.options import (
    COMPLEXITY,
    DURATION,
    NEW_ID,
    PAIR,
    PHASES,
    PROCESS_ID,
    surrounding_execution,
)
from flightlog.cli.project import project_here, project_named
from flightlog.cli.verb import Session, verb
from flightlog.clock import now_us
from flightlog.ids import new_id
from flightlog_schemas import phases as chains
from flightlog_schemas.events.execution import ExecutionStarted, Trigger


@verb(
    "start",
    "export FLIGHTLOG_EXECUTION_ID=$(flightlog start --name nightly --owner $$)",
    "flightlog log 'copying' && ./copy.sh; flightlog finish",
    "flightlog start --goal 'a login page' --complexity 1    then: flightlog advance",
)
@click.option("--id", "execution_id", type=NEW_ID, help="The id to go by [default: a new one].")
@click.option("--name", help="What people call it.")
@click.option("--project", metavar="DIR", help="Its project [default: the one you are in].")
@click.option("--goal", help="What it is for.")
@click.option("--tool", help="The program that runs.")
@click.option("--tool-version", help="The version of what runs.")
@click.option("--trigger", type=click.Choice(get_args(Trigger)), default="manual", help="What set it off.")
@click.option("--timeout", "--deadline", type=DURATION, help="It counts as timed out after this long: 10m.")
@click.option("--phases", type=PHASES, metavar="A,B,C", help="Its own chain of phases, two or more.")
@click.option(
    "--complexity",
    type=COMPLEXITY,
    help=f"1 to 5: how much of the default chain is taken [default: {chains.COMPLEXITY}].",
)
@click.option(
    "--auto-advance/--no-auto-advance", default=None, help="Whether steps need no reason [default: so]."
)
@click.option("--force-full", is_flag=True, default=None, help="Take all phases, whatever the complexity.")
@click.option(
    "--label", "labels", type=PAIR, multiple=True, metavar="K=V", help="A named fact; may be repeated."
)
@click.option("--owner", type=PROCESS_ID, metavar="PID", help="The process whose end is its end.")
@click.argument("arguments", metavar="[-- ARGS...]", nargs=-1)
def command(
    session: Session,
    execution_id: str | None,
    name: str | None,
    project: str | None,
    goal: str | None,
    tool: str | None,
    tool_version: str | None,
    trigger: Any,
    timeout: int | None,
    phases: tuple[str, ...] | None,
    complexity: int | None,
    auto_advance: bool | None,
    force_full: bool | None,
    labels: tuple[tuple[str, str], ...],
    owner: int | None,
    arguments: tuple[str, ...],
) -> None:
    """Start an execution and print its id.

    ARGS are recorded as its arguments. Its project is the root of the Git work tree you are in, else the
    current directory. Within another execution ($FLIGHTLOG_EXECUTION_ID) it is a child of that one. It
    begins in the first phase of its chain. Without --owner it runs until `finish`, or until `advance` takes
    it into its last phase.
    """
    if timeout == 0:
        raise click.BadParameter("no time at all", param_hint="'--timeout'")
    if complexity is None and phases is None:
        complexity = chains.COMPLEXITY
    started = ExecutionStarted(
        execution_id=execution_id or new_id(),
        name=name,
        project=project_here() if project is None else project_named(project),
        goal=goal,
        tool=tool,
        tool_version=tool_version,
        trigger=trigger,
        deadline=None if timeout is None else now_us() + timeout,
        phases=phases,
        complexity=complexity,
        auto_advance=auto_advance,
        force_full=force_full,
        labels=dict(labels) or None,
        owner=None if owner is None else commands.owner_named(owner),
        args=arguments or None,
        parent_id=surrounding_execution(session),
    )
    session.output().line(commands.start(started, daemon=session.daemon))
