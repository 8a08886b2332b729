"""What scripts set, cancel, list and are refused, and how long things took."""

from pathlib import Path

import pytest

from cli.runner import Cli
from flightlog.clock import now_us
from flightlog.ids import new_id
from flightlog.process import boot_clock
from support.daemon import HOST, Daemon
from support.lines import event
from support.peers import IngestPeer

HOUR_US = 3_600_000_000


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def head_seq(flightlog: Cli) -> int:
    """Return the position of the last event of the log."""
    return int(flightlog.ok("status", "--json").json["head_seq"])


@pytest.mark.covers("S3.3")
def test_settings_change_and_leave_an_event(flightlog: Cli) -> None:
    """`set` changes what it is told and nothing else, labels by name; the audit trail says what and why."""
    execution = flightlog.ok("start", "--label", "a=1").out.strip()
    flightlog.ok("set", execution, "--complexity", "2", "--force-full", "--reason", "smaller")
    flightlog.ok("set", execution, "--label", "b=2", "--label", "a=3")
    flightlog.ok("set", execution, "--no-force-full", "--no-auto-advance")

    told = flightlog.ok("inspect", execution, "--json").json
    assert (told["complexity"], told["force_full"], told["auto_advance"]) == (2, False, False)
    assert told["labels"] == {"a": "3", "b": "2"}
    changes = [entry for entry in told["audit"] if entry["event_type"] == "CHANGED"]
    assert [(entry["reason"], entry["detail"]) for entry in changes] == [
        ("smaller", {"complexity": 2, "force_full": True}),
        (None, {"labels": {"a": "3", "b": "2"}}),
        (None, {"auto_advance": False, "force_full": False}),
    ]
    assert dict(flightlog.ok("inspect", execution).rows)["paused"] == "every step needs a reason"


@pytest.mark.covers("S3.3")
def test_another_process_becomes_the_owner(flightlog: Cli) -> None:
    """`set --owner` names another process, with other settings or without."""
    execution = flightlog.ok("start").out.strip()
    flightlog.ok("set", execution, "--owner", "1", "--complexity", "1")

    told = flightlog.ok("inspect", execution, "--json").json
    assert (told["owner"]["pid"], told["complexity"]) == (1, 1)
    assert told["owner"]["boot_id"]
    assert [entry["event_type"] for entry in told["audit"]][-2:] == ["CHANGED", "ADOPTED"]


@pytest.mark.covers("S3.3")
def test_what_has_ended_takes_labels_alone(flightlog: Cli) -> None:
    """After the end only labels may still be set."""
    execution = flightlog.ok("start").out.strip()
    flightlog.ok("finish", execution)
    before = head_seq(flightlog)

    for option in (["--complexity", "1"], ["--auto-advance"], ["--owner", "1"]):
        done = flightlog("set", execution, *option)
        assert (done.code, done.err) == (1, f"flightlog set: {execution} has ended already: succeeded\n")
    assert head_seq(flightlog) == before
    flightlog.ok("set", execution, "--label", "seen=yes")
    assert flightlog.ok("inspect", execution, "--json").json["labels"] == {"seen": "yes"}


@pytest.mark.covers("S3.3")
def test_cancelling_works_once(flightlog: Cli) -> None:
    """`cancel` ends an execution with a reason; the second time is exit code 1, and nothing changes."""
    execution = flightlog.ok("start").out.strip()
    assert flightlog.ok("cancel", execution, "--reason", "no longer wanted").out == ""
    before = head_seq(flightlog)

    again = flightlog("cancel", execution, "--reason", "twice")

    assert (again.code, again.err) == (1, f"flightlog cancel: {execution} has ended already: cancelled\n")
    assert head_seq(flightlog) == before
    told = flightlog.ok("inspect", execution, "--json").json
    assert (told["status"], told["outcome_reason"]) == ("cancelled", "no longer wanted")
    last = flightlog.ok("events", execution).rows[-1]
    assert last[2:] == ["execution.ended", "running", "cancelled", "no longer wanted"]
    pending = flightlog("advance", execution)
    assert (pending.code, pending.out) == (1, "")


@pytest.mark.covers("S3.4")
def test_current_is_of_one_project(flightlog: Cli, home: Path) -> None:
    """Of several active executions in two projects `current` is the newest of the one that it is asked in."""
    places = [home / "one", home / "two"]
    for place in places:
        place.mkdir()
    first = flightlog.ok("start", "--goal", "g1", cwd=places[0]).out.strip()
    second = flightlog.ok("start", "--goal", "g2", cwd=places[0]).out.strip()
    third = flightlog.ok("start", "--goal", "g3", "--phases", "a,b", cwd=places[1]).out.strip()

    assert flightlog.ok("current", cwd=places[0]).out == f"{second}\n"
    assert flightlog.ok("current", "--project", str(places[1]), "--json").json == {
        "found": True,
        "id": third,
        "execution_id": third,
        "host": HOST,
        "phase": "a",
        "goal": "g3",
    }
    flightlog.ok("cancel", second)
    assert flightlog.ok("current", cwd=places[0]).out == f"{first}\n"
    flightlog.ok("advance", third)
    none = flightlog("current", "--json", cwd=places[1])
    assert (none.code, none.json) == (1, {"found": False})


@pytest.mark.covers("S0.1", "S3.3")
def test_a_start_says_all_that_is_known(flightlog: Cli) -> None:
    """Tool, trigger, timeout and how to take the chain are part of the record from the start."""
    arguments = ["--tool", "make", "--tool-version", "4.4", "--trigger", "webhook", "--timeout", "10m"]
    arguments += ["--no-auto-advance", "--force-full", "--complexity", "2"]
    execution = flightlog.ok("start", *arguments).out.strip()

    told = flightlog.ok("inspect", execution, "--json").json
    assert (told["tool"], told["tool_version"], told["trigger"]) == ("make", "4.4", "webhook")
    assert (told["auto_advance"], told["force_full"], told["complexity"]) == (False, True, 2)
    assert told["deadline"] > told["started_at"]
    assert told["phase"] == "brainstorm"


@pytest.mark.covers("S0.7")
def test_a_duration_over_processes_is_by_a_clock_that_nobody_sets(flightlog: Cli) -> None:
    """Start and end in two processes give the difference of the boot clock, whatever the time of day says."""
    for last_words in (["finish"], ["cancel"], ["advance"]):
        execution = flightlog.ok("start", "--phases", "one,two").out.strip()
        flightlog.ok(last_words[0], execution)

        events = [each["event"] for each in flightlog.ok("events", execution, "--json").json]
        clocks = [each["clock"] for each in events]
        assert len(clocks) == 2
        assert clocks[0]["boot_id"] == clocks[1]["boot_id"]
        told = flightlog.ok("inspect", execution, "--json").json
        assert told["duration_us"] == clocks[1]["uptime_us"] - clocks[0]["uptime_us"] > 0


@pytest.mark.covers("S0.7")
@pytest.mark.parametrize("step_us", [-HOUR_US, HOUR_US])
def test_a_duration_survives_a_clock_step(flightlog: Cli, shared: Daemon, step_us: int) -> None:
    """A time of day that was set by an hour in between makes a duration neither longer nor shorter."""
    execution, clock = new_id(), boot_clock()
    assert clock is not None
    said = {"boot_id": clock.boot_id, "uptime_us": clock.uptime_us}
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(event("execution.started", execution, time=now_us() - step_us, clock=said))
    flightlog.ok("finish", execution)

    told = flightlog.ok("inspect", execution, "--json").json
    assert 0 < told["duration_us"] < HOUR_US / 10
    assert told["started_at"] <= told["finished_at"]


@pytest.mark.covers("S3.3")
def test_events_are_narrowed(flightlog: Cli) -> None:
    """Types, log lines and a number narrow or widen the list; JSON has the events as they are stored."""
    execution = flightlog.ok("start", "--name", "told").out.strip()
    flightlog.ok("log", execution, "hello")
    flightlog.ok("agent", "add", execution, "--id", "a1")
    flightlog.ok("agent", "update", execution, "a1", "--status", "completed", "--reason", "ok")
    flightlog.ok("finish", execution, "--outcome", "partial")

    assert [row[2:] for row in flightlog.ok("events", execution).rows] == [
        ["execution.started", "pending", "running", "-"],
        ["agent.added", "-", "active", "-"],
        ["agent.updated", "-", "completed", "ok"],
        ["execution.ended", "running", "partial", "-"],
    ]
    narrowed = flightlog.ok("events", execution, "--type", "agent.,log")
    assert [row[2] for row in narrowed.rows] == ["log", "agent.added", "agent.updated"]
    assert [row[2] for row in flightlog.ok("events", execution, "--logs").rows][1] == "log"
    assert [row[2] for row in flightlog.ok("events", execution, "-n", "1").rows] == ["execution.ended"]
    first = flightlog.ok("events", execution, "--json").json[0]
    assert first["execution_id"] == first["event"]["execution_id"] == execution
    assert first["event"]["name"] == "told"
    assert (first["from"], first["to"], first["reason"]) == ("pending", "running", None)
    assert "execution.started" in flightlog.on_terminal("events", execution)


@pytest.mark.covers("S3.3")
def test_events_tell_of_anomalies(flightlog: Cli, shared: Daemon) -> None:
    """A fact that changes nothing shows so beside it."""
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(
            event("execution.started", "twice"),
            event("execution.ended", "twice", outcome="failed"),
            event("execution.ended", "twice", outcome="succeeded"),
        )

    assert [row[3:] for row in flightlog.ok("events", "twice").rows] == [
        ["pending", "running", "-"],
        ["running", "failed", "-"],
        ["-", "-", "anomaly: it has ended already (failed); succeeded changes nothing"],
    ]


@pytest.mark.covers("S0.3", "S3.2", "S3.3", "S3.7")
@pytest.mark.parametrize(
    "verb", [["advance"], ["cancel"], ["set", "--complexity", "1"], ["events"], ["phase"]], ids=lambda v: v[0]
)
def test_steering_wants_one_execution_that_is_there(flightlog: Cli, alone: Cli, verb: list[str]) -> None:
    """Unknown and ambiguous executions are exit code 1 with nothing written; no daemon is exit code 2."""
    flightlog("start", "--id", "double-1")
    flightlog("start", "--id", "double-2")
    before = head_seq(flightlog)

    unknown = flightlog(*verb, "nobody")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith(f"flightlog {verb[0]}: no such execution: nobody\n")
    ambiguous = flightlog(*verb, "double")
    assert (ambiguous.code, ambiguous.out) == (1, "")
    assert "fits several executions" in ambiguous.err
    assert head_seq(flightlog) == before
    away = alone(*verb, "nobody")
    assert (away.code, away.out) == (2, "")
    assert "no daemon listens on" in away.err


@pytest.mark.covers("S3.2", "S3.3")
@pytest.mark.parametrize(
    "arguments",
    [
        ("set",),
        ("set", "--reason", "none"),
        ("set", "--complexity", "0"),
        ("set", "--label", "x"),
        ("set", "--owner", "0"),
        ("set", "--owner", "999999999"),
        ("advance", "--priority", "-1"),
        ("advance", "--priority", "1000"),
        ("advance", "--priority", "high"),
        ("events", "-n", "-1"),
        ("start", "--trigger", "chance"),
        ("start", "--timeout", "soon"),
    ],
    ids=" ".join,
)
def test_bad_values_are_usage_errors(flightlog: Cli, arguments: tuple[str, ...]) -> None:
    """Values that make no sense are exit code 3, and nothing is written."""
    flightlog("start", "--id", "values")
    before = head_seq(flightlog)

    done = flightlog(*arguments, FLIGHTLOG_EXECUTION_ID="values")

    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"flightlog {arguments[0]}: ")
    assert head_seq(flightlog) == before
