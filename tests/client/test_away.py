"""No daemon, or one that stands still: the program goes on, and nothing is lost in silence."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flightlog import Client
from support.clients import ClientFactory
from support.daemon import Daemon
from support.programs import events, messages, run_program

LIMIT_BYTES = 256 * 1024

DECLARATION = 1
"""The line that tells what was left out."""

BLOCKED_S = 1.0
"""A call that took longer has waited for something: it takes microseconds, but the machine may be busy."""


def emit_timed(client: Client, count: int) -> tuple[str, float]:
    """Log that many lines in one execution; return its id and the longest time of a call in seconds."""
    worst_ns = 0
    with client.execution("busy") as run:
        for number in range(count):
            before = time.perf_counter_ns()
            run.log(f"line {number}", "DEBUG" if number % 2 else "INFO")
            worst_ns = max(worst_ns, time.perf_counter_ns() - before)
    return run.execution_id, worst_ns / 1e9


@pytest.mark.covers("D9", "S1.15", "S1.2")
def test_daemon_away_costs_neither_time_nor_memory(
    home: Path, client_factory: ClientFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a daemon, emitting goes on within the bound, the rest is counted, each trouble told once."""
    client = client_factory(home, buffer_limit_bytes=LIMIT_BYTES, spool=False)

    _, worst_s = emit_timed(client, 20_000)

    assert worst_s < BLOCKED_S
    assert not client.flush(0.2)
    found = client.statistics()
    assert found.held_bytes <= LIMIT_BYTES
    assert found.lines + found.dropped == 20_002 + DECLARATION
    assert found.dropped > 10_000
    assert not found.connected
    assert not client.close()
    told = capfd.readouterr().err.splitlines()
    assert sorted(told) == sorted(
        [
            f"flightlog: no daemon listens on {home}/ingest.sock; keeping up to 0.25 MiB of events meanwhile",
            "flightlog: the buffer is full, events are left out; counted, and told in the log",
            f"flightlog: {found.lines} events did not reach the daemon ({found.dropped} more were left out)",
        ]
    )


@pytest.mark.covers("S1.15")
def test_daemon_that_starts_late_gets_what_was_kept(
    daemon_factory: object, home: Path, client_factory: ClientFactory
) -> None:
    """What was emitted before the daemon started is delivered once it is there."""
    assert callable(daemon_factory)
    daemon = daemon_factory(start=False)
    client = client_factory(daemon.runtime_dir)
    with client.execution("early") as run:
        run.info("before anybody listened")
    assert not client.flush(0.1)

    daemon.start()

    assert client.flush(20)
    assert messages(daemon) == ["before anybody listened"]


@pytest.fixture
def stopped(daemon: Daemon) -> Iterator[Daemon]:
    """Give a daemon that stands still (SIGSTOP) and goes on at the end of the test."""
    os.kill(daemon.pid, signal.SIGSTOP)
    yield daemon
    os.kill(daemon.pid, signal.SIGCONT)


@pytest.mark.covers("D5", "D9")
def test_daemon_that_stands_still_blocks_nobody(stopped: Daemon, client_factory: ClientFactory) -> None:
    """A stopped daemon never makes emitting wait; what was left out meanwhile is declared when it goes on."""
    client = client_factory(stopped.runtime_dir, buffer_limit_bytes=LIMIT_BYTES, spool=False)

    execution_id, worst_s = emit_timed(client, 30_000)
    assert worst_s < BLOCKED_S
    assert not client.flush(0)
    assert client.statistics().held_bytes <= LIMIT_BYTES

    os.kill(stopped.pid, signal.SIGCONT)

    assert client.flush(20)
    said = messages(stopped, execution_id=execution_id)
    declared = events(stopped, type=["producer.dropped"])
    dropped = sum(event["count"] for event in declared)
    assert dropped == client.statistics().dropped > 0
    assert {event["execution_id"] for event in declared} == {execution_id}
    assert len(said) + dropped == 30_000
    by_level = [event["by_level"] for event in declared]
    assert sum(levels.get("DEBUG", 0) for levels in by_level) == 15_000 - sum(
        1 for line in said if int(line.split()[1]) % 2
    )
    # The start and the end of the execution have room whatever the log lines do.
    assert len(events(stopped, type=["execution.started", "execution.ended"])) == 2


@pytest.mark.covers("D9")
def test_program_ends_although_the_daemon_stands_still(stopped: Daemon) -> None:
    """At its end a program waits for a stopped daemon no longer than its bound, and says what is lost."""
    done = run_program(
        """
        import flightlog
        flightlog.configure(exit_timeout_s=0.3, spool=False)
        with flightlog.execution("short") as run:
            run.info("hello")
        """,
        stopped.runtime_dir,
    )

    assert done.returncode == 0
    assert done.stderr == "flightlog: 3 events did not reach the daemon\n"


@pytest.mark.covers("D9")
def test_program_without_a_daemon_ends_at_once(home: Path) -> None:
    """Where no daemon ever answered, the end of a program does not wait for one."""
    done = run_program(
        """
        import time, flightlog
        flightlog.configure(exit_timeout_s=60)
        flightlog.log("hello", execution_id="e")
        """,
        home,
        FLIGHTLOG_SPOOL="off",
    )

    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        f"flightlog: no daemon listens on {home}/ingest.sock; keeping up to 8 MiB of events meanwhile",
        "flightlog: 1 events did not reach the daemon",
    ]


@pytest.mark.covers("D9")
@pytest.mark.parametrize("closing", ["os.close(2)", "sys.stderr = None", "sys.stderr.close()"])
def test_program_without_stderr_is_not_harmed(home: Path, closing: str) -> None:
    """Trouble that cannot be told, because stderr is closed or gone, changes nothing."""
    done = run_program(
        f"""
        import os, sys, flightlog
        {closing}
        flightlog.log("hello", execution_id="e")
        print(flightlog.flush(0.1), flightlog.close())
        """,
        home,
    )

    assert (done.returncode, done.stdout) == (0, "False False\n")


@pytest.mark.covers("D9")
def test_full_pipe_on_stderr_blocks_only_the_warning(home: Path) -> None:
    """A full stderr that nobody reads makes neither emitting nor the end wait beyond their bounds."""
    done = run_program(
        """
        import os, flightlog
        read, write = os.pipe()
        os.set_blocking(write, False)
        try:
            while True:
                os.write(write, b"x" * 65536)
        except BlockingIOError:
            os.set_blocking(write, True)
        os.dup2(write, 2)
        with flightlog.execution("x") as run:
            for number in range(1000):
                run.info(number)
        print(flightlog.close(0.1))
        """,
        home,
    )

    assert (done.returncode, done.stdout) == (0, "False\n")


@pytest.mark.covers("D9")
def test_program_out_of_descriptors_is_not_harmed(home: Path) -> None:
    """A program that has used up its file descriptors emits without an error, and keeps what it said."""
    done = run_program(
        """
        import os, resource, flightlog
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        taken = []
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            pass
        with flightlog.execution("x") as run:
            run.info("no descriptor left")
        before = flightlog.flush(0.05), flightlog.statistics().lines
        for descriptor in taken:
            os.close(descriptor)
        print(before, flightlog.flush(0.05), flightlog.statistics().lines)
        """,
        home,
    )

    assert (done.returncode, done.stdout) == (0, "(False, 3) False 3\n"), done.stderr
    assert done.stderr.startswith("flightlog: cannot send: [Errno 24] Too many open files")
