"""Attempts that are killed, and those that follow them: by one process, or by another one."""

import os
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event
from support.owners import await_events
from support.programs import events, finish_program, run_program, start_program
from support.rebuild import tell

FLAKY = 'echo "try $TRACEPARENT"; echo >> "$1"; test $(wc -l < "$1") -ge "$2" || kill -9 $$'
"""Kills itself until it was run a number of times."""

EXTRACTING = """
import sys, time
import flightlog
with flightlog.execution("nightly") as run, run.task("extract") as attempt:
    attempt.info("half of it")
    flightlog.flush()
    print("there", flush=True)
    sys.stdin.read()
"""

GOING_ON = """
import flightlog
with flightlog.execution("nightly again") as run:
    for attempt in run.attempts("extract", retry_of=flightlog.last_attempt("extract")):
        with attempt:
            if attempt.attempt == 2:
                raise OSError("again")
            print(attempt.attempt)
assert flightlog.last_attempt("extract", execution_id="no-such") is None
assert flightlog.last_attempt("load") is None
"""


def chain(attempts: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """Return number and status of attempts, after a look at their links."""
    for before, after in pairwise(attempts):
        assert (after["retry_of"], after["trace_id"]) == (before["span_id"], before["trace_id"])
        assert after["span_id"] != before["span_id"]
    assert attempts[0]["retry_of"] is None
    return [(attempt["attempt"], attempt["status"]) for attempt in attempts]


def trace(flightlog: Cli, trace_id: str) -> list[dict[str, Any]]:
    """Return the attempts of a trace as `task trace` shows them."""
    found = flightlog.ok("task", "trace", trace_id, "--json").json
    assert isinstance(found, list)
    return found


def newest(flightlog: Cli, task: str) -> dict[str, Any]:
    """Return the newest attempt at a task."""
    found = flightlog.ok("task", "list", "--task", task, "-n", "1", "--json").json[0]
    assert isinstance(found, dict)
    return found


@pytest.mark.covers("S2.1")
def test_a_killed_run_is_followed_by_another(flightlog: Cli, home: Path) -> None:
    """With --retries a killed command is run again as the next attempt, whose success is the execution's."""
    script = ("sh", "-c", FLAKY, "sync", str(home / "tries"), "3")
    done = flightlog.ok("exec", "--name", "sync", "--retries", "5", "--", *script)

    attempts = trace(flightlog, newest(flightlog, "sh")["trace_id"])
    assert chain(attempts) == [(1, "failed"), (2, "failed"), (3, "succeeded")]
    assert [attempt["error"] and attempt["error"]["message"] for attempt in attempts] == [
        "killed by SIGKILL",
        "killed by SIGKILL",
        None,
    ]
    assert done.lines == [f"try 00-{one['trace_id']}-{one['span_id']}-01" for one in attempts]
    (execution,) = flightlog.ok("list", "--json", "--name", "sync").json
    assert execution["status"] == "succeeded"
    shown = flightlog.ok("logs", execution["execution_id"]).out
    assert "task started: sync (attempt 3: after killed by SIGKILL)" in shown
    inspected = flightlog.ok("inspect", execution["execution_id"], "--json").json
    assert [task["attempt"] for task in inspected["tasks"]] == [1, 2, 3]


@pytest.mark.covers("S2.1")
def test_the_last_run_decides(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """When no run is left, or another would be no use, the last one's exit code is that of all."""
    tell(daemon, event("execution.started", "e"))
    of_task = ("exec", "--execution", "e", "--retries", "2")

    assert flightlog(*of_task, "--task", "fails", "--", "sh", "-c", "exit 3").code == 3
    assert flightlog(*of_task, "--task", "slow", "--timeout", "100ms", "--", "sleep", "60").code == 124
    assert flightlog(*of_task, "--task", "gone", "--", "no-such-command").code == 127
    assert flightlog(*of_task, "--task", "fine", "--", "true").code == 0
    assert flightlog("exec", "--retries", "1", "--name", "n", "--", "sh", "-c", "exit 4").code == 4
    found = {
        task: chain(trace(flightlog, newest(flightlog, task)["trace_id"]))
        for task in ("fails", "slow", "gone", "fine")
    }
    assert found == {
        "fails": [(1, "failed"), (2, "failed"), (3, "failed")],
        "slow": [(1, "timed_out"), (2, "timed_out"), (3, "timed_out")],
        "gone": [(1, "failed")],
        "fine": [(1, "succeeded")],
    }
    assert flightlog.ok("inspect", "e", "--json").json["status"] == "running"
    (execution,) = flightlog.ok("list", "--json", "--name", "n").json
    assert (execution["status"], execution["exit_status"]) == ("failed", 4)


@pytest.mark.covers("S2.1")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_is_told_to_end_is_not_run_again(flightlog: Cli, number: int) -> None:
    """A signal that is handed on ends the run and all further ones, also in the second attempt."""
    script = "echo ready; read go; echo; exit 3"
    with flightlog.running("exec", "--retries", "9", "--", "sh", "-c", script) as running:
        assert running.line() == "ready"
        running.send("\n")
        assert running.line() == ""
        assert running.line() == "ready"
        running.process.send_signal(number)
        running.process.wait(30)  # before its input ends, of which the command would end, too
        running.end()

    attempts = trace(flightlog, newest(flightlog, "sh")["trace_id"])
    assert chain(attempts) == [(1, "failed"), (2, "cancelled")]


@pytest.mark.covers("S2.1")
def test_another_exec_goes_on(flightlog: Cli, daemon: Daemon) -> None:
    """Where exec itself was killed, the next one with --retry-last follows its attempt, and ends it."""
    tell(daemon, event("execution.started", "e"))
    of_task = ("exec", "--execution", "e", "--task", "load")
    with flightlog.running(*of_task, "--", "sh", "-c", "echo $$; exec sleep 60") as running:
        sleeper = int(running.line())
        await_events(daemon, "task.started")
        running.process.kill()
    os.kill(sleeper, signal.SIGKILL)
    flightlog.ok(*of_task, "--retry-last", "--", "true")
    flightlog.ok(*of_task, "--retry-last", "--", "true")
    flightlog.ok("exec", "--execution", "e", "--task", "first", "--retry-last", "--", "true")

    attempts = trace(flightlog, newest(flightlog, "load")["trace_id"])
    assert chain(attempts) == [(1, "failed"), (2, "succeeded"), (3, "succeeded")]
    assert attempts[0]["error"] == {
        **attempts[0]["error"],
        "type": "GivenUp",
        "message": "it was tried again, and had not told how it ended",
    }
    assert newest(flightlog, "first")["attempt"] == 1


@pytest.mark.covers("S2.1", "S0.4")
def test_another_process_goes_on(daemon: Daemon, flightlog: Cli) -> None:
    """A program that is killed loses its attempt with its execution, and the next program's follows it."""
    program = start_program(EXTRACTING, daemon.runtime_dir)
    assert program.stdout is not None
    assert program.stdout.readline() == "there\n"
    program.kill()
    finish_program(program)
    await_events(daemon, "execution.lost")
    done = run_program(GOING_ON, daemon.runtime_dir)

    assert (done.returncode, done.stdout, done.stderr) == (0, "3\n", "")
    attempts = trace(flightlog, newest(flightlog, "extract")["trace_id"])
    assert chain(attempts) == [(1, "lost"), (2, "failed"), (3, "succeeded")]
    assert len({attempt["execution_id"] for attempt in attempts}) == 2
    assert [row[1] for row in flightlog.ok("task", "trace", attempts[0]["trace_id"]).rows] == [
        "lost",
        "failed",
        "succeeded",
    ]
    assert len(events(daemon, type=["task.ended"])) == 2


def test_without_a_daemon_it_runs_anyway(alone: Cli, flightlog: Cli) -> None:
    """Where nobody can be asked for the last attempt the command runs; where no task is named it does not."""
    done = alone("exec", "--execution", "e", "--task", "t", "--retry-last", "--", "echo", "on")
    refused = flightlog("exec", "--retry-last", "--", "echo", "on")

    assert (done.code, done.out) == (0, "on\n")
    assert "recorded as a first attempt" in done.err
    assert (refused.code, refused.out) == (3, "")
    assert "--retry-last is of a task: name it by --task" in refused.err
