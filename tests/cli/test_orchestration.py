"""Executions led through their phases by a script alone: every printed line, every exit code."""

from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer

ALL = ["brainstorm", "brainstorm-reviewed", "strategized", "planned", "executing", "review", "polish", "done"]


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def walk(flightlog: Cli, execution: str) -> list[str]:
    """Advance an execution to its end; return the phases that it went through."""
    phases = [flightlog.ok("phase", execution).out.strip()]
    while flightlog.ok("inspect", execution, "--json").json["status"] == "running":
        step = flightlog.ok("advance", execution).out
        phases.append(flightlog.ok("phase", execution).out.strip())
        assert step == f"{phases[-2]} → {phases[-1]}\n"
    return phases


@pytest.mark.covers("S3.1", "S3.2")
@pytest.mark.parametrize(
    ("options", "phases"),
    [
        (["--complexity", "1"], ["brainstorm", "planned", "executing", "done"]),
        (["--complexity", "2"], ["brainstorm", "brainstorm-reviewed", "planned", "executing", "done"]),
        (["--complexity", "3"], ALL),
        (["--complexity", "5"], ALL),
        ([], ALL),
        (["--complexity", "1", "--force-full"], ALL),
        (["--phases", "draft, review,ship"], ["draft", "review", "ship"]),
        (["--phases", "draft,ship", "--complexity", "1"], ["draft", "ship"]),
    ],
    ids=" ".join,
)
def test_a_chain_is_walked_to_its_end(flightlog: Cli, options: list[str], phases: list[str]) -> None:
    """Each step prints FROM → TO, and the one into the last phase ends the execution as succeeded."""
    execution = flightlog.ok("start", *options).out.strip()

    assert walk(flightlog, execution) == phases

    told = flightlog.ok("inspect", execution, "--json").json
    assert (told["status"], told["phase"]) == ("succeeded", phases[-1])
    assert told["duration_us"] > 0
    facts = dict(flightlog.ok("inspect", execution).rows)
    assert facts["phases"] == " → ".join([*phases[:-1], f"[{phases[-1]}]"])
    after = flightlog("advance", execution)
    assert (after.code, after.out) == (1, "")
    assert after.err == f"flightlog advance: {execution} has ended already: succeeded\n"


@pytest.mark.covers("S3.1")
def test_a_jump_says_what_it_skipped(flightlog: Cli) -> None:
    """A step that leaves phases out is recorded as a skip, with their names, and `events` tells it."""
    execution = flightlog.ok("start", "--complexity", "1").out.strip()
    step = flightlog.ok("advance", execution, "--reason", "small", "--json").json
    flightlog.ok("advance", execution)

    skipped = ["brainstorm-reviewed", "strategized"]
    assert step == {
        "execution_id": execution,
        "from_phase": "brainstorm",
        "to_phase": "planned",
        "skipped": skipped,
        "gates": [],
        "status": "running",
    }
    trail = [row[2:6] for row in flightlog.ok("audit", execution).rows]
    assert trail[2:] == [
        ["PHASE_SKIP", "brainstorm", "planned", "small"],
        ["PHASE_CHANGE", "planned", "executing", "-"],
    ]
    assert [row[2:] for row in flightlog.ok("events", execution).rows] == [
        ["execution.started", "pending", "running", "-"],
        ["execution.advanced", "brainstorm", "planned", "small; skipped brainstorm-reviewed, strategized"],
        ["execution.advanced", "planned", "executing", "-"],
    ]
    entry = flightlog.ok("audit", execution, "--json").json[2]
    assert entry["detail"] == {"skipped": skipped}


@pytest.mark.covers("S3.2")
def test_a_paused_execution_wants_a_reason(flightlog: Cli) -> None:
    """Without auto_advance a step without a reason is refused, recorded as blocked, and made with one."""
    execution = flightlog.ok("start", "--no-auto-advance").out.strip()

    paused = flightlog("advance", execution)
    assert (paused.code, paused.out) == (1, "")
    assert paused.err.splitlines()[0] == (
        "flightlog advance: brainstorm → brainstorm-reviewed is paused: auto_advance is off"
    )
    assert flightlog.ok("phase", execution).out == "brainstorm\n"
    going = flightlog.ok("advance", execution, "--reason", "seen").out
    assert going == "brainstorm → brainstorm-reviewed\n"
    flightlog.ok("set", execution, "--auto-advance")
    assert flightlog.ok("advance", execution).out == "brainstorm-reviewed → strategized\n"
    assert [row[2:] for row in flightlog.ok("events", execution).rows] == [
        ["execution.started", "pending", "running", "-"],
        ["execution.blocked", "brainstorm", "brainstorm-reviewed", "paused"],
        ["execution.advanced", "brainstorm", "brainstorm-reviewed", "seen"],
        ["execution.changed", "-", "-", "-"],
        ["execution.advanced", "brainstorm-reviewed", "strategized", "-"],
    ]
    assert "PHASE_BLOCKED" in [row[2] for row in flightlog.ok("audit", execution).rows]


@pytest.mark.covers("S3.8")
@pytest.mark.parametrize(
    ("options", "code", "recorded"),
    [
        (["--priority", "0"], 1, True),
        (["--priority", "1"], 1, True),
        (["--priority", "1", "--reason", "in a hurry"], 1, True),
        (["--priority", "2"], 0, True),
        (["--priority", "3"], 0, True),
        (["--priority", "4"], 0, False),
        (["--priority", "0", "--disable-gates"], 0, False),
        ([], 0, False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_gates_are_hard_soft_or_none(flightlog: Cli, options: list[str], code: int, recorded: bool) -> None:
    """A gate that does not hold blocks at priority 0 and 1, is recorded at 2 and 3, and else is not asked."""
    execution = flightlog.ok("start").out.strip()

    done = flightlog("advance", execution, *options)

    assert done.code == code
    assert done.out == ("" if code else "brainstorm → brainstorm-reviewed\n")
    assert ("artifact_exists: phase brainstorm has no artifact" in done.err) == recorded
    last = flightlog.ok("events", execution, "--json").json[-1]
    assert last["type"] == ("execution.blocked" if code else "execution.advanced")
    found = {
        "gate": "artifact_exists",
        "passed": False,
        "evidence": {"phase": "brainstorm", "artifacts": 0},
    }
    assert last["event"].get("gates") == ([found] if recorded else None)
    assert flightlog.ok("phase", execution).out == ("brainstorm\n" if code else "brainstorm-reviewed\n")


@pytest.mark.covers("S3.8")
def test_gates_open_by_what_they_ask_for(flightlog: Cli, home: Path) -> None:
    """An artifact opens the gate of a phase of documents, agents that are done that of a phase of agents."""
    execution = flightlog.ok("start", "--complexity", "1").out.strip()
    inside: Any = {"FLIGHTLOG_EXECUTION_ID": execution}
    for name in ("idea", "plan"):
        assert flightlog("advance", "--priority", "0", **inside).code == 1
        flightlog.ok("artifact", "add", str(home / name), **inside)
        flightlog.ok("advance", "--priority", "0", **inside)
    flightlog.ok("agent", "add", "--id", "worker", **inside)

    blocked = flightlog("advance", "--priority", "1", **inside)
    assert (blocked.code, blocked.out) == (1, "")
    assert blocked.err == (
        "flightlog advance: executing → done is blocked: agents_complete: worker not done\n"
        "hint: --disable-gates steps over it\n"
    )
    position = flightlog.ok("phase", "--json", **inside).json
    assert (position["active_agents"], position["next_phase"]) == (["worker"], "done")
    assert position["skipped"] == ["review", "polish"]
    flightlog.ok("agent", "update", "worker", "--status", "failed", **inside)
    assert flightlog.ok("advance", "--priority", "1", **inside).out == "executing → done\n"
    steps = [each for each in flightlog.ok("events", "--json", **inside).json if each["to"] == "done"]
    assert [each["event"]["gates"] for each in steps] == [
        [{"gate": "agents_complete", "passed": False, "evidence": {"active": ["worker"]}}],
        [{"gate": "agents_complete", "passed": True, "evidence": {"active": []}}],
    ]


@pytest.mark.covers("S3.8")
def test_own_chains_are_guarded_by_both_gates(flightlog: Cli) -> None:
    """In a chain of its own every phase wants an artifact and no active agent."""
    execution = flightlog.ok("start", "--phases", "one,two").out.strip()
    flightlog.ok("agent", "add", execution, "--id", "a1")

    blocked = flightlog("advance", execution, "--priority", "0")

    assert blocked.code == 1
    assert "artifact_exists: phase one has no artifact; agents_complete: a1 not done" in blocked.err


@pytest.mark.covers("S3.2", "S3.3")
def test_without_a_chain_there_is_no_next_phase(flightlog: Cli, shared: Daemon) -> None:
    """What has no chain cannot advance, the hint says how to give it one, and then it can."""
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(event("execution.started", "chainless"))

    done = flightlog("advance", "chainless")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "flightlog advance: chainless has no chain of phases\n"
        "hint: flightlog set chainless --complexity 3 gives it the default one\n"
    )
    flightlog.ok("set", "chainless", "--complexity", "1")
    assert flightlog.ok("advance", "chainless").out == "brainstorm → planned\n"


@pytest.mark.covers("S3.2")
def test_outside_of_its_chain_nothing_follows(flightlog: Cli, shared: Daemon) -> None:
    """An execution that a fact put outside of its chain stays there until somebody emits where it goes."""
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(
            event("execution.started", "astray", phases=["one", "two"]),
            event("execution.advanced", "astray", to_phase="elsewhere"),
        )

    done = flightlog("advance", "astray")

    assert (done.code, done.out) == (1, "")
    assert "astray is at elsewhere, from where its chain leads nowhere" in done.err
