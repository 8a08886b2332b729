"""Chains of phases: what follows what, what is skipped, what guards a step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog_schemas.phases import DEFAULT_CHAIN, gates, next_step

CHAIN = [
    "brainstorm",
    "brainstorm-reviewed",
    "strategized",
    "planned",
    "executing",
    "review",
    "polish",
    "done",
]
TAKEN = {
    1: ["brainstorm", "planned", "executing", "done"],
    2: ["brainstorm", "brainstorm-reviewed", "planned", "executing", "done"],
    3: CHAIN,
    4: CHAIN,
    5: CHAIN,
    None: CHAIN,
}
"""The phases that an execution of each complexity takes in the default chain."""

complexities = st.none() | st.integers(1, 5)
own_chains = st.lists(st.text(min_size=1, max_size=9), min_size=2, max_size=12, unique=True)
chains = st.none() | own_chains


def walk(phases: list[str] | None, complexity: int | None, *, force_full: bool) -> tuple[list[str], set[str]]:
    """Return the phases taken from the first on, and all that was skipped on the way."""
    phase = (phases or CHAIN)[0]
    taken, skipped = [phase], set[str]()
    while (step := next_step(phase, phases, complexity, force_full=force_full)) is not None:
        phase = step.to_phase
        taken.append(phase)
        skipped.update(step.skipped)
        assert len(taken) <= len(phases or CHAIN), "it goes round in circles"
    return taken, skipped


@pytest.mark.covers("S3.1")
@pytest.mark.parametrize(("complexity", "taken"), TAKEN.items())
def test_the_default_chain(complexity: int | None, taken: list[str]) -> None:
    """Complexity 1 takes the first, fourth, fifth and last phase, 2 the second too, and 3 to 5 take all."""
    assert list(DEFAULT_CHAIN) == CHAIN
    assert walk(None, complexity, force_full=False) == (taken, set(CHAIN) - set(taken))


@pytest.mark.covers("S3.1")
@pytest.mark.parametrize("complexity", TAKEN)
def test_force_full_takes_every_phase(complexity: int | None) -> None:
    """Whatever the complexity, nothing is skipped when the full chain is asked for."""
    assert walk(None, complexity, force_full=True) == (CHAIN, set())


@pytest.mark.covers("S3.1")
def test_a_jump_names_what_it_skips() -> None:
    """The step of a simple execution out of its first phase names the two that it leaves out, in order."""
    step = next_step("brainstorm", None, 1, force_full=False)

    assert step is not None
    assert (step.to_phase, step.skipped) == ("planned", ("brainstorm-reviewed", "strategized"))


@pytest.mark.covers("S3.1")
@given(own_chains, complexities, st.booleans())
def test_own_chains_are_taken_whole(phases: list[str], complexity: int | None, force_full: bool) -> None:
    """No phase of an execution's own chain is skipped."""
    assert walk(phases, complexity, force_full=force_full) == (phases, set())


@pytest.mark.covers("S3.1")
@given(chains, complexities, st.booleans(), st.data())
def test_from_anywhere_to_the_end(
    phases: list[str] | None, complexity: int | None, force_full: bool, data: st.DataObject
) -> None:
    """A step goes forward over exactly what it skips, and there is one from each phase but the last."""
    chain = phases or CHAIN
    place = data.draw(st.integers(0, len(chain) - 1))
    step = next_step(chain[place], phases, complexity, force_full=force_full)

    if place == len(chain) - 1:
        assert step is None
    else:
        assert step is not None
        landed = place + len(step.skipped) + 1
        assert [*step.skipped, step.to_phase] == chain[place + 1 : landed + 1]


def test_a_phase_outside_the_chain() -> None:
    """From a phase that is not in the chain there is no step, and that is an error."""
    with pytest.raises(ValueError):
        next_step("nowhere", None, 3, force_full=False)
    with pytest.raises(ValueError):
        next_step("brainstorm", ["a", "b"], 3, force_full=False)


@pytest.mark.covers("S3.8")
@pytest.mark.parametrize(
    ("phase", "names"),
    [
        ("brainstorm", ["artifact_exists"]),
        ("brainstorm-reviewed", ["artifact_exists"]),
        ("strategized", ["artifact_exists"]),
        ("planned", ["artifact_exists"]),
        ("executing", ["agents_complete"]),
        ("review", ["agents_complete"]),
        ("polish", []),
        ("done", []),
    ],
)
def test_what_guards_the_phases_of_the_default_chain(phase: str, names: list[str]) -> None:
    """A phase that writes a document is left with an artifact, one that agents work in with none active."""
    assert [gate.gate for gate in gates(phase, None, artifacts=0, active_agents=[])] == names


@pytest.mark.covers("S3.8")
@given(st.integers(0, 9), st.lists(st.text(min_size=1, max_size=4), max_size=3))
def test_gates_hold_by_their_evidence(artifacts: int, active: list[str]) -> None:
    """A gate holds when there is an artifact, or no active agent, and carries the numbers that say so."""
    written, finished = gates("build", ["build", "ship"], artifacts=artifacts, active_agents=active)

    assert (written.gate, written.passed) == ("artifact_exists", artifacts > 0)
    assert written.evidence == {"phase": "build", "artifacts": artifacts}
    assert (finished.gate, finished.passed) == ("agents_complete", active == [])
    assert finished.evidence == {"active": active}
