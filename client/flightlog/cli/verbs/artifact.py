"""`flightlog artifact`: the files that executions produced."""

from typing import Any, Final

import click
import msgspec

from flightlog import commands
from flightlog.cli.lists import ARTIFACT_COLUMNS
from flightlog.cli.options import ID, execution_and, execution_argument, host_option, surrounding_task
from flightlog.cli.output import Output, shown
from flightlog.cli.pages import pages
from flightlog.cli.tables import Column
from flightlog.cli.text import bytes_text
from flightlog.cli.verb import Session, family, json_option, verb
from flightlog.files import normal_path
from flightlog_schemas.answers import Artifact
from flightlog_schemas.wire.query import Artifacts

NOBODY: Final = 1

command = family(
    "artifact",
    "Which files were written, and by whom.",
    "flightlog artifact add EXEC docs/plan.md --type plan",
    "flightlog artifact list EXEC --phase planned",
    "flightlog artifact why docs/plan.md",
)


@command.member
@verb("add", "flightlog artifact add EXEC docs/plan.md --type plan")
@execution_and("PATH")
@click.option("--phase", help="The phase that it belongs to [default: the one that the execution is in].")
@click.option("--type", "artifact_type", default="file", show_default=True, help="What kind of file.")
@click.option("--agent", type=ID, metavar="ID", help="The agent that wrote it.")
@click.option("--task", type=ID, metavar="ID", help="The task that wrote it [default: the one around].")
@click.option("--id", "artifact_id", type=ID, help="The id to go by [default: a new one].")
@json_option
def add(
    session: Session,
    named: tuple[str, str],
    phase: str | None,
    artifact_type: str,
    agent: str | None,
    task: str | None,
    artifact_id: str | None,
    as_json: bool,
) -> None:
    """Add a file to what an execution produced, and print the artifact's id.

    With one argument it is the path, and the execution is $FLIGHTLOG_EXECUTION_ID. The path is kept absolute
    and normalised; size and SHA-256 are those of now, where the file can be read. A file that is written
    again is added again.
    """
    execution, path = named
    if not path:
        raise click.BadParameter("it is empty", param_hint="'PATH'")
    execution_id = session.daemon.execution(execution).execution_id  # whole, for the task around names it so
    event = commands.add_artifact(
        execution_id,
        path,
        artifact_id=artifact_id,
        artifact_type=artifact_type,
        phase=phase,
        agent_id=agent,
        task_id=surrounding_task(execution_id, task),
        daemon=session.daemon,
    )
    if event.sha256 is None:
        session.say(f"{event.path} is no file that can be read: recorded without size and SHA-256")
    output = session.output()
    if not as_json:
        output.line(output.safe(str(event.artifact_id)))
        return
    told = msgspec.structs.asdict(event)
    fields = {name: told.get(name) for name in Artifact.__struct_fields__ if name not in ("seq", "host")}
    output.json(shown(fields | {"type": event.artifact_type, "created_at": event.time}))


@command.member
@verb("list", "flightlog artifact list EXEC --phase planned --json")
@execution_argument
@click.option("--phase", help="Of this phase.")
@click.option("--type", "artifact_type", help="Of this type.")
@click.option("--agent", type=ID, metavar="ID", help="Of this agent.")
@host_option
@json_option
def list_(
    session: Session,
    execution: str,
    phase: str | None,
    artifact_type: str | None,
    agent: str | None,
    hosts: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the files that an execution produced.

    They come in the order in which they were written. Piped: tab-separated id, phase, type, path.
    """
    request = Artifacts(execution_id=execution, phase=phase, type=artifact_type, agent_id=agent, host=hosts)
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(artifact) for artifact in pages(daemon, request, dict[str, Any]))
        elif not output.rows(ARTIFACT_COLUMNS, pages(daemon, request, Artifact)):
            session.say("no artifacts match")


@command.member
@verb("why", "flightlog artifact why docs/plan.md")
@click.argument("path")
@host_option
@json_option
def why(session: Session, path: str, hosts: tuple[str, ...], as_json: bool) -> int:
    """Show who wrote a file: each execution, agent and task, in order.

    Piped: tab-separated time, execution, agent, task, size in bytes, SHA-256. Exit code 1 if nobody did.
    """
    name = normal_path(path)
    output = session.output()
    with session.ask() as daemon:
        written = list(pages(daemon, Artifacts(path=name, host=hosts), Artifact))
    if as_json:
        output.json_array(shown(msgspec.to_builtins(artifact)) for artifact in written)
    elif written:
        output.rows(_history_columns(output), written)
    else:
        session.say(f"nobody has told of writing {name}")
    return 0 if written else NOBODY


def _history_columns(output: Output) -> list[Column[Artifact]]:
    return [
        Column(head="TIME", value=lambda artifact: output.time(artifact.created_at)),
        Column(head="EXECUTION", value=lambda artifact: artifact.execution_id),
        Column(head="AGENT", value=lambda artifact: artifact.agent_id),
        Column(head="TASK", value=lambda artifact: artifact.task_id),
        Column(
            head="SIZE",
            value=lambda artifact: None if artifact.size_bytes is None else str(artifact.size_bytes),
            seen=lambda artifact: None if artifact.size_bytes is None else bytes_text(artifact.size_bytes),
            right=True,
        ),
        Column(
            head="SHA-256",
            value=lambda artifact: artifact.sha256,
            seen=lambda artifact: None if artifact.sha256 is None else artifact.sha256[:12],
        ),
    ]
