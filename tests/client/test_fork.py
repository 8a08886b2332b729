"""Forked children are producers of their own and own nothing of their parent's."""

import os
import signal
from pathlib import Path

import pytest

from support.daemon import Daemon
from support.peers import QueryPeer
from support.programs import events, finish_program, messages, records, run_program, start_program
from support.source import TESTS


@pytest.mark.covers("D4", "P8")
def test_fork_inside_an_execution(daemon: Daemon) -> None:
    """Parent and child both log to the execution; the parent's lines come once, and it alone ends it."""
    done = run_program(
        """
        import flightlog, os, sys
        with flightlog.execution("parent", execution_id="p") as run:
            run.info("before")
            run.count("files", 5)
            child = os.fork()
            if child == 0:
                flightlog.log("child")
                with flightlog.execution("child", execution_id="c") as inner:
                    inner.info("inner")
                sys.exit(3)
            assert os.waitpid(child, 0)[1] == 3 << 8
            run.info("after")
        """,
        daemon.runtime_dir,
    )

    assert (done.returncode, done.stderr) == (0, "")
    mine = {record["pid"]: record["producer"] for record in records(daemon, execution_id="p")}
    assert len(mine) == 2 == len(set(mine.values()))
    assert sorted(messages(daemon, execution_id="p")) == ["after", "before", "child"]
    (ended,) = events(daemon, type=["execution.ended"], execution_id="p")
    assert ended["outcome"] == "succeeded"
    counted = [event["counts"] for event in events(daemon, execution_id="p") if "counts" in event]
    assert counted == [{"files": 5}]
    (started,) = events(daemon, type=["execution.started"], execution_id="c")
    assert started["parent_id"] == "p"
    assert events(daemon, type=["execution.ended"], execution_id="c")[0]["outcome"] == "succeeded"
    for producer in mine.values():
        lines = [record["line"] for record in records(daemon) if record["producer"] == producer]
        assert lines == list(range(1, len(lines) + 1))


@pytest.mark.covers("P8")
def test_fork_while_threads_emit(daemon: Daemon) -> None:
    """Forking while other threads emit as fast as they can neither hangs nor loses nor doubles a line."""
    done = run_program(
        """
        import flightlog, os, threading
        with flightlog.execution("busy", execution_id="e") as run:
            def work(name):
                for number in range(4000):
                    run.info(f"{name} {number}")
            threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
            for thread in threads:
                thread.start()
            children = []
            for number in range(10):
                import warnings
                with warnings.catch_warnings():
                    # The program's own threads are what Python warns of here.
                    warnings.simplefilter("ignore")
                    child = os.fork()
                if child == 0:
                    run.info(f"child {number}")
                    os._exit(0 if flightlog.flush(10) else 1)
                children.append(child)
            for thread in threads:
                thread.join()
            assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
        assert flightlog.flush(), flightlog.statistics()
        """,
        daemon.runtime_dir,
    )

    assert (done.returncode, done.stderr) == (0, "")
    said = messages(daemon, execution_id="e")
    for name, count in (("a", 4000), ("b", 4000)):
        assert [line for line in said if line[0] == name] == [f"{name} {number}" for number in range(count)]
    assert sorted(line for line in said if line.startswith("child")) == [
        f"child {number}" for number in range(10)
    ]


@pytest.mark.covers("P8")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_multiprocessing_children_deliver(daemon: Daemon, method: str) -> None:
    """What children of multiprocessing log is delivered when they end, without anybody flushing."""
    done = run_program(
        f"""
        import multiprocessing
        import flightlog
        from support.work import say

        if __name__ == "__main__":
            context = multiprocessing.get_context({method!r})
            with flightlog.execution("parent", execution_id="p"):
                workers = [context.Process(target=say, args=("p", f"worker {{n}}")) for n in range(3)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
                assert [worker.exitcode for worker in workers] == [0] * 3
        """,
        daemon.runtime_dir,
        PYTHONPATH=str(TESTS),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(messages(daemon, execution_id="p")) == ["worker 0", "worker 1", "worker 2"]


@pytest.mark.covers("P8")
def test_fork_right_after_the_first_line(daemon: Daemon) -> None:
    """A parent that forks and then only waits has what it said before delivered all the same."""
    program = start_program(
        """
        import flightlog, os, sys
        flightlog.log("before the fork", execution_id="e")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        sys.stdin.read()
        """,
        daemon.runtime_dir,
    )
    with QueryPeer(daemon.query_socket) as follower:
        follower.start("tail", after=0, type=["log"])
        recorded = next(follower.events())

    assert recorded["event"]["message"] == "before the fork"
    done = finish_program(program)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.covers("P8")
def test_fork_while_the_daemon_stands_still(daemon: Daemon) -> None:
    """What a fork could not wait for is delivered once the daemon goes on, although the parent only waits."""
    os.kill(daemon.pid, signal.SIGSTOP)
    program = start_program(
        """
        import flightlog, os, sys
        flightlog.log("before the fork", execution_id="e")
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        print("forked", flush=True)
        sys.stdin.read()
        """,
        daemon.runtime_dir,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "forked\n"
    os.kill(daemon.pid, signal.SIGCONT)
    with QueryPeer(daemon.query_socket) as follower:
        follower.start("tail", after=0, type=["log"])
        recorded = next(follower.events())

    assert recorded["event"]["message"] == "before the fork"
    assert finish_program(program).returncode == 0


@pytest.mark.covers("D9", "P8")
def test_fork_without_a_daemon(home: Path) -> None:
    """Without a daemon, forking goes on as ever: no warning of our thread, and each process keeps its own."""
    done = run_program(
        """
        import flightlog, os
        flightlog.log("parent", execution_id="e")
        for _ in range(3):
            child = os.fork()
            if child == 0:
                flightlog.log("child", execution_id="e")
                os._exit(flightlog.statistics().lines)
            assert os.waitpid(child, 0)[1] == 1 << 8
            flightlog.log("parent", execution_id="e")
        print(flightlog.statistics().lines)
        """,
        home,
    )

    assert (done.returncode, done.stdout) == (0, "4\n")
    assert all(line.startswith("flightlog: ") for line in done.stderr.splitlines()), done.stderr
