"""The command that takes an execution from one phase of its chain to the next."""

from typing import Literal

from msgspec import Struct, to_builtins

from flightlog.clock import now_us
from flightlog.commands.change import change
from flightlog.daemon import Daemon
from flightlog.errors import Refusal
from flightlog.process import boot_clock
from flightlog_schemas.answers import PhasePosition
from flightlog_schemas.events.execution import ExecutionAdvanced, ExecutionBlocked
from flightlog_schemas.phases import HARD_PRIORITY, SOFT_PRIORITY, Gate, gates
from flightlog_schemas.statuses import TERMINAL, Status
from flightlog_schemas.wire.query import Phase


class Advanced(Struct, kw_only=True, frozen=True):
    """A step that was made.

    Attributes:
        execution_id: Which execution.
        from_phase: Where it stood.
        to_phase: Where it stands now.
        skipped: The phases between that were left out.
        gates: What was looked at, and what was found.
        status: What it is after the step: succeeded after the last one.
    """

    execution_id: str
    from_phase: str
    to_phase: str
    skipped: tuple[str, ...]
    gates: tuple[Gate, ...]
    status: Status


class Blocked(Refusal):
    """A step was not made, because the execution is paused or a gate does not hold; that is recorded.

    Attributes:
        gates: What was looked at, and what was found.
    """

    def __init__(self, reason: str, hint: str, looked_at: tuple[Gate, ...] = ()) -> None:
        super().__init__(reason, hint)
        self.gates = looked_at


def advance(
    execution_id: str,
    *,
    priority: int | None = None,
    reason: str | None = None,
    disable_gates: bool = False,
    daemon: Daemon | None = None,
) -> Advanced:
    """Take an execution to the next phase of its chain; into the last one ends it as succeeded.

    Gates are looked at where a priority is given: one that does not hold blocks up to priority 1, and is
    recorded up to 3. A paused execution (`auto_advance` false) needs a reason.

    Args:
        execution_id: Its id or the beginning of one.
        priority: 0 is the most important; None looks at no gates.
        reason: Why.
        disable_gates: Look at no gates, whatever the priority.
        daemon: Where; default: the one that the environment names.

    Raises:
        Blocked: it is paused, or a gate does not hold.
        Refusal: it has ended, has no chain, stands outside of it, or belongs to somebody else.
        Conflict: another command was faster.
        QueryFailed: there is no such execution.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    daemon = daemon or Daemon()
    with daemon.ask() as connection:
        position = connection.one(Phase(execution_id=execution_id), PhasePosition)
    from_phase, to_phase = _step(position)
    if position.auto_advance is False and not reason:
        _block(daemon, position, to_phase, "paused", priority=priority)
        raise Blocked(
            f"{from_phase} → {to_phase} is paused: auto_advance is off",
            f"say why with --reason, or flightlog set {position.execution_id} --auto-advance",
        )
    looked_at: tuple[Gate, ...] = ()
    if priority is not None and priority <= SOFT_PRIORITY and not disable_gates:
        looked_at = gates(
            from_phase,
            position.phases,
            artifacts=position.artifacts,
            active_agents=position.active_agents,
        )
        failing = [gate for gate in looked_at if not gate.passed]
        if failing and priority <= HARD_PRIORITY:
            _block(daemon, position, to_phase, "gate", priority=priority, reason=reason, looked_at=looked_at)
            raise Blocked(
                f"{from_phase} → {to_phase} is blocked: {'; '.join(map(finding, failing))}",
                "--disable-gates steps over it",
                looked_at,
            )
    event = ExecutionAdvanced(
        execution_id=position.execution_id,
        from_phase=from_phase,
        to_phase=to_phase,
        reason=reason,
        priority=priority,
        skipped=tuple(position.skipped) or None,
        gates=_evidence(looked_at),
        clock=boot_clock(),
    )
    after = change(daemon, event, position.state_seq)
    return Advanced(
        execution_id=position.execution_id,
        from_phase=from_phase,
        to_phase=to_phase,
        skipped=tuple(position.skipped),
        gates=looked_at,
        status=after.status,
    )


def _step(position: PhasePosition) -> tuple[str, str]:
    """Return where the next step leads from and to.

    Raises:
        Refusal: there is none.
    """
    name, phase = position.execution_id, position.phase
    if position.status in TERMINAL:
        raise Refusal(f"{name} has ended already: {position.status}")
    if phase is None:
        raise Refusal(
            f"{name} has no chain of phases", f"flightlog set {name} --complexity 3 gives it the default one"
        )
    if position.next_phase is None:
        raise Refusal(f"{name} is at {phase}, from where its chain leads nowhere", f"flightlog phase {name}")
    return phase, position.next_phase


def _block(
    daemon: Daemon,
    position: PhasePosition,
    to_phase: str,
    cause: Literal["gate", "paused"],
    *,
    priority: int | None,
    reason: str | None = None,
    looked_at: tuple[Gate, ...] = (),
) -> None:
    """Record a step that is not made."""
    daemon.write(
        ExecutionBlocked(
            execution_id=position.execution_id,
            time=now_us(),
            cause=cause,
            from_phase=position.phase,
            to_phase=to_phase,
            reason=reason,
            priority=priority,
            gates=_evidence(looked_at),
            expect_seq=position.state_seq,
        )
    )


def _evidence(looked_at: tuple[Gate, ...]) -> tuple[dict[str, object], ...] | None:
    return tuple(to_builtins(gate) for gate in looked_at) or None


def finding(gate: Gate) -> str:
    """Return a gate that does not hold as a person says it."""
    if gate.gate == "artifact_exists":
        return f"{gate.gate}: phase {gate.evidence['phase']} has no artifact"
    active = gate.evidence["active"]
    return f"{gate.gate}: {', '.join(active[:3])}{', ...' if len(active) > 3 else ''} not done"
