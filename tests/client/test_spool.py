"""A daemon that is away: programs go on, and what they said is in the log afterwards, once and in order."""

import os
import signal
import time
from pathlib import Path

import pytest

from flightlog.courier import spool_paths
from support.clients import ClientFactory
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.owners import await_events, inspect
from support.programs import events, finish_program, messages, records, run_program, start_program
from support.spools import deliver_all, only_spool, spooled, spooled_messages, wait_until

BOUND_S = 15.0
"""Generous: what waits longer waits for a daemon that does not come."""


@pytest.fixture
def spool(home: Path) -> Path:
    """Give the directory of spools of a test; it is not there yet."""
    return home / "deep" / "spool"


def numbers(count: int) -> list[str]:
    """Return the messages of a program that counts."""
    return [str(number) for number in range(count)]


def is_whole(daemon: Daemon) -> bool:
    """Say whether all lines of each producer are there, each once, in their order."""
    by_producer: dict[str, list[int]] = {}
    for record in records(daemon):
        by_producer.setdefault(record["producer"], []).append(record["line"])
    return all(lines == list(range(1, len(lines) + 1)) for lines in by_producer.values())


COUNTING = """
    import flightlog, os, signal, sys
    with flightlog.execution("program", execution_id="e") as run:
        for number in range(500):
            run.info(number)
        {code}
    """


@pytest.mark.covers("S1.15", "P5", "D4")
def test_program_without_a_daemon_leaves_its_lines_for_the_next_one(
    daemon_factory: DaemonFactory, spool: Path
) -> None:
    """What a program says without a daemon is kept on disk, and delivered by the user's next program."""
    daemon = daemon_factory(start=False)

    done = run_program(COUNTING.format(code="pass"), daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool))

    assert done.returncode == 0
    assert done.stderr == (
        f"flightlog: no daemon listens on {daemon.ingest_socket};"
        f" up to 64 MiB of events are kept in {spool} and delivered later\n"
    )
    assert spool.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in spool_paths(spool)] == [0o600]
    (lines,) = spooled(spool)
    assert lines[-1] == {"bye": {"lines": 502}}

    daemon.start()
    later = run_program(
        "import flightlog; flightlog.log('hi', execution_id='later')",
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )

    assert (later.returncode, later.stderr) == (0, "")
    assert spool_paths(spool) == []
    assert messages(daemon, execution_id="e") == numbers(500)
    assert inspect(daemon, "e")["status"] == "succeeded"
    assert is_whole(daemon)


@pytest.mark.covers("S1.15", "P5")
@pytest.mark.parametrize(
    ("code", "returncode"),
    [
        ("sys.exit(3)", 3),
        ("signal.raise_signal(signal.SIGTERM)", -15),
        ("flightlog.close()", 0),
        ("os.chdir('/'); os.umask(0o777); os.environ['HOME'] = '/nowhere'", 0),
        ("child = os.fork()\n        if child: os.waitpid(child, 0)\n        else: os._exit(0)", 0),
        ("os.closerange(3, 1000)", 0),
    ],
)
def test_every_end_leaves_all_lines(
    daemon_factory: DaemonFactory, spool: Path, code: str, returncode: int
) -> None:
    """However a program ends that Python sees, and whatever it did to itself before, its lines are kept."""
    daemon = daemon_factory(start=False)

    done = run_program(COUNTING.format(code=code), daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool))

    assert done.returncode == returncode, done.stderr
    daemon.start()
    assert deliver_all(spool, daemon.runtime_dir) >= 1
    assert messages(daemon) == numbers(500)
    assert len(events(daemon, type=["execution.ended"])) == 1
    assert is_whole(daemon)


@pytest.mark.covers("S1.15", "P5")
def test_kill_loses_no_more_than_a_moment(daemon_factory: DaemonFactory, spool: Path) -> None:
    """A program killed without a daemon leaves what it said until shortly before; it has said no goodbye."""
    daemon = daemon_factory(start=False)
    program = start_program(
        COUNTING.format(code="sys.stdin.read()"), daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool)
    )
    wait_until(lambda: len(spooled_messages(spool)) == 500)
    with only_spool(spool) as waiting:
        assert not waiting.owned
    program.kill()
    finish_program(program)
    daemon.start()

    assert deliver_all(spool, daemon.runtime_dir) == 1

    assert messages(daemon) == numbers(500)
    await_events(daemon, "execution.lost")


@pytest.mark.covers("P5", "D4")
@pytest.mark.parametrize("blow", ["kill", "stop"])
def test_program_goes_on_and_delivers_itself(
    daemon: Daemon, spool: Path, client_factory: ClientFactory, blow: str
) -> None:
    """A program whose daemon is killed or stands still spools, and delivers all itself: once, in order."""
    client = client_factory(daemon.runtime_dir, spool=spool, flush_lines=1)
    with client.execution("long", execution_id="e") as run:
        for number in range(100):
            run.info(number)
        assert client.flush(BOUND_S)
        if blow == "kill":
            daemon.kill()
        else:
            os.kill(daemon.pid, signal.SIGSTOP)
        for number in range(100, 5000):
            run.info(number)
        wait_until(lambda: client.statistics().spooled_lines == 4900)
        assert client.statistics().held_bytes == 0
        for number in range(5000, 6000):
            run.info(number)
        if blow == "kill":
            daemon.start()
        else:
            os.kill(daemon.pid, signal.SIGCONT)
        for number in range(6000, 7000):
            run.info(number)
        assert client.flush(BOUND_S)
        wait_until(lambda: client.statistics().spooled_bytes == 0)
        assert spool_paths(spool) == []

    assert client.close()
    assert messages(daemon, limit=10_000) == numbers(7000)
    assert is_whole(daemon)


@pytest.mark.covers("D9", "P5")
def test_end_is_prompt_where_the_daemon_stands_still(daemon: Daemon, spool: Path) -> None:
    """A program whose daemon stands still ends within its bound, and what was not acked is on disk."""
    program = start_program(
        """
        import flightlog, sys, time
        flightlog.configure(exit_timeout_s=3600)
        with flightlog.execution("program", execution_id="e") as run:
            assert flightlog.flush(20)
            print("ready", flush=True)
            sys.stdin.readline()
            worst = 0
            for number in range(20_000):
                before = time.perf_counter()
                run.info(number)
                worst = max(worst, time.perf_counter() - before)
        print(worst, flush=True)
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        before = time.monotonic()
        done = finish_program(program, "go\n")
        took_s = time.monotonic() - before
    finally:
        os.kill(daemon.pid, signal.SIGCONT)

    assert done.returncode == 0
    assert float(done.stdout) < 1
    assert took_s < BOUND_S
    assert done.stderr == f"flightlog: 20001 events wait in {spool} for the daemon\n"
    # What the stopped daemon had in its socket, and what is in the spool, are partly the same lines.
    assert deliver_all(spool, daemon.runtime_dir) == 1
    assert messages(daemon, limit=100_000) == numbers(20_000)
    assert is_whole(daemon)


@pytest.mark.covers("P5")
def test_end_gives_a_daemon_that_is_just_back_its_time(daemon: Daemon, spool: Path) -> None:
    """A program that ends right after its daemon came back delivers what waited, and leaves no spool."""
    program = start_program(
        """
        import flightlog, sys
        flightlog.configure(exit_timeout_s=20)
        with flightlog.execution("program", execution_id="e") as run:
            assert flightlog.flush(20)
            print("ready", flush=True)
            sys.stdin.readline()
            run.info("meanwhile")
            flightlog.flush(2)
            print(flightlog.statistics().spooled_lines, flush=True)
            sys.stdin.readline()
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )
    assert program.stdin is not None
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    daemon.kill()
    program.stdin.write("go\n")
    program.stdin.flush()
    assert program.stdout.readline() == "1\n"
    daemon.start()

    assert finish_program(program, "go\n").returncode == 0

    assert spool_paths(spool) == []
    assert messages(daemon) == ["meanwhile"]
    assert inspect(daemon, "e")["status"] == "succeeded"


@pytest.mark.covers("P5")
def test_ending_that_waited_replaces_lost(daemon: Daemon, spool: Path) -> None:
    """An execution that ended while the daemon was away is `lost` until its ending arrives."""
    program = start_program(
        """
        import flightlog, sys
        with flightlog.execution("program", execution_id="e"):
            assert flightlog.flush(20)
            print("ready", flush=True)
            sys.stdin.readline()
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    daemon.terminate()
    assert finish_program(program, "go\n").returncode == 0
    daemon.start()
    await_events(daemon, "execution.lost", execution_id="e")
    assert inspect(daemon, "e")["status"] == "lost"

    assert deliver_all(spool, daemon.runtime_dir) == 1

    assert inspect(daemon, "e")["status"] == "succeeded"


@pytest.mark.covers("P5", "S1.15", "P15")
def test_daemon_that_is_full_fills_the_spool(daemon_factory: DaemonFactory, spool: Path) -> None:
    """While the daemon's storage is full, a program spools and ends; later all is there, each once."""
    daemon = daemon_factory(database_limit_bytes=2**20)
    filler = run_program(
        """
        import flightlog
        flightlog.configure(exit_timeout_s=3, spool=False)
        for number in range(3000):
            flightlog.log("x" * 1000, execution_id="filler")
        """,
        daemon.runtime_dir,
    )
    assert "storage_full" in filler.stderr

    done = run_program(COUNTING.format(code="pass"), daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool))

    assert done.returncode == 0
    assert len(spool_paths(spool)) == 1
    daemon.kill()
    daemon.config["database_limit_bytes"] = 2**30
    daemon.start()
    assert deliver_all(spool, daemon.runtime_dir) == 1
    assert messages(daemon, execution_id="e") == numbers(500)
    assert inspect(daemon, "e")["status"] == "succeeded"


@pytest.mark.covers("P5", "P8")
def test_threads_and_forks_without_a_daemon(daemon_factory: DaemonFactory, spool: Path) -> None:
    """Threads share a spool, forked children have their own; all of it arrives, each line once."""
    daemon = daemon_factory(start=False)
    done = run_program(
        """
        import flightlog, os, sys, threading, warnings
        warnings.simplefilter("ignore")
        with flightlog.execution("program", execution_id="e") as run:
            def work(name):
                for number in range(300):
                    run.info(f"{name}-{number}")
            threads = [threading.Thread(target=work, args=(f"t{index}",)) for index in range(3)]
            for thread in threads:
                thread.start()
            child = os.fork()
            if child == 0:
                for number in range(300):
                    run.info(f"child-{number}")
                sys.exit()
            for thread in threads:
                thread.join()
            assert os.waitpid(child, 0)[1] == 0
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )
    assert done.returncode == 0, done.stderr
    assert len(spool_paths(spool)) == 2
    daemon.start()

    assert deliver_all(spool, daemon.runtime_dir) == 2

    said = messages(daemon, limit=10_000)
    for name in ("t0", "t1", "t2", "child"):
        assert [line for line in said if line.startswith(f"{name}-")] == [f"{name}-{n}" for n in range(300)]
    assert len(said) == 1200
    assert is_whole(daemon)


def test_goodbye_is_said_only_by_those_who_said_it(daemon_factory: DaemonFactory, spool: Path) -> None:
    """A delivered spool says goodbye for a program that ended in good order, and for no other."""
    daemon = daemon_factory(start=False)
    run_program(COUNTING.format(code="pass"), daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool))
    program = start_program(
        COUNTING.format(code="sys.stdin.read()"), daemon.runtime_dir, FLIGHTLOG_SPOOL_DIR=str(spool)
    )
    wait_until(lambda: len(spooled_messages(spool)) == 1000)
    program.kill()
    finish_program(program)
    daemon.start()
    assert deliver_all(spool, daemon.runtime_dir) == 2
    daemon.terminate()

    asked = "select line, bye_lines from producer where producer <> 'flightlogd' order by line"
    done = run_flightlogd("sql", "--state-dir", str(daemon.state_dir), asked)
    assert [line.split() for line in done.stdout.splitlines()] == [["501|"], ["502|502"]]


@pytest.mark.covers("D9")
@pytest.mark.parametrize("place", ["/proc/nowhere", "/dev/null/spool", ""])
def test_spool_that_cannot_be_written_harms_nobody(home: Path, place: str) -> None:
    """Where there is no place for a spool, memory alone is used, as stderr says, and the program goes on."""
    where = {"FLIGHTLOG_SPOOL_DIR": place} if place else {"FLIGHTLOG_SPOOL": "off"}

    done = run_program(COUNTING.format(code="pass"), home, **where)

    assert done.returncode == 0
    assert done.stderr.count("cannot keep events in") == bool(place)
    assert done.stderr.splitlines()[-1] == "flightlog: 502 events did not reach the daemon"


def test_events_of_users_own_are_kept_too(daemon_factory: DaemonFactory, spool: Path) -> None:
    """Events of any type wait on disk as they were said."""
    daemon = daemon_factory(start=False)
    run_program(
        "import flightlog; flightlog.emit({'type': 'my.own', 'text': 'a\\nb'})",
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(spool),
    )
    daemon.start()
    assert deliver_all(spool, daemon.runtime_dir) == 1
    (event,) = events(daemon, type=["my.own"])
    assert event["text"] == "a\nb"
