"""What verbs that change something share: ask first, write only where it makes sense, say what happened."""

from flightlog.append import append
from flightlog.cli.verb import Session
from flightlog.errors import AppendRefused, FlightlogError
from flightlog_schemas.answers import Execution
from flightlog_schemas.codec import encode_event
from flightlog_schemas.events.envelope import Event
from flightlog_schemas.wire.ingest import Busy
from flightlog_schemas.wire.query import Inspect

ACK_LIMIT_S = 30.0
"""Longest that the daemon may take without any progress, unless it says that it is busy."""


class Refusal(FlightlogError):  # noqa: N818  # an answer, not a fault
    """A command makes no sense as things stand; nothing was written."""

    exit_code = 1


def find_execution(session: Session, execution_id: str, min_seq: int = 0) -> Execution:
    """Return an execution by its id or the beginning of one.

    Args:
        session: Where to ask.
        execution_id: Id or prefix.
        min_seq: Position of the log that the answer must include.

    Raises:
        QueryFailed: there is none, or the prefix fits several.
        DaemonAway: nobody answers.
    """
    with session.ask() as daemon:
        return daemon.one(Inspect(execution_id=execution_id, min_seq=min_seq), Execution)


def write(session: Session, event: Event) -> int:
    """Append one event, wait until it is on disk, and return a position that includes it.

    Raises:
        AppendRefused: it was not stored; a `conflict` says that the execution has moved on.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    done = append(session.ingest, [encode_event(event)], timeout_s=ACK_LIMIT_S, on_busy=say_busy(session))
    if done.refused:
        raise AppendRefused(done.refused)
    return done.seq


class say_busy:  # noqa: N801  # used as a function
    """Tells a person once that the daemon waits out a fault."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._said = False

    def __call__(self, busy: Busy) -> None:
        """Say what the daemon waits for."""
        if not self._said:
            self._said = True
            self._session.say(f"the daemon waits ({busy.code}), and so does this; Ctrl-C gives up")


def conflict(refused: AppendRefused, execution_id: str) -> FlightlogError:
    """Return what a person should hear of a refusal: a conflict names the execution."""
    if any(reply.code == "conflict" for reply in refused.refused):
        return Refusal(
            f"{execution_id} has changed in the meantime, nothing was written",
            f"flightlog inspect {execution_id}",
        )
    return refused
