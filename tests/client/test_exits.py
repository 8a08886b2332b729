"""Every way for a program to end, and what the log has of it."""

import signal

import pytest

from support.daemon import Daemon
from support.peers import QueryPeer
from support.programs import (
    events,
    finish_program,
    messages,
    records,
    run_program,
    start_program,
)

PROGRAM = """
    import flightlog, os, signal, sys, threading
    with flightlog.execution("program", execution_id="e") as run:
        run.info("inside")
        {code}
    """


def status_of(daemon: Daemon) -> tuple[str, str | None, int | None]:
    """Return status, reason or error message, and exit status of the execution `e`."""
    with QueryPeer(daemon.query_socket) as reader:
        found = reader.ask("inspect", execution_id="e").one("execution")
    reason = found["error"]["message"] if found["error"] else found["outcome_reason"]
    return found["status"], reason, found["exit_status"]


@pytest.mark.covers("S0.4", "S1.2")
@pytest.mark.parametrize(
    ("code", "returncode", "expected"),
    [
        ("pass", 0, ("succeeded", None, None)),
        ("sys.exit()", 0, ("succeeded", None, 0)),
        ("sys.exit(3)", 3, ("failed", "exit status 3", 3)),
        ("sys.exit('no input')", 1, ("failed", "no input", 1)),
        ("1 / 0", 1, ("failed", "division by zero", None)),
        ("signal.raise_signal(signal.SIGINT)", -2, ("cancelled", "KeyboardInterrupt", None)),
        ("signal.raise_signal(signal.SIGTERM)", -15, ("cancelled", "SIGTERM", None)),
    ],
)
def test_exit_paths(
    daemon: Daemon, code: str, returncode: int, expected: tuple[str, str | None, int | None]
) -> None:
    """However a program ends, it ends as it would have, and the log has its last line and how it ended."""
    done = run_program(PROGRAM.format(code=code), daemon.runtime_dir)

    assert done.returncode == returncode, done.stderr
    assert "flightlog:" not in done.stderr
    assert status_of(daemon) == expected
    assert messages(daemon) == ["inside"]


def test_hard_exit_leaves_a_gap_that_nothing_hides(daemon: Daemon) -> None:
    """After `os._exit` the log has what was delivered before, in order, and no ending that nobody saw."""
    done = run_program(
        PROGRAM.format(code="flightlog.flush(); run.info('never sent'); os._exit(7)"), daemon.runtime_dir
    )

    assert done.returncode == 7
    assert messages(daemon) == ["inside"]
    assert events(daemon, type=["execution.ended"]) == []


@pytest.mark.covers("D3")
def test_killed_program_leaves_a_prefix(daemon: Daemon) -> None:
    """Of a program killed while it emits, the log has the lines up to some point, each once."""
    program = start_program(
        """
        import flightlog, itertools
        with flightlog.execution("endless") as run:
            for number in itertools.count():
                run.info(number)
                if number % 1000 == 0:
                    flightlog.flush()
                if number == 5000:
                    print("going", flush=True)
        """,
        daemon.runtime_dir,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "going\n"
    program.kill()
    finish_program(program)

    # One look: what the program had sent may still be coming in.
    found = records(daemon)
    said = [record["event"]["message"] for record in found if record["event"]["type"] == "log"]
    assert len(said) >= 5000
    assert said == [str(number) for number in range(len(said))]
    assert [record["line"] for record in found] == list(range(1, len(found) + 1))


@pytest.mark.covers("D9")
def test_handler_of_the_program_stays(daemon: Daemon) -> None:
    """A program's own SIGTERM handler is left in place, set before or after flightlog was used."""
    done = run_program(
        """
        import flightlog, signal, sys
        before = lambda *_: print("before")
        signal.signal(signal.SIGTERM, before)
        with flightlog.execution("program", execution_id="e") as run:
            run.info("inside")
            signal.raise_signal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
            run.info("still inside")
            signal.raise_signal(signal.SIGTERM)
        """,
        daemon.runtime_dir,
    )

    assert (done.returncode, done.stdout) == (5, "before\n")
    assert status_of(daemon) == ("failed", "exit status 5", 5)
    assert messages(daemon) == ["inside", "still inside"]


@pytest.mark.covers("S1.2")
def test_sigterm_from_outside(daemon: Daemon) -> None:
    """A program that is sent SIGTERM in the midst of its work delivers what it has and dies by the signal."""
    # Busy, not blocked: Python misses a signal that comes right before a system call blocks.
    program = start_program(
        PROGRAM.format(code="print('ready', flush=True)\n        while True: pass"), daemon.runtime_dir
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGTERM)

    assert finish_program(program).returncode == -signal.SIGTERM
    assert status_of(daemon) == ("cancelled", "SIGTERM", None)


def test_handler_may_log_and_flush(daemon: Daemon) -> None:
    """A signal handler logs and flushes while its own thread is in the midst of emitting, and both go on."""
    done = run_program(
        """
        import flightlog, signal
        fired = 0
        def handler(*_):
            global fired
            fired += 1
            flightlog.log(f"handler {fired}")
            assert flightlog.flush(20)
            signal.setitimer(signal.ITIMER_REAL, 0.001)
        signal.signal(signal.SIGALRM, handler)
        with flightlog.execution("program") as run:
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            lines = 0
            while fired < 30:
                run.info("line")
                lines += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert flightlog.flush()
        print(lines, fired, flightlog.statistics().dropped, flightlog.statistics().held_bytes)
        """,
        daemon.runtime_dir,
    )

    assert done.returncode == 0, done.stderr
    lines, fired, dropped, held = (int(number) for number in done.stdout.split())
    assert (dropped, held) == (0, 0)
    assert len(messages(daemon, limit=10**6)) == lines + fired


@pytest.mark.covers("S1.2")
def test_lines_at_exit_are_delivered(daemon: Daemon) -> None:
    """What is logged by other exit handlers, before flightlog's own, is delivered."""
    done = run_program(
        """
        import atexit, flightlog
        with flightlog.execution("program", execution_id="e"):
            pass
        atexit.register(lambda: flightlog.log("goodbye", execution_id="e"))
        """,
        daemon.runtime_dir,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert messages(daemon) == ["goodbye"]
