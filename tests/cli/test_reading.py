"""The verbs that ask: answers for people and for programs, and what they exit with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from flightlog_schemas.events import BY_TAG
from support.daemon import HOST, Daemon
from support.govern import record
from support.lines import event, log
from support.peers import IngestPeer

RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

HOUR_US = 3_600_000_000
START_US = 1_794_990_400_000_000  # 2026-11-18T08:26:40Z

EXECUTION_FIELDS = {
    "execution_id", "parent_id", "name", "trigger", "tool", "tool_version", "args", "project", "goal",
    "status", "outcome_reason", "owner", "phase", "phases", "complexity", "auto_advance", "force_full",
    "labels", "counts", "error", "started_at", "finished_at", "duration_us", "log_count", "first_seq",
    "last_seq", "state_seq", "uid", "pid",
}  # fmt: skip


def started(execution_id: str, hour: int, **fields: object) -> bytes:
    """Return the start of an execution, so many hours after the first."""
    return event("execution.started", execution_id, time=START_US + hour * HOUR_US, **fields)


def ended(execution_id: str, hour: int, outcome: str, **fields: object) -> bytes:
    """Return the end of an execution, 2.5 s after its start."""
    return event(
        "execution.ended", execution_id, time=START_US + hour * HOUR_US + 2_500_000, outcome=outcome, **fields
    )


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with a few executions, an hour apart."""
    lines = [
        started("alpha", 0, name="build", project="/p", goal="a goal", args=["make", "all it"]),
        log("alpha", "first", time=START_US),
        log("alpha", "second\nline", time=START_US + 1, level="ERROR"),
        ended("alpha", 0, "succeeded", duration_us=2_500_000, counts={"files": 3}),
        started("beta", 1, name="test", project="/p", phases=["one", "two"], labels={"k": "v"}),
        ended("beta", 1, "failed", reason="tests", error={"type": "E", "message": "m" * 300}, exit_status=2),
        started("gamma", 2, name="build", project="/q"),
        ended("gamma", 2, "cancelled", reason="SIGINT"),
        started("delta-1", 3, name="odd\tname\n", project="/p", phases=["one", "two"]),
        started("delta-2", 4, name="live", project="/q"),
    ]
    with IngestPeer(shared.ingest_socket) as peer:
        assert peer.settle(*lines)[-1]["ack"]["lines"] == len(lines)
    return shared


@pytest.fixture
def flightlog(told: Daemon) -> Cli:
    """Give the command line of the module's daemon, its executions told."""
    return Cli(told.runtime_dir)


@pytest.mark.covers("S0.6")
def test_the_list_is_newest_first(flightlog: Cli) -> None:
    """Piped, `list` is tab-separated: id, status, phase, started, duration, name; the newest first."""
    assert flightlog.ok("list").rows == [
        ["delta-2", "running", "-", "2026-11-18T12:26:40.000000Z", "-", "live"],
        ["delta-1", "running", "one", "2026-11-18T11:26:40.000000Z", "-", "odd\\tname\\n"],
        ["gamma", "cancelled", "-", "2026-11-18T10:26:40.000000Z", "2.5s", "build"],
        ["beta", "failed", "one", "2026-11-18T09:26:40.000000Z", "2.5s", "test"],
        ["alpha", "succeeded", "-", "2026-11-18T08:26:40.000000Z", "2.5s", "build"],
    ]


@pytest.mark.covers("S0.6")
@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        (["--status", "failed,cancelled"], ["gamma", "beta"]),
        (["--status", "running"], ["delta-2", "delta-1"]),
        (["--project", "/p"], ["delta-1", "beta", "alpha"]),
        (["--name", "build"], ["gamma", "alpha"]),
        (["--since", "2026-11-18T10:26:40Z"], ["delta-2", "delta-1", "gamma"]),
        (["--until", "2026-11-18T10:26:40Z"], ["beta", "alpha"]),
        (["-S", "2026-11-18T09:00:00Z", "-U", "2026-11-18T11:00:00Z"], ["gamma", "beta"]),
        (["-n", "2"], ["delta-2", "delta-1"]),
        (["--name", "nobody"], []),
    ],
    ids=" ".join,
)
def test_the_list_is_filtered(flightlog: Cli, filters: list[str], ids: list[str]) -> None:
    """Status, project, name and time narrow the list, and -n ends it."""
    assert [row[0] for row in flightlog.ok("list", *filters).rows] == ids
    assert [each["execution_id"] for each in flightlog.ok("list", "--json", *filters).json] == ids


@pytest.mark.covers("S0.6")
def test_a_list_of_many_pages_is_whole(daemon: Daemon) -> None:
    """-n past a page asks for the next ones; without -n the end of a longer list is told, not hidden."""
    lines = [started(f"e{number:04}", 0) for number in range(2_345)]
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(*lines)
    flightlog = Cli(daemon.runtime_dir)

    assert len(flightlog.ok("list", "-n", "5000").lines) == 2_345
    assert len({row[0] for row in flightlog.ok("list", "-n", "2000").rows}) == 2_000
    default = flightlog.ok("list")
    assert len(default.lines) == 50
    assert "there are more" in default.err
    assert flightlog.ok("list", "-n", "50").err == ""


@pytest.mark.covers("S0.1", "S0.5")
def test_an_execution_as_json(flightlog: Cli) -> None:
    """All fields are there, times are RFC 3339, and what is not known is null."""
    alpha = next(each for each in flightlog.ok("list", "--json").json if each["execution_id"] == "alpha")

    assert set(alpha) >= EXECUTION_FIELDS
    assert alpha["started_at"] == "2026-11-18T08:26:40.000000Z"
    assert alpha["finished_at"] == "2026-11-18T08:26:42.500000Z"
    assert alpha["duration_us"] == 2_500_000
    assert alpha["args"] == ["make", "all it"]
    assert alpha["counts"] == {"files": 3}
    assert alpha["log_count"] == 2
    for unknown in ("parent_id", "tool", "error", "owner", "phase", "complexity", "outcome_reason"):
        assert alpha[unknown] is None


@pytest.mark.covers("S3.4")
def test_current_is_the_newest_active_one(flightlog: Cli) -> None:
    """`current` prints the id of the newest active execution of exactly that project; exit 1 if none."""
    assert flightlog.ok("current", "--project", "/q").out == "delta-2\n"
    assert flightlog.ok("current", "--project", "/p", "--json").json == {
        "found": True,
        "id": "delta-1",
        "execution_id": "delta-1",
        "host": HOST,
        "phase": "one",
        "goal": None,
    }
    none = flightlog("current", "--project", "/p/below")
    assert (none.code, none.out, none.err) == (1, "", "flightlog current: nothing is active in /p/below\n")
    none = flightlog("current", "--json", cwd="/tmp")
    assert (none.code, none.json) == (1, {"found": False})


@pytest.mark.covers("S3.3")
def test_phase(flightlog: Cli) -> None:
    """`phase` prints where an execution stands; one without phases is exit code 1."""
    assert flightlog.ok("phase", "beta").out == "one\n"
    assert flightlog.ok("phase", "beta", "--json").json == {
        "execution_id": "beta",
        "phase": "one",
        "phases": ["one", "two"],
        "status": "failed",
        "complexity": None,
        "auto_advance": None,
        "force_full": None,
        "next_phase": None,
        "skipped": [],
        "artifacts": 0,
        "active_agents": [],
        "state_seq": int(flightlog.ok("events", "beta").rows[-1][0]),
    }
    none = flightlog("phase", "alpha")
    assert (none.code, none.err) == (1, "flightlog phase: alpha has no phases\n")
    assert flightlog("phase", FLIGHTLOG_EXECUTION_ID="beta").out == "one\n"


@pytest.mark.covers("S1.11")
def test_inspect(flightlog: Cli) -> None:
    """Piped, the overview is names and values; long values are cut unless asked for whole."""
    facts = dict(flightlog.ok("inspect", "beta").rows)

    assert facts["id"] == "beta"
    assert facts["status"] == "failed: tests"
    assert facts["error"] == "m" * 199 + "…"
    assert facts["exit"] == "2"
    assert facts["took"] == "2.5s"
    assert facts["phases"] == "[one] → two"
    assert facts["labels"] == "k=v"
    assert dict(flightlog.ok("inspect", "beta", "--no-truncate").rows)["error"] == "m" * 300 + " (E)"
    alpha = dict(flightlog.ok("inspect", "alpha").rows)
    assert alpha["args"] == "make 'all it'"
    assert alpha["counts"] == "files=3"
    assert alpha["log"] == "2 lines (1 ERROR, 1 INFO)"


@pytest.mark.covers("S1.11", "S0.5")
def test_inspect_as_json_has_everything(flightlog: Cli) -> None:
    """The object has the execution's fields, its audit trail, and the version of its schema."""
    beta = flightlog.ok("inspect", "be", "--json").json

    assert beta["schema_version"] == 1
    assert beta["execution_id"] == "beta"
    assert beta["error"] == {"type": "E", "message": "m" * 300, "stack": None, "stack_hash": None}
    assert [entry["event_type"] for entry in beta["audit"]] == ["CREATED", "STARTED", "FAILED"]
    assert all(RFC3339.fullmatch(entry["time"]) for entry in beta["audit"])


@pytest.mark.covers("S1.6")
def test_audit(flightlog: Cli, told: Daemon) -> None:
    """The audit trail says what changed, from what to what, why, and who, by the kernel's word."""
    rows = flightlog.ok("audit", "gamma").rows

    assert [row[2:6] for row in rows] == [
        ["CREATED", "-", "pending", "-"],
        ["STARTED", "pending", "running", "-"],
        ["CANCELLED", "running", "cancelled", "SIGINT"],
    ]
    assert all(RFC3339.fullmatch(row[1]) for row in rows)
    entries = flightlog.ok("audit", "gamma", "--json").json
    assert [str(entry["seq"]) for entry in entries] == [row[0] for row in rows]
    assert {entry["uid"] for entry in entries} == {int(rows[0][6])}
    assert entries[0]["detail"]["name"] == "build"
    both = flightlog.ok("inspect", "gamma", "--audit").rows
    assert both[-3:] == rows


@pytest.mark.covers("S0.5")
def test_prefixes_find_executions(flightlog: Cli) -> None:
    """The beginning of an id is enough where it fits no other; else the answer says what it fits."""
    assert dict(flightlog.ok("inspect", "gam").rows)["id"] == "gamma"
    ambiguous = flightlog("inspect", "delta")
    assert ambiguous.code == 1
    assert "delta-1" in ambiguous.err or "fits" in ambiguous.err
    missing = flightlog("inspect", "omega")
    assert (missing.code, missing.out) == (1, "")
    assert missing.err.startswith("flightlog inspect: no such execution: omega\n")


def test_status(flightlog: Cli, told: Daemon) -> None:
    """`status` says how the daemon is, for people and for programs."""
    facts = dict(flightlog.ok("status").rows)
    assert facts["state"] == "ok"
    assert f"process {told.pid}," in facts["daemon"]
    assert facts["running"] == "2"
    assert facts["sockets"] == str(told.runtime_dir)
    status = flightlog.ok("status", "--json").json
    assert status["schema_version"] == 1
    assert status["pid"] == told.pid
    assert {model["name"] for model in status["projections"]} >= {"execution", "audit", "log"}
    assert all(model["lag"] == 0 for model in status["projections"])


def test_wait_answers_at_once_for_what_has_ended(flightlog: Cli) -> None:
    """An ending that has come is an answer; another one than asked for is exit code 1."""
    assert flightlog.ok("wait", "beta").out == "failed\n"
    assert flightlog.ok("wait", "beta", "--until", "failed").out == "failed\n"
    other = flightlog("wait", "beta", "--until", "succeeded")
    assert (other.code, other.out) == (1, "")
    assert "beta" in other.err
    assert "failed" in other.err
    assert flightlog("wait", "nobody").code == 1
    assert flightlog("wait", "beta", "--until", "done").code == 3
    assert flightlog("wait", "beta", "--timeout", "25h").code == 3


def test_wait_gives_up(flightlog: Cli) -> None:
    """When the time is up, that is exit code 1 and a message that says so."""
    done = flightlog("wait", "delta-1", "--timeout", "50ms")

    assert done.code == 1
    assert done.err.startswith("flightlog wait: ")


@pytest.mark.covers("D2")
def test_wait_wakes_at_the_end(flightlog: Cli) -> None:
    """Whoever waits hears of the end when it comes, and of a status that is reached on the way."""
    execution = flightlog.ok("start").out.strip()
    with flightlog.running("wait", execution, "--json") as waiting:
        assert flightlog.ok("wait", execution, "--until", "running").out == "running\n"
        flightlog.ok("finish", execution, "--outcome", "partial")
        answer: Any = json.loads(waiting.end().out)

    assert answer["execution_id"] == execution
    assert answer["status"] == "partial"
    assert RFC3339.fullmatch(answer["finished_at"])


def test_schema(flightlog: Cli, alone: Cli) -> None:
    """The schemas of all types are printed, one or all or just their names, without a daemon."""
    assert alone.ok("schema").lines == list(BY_TAG)
    assert alone.ok("schema", "--json").json == list(BY_TAG)
    one = alone.ok("schema", "execution.ended").json
    assert one["title"] == "execution.ended"
    assert one["$schema"].endswith("2020-12/schema")
    everything = alone.ok("schema", "--all").json
    assert everything["schema_version"] == 1
    assert everything["events"]["execution.ended"] == one
    unknown = alone("schema", "execution.imagined")
    assert (unknown.code, unknown.err) == (
        1,
        "flightlog schema: no event type 'execution.imagined'\nhint: flightlog schema lists them\n",
    )
    assert alone("schema", "log", "--all").code == 3


def test_without_a_daemon_reading_fails(alone: Cli, home: Path) -> None:
    """Nobody there to ask is exit code 2, with a hint."""
    for arguments in (("list",), ("current",), ("phase", "x"), ("inspect", "x"), ("audit", "x"), ("status",)):
        done = alone(*arguments, FLIGHTLOG_SPOOL_DIR=str(home / "spool"))
        assert (done.code, done.out) == (2, ""), arguments
        assert done.err == (
            f"flightlog {arguments[0]}: no daemon listens on {home}/nobody/query.sock\n"
            "hint: start flightlogd, or say where it listens with --runtime-dir or $FLIGHTLOG_RUNTIME_DIR\n"
        )


@pytest.mark.covers("S0.6")
def test_a_filter_that_nothing_fits_says_so(told: Daemon, tmp_path: Path) -> None:
    """In a pipe the list is empty, stderr says so, and the exit code is 0; JSON says it itself."""
    flightlog = Cli(told.runtime_dir)
    flightlog.ok("task", "declare", "a", "--project", str(tmp_path))
    for arguments, said in (
        (("list", "--name", "nope"), "no executions match"),
        (("events", "alpha", "--type", "nope"), "no events match"),
        (("agent", "list", "alpha"), "no agents match"),
        (("artifact", "list", "alpha"), "no artifacts match"),
        (("plan", "list", "--project", str(tmp_path)), "no plans were built"),
        (("stats", "nope"), "no attempts match"),
    ):
        found = flightlog.ok(*arguments)
        assert found.err.endswith(f": {said}\n"), arguments
        assert flightlog.ok(*arguments, "--json").err == ""


@pytest.mark.covers("P21", "S0.5")
def test_one_event(daemon: Daemon) -> None:
    """One event is found by its position, or by its user's key; where there is none the exit code is 1."""
    flightlog = Cli(daemon.runtime_dir)
    record(daemon, "e", log("e", "first", id="key-1"), log("e", "second"))
    told = flightlog.ok("event", "--id", "key-1").json
    assert (told["event"]["message"], told["event"]["id"]) == ("first", "key-1")
    assert flightlog.ok("event", str(told["seq"])).json == told
    assert flightlog.ok("event", "--id", "key-1", "--uid", str(told["uid"])).json == told
    assert flightlog.ok("event", str(told["seq"] + 1)).json["event"]["message"] == "second"
    missing = (("--id", "key-2"), ("--id", "key-1", "--uid", "4242"), ("999",))
    assert [flightlog("event", *arguments).code for arguments in missing] == [1, 1, 1]
    assert "the log does not go there" in flightlog("event", "999").err
    assert [flightlog("event").code, flightlog("event", "1", "--id", "k").code] == [3, 3]
