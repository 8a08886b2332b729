"""Programs that close, reuse or fork descriptors while lines wait on disk."""

from pathlib import Path

import pytest

from flightlog.courier import spool_paths
from support.daemon import Daemon, DaemonFactory
from support.programs import finish_program, messages, run_program, start_program
from support.spools import deliver_all, only_spool, spooled_messages, wait_until


@pytest.mark.covers("D9", "P5")
def test_reused_descriptors_are_left_alone(daemon_factory: DaemonFactory, home: Path) -> None:
    """Files that take the numbers of descriptors that a program closed hold only what it wrote there."""
    daemon = daemon_factory(start=False)
    done = run_program(
        """
        import flightlog, os, sys
        place = os.environ["FLIGHTLOG_SPOOL_DIR"]
        for number in range(100):
            flightlog.log(number, execution_id="e")
        flightlog.flush(2)
        assert flightlog.statistics().spooled_lines == 100
        os.closerange(3, 100)
        files = [os.open(f"{place}/file-{index}", os.O_RDWR | os.O_CREAT) for index in range(20)]
        assert files[0] == 3
        for number in range(100, 200):
            flightlog.log(number, execution_id="e")
        flightlog.flush(2)
        print([os.fstat(file).st_size for file in files] == [0] * 20)
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(home / "spool"),
    )

    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
    daemon.start()
    assert deliver_all(home / "spool", daemon.runtime_dir) == 1
    assert messages(daemon) == [str(number) for number in range(200)]


@pytest.mark.slow
@pytest.mark.covers("D9", "P5")
def test_reused_descriptors_with_a_daemon(daemon: Daemon) -> None:
    """With a daemon, too, nothing of ours is written to files that took our numbers, and lines arrive."""
    done = run_program(
        """
        import flightlog, os
        home = os.environ["FLIGHTLOG_RUNTIME_DIR"]
        flightlog.log("before", execution_id="e")
        assert flightlog.flush(20)
        os.closerange(3, 100)
        files = [os.open(f"{home}/file-{index}", os.O_RDWR | os.O_CREAT) for index in range(20)]
        flightlog.log("after", execution_id="e")
        print(flightlog.flush(30), [os.fstat(file).st_size for file in files] == [0] * 20)
        """,
        daemon.runtime_dir,
    )

    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr
    assert messages(daemon) == ["before", "after"]


@pytest.mark.covers("P5", "P8")
def test_child_leaves_the_spool_of_its_parent_alone(daemon_factory: DaemonFactory, home: Path) -> None:
    """A forked child neither keeps its parent's spool locked nor writes to it."""
    daemon = daemon_factory(start=False)
    program = start_program(
        """
        import flightlog, os, sys, warnings
        warnings.simplefilter("ignore")
        flightlog.log("parent", execution_id="e")
        flightlog.flush(2)
        if os.fork() == 0:
            sys.stdin.read()
            flightlog.log("child", execution_id="e")
            sys.exit()
        print("forked", flush=True)
        os._exit(0)
        """,
        daemon.runtime_dir,
        FLIGHTLOG_SPOOL_DIR=str(home / "spool"),
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "forked\n"
    wait_until(lambda: program.poll() is not None)
    assert spooled_messages(home / "spool") == ["parent"]
    with only_spool(home / "spool") as spool:
        assert spool.owned
    daemon.start()
    assert deliver_all(home / "spool", daemon.runtime_dir) == 1

    finish_program(program)

    wait_until(lambda: len(messages(daemon)) == 2 or bool(spool_paths(home / "spool")))
    deliver_all(home / "spool", daemon.runtime_dir)
    assert messages(daemon) == ["parent", "child"]
