"""Watching owners where it is hard: many at once, hidden ones, and what is still to be read of a dead one."""

import os
import signal
import subprocess
import time
from contextlib import closing

import apsw
import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import event
from support.owners import (
    Program,
    announce,
    await_events,
    await_watched,
    decided,
    inspect,
    owner_of,
    recorded,
    status,
)
from support.peers import IngestPeer

WITHIN_US = 1_000_000
"""How soon after a death it is on record."""


@pytest.mark.covers("S0.4")
def test_owner_in_another_namespace(daemon: Daemon) -> None:
    """A pid of another namespace says nothing here: such an owner is not watched, and that is told."""
    announce(daemon, "e", owner_of(os.getpid(), start_time=1, pid_namespace=1))
    await_watched(daemon, 0, 1)
    decided(daemon)

    assert inspect(daemon, "e")["status"] == "running"
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.ended", "e", outcome="succeeded"))
    await_watched(daemon, 0, 0)


@pytest.mark.covers("S0.4")
def test_owner_in_a_namespace_of_its_own(daemon: Daemon) -> None:
    """A program in a pid namespace of its own is known by the kernel's word on who sent its announcement."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to make a pid namespace")
    code = """
        import flightlog, os
        flightlog.execution("n", execution_id="e").start()
        flightlog.flush()
        print(os.getpid(), flush=True)
    """
    prefix = (*unshare, "env", f"FLIGHTLOG_RUNTIME_DIR={daemon.runtime_dir}")
    with Program(code, prefix=prefix) as program:
        assert program.said == "1"
        await_watched(daemon, 1)
        program.kill()
        [lost] = await_events(daemon, "execution.lost")

    assert (lost["event"]["execution_id"], lost["event"]["evidence"]["pid"]) == ("e", 1)


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize("boot_id", [None, "00000000-0000-0000-0000-000000000000"], ids=["ours", "its own"])
def test_owner_in_a_container(daemon: Daemon, boot_id: str | None) -> None:
    """An owner in another namespace that named itself is known by its start time, whatever boot it sees."""
    code = """
        import os, socket
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(sys.argv[1])
        print("connected", flush=True)
        peer.sendall(sys.stdin.readline().encode())
        assert b"ack" in peer.recv(9999)
    """
    with Program(code, str(daemon.ingest_socket)) as program:
        changes = {"pid": 1, "pid_namespace": 7} | ({} if boot_id is None else {"boot_id": boot_id})
        line = event("execution.started", "e", owner=owner_of(program.pid, **changes))
        program.go(line.decode())
        await_watched(daemon, 1)
        program.die()
        [lost] = await_events(daemon, "execution.lost")

    assert (lost["event"]["execution_id"], lost["event"]["evidence"]["pid"]) == ("e", 1)


@pytest.mark.covers("S0.4")
def test_child_that_holds_the_connection(daemon: Daemon) -> None:
    """An owner is lost in time although a child of its goes on and holds its connection open."""
    code = f"""
        import os, socket
        peer = socket.socket(socket.AF_UNIX)
        peer.connect({str(daemon.ingest_socket)!r})
        if os.fork() == 0:
            os.close(1)
            sys.stdin.read()
            os._exit(0)
        owner = sys.argv[1].replace("4242", str(os.getpid()))
        peer.sendall(owner.encode() + b"\\n")
        assert b"ack" in peer.recv(9999)
    """
    line = event("execution.started", "e", owner={"pid": 4242}).decode()
    with Program(code, line) as program:
        await_watched(daemon, 1)
        died = program.die()
        [lost] = await_events(daemon, "execution.lost")
        assert status(daemon)["connections"]["ingest"] == 1

    assert lost["received"] - died < WITHIN_US


@pytest.mark.covers("S0.4")
def test_what_waits_to_be_accepted_is_read_first(daemon: Daemon) -> None:
    """An ending in a connection that waits to be accepted when its owner dies is read before the decision."""
    code = """
        import os, socket
        print("waiting", flush=True)
        sys.stdin.readline()
        others = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        for peer in others:
            peer.connect(sys.argv[1])
        peer.sendall(sys.argv[2].encode() + b"\\n")
        os._exit(0)
    """
    line = event("execution.ended", "e", outcome="succeeded").decode()
    with Program(code, str(daemon.ingest_socket), line) as program:
        announce(daemon, "e", owner_of(program.pid))
        await_watched(daemon, 1)
        daemon.signal(signal.SIGSTOP)
        try:
            program.go()
            program.wait(30)
        finally:
            daemon.signal(signal.SIGCONT)
    decided(daemon)

    assert inspect(daemon, "e")["status"] == "succeeded"
    assert "e" not in [line["event"]["execution_id"] for line in recorded(daemon, "execution.lost")]


@pytest.mark.covers("S0.4")
def test_many_owners_die_at_once(daemon: Daemon) -> None:
    """300 owners that die at the same moment are all lost within a second, each once."""
    code = """
        import os
        read, write = os.pipe()
        children = []
        for _ in range(300):
            child = os.fork()
            if child == 0:
                os.close(write)
                os.read(read, 1)
                os._exit(3)
            children.append(child)
        print(*children, flush=True)
        sys.stdin.readline()
        os.close(write)
    """
    with Program(code) as program:
        pids = [int(pid) for pid in program.said.split()]
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(*(event("execution.started", f"e{pid}", owner=owner_of(pid)) for pid in pids))
        await_watched(daemon, 300)

        died = time.time_ns() // 1000
        program.go()
        lost = await_events(daemon, "execution.lost", 300)

    assert {line["event"]["execution_id"] for line in lost} == {f"e{pid}" for pid in pids}
    assert lost[-1]["received"] - died < WITHIN_US
    assert {line["event"]["evidence"]["exit_status"] for line in lost} == {3}
    decided(daemon)
    assert len(recorded(daemon, "execution.lost")) == 301


@pytest.mark.covers("S0.4", "D10")
def test_owners_without_a_descriptor(daemon_factory: DaemonFactory) -> None:
    """Owners for which there is no descriptor left are looked at instead, and lost in time as well."""
    daemon = daemon_factory(pidfd_limit=1)
    with Program() as first, Program() as second, Program() as third:
        for number, program in enumerate((first, second, third)):
            announce(daemon, f"e{number}", owner_of(program.pid))
        await_watched(daemon, 3)
        died = second.die()
        [lost] = await_events(daemon, "execution.lost")

        assert lost["event"]["execution_id"] == "e1"
        assert lost["received"] - died < WITHIN_US
        assert inspect(daemon, "e2")["status"] == "running"
        third.kill()
        await_events(daemon, "execution.lost", 2)


@pytest.mark.covers("S0.4")
def test_owner_that_lives_on_in_its_threads(daemon_factory: DaemonFactory) -> None:
    """A process whose first thread has ended and whose others go on is alive, watched or looked at."""
    code = """
        import ctypes, threading
        def go_on():
            print("going on", flush=True)
            sys.stdin.read()
        threading.Thread(target=go_on).start()
        ctypes.CDLL(None).pthread_exit(None)
    """
    for limit in (1, 0):
        daemon = daemon_factory(name=str(limit), pidfd_limit=limit)
        with Program(code) as program:
            assert program.said == "going on"
            announce(daemon, "e", owner_of(program.pid))
            decided(daemon)
            assert inspect(daemon, "e")["status"] == "running"
            program.kill()
        await_events(daemon, "execution.lost", 2)


@pytest.mark.covers("S0.4", "D8")
def test_nothing_is_lost_while_the_read_model_is_broken(daemon: Daemon) -> None:
    """A read model that has stopped cannot tell what is open: no alarm until it is mended, then at once."""
    where = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    daemon.terminate()
    with closing(apsw.Connection(str(daemon.database))) as db:
        db.execute(
            "create trigger fault before update on execution when new.execution_id = 'fatal'"
            " begin select raise(abort, 'made to fail'); end"
        )
    daemon.start()
    with Program() as program:
        announce(daemon, "e", owner_of(program.pid))
        await_watched(daemon, 1)
        announce(daemon, "fatal", None)
        program.die()
        daemon.wait_for_entry("cannot decide what follows, trying again")
        assert recorded(daemon, "execution.lost") == []

        with closing(apsw.Connection(str(daemon.database))) as db:
            db.set_busy_timeout(10_000)
            db.execute("drop trigger fault")
        assert run_flightlogd("rebuild", "execution", *where).returncode == 0
        [lost] = await_events(daemon, "execution.lost")

    assert lost["event"]["execution_id"] == "e"


@pytest.mark.covers("S0.4")
def test_nobodys_key_keeps_an_end_from_being_told(daemon: Daemon) -> None:
    """Whoever uses the keys that the daemon would use, under its own uid, too: it has its own."""
    with IngestPeer(daemon.ingest_socket) as peer:
        # Forty events, whose keys are those of positions behind them.
        keys = [f"{what}:{seq}" for what in ("owner", "deadline") for seq in range(41, 61)]
        peer.settle(*(event("my.own", None, id=key) for key in keys))
    with Program() as program:
        announce(daemon, "e", owner_of(program.pid))
        announce(daemon, "late", None, deadline=1)
        await_events(daemon, "execution.ended", execution_id="late")
        program.die()
        await_events(daemon, "execution.lost", execution_id="e")
    assert 41 <= inspect(daemon, "e")["first_seq"] < inspect(daemon, "late")["first_seq"] < 61
    assert inspect(daemon, "e")["status"] == "lost"
    assert inspect(daemon, "late")["status"] == "timed_out"
