"""What goes first when memory and disk are too small, and that each drop is declared."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flightlog.courier import spool_paths
from flightlog.overflow import EVENT, LeaveOut, Shares, plan, shares_of
from support.clients import ClientFactory
from support.daemon import DaemonFactory
from support.programs import events, messages, run_program
from support.spools import deliver_all, spooled, wait_until

BUFFER_BYTES = 256 * 1024
SPOOL_BYTES = 1024 * 1024


def log_line(level: str, number: int = 0) -> bytes:
    """Return a log line of an execution `e`."""
    return json.dumps({"type": "log", "execution_id": "e", "level": level, "message": str(number)}).encode()


ENDED = b'{"type":"execution.ended","execution_id":"e"}'


@pytest.mark.covers("P6")
def test_debug_lines_are_left_out_first_and_events_last() -> None:
    """Where there is room for some lines only, DEBUG gives way first, other log lines next, events never."""
    lines = [log_line("DEBUG"), log_line("INFO"), ENDED]
    sizes = [len(line) + 1 for line in lines]

    planned = plan(lines, 0, Shares(0, sizes[1], 10_000), "logs")
    assert planned.kept == lines[1:]
    assert [(left.level, left.execution_id) for left in planned.left] == [("DEBUG", "e")]
    assert planned.complete

    planned = plan(lines, 0, Shares(0, 0, 0), "logs")
    assert planned.kept == []
    assert [left.level for left in planned.left] == ["DEBUG", "INFO"]
    assert not planned.complete

    planned = plan(lines, 0, Shares(0, 0, 0), "anything")
    assert [left.level for left in planned.left] == ["DEBUG", "INFO", EVENT]
    assert planned.complete


@given(
    lines=st.lists(st.sampled_from([log_line("TRACE"), log_line("DEBUG", 10**9), log_line("WARN"), ENDED])),
    fixed=st.integers(0, 8),
    limit=st.integers(0, 1500),
    leave_out=st.sampled_from(["nothing", "logs", "anything"]),
)
def test_plan_keeps_order_and_what_was_sent(
    lines: list[bytes], fixed: int, limit: int, leave_out: LeaveOut
) -> None:
    """A plan keeps the order and its room, and never leaves out a line that was sent under its number."""
    planned = plan(lines, fixed, shares_of(limit), leave_out)

    done = len(planned.kept) + len(planned.left)
    assert planned.complete == (done == len(lines))
    assert sum(len(line) + 1 for line in planned.kept) <= limit
    assert planned.kept[:fixed] == lines[: min(fixed, done)]
    rest = iter(lines[:done])
    assert all(any(line == candidate for candidate in rest) for line in planned.kept)
    if leave_out == "nothing":
        assert planned.left == []
    if leave_out == "logs":
        assert all(left.level is not EVENT for left in planned.left)


@pytest.mark.covers("P5", "P6", "D5", "D10")
def test_full_spool_leaves_out_by_class_and_says_so(
    daemon_factory: DaemonFactory, home: Path, client_factory: ClientFactory
) -> None:
    """With memory and spool full, no ending is lost, INFO outlasts DEBUG, and the rest is declared."""
    daemon = daemon_factory(start=False)
    client = client_factory(
        daemon.runtime_dir,
        buffer_limit_bytes=BUFFER_BYTES,
        spool=home / "spool",
        spool_limit_bytes=SPOOL_BYTES,
        flush_lines=1,
    )
    with client.execution("busy", execution_id="e") as run:
        for number in range(20_000):
            run.log(number, "DEBUG" if number % 2 else "INFO")
        for number in range(20):
            with client.execution("short", execution_id=f"short-{number}"):
                pass
    (path,) = spool_paths(home / "spool")
    assert path.stat().st_size <= SPOOL_BYTES
    assert client.statistics().held_bytes <= BUFFER_BYTES

    daemon.start()

    assert client.flush(20)
    declared = events(daemon, type=["producer.dropped"])
    assert {event["execution_id"] for event in declared} == {"e"}
    assert {event["reason"] for event in declared} <= {"buffer_full", "spool_full"}
    said = messages(daemon, limit=100_000)
    for level, parity in (("DEBUG", 1), ("INFO", 0)):
        there = [int(line) for line in said if int(line) % 2 == parity]
        assert there == sorted(set(there))
        assert len(there) + sum(event["by_level"].get(level, 0) for event in declared) == 10_000
    info = sum(not int(line) % 2 for line in said)
    assert 0 < len(said) - info < info
    assert len(events(daemon, type=["execution.started"])) == 21
    assert len(events(daemon, type=["execution.ended"])) == 21


@pytest.mark.covers("P6", "D5")
def test_end_of_a_program_with_a_full_spool(daemon_factory: DaemonFactory, home: Path) -> None:
    """What has no room at the end of a program is left out by class and declared, behind all that is kept."""
    daemon = daemon_factory(start=False)
    spool = home / "spool"

    done = run_program(
        """
        import flightlog
        flightlog.configure(spool_limit_bytes=64 * 1024)
        with flightlog.execution("busy", execution_id="e") as run:
            for number in range(4000):
                run.log(number, "DEBUG" if number % 2 else "INFO")
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )

    assert done.returncode == 0
    (path,) = spool_paths(spool)
    assert path.stat().st_size <= 64 * 1024
    (lines,) = spooled(spool)
    assert lines[-1] == {"bye": {"lines": len(lines) - 1}}
    said = lines[:-1]
    dropped = [line for line in said if line["type"] == "producer.dropped"]
    assert sum(line["count"] for line in dropped) + len(said) - len(dropped) == 4002
    assert [line["type"] for line in said].count("execution.ended") == 1
    messages_kept = [int(line["message"]) for line in said if line["type"] == "log"]
    assert messages_kept == sorted(messages_kept)
    daemon.start()
    assert deliver_all(spool, daemon.runtime_dir) == 1
    assert len(events(daemon)) == len(lines) - 1


@pytest.mark.covers("P5", "D10")
def test_all_spools_together_are_bounded(home: Path) -> None:
    """The spools of programs that follow each other take no more than their common limit."""
    for _ in range(6):
        done = run_program(
            """
            import flightlog
            flightlog.configure(spool_total_limit_bytes=64 * 1024)
            for number in range(300):
                flightlog.log("x" * 100, execution_id="e")
            """,
            home,
            FLIGHTLOG_SPOOL_DIR=str(home / "spool"),
        )
        assert done.returncode == 0

    sizes = [path.stat().st_size for path in spool_paths(home / "spool")]
    assert sum(sizes) <= 64 * 1024
    assert "were left out" in done.stderr or "did not reach" in done.stderr


@pytest.mark.covers("D9", "S1.15")
def test_disk_that_is_full(daemon_factory: DaemonFactory, home: Path) -> None:
    """A file that can grow no further keeps what it has, stderr says so once, and the program goes on."""
    daemon = daemon_factory(start=False)
    program = """
        import flightlog, resource, sys
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        flightlog.configure(exit_timeout_s=20)
        with flightlog.execution("full", execution_id="e") as run:
            for number in range(5000):
                run.info(number)
            print(flightlog.flush(3), flush=True)
        """

    done = run_program(program, daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(home / "spool"))

    assert (done.returncode, done.stdout) == (0, "False\n")
    assert done.stderr.count("cannot keep events in") == 1
    lost = int(done.stderr.splitlines()[-1].split()[1])
    daemon.start()
    assert deliver_all(home / "spool", daemon.runtime_dir) == 1
    assert 0 < len(events(daemon, limit=10_000)) == 5002 - lost


def test_spool_that_somebody_deleted(
    daemon_factory: DaemonFactory, home: Path, client_factory: ClientFactory
) -> None:
    """Lines whose file was deleted are declared as dropped; what came after them arrives."""
    daemon = daemon_factory(start=False)
    client = client_factory(daemon.runtime_dir, spool=home / "spool", flush_lines=1)
    for number in range(50):
        client.log(number, execution_id="e")
    wait_until(lambda: client.statistics().spooled_lines == 50)
    (path,) = spool_paths(home / "spool")
    path.unlink()
    client.log("after", execution_id="e")
    wait_until(lambda: client.statistics().dropped == 50)
    daemon.start()

    assert client.flush(20)

    assert messages(daemon) == ["after"]
    (declared,) = events(daemon, type=["producer.dropped"])
    assert (declared["count"], declared["reason"]) == (50, "spool_lost")
    wait_until(lambda: not list((home / "spool").iterdir()))
