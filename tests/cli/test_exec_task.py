"""`flightlog exec --task`: a command as an attempt at a task of an execution that is there."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event
from support.programs import events
from support.rebuild import tell


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def begin(shared: Daemon, execution: str) -> None:
    """Announce an execution."""
    tell(shared, event("execution.started", execution))


def attempt(flightlog: Cli, execution: str) -> dict[str, Any]:
    """Return the only attempt of an execution."""
    (found,) = flightlog.ok("task", "list", "--execution", execution, "--json").json
    assert isinstance(found, dict)
    return found


@pytest.mark.covers("S1.4", "S4.8")
def test_what_is_told_within_a_task_is_of_it(flightlog: Cli, shared: Daemon, tmp_path: Path) -> None:
    """Lines and files told within a task are of that task, not those of an execution begun within it."""
    begin(shared, "carrying")
    script = """
        set -e
        flightlog() { "$PYTHON" -P -m flightlog "$@"; }
        flightlog log mine
        flightlog log --task other theirs
        flightlog artifact add a.py
        FLIGHTLOG_EXECUTION_ID=$(flightlog start) flightlog artifact add b.py
        set -- "$PYTHON" -P -m flightlog artifact add
        flightlog exec --execution carrying --task inner -- "$@" c.py
        flightlog exec -- "$@" d.py
        flightlog artifact add carryin e.py
    """

    flightlog.ok(
        *("exec", "--execution", "carrying", "--task", "outer", "--", "sh", "-c", script),
        cwd=tmp_path,
        PYTHON=sys.executable,
    )

    lines = map(json.loads, flightlog.ok("logs", "carrying", "--json").lines)
    tasks = {line["message"]: line["task_id"] for line in lines}
    assert (tasks["mine"], tasks["theirs"]) == ("outer", "other")
    expected = {"a.py": "outer", "b.py": None, "c.py": "inner", "d.py": None, "e.py": "outer"}
    for name, task_id in expected.items():
        (written,) = flightlog.ok("artifact", "why", name, "--json", cwd=tmp_path).json
        assert written["task_id"] == task_id, name


@pytest.mark.covers("S1.4", "S1.13")
def test_a_command_is_an_attempt_at_a_task(flightlog: Cli, shared: Daemon) -> None:
    """Its arguments are inputs, its exit status an output, and its lines are of the task."""
    begin(shared, "engine")
    source = "plugin:core/csv.load"
    which = ("--execution", "engine", "--task", "load", "--source", source)
    done = flightlog("exec", *which, "--", "sh", "-c", "echo hi; exit 3")

    assert (done.code, done.out, done.err) == (3, "hi\n", "")
    found = attempt(flightlog, "engine")
    assert (found["task_id"], found["status"], found["name"], found["type"]) == (
        "load",
        "failed",
        "sh",
        "exec",
    )
    assert found["inputs"] == {"args": ["sh", "-c", "echo hi; exit 3"]}
    assert found["outputs"] == {"exit_status": 3}
    assert found["error"]["message"] == "exit status 3"
    assert found["duration_us"] > 0
    (line,) = flightlog.ok("logs", "engine", "--task", "load", "--source", source, "--json").lines
    assert json.loads(line)["message"] == "hi"
    assert flightlog.ok("inspect", "engine", "--json").json["status"] == "running"
    trail = flightlog.ok("audit", "engine", "--task", "load").rows
    assert [row[2] for row in trail] == ["TASK_STARTED", "TASK_FAILED"]


@pytest.mark.covers("S1.4", "P10")
def test_it_finds_its_execution_around_it(flightlog: Cli, shared: Daemon) -> None:
    """Within an execution --task is enough; what runs inside finds that one, and the trace."""
    begin(shared, "around")
    script = "echo $FLIGHTLOG_EXECUTION_ID; echo $TRACEPARENT"
    done = flightlog.ok("exec", "--task", "t", "--", "sh", "-c", script, FLIGHTLOG_EXECUTION_ID="around")
    (started,) = events(shared, execution_id="around", type=["task.started"])

    assert done.lines == ["around", f"00-{started['trace_id']}-{started['span_id']}-01"]
    assert attempt(flightlog, "around")["status"] == "succeeded"


@pytest.mark.covers("S1.3", "S1.5")
def test_every_way_to_end_is_told(flightlog: Cli, shared: Daemon) -> None:
    """A command out of time, one that is not there and one with too long lines end their attempts so."""
    for name in ("slow", "missing", "long"):
        begin(shared, f"way-{name}")

    def run(name: str, *arguments: str) -> int:
        return flightlog("exec", "--execution", f"way-{name}", *arguments).code

    assert run("slow", "--timeout", "200ms", "--", "sleep", "60") == 124
    assert attempt(flightlog, "way-slow")["status"] == "timed_out"
    assert attempt(flightlog, "way-slow")["task_id"] == "sleep"
    assert run("missing", "--", "no-such-command") == 127
    assert attempt(flightlog, "way-missing")["outputs"] == {"exit_status": 127}
    assert run("long", "--", sys.executable, "-c", "print('x' * 10_005)") == 0
    assert attempt(flightlog, "way-long")["outputs"] == {"exit_status": 0, "cut_lines": 1, "cut_chars": 5}


def test_an_execution_that_is_not_known_yet_costs_nothing(flightlog: Cli, alone: Cli) -> None:
    """The announcement may be on its way: the command is recorded, and afterwards is told of it."""
    done = flightlog.ok("exec", "--execution", "early", "--task", "t", "--", "echo", "on")

    assert done.out == "on\n"
    assert "no execution early is known" in done.err
    assert attempt(flightlog, "early")["status"] == "succeeded"
    assert alone("exec", "--execution", "early", "--task", "t", "--", "echo", "on").out == "on\n"


def test_the_usage_is_checked_before_anything_runs(flightlog: Cli, home: Path) -> None:
    """A task of no execution, or with what only executions have, is a usage error, and nothing runs."""
    mark = str(home / "ran")
    assert flightlog("exec", "--task", "t", "--", "touch", mark) == (
        3,
        "",
        "flightlog exec: a task of which execution? Give --execution, or set FLIGHTLOG_EXECUTION_ID\n"
        "hint: flightlog exec --help\n",
    )
    assert flightlog("exec", "--execution", "e", "--label", "a=b", "--", "touch", mark).code == 3
    assert flightlog("exec", "--execution", "no id", "--", "touch", mark).code == 3
    assert not os.path.lexists(mark)
