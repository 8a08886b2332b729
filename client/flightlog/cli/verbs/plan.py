"""`flightlog plan`: how the declared tasks of a project should be run."""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import click
from msgspec.structs import replace

from flightlog import commands
from flightlog.cli.editor import edit
from flightlog.cli.options import DURATION, ID, PAIR, surrounding_execution
from flightlog.cli.output import Output, shown, width_chars
from flightlog.cli.plan_edit import Change, change_by_options
from flightlog.cli.plan_graph import graph, mermaid
from flightlog.cli.plans import (
    PROJECT_COLUMNS,
    TASK_COLUMNS,
    concern,
    file_columns,
    overview,
    plan_json,
    record_columns,
    show_facts,
    task_rows,
    went,
)
from flightlog.cli.project import project_here, project_named
from flightlog.cli.text import cut
from flightlog.cli.verb import Session, family, json_option, verb
from flightlog.commands.plan import MAX_WORKTREES_LIMIT
from flightlog.declarations import read_declarations
from flightlog.errors import QueryFailed, Refusal
from flightlog.query import Connection
from flightlog_schemas.events.plan import PlanEpicDeclared
from flightlog_schemas.projects import PROJECT_ID_CHARS, PlanRecord, Project, ProjectPlan
from flightlog_schemas.wire.query import Plans, Projects
from flightlog_schemas.wire.request import PAGE_LIMIT

T = TypeVar("T")

DEFAULT_COUNT: Final = 20
UNCHANGED: Final = 1

_TOLD_CHARS: Final = 64
"""Of what makes no sense, in what is said of it."""

_ID: Final = re.compile(f"[0-9a-f]{{{PROJECT_ID_CHARS}}}")

command = family(
    "plan",
    "Plans: in which order the declared tasks of a project should be run, and which of them at once.",
    "flightlog task declare api --description 'write `src/api.py`' --depends-on schema",
    "flightlog plan build",
    "flightlog plan show --graph",
    "flightlog plan edit --move api=2",
    "flightlog plan show --actual",
)

_project = click.option(
    "--project", metavar="DIR|ID", help="The project, by its root or its id [default: the one you are in]."
)


def _root(project: str | None) -> str:
    """Return a project as questions name it: its root, or the id that was given."""
    if project is None:
        return project_here()
    return project if _ID.fullmatch(project) else project_named(project)


@command.member
@verb("build", "flightlog plan build --tasks tasks.json", "flightlog plan build --max-worktrees 2 --no-wait")
@click.option("--project", metavar="DIR", help="Root of the project [default: the one you are in].")
@click.option("--tasks", type=click.File("rb"), metavar="FILE", help="Declare these first; - is stdin.")
@click.option(
    "--max-worktrees", type=click.IntRange(1, MAX_WORKTREES_LIMIT), metavar="N",
    help="Most worktrees for a batch [default: 4].",
)  # fmt: skip
@click.option("--wait/--no-wait", default=True, help="Wait until it is built [default: so].")
@click.option("--timeout", type=DURATION, default="1m", help="Longest wait [default: 1m].")
@json_option
def build(
    session: Session,
    project: str | None,
    tasks: Any,
    max_worktrees: int | None,
    wait: bool,
    timeout: int,
    as_json: bool,
) -> None:
    """Have the plan of a project built, and print its id.

    The daemon builds it of all declared tasks that have not succeeded yet. Within an execution
    ($FLIGHTLOG_EXECUTION_ID) request and answer show in its log. With --no-wait this prints the key of the
    request, which the answer names as its cause. What is left out, missing or odd is said on stderr. Exit
    code 1 if the plan cannot be built, or not in time.
    """
    root = project_here() if project is None else project_named(project)
    if tasks is not None:
        declared = read_declarations(tasks.read(), root)
        commands.declare_tasks(declared.tasks, declared.epics, daemon=session.daemon)
    output = session.output()
    requested = commands.request_plan(
        root,
        max_worktrees=max_worktrees,
        execution_id=surrounding_execution(session),
        daemon=session.daemon,
    )
    if not wait:
        if as_json:
            output.json({"project": root, "request_id": requested.request_id, "seq": requested.seq})
        else:
            output.line(requested.request_id)
        return
    found = commands.await_plan(requested, timeout_s=timeout / 1e6, daemon=session.daemon)
    if as_json:
        output.json(plan_json(found))
    elif output.terminal:
        show_facts(output, overview(output, found))
    else:
        output.line(found.plan_id)
        _warn(session, found)


@command.member
@verb(
    "show", "flightlog plan show", "flightlog plan show --mermaid > plan.mmd", "flightlog plan show --actual"
)
@click.argument("plan", metavar="[PLAN]", required=False, type=ID)
@_project
@click.option("--graph", "draws", is_flag=True, help="A picture: a box for each batch.")
@click.option("--mermaid", "draws_mermaid", is_flag=True, help="A Mermaid flowchart.")
@click.option("--actual", is_flag=True, help="How it went: who wrote what, how long it took.")
@click.option("--no-truncate", is_flag=True, help="Draw every batch and every task.")
@json_option
def show(
    session: Session,
    plan: str | None,
    project: str | None,
    draws: bool,
    draws_mermaid: bool,
    actual: bool,
    no_truncate: bool,
    as_json: bool,
) -> None:
    """Show a plan, or the latest one of a project, as its changes left it.

    Piped: tab-separated batch, task, epic, worktree, what it waits for, files, expected seconds; with
    --actual names and values, then after an empty line file, predicted and actual writers. Exit code 1 if
    there is no such plan.
    """
    if draws + draws_mermaid + actual + as_json > 1 and not (
        actual and as_json and not draws + draws_mermaid
    ):
        raise click.UsageError(
            "--graph, --mermaid, --actual and --json show it in different ways: choose one"
        )
    found = commands.show_plan(
        None if plan is not None and project is None else _root(project),
        plan_id=plan,
        actual=actual,
        daemon=session.daemon,
    )
    output = session.output()
    if as_json:
        output.json(plan_json(found))
    elif draws_mermaid:
        for line in mermaid(found.plan):
            output.line(line)
        _warn(session, found)
    elif draws:
        for line in graph(found.plan, width_chars(), whole=no_truncate):
            output.line(line)
        _warn(session, found)
    elif actual:
        _show_actual(output, found)
    else:
        _show(session, output, found)


def _warn(session: Session, found: ProjectPlan) -> None:
    """Say what is wrong with a plan to who is not shown it."""
    if (text := concern(found.plan)) is not None:
        session.say(text)


def _show(session: Session, output: Output, found: ProjectPlan) -> None:
    if not output.terminal:
        _warn(session, found)
    rows = task_rows(found.plan)
    if output.terminal:
        show_facts(output, overview(output, found))
        if not rows:
            return
        output.line("")
        output.flush()
    output.rows(TASK_COLUMNS, rows)


def _show_actual(output: Output, found: ProjectPlan) -> None:
    assert found.actual is not None
    show_facts(output, went(found.actual))
    if found.actual.files:
        output.line("")
        output.flush()
        output.rows(file_columns(), found.actual.files)


def _move(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> list[tuple[str, int]]:
    found = []
    for value in values:
        task_id, equals, batch = value.rpartition("=")
        if not equals or not (batch.isascii() and batch.isdigit()) or len(batch) > 9:
            raise click.BadParameter(f"{cut(value, _TOLD_CHARS)!r} is not TASK=BATCH", ctx, param)
        found.append((task_id, int(batch)))
    return found


@command.member
@verb(
    "edit",
    "flightlog plan edit",
    "flightlog plan edit --move api=2 --move docs=1",
    "flightlog plan edit --worktree review=api,docs --serial 2",
)
@click.argument("plan", metavar="[PLAN]", required=False, type=ID)
@_project
@click.option(
    "--move",
    "moves",
    multiple=True,
    callback=_move,
    metavar="TASK=BATCH",
    help="Move a task; may be repeated.",
)
@click.option(
    "--worktree", "worktrees", type=PAIR, multiple=True, metavar="NAME=TASK,...",
    help="Move tasks of one batch to a worktree; may be repeated.",
)  # fmt: skip
@click.option("--parallel", type=int, multiple=True, metavar="BATCH", help="Its tasks may run at once.")
@click.option("--serial", type=int, multiple=True, metavar="BATCH", help="Its tasks run one after the other.")
@json_option
def edit_(
    session: Session,
    plan: str | None,
    project: str | None,
    moves: list[tuple[str, int]],
    worktrees: tuple[tuple[str, str], ...],
    parallel: tuple[int, ...],
    serial: tuple[int, ...],
    as_json: bool,
) -> int:
    """Change a plan by hand, or the latest one of a project; without options in $EDITOR.

    What breaks a dependency is refused, and in the editor told above the text, which is opened again. Exit
    code 1 if nothing was changed: the plan cannot take it, nobody wanted it, or somebody else was faster;
    exit code 3 if it names a task or a batch that the plan does not have.
    """
    if set(parallel) & set(serial):
        raise click.UsageError("--parallel and --serial of one batch")
    where = None if plan is not None and project is None else _root(project)
    found = commands.show_plan(where, plan_id=plan, daemon=session.daemon)
    at_once = dict.fromkeys(parallel, True) | dict.fromkeys(serial, False)
    if moves or worktrees or at_once:
        change = change_by_options(found.plan, moves, worktrees, at_once)
        after: ProjectPlan | None = _adjusted(session, found, change)
    else:
        after = edit(session, found)
    if after is None:
        session.say("nothing was changed")
        return UNCHANGED
    output = session.output()
    if as_json:
        output.json(plan_json(after))
    else:
        _show(session, output, after)
    return 0


def _adjusted(session: Session, found: ProjectPlan, change: Change) -> ProjectPlan:
    try:
        return commands.adjust_plan(
            plan_id=found.plan_id,
            batch_overrides=change.batches,
            worktree_assignments=change.worktrees,
            seen_seq=found.seen_seq,
            daemon=session.daemon,
        )
    except QueryFailed as error:
        if error.code != "invalid":
            raise
        # What it names is there: it is the plan that says no.
        raise Refusal(error.reason, error.hint) from None


@command.member
@verb("epic", "flightlog plan epic web --depends-on store")
@click.argument("epic", type=ID)
@click.option("--project", metavar="DIR", help="Root of the project [default: the one you are in].")
@click.option("--name", help="What people call it.")
@click.option("--depends-on", type=ID, multiple=True, metavar="EPIC", help="It waits for; may be repeated.")
def epic_(
    session: Session, epic: str, project: str | None, name: str | None, depends_on: tuple[str, ...]
) -> None:
    """Declare an epic: a group of tasks, which all wait for all tasks of the epics that it depends on.

    Tasks name their epic themselves. The last declaration counts.
    """
    root = project_here() if project is None else project_named(project)
    declared = PlanEpicDeclared(project=root, epic=epic, name=name, depends_on=depends_on)
    commands.declare_tasks([], [declared], daemon=session.daemon)


@command.member
@verb("list", "flightlog plan list", "flightlog plan list --all -n 5")
@_project
@click.option("--all", "everywhere", is_flag=True, help="Plans of all projects.")
@click.option(
    "-n", "count", type=click.IntRange(1, PAGE_LIMIT), default=DEFAULT_COUNT, show_default=True, metavar="N",
    help="At most this many.",
)  # fmt: skip
@json_option
def list_(session: Session, project: str | None, everywhere: bool, count: int, as_json: bool) -> None:
    """List the plans of a project, newest first.

    Its counts are as it was built; `plan show` has the parallel batches as changes left them. Piped:
    tab-separated id, built, tasks, batches, parallel ones, conflicts, changes, project.
    """
    if everywhere and project is not None:
        raise click.UsageError("--all and --project")
    request = Plans(project=None if everywhere else _root(project), limit=count)
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(row) for row in daemon.all(request, dict[str, Any]))
            return
        found = list(daemon.all(request, PlanRecord))
    if not output.rows(record_columns(output), found):
        session.say("no plans were built")


@command.member
@verb("projects", "flightlog plan projects")
@json_option
def projects(session: Session, as_json: bool) -> None:
    """List all projects that an execution, a declared task or a plan names, with their ids.

    Piped: tab-separated id, executions, active ones, declared tasks, plans, root.
    """
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(_projects(daemon, dict[str, Any]))
            return
        found = list(_projects(daemon, Project))
    if not output.rows(PROJECT_COLUMNS, found):
        session.say("there are no projects")


def _projects(daemon: Connection, kind: type[T]) -> Iterator[T]:
    request = Projects()
    while True:
        yield from daemon.all(request, kind)
        if daemon.end is None or not daemon.end.truncated:
            return
        request = replace(request, after=str(daemon.end.next))
