"""Chains of phases: which phase follows which, what is skipped, which gates guard a step. Pure.

The client asks this before it advances an execution, the daemon to know which phase is the last.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct

DEFAULT_CHAIN: Final = (
    "brainstorm",
    "brainstorm-reviewed",
    "strategized",
    "planned",
    "executing",
    "review",
    "polish",
    "done",
)
"""The chain of an execution that has none of its own."""

COMPLEXITY: Final = 3
"""How complex an execution is that does not say so."""

_KEPT: Final = {
    1: frozenset({"brainstorm", "planned", "executing", "done"}),
    2: frozenset({"brainstorm", "brainstorm-reviewed", "planned", "executing", "done"}),
}
"""Phases of the default chain that simple executions take; from complexity 3 on they take all."""

_ARTIFACT_PHASES: Final = frozenset({"brainstorm", "brainstorm-reviewed", "strategized", "planned"})
"""Phases of the default chain whose work is a document."""
_AGENT_PHASES: Final = frozenset({"executing", "review"})
"""Phases of the default chain whose work agents do."""

HARD_PRIORITY: Final = 1
"""Up to this priority a gate that does not hold blocks."""
SOFT_PRIORITY: Final = 3
"""Up to this one it is recorded; above, gates are not looked at."""


class Step(Struct, frozen=True):
    """The next step along a chain.

    Attributes:
        to_phase: Where it leads.
        skipped: The phases between that are left out.
    """

    to_phase: str
    skipped: tuple[str, ...]


class Gate(Struct, frozen=True):
    """A condition of a step, and what was found.

    Attributes:
        gate: `artifact_exists`: the phase that is left has an artifact. `agents_complete`: no agent of the
            execution is active.
        passed: Whether it holds.
        evidence: The numbers that say so.
    """

    gate: Literal["artifact_exists", "agents_complete"]
    passed: bool
    evidence: dict[str, Any]


def next_step(
    phase: str, phases: Sequence[str] | None, complexity: int | None, *, force_full: bool
) -> Step | None:
    """Return the step that follows a phase, None for the last.

    Args:
        phase: Where the execution stands.
        phases: Its own chain; None for the default one.
        complexity: 1 to 5, None for the usual; own chains are taken whole.
        force_full: Skip nothing.

    Raises:
        ValueError: the phase is not in the chain.
    """
    chain = phases or DEFAULT_CHAIN
    kept = frozenset(chain)
    if not phases and not force_full:
        kept = _KEPT.get(complexity or COMPLEXITY, kept)
    rest = chain[chain.index(phase) + 1 :]
    for index, name in enumerate(rest):
        if name in kept:
            return Step(name, tuple(rest[:index]))
    return None


def chain(
    phase: str, phases: Sequence[str] | None, complexity: int | None, *, force_full: bool
) -> tuple[str, ...]:
    """Return the phases that an execution takes from the first to the last, and the one that it is in.

    Args:
        phase: Where it stands; in the chain even where its complexity would have left it out.
        phases: Its own chain; None for the default one.
        complexity: 1 to 5, None for the usual; own chains are taken whole.
        force_full: Skip nothing.
    """
    whole = phases or DEFAULT_CHAIN
    kept = {phase, whole[0]}
    step = next_step(whole[0], phases, complexity, force_full=force_full)
    while step is not None:
        kept.add(step.to_phase)
        step = next_step(step.to_phase, phases, complexity, force_full=force_full)
    taken = tuple(name for name in whole if name in kept)
    return taken if phase in whole else (*taken, phase)


def gates(
    phase: str, phases: Sequence[str] | None, *, artifacts: int, active_agents: Sequence[str]
) -> tuple[Gate, ...]:
    """Return what guards the step out of a phase. In a chain of its own every phase is guarded by both.

    Args:
        phase: The phase that is left.
        phases: The execution's own chain; None for the default one.
        artifacts: How many artifacts that phase has.
        active_agents: Ids of the agents that are not done.
    """
    found: list[Gate] = []
    if phases or phase in _ARTIFACT_PHASES:
        found.append(Gate("artifact_exists", artifacts > 0, {"phase": phase, "artifacts": artifacts}))
    if phases or phase in _AGENT_PHASES:
        found.append(Gate("agents_complete", not active_agents, {"active": list(active_agents)}))
    return tuple(found)
