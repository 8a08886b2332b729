"""`pytest --flightlog`: real sessions of pytest, recorded by a real daemon."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flightlog.pytest.attempt import PHASES, task_id_of
from flightlog_schemas.codec import is_id
from support.daemon import Daemon, DaemonFactory, clean_environment
from support.programs import PROGRAM_TIMEOUT_S, events

OUTCOMES = """
import logging, subprocess, sys, unittest
from pathlib import Path

import flightlog
import pytest

CHILD = "import flightlog; flightlog.log('from a child')"


def helper(number):
    raise ValueError(f"bad {number}")


def test_passes():
    print("one line\\npassword=hunter2hunter2")
    logging.getLogger("db").warning("slow")
    flightlog.log("from inside")
    subprocess.run([sys.executable, "-P", "-c", CHILD], check=True)


@pytest.mark.parametrize("number", [1, 2])
def test_same(number):
    helper(number)


@pytest.mark.skip(reason="needs a moon")
def test_skipped(): ...


@pytest.mark.xfail(reason="known")
def test_xfails():
    assert 1 == 2


@pytest.mark.xfail(strict=True)
def test_passes_against_its_word(): ...


@pytest.fixture
def broken():
    raise KeyError("gone")


def test_error(broken): ...


@pytest.fixture
def late():
    yield
    raise OSError("late")


def test_twice(late):
    assert not "first"


@pytest.mark.flaky(reruns=2)
@pytest.mark.parametrize("token", ["ghp_0123456789abcdefghijABCDEFGHIJ012345"])
def test_flaky(record_property, token):
    tries = Path("tries")
    before = len(tries.read_text()) if tries.exists() else 0
    tries.write_text("x" * (before + 1))
    record_property("tries", before)
    assert before


class TestOfUnittest(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(1, 2)
"""

CRASH = """
import os
import pytest

@pytest.mark.parametrize("number", range(4))
def test_number(number):
    print("number", number)

def test_crash():
    os._exit(3)
"""


def command(*arguments: str) -> list[str]:
    """Return a call of pytest that leaves alone what belongs to the tests around it."""
    return [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]


def run(folder: Path, code: str, runtime_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a session over one file of tests, in a directory of its own."""
    project = folder / "app"
    project.mkdir(exist_ok=True)
    (project / "test_it.py").write_text(code)
    return subprocess.run(
        command(*arguments),
        cwd=project,
        env=clean_environment(FLIGHTLOG_RUNTIME_DIR=str(runtime_dir)),
        capture_output=True,
        text=True,
        timeout=PROGRAM_TIMEOUT_S * 3,
        check=False,
    )


def ends(daemon: Daemon) -> dict[str, list[dict[str, Any]]]:
    """Return how each test ended, each time."""
    found: dict[str, list[dict[str, Any]]] = {}
    for event in events(daemon, type=["task.ended"]):
        found.setdefault(event["task_id"].partition("::")[2], []).append(event)
    return found


def counts(daemon: Daemon) -> dict[str, int]:
    """Return the counters of the only execution there is."""
    found: Counter[str] = Counter()
    for event in events(daemon, type=["execution.counted", "execution.ended"]):
        found.update(event.get("counts") or {})
    return dict(found)


@pytest.mark.covers("P8", "S2.1", "S2.3", "S1.12")
def test_a_session_is_an_execution(daemon: Daemon, tmp_path: Path) -> None:
    """A session is an execution with its root, counts and exit status; tests are tasks with an outcome."""
    done = run(tmp_path, OUTCOMES, daemon.runtime_dir, "--flightlog", "--tb=no")

    assert done.returncode == 1, done
    (began,) = events(daemon, type=["execution.started"])
    (ended,) = events(daemon, type=["execution.ended"])
    assert (began["name"], began["tool"], began["project"]) == ("app", "pytest", str(tmp_path / "app"))
    assert began["args"][-2:] == ["--flightlog", "--tb=no"]
    assert (ended["outcome"], ended["reason"], ended["exit_status"]) == ("failed", "tests failed", 1)
    assert counts(daemon) == {
        "passed": 2, "failed": 5, "skipped": 1, "xfailed": 1, "errors": 1, "reruns": 1
    }  # fmt: skip

    found = ends(daemon)
    assert {
        name: [(end["outcome"], end["outputs"]["outcome"]) for end in of] for name, of in found.items()
    } == {
        "test_passes": [("succeeded", "passed")],
        "test_same[1]": [("failed", "failed")],
        "test_same[2]": [("failed", "failed")],
        "test_skipped": [("cancelled", "skipped")],
        "test_xfails": [("succeeded", "xfailed")],
        "test_passes_against_its_word": [("failed", "failed")],
        "test_error": [("failed", "error")],
        "test_twice": [("failed", "failed")],
        "test_flaky[********]": [("failed", "rerun"), ("succeeded", "passed")],
        "TestOfUnittest::test_equal": [("failed", "failed")],
    }
    assert found["test_skipped"][0]["reason"] == "skipped: needs a moon"
    assert found["test_xfails"][0]["reason"] == "xfailed: known"
    assert found["test_error"][0]["outputs"]["phase"] == "setup"
    assert found["test_flaky[********]"][1]["outputs"]["properties"] == {"tries": 1}
    assert found["test_flaky[********]"][1]["outputs"]["markers"] == ["flaky", "parametrize"]
    (passed,) = found["test_passes"]
    assert passed["duration_us"] == sum(passed["outputs"][f"{phase}_us"] for phase in PHASES)
    failures_are_told(daemon, found)
    output_is_told(daemon)


def failures_are_told(daemon: Daemon, found: dict[str, list[dict[str, Any]]]) -> None:
    """Check that a failure has one stack hash wherever, and that a rerun is an attempt."""
    errors = {name: of[0]["error"] for name, of in found.items() if "error" in of[0]}
    first, second = errors["test_same[1]"], errors["test_same[2]"]
    assert (first["type"], first["message"], second["message"]) == ("ValueError", "bad 1", "bad 2")
    assert first["stack_hash"] == second["stack_hash"] != errors["test_twice"]["stack_hash"]
    assert "in helper" in first["stack"]
    assert "_pytest" not in first["stack"]
    assert "pluggy" not in first["stack"]
    assert (errors["test_error"]["type"], errors["test_error"]["message"]) == ("KeyError", "'gone'")
    assert errors["test_twice"]["message"].startswith("assert not 'first'")
    assert errors["test_passes_against_its_word"]["message"] == "[XPASS(strict)]"

    begun = [e for e in events(daemon, type=["task.started"]) if "test_flaky" in e["task_id"]]
    assert [e.get("attempt", 1) for e in begun] == [1, 2]
    assert begun[1]["retry_of"] == begun[0]["span_id"]
    assert begun[1]["trace_id"] == begun[0]["trace_id"]
    assert begun[0]["slug"] == "test_it.py::test_flaky"


def output_is_told(daemon: Daemon) -> None:
    """Check that what a test prints, logs and starts is told as the test's, without secrets."""
    lines = events(daemon, type=["log"])
    assert {line["task_id"] for line in lines} == {"test_it.py::test_passes", "test_it.py::test_twice"}
    told = {line["message"]: (line.get("fields") or {}).get("stream") for line in lines}
    assert told.items() >= {
        ("one line", "stdout"),
        ("password=********", "stdout"),
        ("from inside", None),
        ("from a child", None),
        ("teardown failed, too: late", None),
    }
    assert [stream for message, stream in told.items() if "slow" in message] == ["log"]
    assert "hunter2" not in str(events(daemon))
    assert "ghp_0123" not in str(events(daemon))


@pytest.mark.slow
@pytest.mark.covers("P8", "D5")
def test_workers_report_to_one_execution(daemon: Daemon, tmp_path: Path) -> None:
    """With pytest-xdist all workers' tests are in one execution, also one whose worker died of it."""
    done = run(tmp_path, CRASH, daemon.runtime_dir, "--flightlog", "-n", "2", "--flightlog-name", "nightly")

    assert done.returncode == 1, done
    (began,) = events(daemon, type=["execution.started"])
    assert began["name"] == "nightly"
    assert counts(daemon) == {"passed": 4, "failed": 1}
    found = ends(daemon)
    assert found.keys() == {*(f"test_number[{number}]" for number in range(4)), "test_crash"}
    assert all(of[0]["outputs"]["worker"].startswith("gw") for of in found.values())
    (crashed,) = found["test_crash"]
    assert crashed["error"]["type"] == "xdist.WorkerCrashed"
    assert "crashed while running" in crashed["error"]["message"]
    assert {event["execution_id"] for event in events(daemon, type=["log"])} == {began["execution_id"]}
    assert sorted(event["message"] for event in events(daemon, type=["log"])) == [
        f"number {number}" for number in range(4)
    ]


@pytest.mark.slow
@pytest.mark.covers("P8", "S1.15", "D9")
def test_without_a_daemon_nothing_changes(
    daemon_factory: DaemonFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session without a daemon ends as it does without the plugin; what it told is delivered later."""
    monkeypatch.setenv("FLIGHTLOG_SPOOL_DIR", str(tmp_path / "spool"))
    daemon = daemon_factory(start=False)
    code = (
        "import os\ndef test_env(monkeypatch):\n    monkeypatch.setenv('FLIGHTLOG_RUNTIME_DIR', '/nowhere')\n"
    )

    plain = run(tmp_path, code, daemon.runtime_dir)
    done = run(tmp_path, code, daemon.runtime_dir, "--flightlog")
    daemon.start()
    environment = clean_environment(FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir))
    subprocess.run(
        [sys.executable, "-P", "-m", "flightlog", "spool", "deliver"],
        env=environment, check=True, capture_output=True,
    )  # fmt: skip

    assert (plain.returncode, plain.stderr) == (0, "")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, plain.stdout.splitlines()[0])
    (ended,) = events(daemon, type=["execution.ended"])
    assert (ended["outcome"], counts(daemon)) == ("succeeded", {"passed": 1})


@pytest.mark.slow
@pytest.mark.covers("P8")
def test_what_is_not_a_run_of_tests(daemon: Daemon, tmp_path: Path) -> None:
    """Without the flag, or with collecting alone, nothing is told; a file that is broken is an error."""
    assert run(tmp_path, "def test_a(): ...", daemon.runtime_dir).returncode == 0
    assert run(tmp_path, "def test_a(): ...", daemon.runtime_dir, "--flightlog", "--co").returncode == 0
    assert events(daemon) == []

    assert run(tmp_path, "import nothing_of_that_name", daemon.runtime_dir, "--flightlog").returncode == 2
    assert run(tmp_path, "", daemon.runtime_dir, "--flightlog").returncode == 5
    broken, empty = events(daemon, type=["execution.ended"])
    assert broken["error"]["type"] == "pytest.CollectError"
    assert "test_it.py" in broken["error"]["message"]
    assert "nothing_of_that_name" in broken["error"]["stack"]
    assert (empty["outcome"], empty["reason"]) == ("failed", "no tests collected")


@pytest.mark.covers("P8", "S0.4")
def test_ctrl_c_cancels(daemon: Daemon, tmp_path: Path) -> None:
    """A session that is interrupted is cancelled, with the test that ran."""
    os.mkfifo(tmp_path / "began")
    (tmp_path / "test_it.py").write_text(
        "import threading\ndef test_long():\n    open('began', 'w').close()\n    threading.Event().wait(60)\n"
    )
    session = subprocess.Popen(
        ["env", "--default-signal=INT", *command("--flightlog")],
        cwd=tmp_path,
        env=clean_environment(FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir)),
        stdout=subprocess.DEVNULL,
    )
    with session:
        (tmp_path / "began").read_text()
        session.send_signal(signal.SIGINT)
        code = session.wait(PROGRAM_TIMEOUT_S)

    assert code == 2
    (ended,) = events(daemon, type=["execution.ended"])
    assert (ended["outcome"], ended["reason"], ended["exit_status"]) == ("cancelled", "interrupted", 2)


def test_ids_of_tests() -> None:
    """What pytest calls a test is its id; what is no id still tells tests apart."""
    long = "tests/test_it.py::test_of[" + "x" * 200
    ids = [
        task_id_of("a.py::test_b[c d]"),
        task_id_of(f"{long}1]"),
        task_id_of(f"{long}2]"),
        task_id_of("a\x07"),
        task_id_of("a.py::test_b[c-d]"),
    ]

    assert ids[0].startswith("a.py::test_b[c-d]~")
    assert ids[4] == "a.py::test_b[c-d]"
    assert len(set(ids)) == 5
    assert all(is_id(one) and len(one) <= 128 for one in ids)
    assert ids[1].startswith("tests/test_it.py::test_of[xxx")
