"""`start`, `log`, `finish`: an execution of a script, told strictly."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer
from support.programs import events


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def head_seq(flightlog: Cli) -> int:
    """Return the position of the last event of the log."""
    return int(flightlog.ok("status", "--json").json["head_seq"])


@pytest.mark.covers("S0.1")
def test_a_script_records_itself(flightlog: Cli, home: Path) -> None:
    """`start` prints an id that `log` and `finish` find in the environment, and everything said is there."""
    arguments = ["--name", "nightly", "--goal", "all of it", "--tool-version", "2.1", "--complexity", "4"]
    arguments += [
        "--phases",
        "copy, check",
        "--label",
        "host=a1",
        "--label",
        "disk=sda",
        "--",
        "--dry-run",
        "/srv",
    ]
    execution = flightlog.ok("start", *arguments, cwd=home).out.strip()
    inside = {"FLIGHTLOG_EXECUTION_ID": execution}
    flightlog.ok("log", "copying", **inside)
    flightlog.ok(
        "log", "--level", "warn", "--source", "cp", "--field", "left=3", "--task", "t1", "low", **inside
    )
    flightlog.ok("finish", "--count", "files=2", "--count", "files=3", "--count", "errors=0", **inside)

    told = flightlog.ok("inspect", execution, "--json").json
    assert told["execution_id"] == execution
    assert told["status"] == "succeeded"
    assert (told["name"], told["goal"], told["tool_version"]) == ("nightly", "all of it", "2.1")
    assert told["args"] == ["--dry-run", "/srv"]
    assert told["project"] == str(home.resolve())
    assert (told["phases"], told["phase"], told["complexity"]) == (["copy", "check"], "copy", 4)
    assert told["labels"] == {"host": "a1", "disk": "sda"}
    assert told["counts"] == {"files": 5, "errors": 0}
    assert told["owner"] is None
    lines = [json.loads(line) for line in flightlog.ok("logs", execution, "--json").lines]
    said = [line for line in lines if line["source"] != "daemon"]
    assert [(line["level"], line["message"]) for line in said] == [("INFO", "copying"), ("WARN", "low")]
    assert (said[1]["source"], said[1]["task_id"], said[1]["fields"]) == ("cp", "t1", {"left": "3"})


@pytest.mark.covers("S0.4")
def test_an_owner_may_be_named(flightlog: Cli) -> None:
    """--owner names a process, with what tells it from others of the same number."""
    execution = flightlog.ok("start", "--owner", str(os.getpid())).out.strip()
    owner = flightlog.ok("inspect", execution, "--json").json["owner"]

    assert owner["pid"] == os.getpid()
    assert owner["start_time"] == int(Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[19])
    assert flightlog("start", "--owner", "999999999").code == 3
    ended = subprocess.Popen(["true"])
    # It has ended, and is not reaped yet.
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    assert flightlog("start", "--owner", str(ended.pid)).code == 3
    ended.wait()
    assert flightlog("start", "--timeout", "0s").code == 3


def test_the_project_is_the_work_tree(flightlog: Cli, home: Path) -> None:
    """The project is the root of the Git work tree, also from below and through a link."""
    tree = home / "tree"
    (tree / ".git").mkdir(parents=True)
    (tree / "deep" / "down").mkdir(parents=True)
    (home / "link").symlink_to(tree / "deep")
    root = str(tree.resolve())

    for place in (tree, tree / "deep" / "down", home / "link"):
        execution = flightlog.ok("start", cwd=place).out.strip()
        assert flightlog.ok("inspect", execution, "--json").json["project"] == root
        assert flightlog.ok("current", cwd=place).out.strip() == execution
    named = flightlog.ok("start", "--project", "deep", cwd=tree).out.strip()
    assert flightlog.ok("inspect", named, "--json").json["project"] == f"{root}/deep"


@pytest.mark.covers("S0.3")
def test_an_id_starts_once(flightlog: Cli) -> None:
    """Starting an id twice is refused, nothing is written, and the first record stands."""
    assert flightlog.ok("start", "--id", "once", "--name", "first").out == "once\n"
    before = head_seq(flightlog)

    again = flightlog("start", "--id", "once", "--name", "second")

    assert (again.code, again.out) == (1, "")
    assert again.err == "flightlog start: once exists already, nothing was written\n"
    assert head_seq(flightlog) == before
    assert flightlog.ok("inspect", "once", "--json").json["name"] == "first"


def test_a_new_id_is_of_this_machine(flightlog: Cli) -> None:
    """An id that ends as those of other machines' executions do is a usage error that says so."""
    done = flightlog("start", "--id", "build~0123456789ab")

    assert done.code == 3
    assert "ends in `~` and 12 hex digits, as ids of other machines' do: choose another" in done.err
    assert flightlog.ok("start", "--id", "build~0123").out == "build~0123\n"


@pytest.mark.covers("S0.3", "S3.7")
@pytest.mark.parametrize("verb", [("finish", "nobody"), ("log", "nobody", "words"), ("phase", "nobody")])
def test_strict_verbs_want_an_execution_that_is_there(flightlog: Cli, verb: tuple[str, ...]) -> None:
    """An unknown execution is exit code 1, with nothing written."""
    before = head_seq(flightlog)
    done = flightlog(*verb)

    assert done.code == 1
    assert done.err.startswith(f"flightlog {verb[0]}: no such execution: nobody\n")
    assert head_seq(flightlog) == before


@pytest.mark.covers("S0.3")
def test_an_execution_finishes_once(flightlog: Cli) -> None:
    """Finishing again with another result is refused; with the same one it is no error."""
    flightlog.ok("start", "--id", "ends")
    flightlog.ok("finish", "ends", "--error", "no space")
    before = head_seq(flightlog)

    other = flightlog("finish", "ends")
    same = flightlog("finish", "ends", "--outcome", "failed")

    assert (other.code, other.err) == (1, "flightlog finish: ends has ended already: failed\n")
    assert (same.code, same.err) == (0, "flightlog finish: ends had ended already: failed\n")
    assert head_seq(flightlog) == before
    told = flightlog.ok("inspect", "ends", "--json").json
    assert told["status"] == "failed"
    assert told["error"] == {"type": None, "message": "no space", "stack": None, "stack_hash": None}


@pytest.mark.covers("S0.3")
@pytest.mark.parametrize("outcome", ["succeeded", "partial", "failed", "cancelled"])
def test_outcomes(flightlog: Cli, outcome: str) -> None:
    """Each outcome that a script may tell becomes the status."""
    execution = flightlog.ok("start").out.strip()
    flightlog.ok("finish", execution[:20], "--outcome", outcome)

    assert flightlog.ok("inspect", execution, "--json").json["status"] == outcome


@pytest.mark.covers("S0.3")
def test_bad_values_are_usage_errors(flightlog: Cli) -> None:
    """Values that make no sense are exit code 3, and nobody is asked."""
    flightlog.ok("start", "--id", "values")
    before = head_seq(flightlog)
    for arguments in (
        ("finish", "values", "--outcome", "lost"),
        ("finish", "values", "--outcome", "succeeded", "--error", "but"),
        ("finish", "values", "--count", "files"),
        ("finish", "values", "--count", f"files={2**63}"),
        ("start", "--complexity", "6"),
        ("start", "--phases", "one"),
        ("start", "--phases", "one,one"),
        ("start", "--label", "x"),
        ("log", "values", "--level", "loud", "words"),
        ("log", "a", "b", "c"),
        ("log", "words"),
        ("log",),
    ):
        done = flightlog(*arguments)
        assert done.code == 3, arguments
        assert done.err.startswith(f"flightlog {arguments[0]}: "), done.err

    assert head_seq(flightlog) == before


@pytest.mark.covers("P2")
def test_of_concurrent_endings_one_wins(flightlog: Cli, shared: Daemon) -> None:
    """Two commands that end an execution at the same time: one does, the other hears that it did not."""
    flightlog.ok("start", "--id", "raced")
    outcomes = ["succeeded", "failed", "cancelled", "partial"]
    processes = [flightlog.start("finish", "raced", "--outcome", outcome) for outcome in outcomes]
    codes = [process.wait(60) for process in processes]

    assert sorted(codes) == [0, 1, 1, 1]
    status = flightlog.ok("inspect", "raced", "--json").json["status"]
    assert status == outcomes[codes.index(0)]
    endings = events(shared, execution_id="raced", type=["execution.ended"])
    assert [ending["outcome"] for ending in endings] == [status]


@pytest.mark.covers("P2")
def test_a_conflict_names_the_execution(flightlog: Cli, shared: Daemon) -> None:
    """An execution that moved on between the question and the answer is left alone."""
    flightlog.ok("start", "--id", "moved")
    state_seq = flightlog.ok("inspect", "moved", "--json").json["state_seq"]
    with IngestPeer(shared.ingest_socket) as peer:
        (refused, *_) = peer.settle(
            event("execution.changed", "moved", complexity=2, expect_seq=state_seq),
            event("execution.ended", "moved", outcome="failed", expect_seq=state_seq),
        )

    assert refused["refused"]["code"] == "conflict"
    assert flightlog.ok("finish", "moved").code == 0


def test_a_parent_is_taken_from_the_environment(flightlog: Cli) -> None:
    """An execution that is started inside another one is its child."""
    flightlog.ok("start", "--id", "outer")
    inner = flightlog.ok("start", FLIGHTLOG_EXECUTION_ID="outer").out.strip()

    assert flightlog.ok("inspect", inner, "--json").json["parent_id"] == "outer"


def test_without_a_daemon_strict_verbs_fail(alone: Cli) -> None:
    """Strict verbs promise that something was stored, so nobody there is a failure, with a hint."""
    for arguments in (("start",), ("finish", "x"), ("log", "x", "words"), ("emit",)):
        done = alone(*arguments)
        assert done.code == 2, arguments
        assert "no daemon listens on" in done.err
        assert "hint: start flightlogd" in done.err


@pytest.mark.covers("D2")
def test_what_was_acked_is_readable(flightlog: Cli) -> None:
    """What a verb has written, the next one sees."""
    execution = flightlog.ok("start").out.strip()
    for number in range(3):
        flightlog.ok("log", execution, f"line {number}")
        lines = flightlog.ok("logs", execution, "-n", "1", "--json").lines
        assert json.loads(lines[-1])["message"] == f"line {number}"
