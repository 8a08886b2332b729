"""`flightlog finish`: the end of an execution that `start` began."""

from typing import Any, Final

import click

from flightlog.cli.options import COUNT, execution_argument
from flightlog.cli.strict import Refusal, conflict, find_execution, write
from flightlog.cli.verb import Session, verb
from flightlog.clock import now_us
from flightlog.errors import AppendRefused
from flightlog_schemas.answers import Execution
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.events.execution import ExecutionEnded
from flightlog_schemas.wire.query import TERMINAL

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
    found = find_execution(session, execution)
    if found.status in TERMINAL:
        _ended_before(session, found, outcome)
        return
    summed: dict[str, int] = {}
    for key, number in counts:
        summed[key] = summed.get(key, 0) + number
    event = ExecutionEnded(
        execution_id=found.execution_id,
        time=now_us(),
        outcome=outcome,
        error=None if message is None else ErrorInfo(message=message),
        counts=summed or None,
        expect_seq=found.state_seq,
    )
    try:
        seq = write(session, event)
    except AppendRefused as refused:
        raise conflict(refused, found.execution_id) from refused
    after = find_execution(session, found.execution_id, min_seq=seq)
    if after.status != outcome:
        # The log keeps what was said; whether it counts depends on who said it.
        raise Refusal(
            f"recorded, but {found.execution_id} is still {after.status}: it belongs to uid {found.uid}",
            f"flightlog audit {found.execution_id}",
        )


def _ended_before(session: Session, found: Execution, outcome: str) -> None:
    if found.status != outcome:
        raise Refusal(f"{found.execution_id} has ended already: {found.status}")
    session.say(f"{found.execution_id} had ended already: {found.status}")
