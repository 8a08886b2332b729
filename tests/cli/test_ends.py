"""Executions of the command line end, also when nobody is left to end them."""

import signal

import pytest

from cli.runner import Cli
from flightlog.capture.record import CAPTURE_GRACE_S, KILL_GRACE_S
from support.daemon import Daemon
from support.owners import Program, await_events, await_watched, decided, inspect, recorded


@pytest.mark.covers("S0.4")
def test_exec_is_killed(daemon: Daemon, flightlog: Cli) -> None:
    """When `exec` is killed, its execution is lost with it, and the lines that it captured are there."""
    with flightlog.running("exec", "--name", "killed", "--", "cat") as running:
        running.send("hello\n")
        assert running.line() == "hello"
        await_watched(daemon, 1)
        await_events(daemon, "log")
        running.process.send_signal(signal.SIGKILL)
        running.process.wait()
        [lost] = await_events(daemon, "execution.lost")

    assert lost["event"]["evidence"]["pid"] == running.process.pid
    (told,) = flightlog.ok("list", "--json", "--name", "killed").json
    assert (told["status"], told["log_count"]) == ("lost", 1)


@pytest.mark.covers("S0.4")
def test_start_names_no_owner(daemon: Daemon, flightlog: Cli) -> None:
    """What `start` began goes on when `start` and the shell that called it have ended."""
    execution = flightlog.ok("start", "--name", "script").out.strip()
    decided(daemon)

    assert flightlog.ok("inspect", execution, "--json").json["status"] == "running"
    flightlog.ok("finish", execution)
    assert flightlog.ok("inspect", execution, "--json").json["status"] == "succeeded"


@pytest.mark.covers("S0.4")
def test_owner_of_a_script(daemon: Daemon, flightlog: Cli) -> None:
    """With --owner an execution is lost with that process, unless it was finished before."""
    with Program() as shell:
        finished = flightlog.ok("start", "--owner", str(shell.pid)).out.strip()
        left = flightlog.ok("start", "--owner", str(shell.pid)).out.strip()
        await_watched(daemon, 2)
        flightlog.ok("finish", finished)
        shell.die()
        [lost] = await_events(daemon, "execution.lost")
    decided(daemon)

    assert lost["event"]["execution_id"] == left
    assert inspect(daemon, finished)["status"] == "succeeded"
    assert len(recorded(daemon, "execution.lost")) == 2


def test_status_counts_owners(daemon: Daemon, flightlog: Cli) -> None:
    """`status` tells how many executions have an owner that is watched."""
    flightlog.ok("start")
    with Program() as shell:
        flightlog.ok("start", "--owner", str(shell.pid))
        await_watched(daemon, 1)

        assert ["owners", "1 watched"] in flightlog.ok("status").rows


@pytest.mark.covers("S1.3")
def test_exec_ends_its_command_before_its_deadline(daemon: Daemon, flightlog: Cli) -> None:
    """The deadline that `exec` names leaves it the time to end a stubborn command and to say how it ended."""
    with flightlog.running("exec", "--name", "slow", "--timeout", "1h", "--", "cat") as running:
        running.send("hello\n")
        assert running.line() == "hello"
        (told,) = flightlog.ok("list", "--json", "--name", "slow").json
        found = inspect(daemon, told["execution_id"])
        assert found["deadline"] - found["started_at"] > (3600 + KILL_GRACE_S + CAPTURE_GRACE_S) * 1e6

    flightlog("exec", "--name", "short", "--timeout", "100ms", "--", "sleep", "60")
    decided(daemon)
    (ended,) = recorded(daemon, "execution.ended")
    assert (ended["event"]["outcome"], ended["producer"] == "flightlogd") == ("timed_out", False)
