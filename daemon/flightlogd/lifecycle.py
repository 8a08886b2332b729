"""The states of an execution, as a pure function: state and event in, state and findings out.

    pending -> running <-> waiting -> succeeded | partial | failed | cancelled | timed_out | lost

The execution's read model and the audit trail both fold this over an execution's events, each keeping its own
copy of the state: neither needs to read the other's tables, and they cannot disagree.

Facts are never refused for what they say. What cannot be (a second ending, a stranger's) changes nothing and
is a finding of type ANOMALY.
"""

from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from flightlog_schemas.events import (
    BY_TAG,
    BootClock,
    Event,
    ExecutionAdopted,
    ExecutionAdvanced,
    ExecutionBlocked,
    ExecutionChanged,
    ExecutionCounted,
    ExecutionCreated,
    ExecutionEnded,
    ExecutionLost,
    ExecutionResumed,
    ExecutionStarted,
    ExecutionWaiting,
    type_of,
)
from flightlog_schemas.phases import DEFAULT_CHAIN
from flightlog_schemas.statuses import TERMINAL, Status
from flightlogd.recorded import ROOT_UID, Recorded, is_daemon

FindingType = Literal[
    "CREATED",
    "STARTED",
    "STATE_CHANGE",
    "COMPLETED",
    "FAILED",
    "CANCELLED",
    "TIMEOUT",
    "LOST",
    "PHASE_CHANGE",
    "PHASE_SKIP",
    "PHASE_BLOCKED",
    "CHANGED",
    "ADOPTED",
    "ANOMALY",
]


class State(Struct, frozen=True, kw_only=True):
    """What the rules need to know of an execution; a placeholder until it is announced.

    Attributes:
        status: Where it is.
        announced: False while events mention it and none has announced it.
        uid: The user whose execution it is; None for a placeholder.
        producer: The client instance whose word on its end is final.
        started_at: Microseconds since the epoch; None before it started.
        clock: The reading of the boot clock that came with its start.
        phase: Where it stands in its chain; None while it has no chain.
        phases: Its own chain; None for the default one.
    """

    status: Status = "pending"
    announced: bool = False
    uid: int | None = None
    producer: str | None = None
    started_at: int | None = None
    clock: BootClock | None = None
    phase: str | None = None
    phases: tuple[str, ...] | None = None


class Finding(Struct, frozen=True, kw_only=True):
    """What an event meant: an entry of the audit trail."""

    type: FindingType
    from_state: str | None = None
    to_state: str | None = None
    reason: str | None = None
    detail: dict[str, Any] | None = None


class Verdict(Struct, frozen=True):
    """The state after an event, whether the event counts, and what to write in the audit trail."""

    state: State
    accepted: bool
    findings: tuple[Finding, ...]


_END_TYPES: Final[dict[str, FindingType]] = {
    "succeeded": "COMPLETED",
    "partial": "COMPLETED",
    "failed": "FAILED",
    "cancelled": "CANCELLED",
    "timed_out": "TIMEOUT",
}


LIFECYCLE_TYPES: Final = frozenset(known for tag, known in BY_TAG.items() if tag.startswith("execution."))
"""All of `execution.*`."""


def is_lifecycle(event: Event) -> bool:
    """Say whether an event is one of `execution.*`."""
    return type(event) in LIFECYCLE_TYPES


def judge(state: State, recorded: Recorded) -> Verdict:
    """Apply one `execution.*` event to the state of its execution."""
    event = recorded.event
    if state.announced and not _may_speak(state, recorded):
        return _anomaly(
            state, event, f"uid {recorded.uid} does not own this execution (uid {state.uid} does)"
        )
    match event:
        case ExecutionCreated():
            return _announce(state, recorded, "pending")
        case ExecutionStarted():
            return _start(state, recorded)
        case ExecutionEnded():
            return _end(state, recorded, event)
        case ExecutionLost():
            return _lose(state, event)
        case ExecutionWaiting():
            return _move(state, event, "running", "waiting", event.reason)
        case ExecutionResumed():
            return _move(state, event, "waiting", "running", event.reason)
        case ExecutionAdvanced():
            return _advance(state, recorded, event)
        case ExecutionBlocked():
            return _block(state, event)
        case ExecutionChanged():
            return _change(state, event)
        case ExecutionCounted():
            return Verdict(state, True, ())
        case ExecutionAdopted():
            if state.status in TERMINAL:
                return _anomaly(state, event, f"it has ended already ({state.status})")
            adopted = Finding(type="ADOPTED", detail={"pid": event.owner.pid})
            return Verdict(replace(state, producer=recorded.producer), True, (adopted,))
        case _:
            raise AssertionError(f"{type_of(event)} is not an execution event")


def _may_speak(state: State, recorded: Recorded) -> bool:
    return recorded.uid in (state.uid, ROOT_UID) or is_daemon(recorded.producer)


def _anomaly(state: State, event: Event, reason: str) -> Verdict:
    finding = Finding(
        type="ANOMALY", from_state=state.status, reason=reason, detail={"event": type_of(event)}
    )
    return Verdict(state, False, (finding,))


def _announce(state: State, recorded: Recorded, status: Status) -> Verdict:
    """Take what an announcement says; a placeholder that has ended stays ended."""
    event = recorded.event
    assert isinstance(event, ExecutionCreated | ExecutionStarted)
    if state.announced:
        return _anomaly(state, event, "it was announced before; the first record stands")
    created = Finding(
        type="CREATED",
        to_state="pending",
        detail={"name": event.name, "trigger": event.trigger},
    )
    known = replace(
        state,
        announced=True,
        uid=recorded.uid,
        producer=recorded.producer,
        phase=_phase_by(state, event),
        phases=event.phases,
    )
    if state.status in TERMINAL:
        late = Finding(type="ANOMALY", from_state=state.status, reason="announced after it had ended")
        return Verdict(known, True, (created, late))
    return Verdict(replace(known, status=status), True, (created,))


def _start(state: State, recorded: Recorded) -> Verdict:
    event = recorded.event
    if not state.announced:
        verdict = _announce(state, recorded, "pending")
    elif state.status == "pending":
        verdict = Verdict(state, True, ())
    else:
        return _anomaly(state, event, f"it was started before ({state.status}); the first record stands")
    assert isinstance(event, ExecutionStarted)
    begun = replace(
        verdict.state,
        started_at=recorded.time,
        clock=event.clock,
        phase=_phase_by(verdict.state, event),
        phases=verdict.state.phases or event.phases,
    )
    if begun.status in TERMINAL:
        return Verdict(begun, True, verdict.findings)
    started = Finding(type="STARTED", from_state="pending", to_state="running")
    return Verdict(
        replace(begun, status="running", producer=recorded.producer), True, (*verdict.findings, started)
    )


def _move(state: State, event: Event, source: Status, target: Status, reason: str | None) -> Verdict:
    if state.status != source:
        return _anomaly(state, event, f"it is {state.status}, not {source}")
    change = Finding(type="STATE_CHANGE", from_state=source, to_state=target, reason=reason)
    return Verdict(replace(state, status=target), True, (change,))


def _end(state: State, recorded: Recorded, event: ExecutionEnded) -> Verdict:
    corrected = state.status == "lost" and recorded.producer == state.producer
    if state.status in TERMINAL and not corrected:
        same = " again" if state.status == event.outcome else ""
        return _anomaly(
            state, event, f"it has ended already ({state.status}); {event.outcome}{same} changes nothing"
        )
    detail: dict[str, Any] = {"duration_us": duration_of(state, recorded, event)}
    if event.exit_status is not None:
        detail["exit_status"] = event.exit_status
    if event.error is not None:
        detail["message"] = event.error.message
        detail["type"] = event.error.type
    if event.outcome == "cancelled":
        detail["by_uid"] = recorded.uid
    finding = Finding(
        type=_END_TYPES[event.outcome],
        from_state=state.status,
        to_state=event.outcome,
        reason=event.reason,
        detail=detail,
    )
    findings: tuple[Finding, ...] = (finding,)
    if not state.announced:
        findings += (Finding(type="ANOMALY", to_state=event.outcome, reason="ended and never announced"),)
    return Verdict(replace(state, status=event.outcome), True, findings)


def duration_of(state: State, recorded: Recorded, event: ExecutionEnded | ExecutionAdvanced) -> int | None:
    """Return how long it ran in microseconds: as measured, by the boot clock, or by the time of day.

    Never negative; the time of day, which may have been set in between, is the last resort.
    """
    if isinstance(event, ExecutionEnded) and event.duration_us is not None:
        return event.duration_us
    if state.clock is not None and event.clock is not None and state.clock.boot_id == event.clock.boot_id:
        return max(0, event.clock.uptime_us - state.clock.uptime_us)
    return None if state.started_at is None else max(0, recorded.time - state.started_at)


def _lose(state: State, event: ExecutionLost) -> Verdict:
    if state.status in TERMINAL:
        return _anomaly(state, event, f"it has ended already ({state.status})")
    lost = Finding(
        type="LOST", from_state=state.status, to_state="lost", reason=event.reason, detail=event.evidence
    )
    return Verdict(replace(state, status="lost"), True, (lost,))


def _phase_by(state: State, event: ExecutionCreated | ExecutionStarted) -> str | None:
    """Return where an execution stands once it is announced; None where nothing speaks of a chain.

    What was said before stands, as long as it is in the chain.
    """
    phases = state.phases or event.phases
    if phases:
        return state.phase if state.phase in phases else phases[0]
    chained = (event.complexity, event.auto_advance, event.force_full)
    return state.phase or (None if chained == (None, None, None) else DEFAULT_CHAIN[0])


def _change(state: State, event: ExecutionChanged) -> Verdict:
    detail = {
        name: value
        for name in ("complexity", "auto_advance", "force_full", "labels")
        if (value := getattr(event, name)) is not None
    }
    changed = Finding(type="CHANGED", reason=event.reason, detail=detail)
    if state.phase is None and detail.keys() - {"labels"}:
        # Setting how it goes along a chain gives it one.
        state = replace(state, phase=DEFAULT_CHAIN[0])
    return Verdict(state, True, (changed,))


def _block(state: State, event: ExecutionBlocked) -> Verdict:
    blocked = Finding(
        type="PHASE_BLOCKED",
        from_state=event.from_phase or state.phase,
        to_state=event.to_phase,
        reason=event.reason,
        detail={"cause": event.cause} | _step_detail(event),
    )
    return Verdict(state, True, (blocked,))


def _step_detail(event: ExecutionAdvanced | ExecutionBlocked) -> dict[str, Any]:
    detail: dict[str, Any] = {}
    if event.priority is not None:
        detail["priority"] = event.priority
    if event.gates:
        detail["gates"] = list(event.gates)
    return detail


def _advance(state: State, recorded: Recorded, event: ExecutionAdvanced) -> Verdict:
    """Move along the chain; into its last phase means that the execution succeeded."""
    if state.status in TERMINAL:
        return _anomaly(state, event, f"it has ended already ({state.status})")
    detail = _step_detail(event)
    if event.skipped:
        detail["skipped"] = list(event.skipped)
    findings = [
        Finding(
            type="PHASE_SKIP" if event.skipped else "PHASE_CHANGE",
            from_state=state.phase,
            to_state=event.to_phase,
            reason=event.reason,
            detail=detail or None,
        )
    ]
    chain = state.phases or DEFAULT_CHAIN
    if event.to_phase not in chain:
        reason = f"{event.to_phase} is not in its chain"
        findings.append(Finding(type="ANOMALY", from_state=state.status, reason=reason))
    after = replace(state, phase=event.to_phase)
    if event.to_phase == chain[-1]:
        after = replace(after, status="succeeded")
        done = Finding(
            type="COMPLETED",
            from_state=state.status,
            to_state="succeeded",
            reason=f"reached the last phase, {event.to_phase}",
            detail={"duration_us": duration_of(state, recorded, event)},
        )
        findings.append(done)
    return Verdict(after, True, tuple(findings))
