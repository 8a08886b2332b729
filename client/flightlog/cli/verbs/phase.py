"""`flightlog phase`: where an execution stands in its chain."""

from flightlog.cli.options import execution_argument
from flightlog.cli.verb import Session, json_option, verb
from flightlog_schemas.answers import PhasePosition
from flightlog_schemas.wire.query import Phase

NO_PHASE = 1


@verb("phase", 'flightlog phase "$(flightlog current)"')
@execution_argument
@json_option
def command(session: Session, execution: str, as_json: bool) -> int:
    """Print the phase that an execution is in.

    --json has all that the next step needs: where it leads, what it skips, the evidence for its gates. Exit
    code 1 if there is no such execution, or if it has no phases.
    """
    with session.ask() as daemon:
        position = daemon.one(Phase(execution_id=execution), PhasePosition)
    output = session.output()
    if as_json:
        output.json(position)
    elif position.phase is None:
        session.say(f"{position.execution_id} has no phases")
    else:
        output.line(output.safe(position.phase))
    return NO_PHASE if position.phase is None else 0
