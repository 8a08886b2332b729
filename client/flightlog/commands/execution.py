"""Commands on an execution as a whole: start, finish, cancel, set."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from flightlog.clock import now_us
from flightlog.commands.change import change
from flightlog.commands.repeat import until_settled
from flightlog.daemon import Daemon
from flightlog.errors import Conflict, Refusal, UsageError
from flightlog.process import boot_clock, process_identity
from flightlog_schemas.answers import Execution
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.events.execution import (
    ExecutionAdopted,
    ExecutionChanged,
    ExecutionEnded,
    ExecutionStarted,
    Outcome,
    Owner,
)
from flightlog_schemas.statuses import TERMINAL

COMPLEXITIES: Final = range(1, 6)


def start(announced: ExecutionStarted, *, daemon: Daemon | None = None) -> str:
    """Start an execution that outlives this process, and return its id.

    Args:
        announced: What is known of it; the times of the start are filled in.
        daemon: Where; default: the one that the environment names.

    Raises:
        Refusal: an execution of that id exists already.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    event = replace(announced, time=now_us(), clock=boot_clock(), expect_seq=0)
    try:
        (daemon or Daemon()).write(event)
    except Conflict as conflict:
        raise Refusal(f"{event.execution_id} exists already, nothing was written") from conflict
    return event.execution_id


def finish(
    execution_id: str,
    outcome: Outcome = "succeeded",
    *,
    reason: str | None = None,
    error: ErrorInfo | None = None,
    counts: Mapping[str, int] | None = None,
    daemon: Daemon | None = None,
) -> Execution | None:
    """End an execution. Ending it again in the same way writes nothing and is no error.

    Args:
        execution_id: Its id or the beginning of one.
        outcome: How it ended.
        reason: Why, in a word or a sentence.
        error: What went wrong.
        counts: Added to its counters.
        daemon: Where; default: the one that the environment names.

    Returns:
        The execution as it is now; None where it had ended before in the same way.

    Raises:
        Refusal: it has ended in another way, or belongs to somebody else.
        Conflict: another command was faster.
        QueryFailed: there is no such execution.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    daemon = daemon or Daemon()
    found = daemon.execution(execution_id)
    if found.status == outcome:
        return None
    _must_be_open(found)
    ended = ExecutionEnded(
        execution_id=found.execution_id,
        outcome=outcome,
        reason=reason,
        error=error,
        counts=dict(counts) if counts else None,
        clock=boot_clock(),
    )
    return change(daemon, ended, found.state_seq)


def cancel(execution_id: str, *, reason: str | None = None, daemon: Daemon | None = None) -> Execution:
    """End an execution as cancelled, and return it as it is then.

    Args:
        execution_id: Its id or the beginning of one.
        reason: Why, in a word or a sentence.
        daemon: Where; default: the one that the environment names.

    Raises:
        Refusal: it has ended already, in whatever way, or belongs to somebody else.
        Conflict: another command was faster.
        QueryFailed: there is no such execution.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    daemon = daemon or Daemon()
    found = daemon.execution(execution_id)
    _must_be_open(found)
    ended = ExecutionEnded(
        execution_id=found.execution_id, outcome="cancelled", reason=reason, clock=boot_clock()
    )
    return change(daemon, ended, found.state_seq)


def set_(
    execution_id: str,
    *,
    complexity: int | None = None,
    auto_advance: bool | None = None,
    force_full: bool | None = None,
    labels: Mapping[str, str] | None = None,
    owner: int | None = None,
    reason: str | None = None,
    daemon: Daemon | None = None,
) -> Execution:
    """Change settings of an execution, and return it as it is then; what is left out stays.

    An execution without a chain of phases gets the default one by any of the first three. Labels may be set
    on one that has ended, too.

    Args:
        execution_id: Its id or the beginning of one.
        complexity: 1 to 5: how much of the default chain is taken.
        auto_advance: False: no step without a reason.
        force_full: Whether all phases are taken, whatever the complexity.
        labels: Named facts, merged by name.
        owner: Id of the process whose end is the execution's end from here on.
        reason: Why.
        daemon: Where; default: the one that the environment names.

    Raises:
        UsageError: nothing to set, a complexity that there is not, or no such process.
        Refusal: it has ended already, or belongs to somebody else.
        Conflict: another command was faster.
        QueryFailed: there is no such execution.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    steering = any(value is not None for value in (complexity, auto_advance, force_full))
    if not steering and not labels and owner is None:
        raise UsageError("nothing to set")
    if complexity is not None and complexity not in COMPLEXITIES:
        raise UsageError(f"complexity is 1 to 5, not {complexity}")
    process = None if owner is None else owner_named(owner)
    daemon = daemon or Daemon()
    found = daemon.execution(execution_id)
    if steering or process is not None:
        _must_be_open(found)
    if steering or labels:
        changed = ExecutionChanged(
            execution_id=found.execution_id,
            complexity=complexity,
            auto_advance=auto_advance,
            force_full=force_full,
            labels=dict(labels) if labels else None,
            reason=reason,
        )
        found = change(daemon, changed, found.state_seq)
    if process is not None:
        found = _adopt(daemon, found, process, again=steering or bool(labels))
    return found


def _adopt(daemon: Daemon, found: Execution, process: Owner, *, again: bool) -> Execution:
    """Give an execution another owner, and return it as it is then.

    Args:
        daemon: Where.
        found: The execution as it was seen.
        process: The owner.
        again: Half of the command is written: ask again, rather than give up, where somebody came between.
    """
    adopted = ExecutionAdopted(execution_id=found.execution_id, owner=process)
    if not again:
        return change(daemon, adopted, found.state_seq)

    def attempt() -> Execution:
        now = daemon.execution(found.execution_id)
        _must_be_open(now)
        return change(daemon, adopted, now.state_seq)

    return until_settled(attempt)


def owner_named(pid: int) -> Owner:
    """Return who has a process id now, with what tells it from others that will have it.

    Raises:
        UsageError: there is no such process.
    """
    owner = process_identity(pid)
    if owner is None:
        raise UsageError(f"there is no process {pid}")
    return owner


def _must_be_open(found: Execution) -> None:
    if found.status in TERMINAL:
        raise Refusal(f"{found.execution_id} has ended already: {found.status}")
