"""`flightlog current`: the newest active execution of a project."""

import click

from flightlog.cli.options import host_option
from flightlog.cli.project import project_here, project_named
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.answers import Execution
from flightlog_schemas.statuses import ACTIVE
from flightlog_schemas.wire.query import Executions

NONE = 1


@verb("current", 'flightlog logs -f "$(flightlog current)"')
@click.option("--project", metavar="DIR", help="Exactly this project [default: the one you are in].")
@host_option
@json_option
def command(session: Session, project: str | None, hosts: tuple[str, ...], as_json: bool) -> int:
    """Print the id of the newest active execution of a project.

    The project is the root of the Git work tree you are in, else the current directory. Exit code 1 if
    nothing of it is pending, running or waiting.
    """
    name = project_here() if project is None else project_named(project)
    with session.ask() as daemon:
        found = list(daemon.all(Executions(status=ACTIVE, project=name, host=hosts, limit=1), Execution))
    output = session.output()
    if not found:
        if as_json:
            output.json({"found": False})
        else:
            session.say(f"nothing is active in {name}")
        return NONE
    execution = found[0]
    if as_json:
        output.json(
            {
                "found": True,
                "id": execution.execution_id,
                "execution_id": execution.execution_id,
                "host": execution.host,
                "phase": execution.phase,
                "goal": execution.goal,
            }
        )
    else:
        output.line(output.safe(execution.execution_id))
    return 0
