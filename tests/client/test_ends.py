"""Every execution ends: as the program says, or as the daemon sees when the program could not say."""

import signal
import time

import pytest

from flightlog import Client
from support.daemon import Daemon
from support.lines import event
from support.owners import await_events, await_watched, decided, inspect, recorded
from support.peers import IngestPeer
from support.programs import events, finish_program, run_program, start_program

WITHIN_US = 1_000_000


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize(
    ("code", "evidence", "reason"),
    [
        ("os._exit(7)", {"exit_status": 7}, "ended with exit status 7"),
        ("os._exit(0)", {"exit_status": 0}, "ended with exit status 0"),
        ("os.kill(os.getpid(), signal.SIGKILL)", {"signal": "SIGKILL"}, "was ended by SIGKILL"),
        ("os.abort()", {"signal": "SIGABRT"}, "was ended by SIGABRT"),
        ("signal.raise_signal(signal.SIGUSR1)", {"signal": "SIGUSR1"}, "was ended by SIGUSR1"),
    ],
)
def test_end_that_the_program_cannot_tell(
    daemon: Daemon, code: str, evidence: dict[str, object], reason: str
) -> None:
    """A program that ends without a word leaves a lost execution, with how its process ended."""
    program = start_program(
        f"""
        import flightlog, os, signal
        with flightlog.execution("program", execution_id="e") as run:
            run.info("inside")
            flightlog.flush()
            print("ready", flush=True)
            input()
            {code}
        """,
        daemon.runtime_dir,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    await_watched(daemon, 1)
    ended_after = time.time_ns() // 1000
    finish_program(program, "go\n")

    [lost] = await_events(daemon, "execution.lost")

    found = inspect(daemon, "e")
    assert found["status"] == "lost"
    assert reason in found["outcome_reason"]
    told = lost["event"]["evidence"]
    assert {name: told.get(name) for name in evidence} == evidence
    assert (told["pid"], told["last_line"]) == (program.pid, 2)
    assert lost["received"] - ended_after < WITHIN_US


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("pass", "succeeded"),
        ("sys.exit(3)", "failed"),
        ("1 / 0", "failed"),
        ("signal.raise_signal(signal.SIGINT)", "cancelled"),
        ("signal.raise_signal(signal.SIGTERM)", "cancelled"),
    ],
)
def test_end_that_the_program_tells(daemon: Daemon, code: str, expected: str) -> None:
    """What a program says of its end on its way out is never taken for a loss, however fast it is gone."""
    for number in range(5):
        run_program(
            f"""
            import flightlog, signal, sys
            with flightlog.execution("program", execution_id="e{number}"):
                {code}
            """,
            daemon.runtime_dir,
        )
    decided(daemon)

    assert {inspect(daemon, f"e{number}")["status"] for number in range(5)} == {expected}
    assert len(recorded(daemon, "execution.lost")) == 1


@pytest.mark.covers("S0.4")
def test_child_of_the_program(daemon: Daemon) -> None:
    """Children that work inside their parent's execution may die in it: its end is the parent's to tell."""
    done = run_program(
        """
        import flightlog, os, subprocess, sys
        child = "import flightlog, os; flightlog.log('child'); flightlog.flush(); os._exit(9)"
        with flightlog.execution("parent", execution_id="e") as run:
            environment = os.environ | {"FLIGHTLOG_EXECUTION_ID": run.execution_id}
            subprocess.run([sys.executable, "-c", child], env=environment)
            if os.fork() == 0:
                flightlog.log("fork")
                flightlog.flush()
                os._exit(9)
            os.wait()
            run.info("parent")
        """,
        daemon.runtime_dir,
    )
    decided(daemon)

    assert done.returncode == 0, done.stderr
    assert [line["message"] for line in events(daemon, type=["log"])] == ["child", "fork", "parent"]
    assert inspect(daemon, "e")["status"] == "succeeded"
    assert len(recorded(daemon, "execution.lost")) == 1


@pytest.mark.covers("S0.4", "S0.7")
def test_adoption(daemon: Daemon) -> None:
    """Who adopts an execution ends it; its first owner may die, and its duration is from its true start."""
    first = start_program(
        """
        import flightlog, os
        flightlog.execution("handed over", execution_id="e").start()
        flightlog.flush()
        print("started", flush=True)
        input()
        os._exit(1)
        """,
        daemon.runtime_dir,
    )
    assert first.stdout is not None
    assert first.stdout.readline() == "started\n"
    heir = start_program(
        """
        import flightlog
        with flightlog.adopt("e"):
            flightlog.flush()
            print("mine", flush=True)
            input()
            flightlog.log("still here")
        """,
        daemon.runtime_dir,
    )
    assert heir.stdout is not None
    assert heir.stdout.readline() == "mine\n"
    assert finish_program(first, "go\n").returncode == 1
    decided(daemon)
    assert inspect(daemon, "e")["status"] == "running"
    assert finish_program(heir, "go\n").returncode == 0

    found = inspect(daemon, "e")
    assert found["status"] == "succeeded"
    assert (found["pid"], found["owner"]["pid"]) == (first.pid, heir.pid)
    assert 0 < found["duration_us"] <= found["finished_at"] - found["started_at"] + 100_000
    assert [line["execution_id"] for line in events(daemon, type=["log"])] == ["e"]


@pytest.mark.covers("S0.4")
def test_adopter_dies(daemon: Daemon) -> None:
    """An execution that was adopted is lost with the process that adopted it."""
    run_program(
        """
        import flightlog, os
        flightlog.execution("handed over", execution_id="e").start()
        flightlog.flush()
        if os.fork() == 0:
            flightlog.adopt("e")
            flightlog.flush()
            os._exit(4)
        os.wait()
        """,
        daemon.runtime_dir,
    )

    [lost] = await_events(daemon, "execution.lost")

    assert lost["event"]["evidence"]["pid"] == inspect(daemon, "e")["owner"]["pid"]


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize("announced", [False, True])
def test_adopter_of_what_nobody_announced_dies(daemon: Daemon, announced: bool) -> None:
    """Who adopts an execution before anybody announces it owns it all the same."""
    heir = start_program(
        """
        import flightlog, os
        flightlog.adopt("e")
        flightlog.flush()
        print("mine", flush=True)
        input()
        os._exit(3)
        """,
        daemon.runtime_dir,
    )
    assert heir.stdout is not None
    assert heir.stdout.readline() == "mine\n"
    if announced:
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(event("execution.started", "e", name="late"))
        decided(daemon)
        assert inspect(daemon, "e")["status"] == "running"
    finish_program(heir, "go\n")

    [lost] = await_events(daemon, "execution.lost", execution_id="e")

    assert lost["event"]["evidence"]["pid"] == heir.pid
    assert inspect(daemon, "e")["status"] == "lost"


@pytest.mark.parametrize("execution_id", ["", " ", "a b\n"])
def test_what_is_no_id_cannot_be_adopted(client: Client, execution_id: str) -> None:
    """An unset variable, or anything else that is no id, is an error at once and not an execution."""
    with pytest.raises(ValueError, match="no id of an execution"):
        client.adopt(execution_id)


@pytest.mark.covers("S0.4")
def test_daemon_is_away_at_the_end(daemon: Daemon) -> None:
    """A program that ends while no daemon runs is found lost when one starts, and not while it lives."""
    program = start_program(
        """
        import flightlog, os, sys
        flightlog.execution("program", execution_id="e").start()
        flightlog.flush()
        print("ready", flush=True)
        input()
        os._exit(0)
        """,
        daemon.runtime_dir,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    daemon.restart()
    decided(daemon)
    assert inspect(daemon, "e")["status"] == "running"
    daemon.signal(signal.SIGKILL)
    daemon.wait()
    finish_program(program, "go\n")

    daemon.start()
    lost = await_events(daemon, "execution.lost", 2)

    assert lost[1]["event"]["execution_id"] == "e"
