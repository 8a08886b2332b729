"""Owners: an execution whose process dies is lost within a second, with evidence, and no other is."""

import os

import pytest

from flightlogd import processes
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import event, log
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
from support.peers import IngestPeer, QueryPeer

WITHIN_US = 1_000_000
"""How soon after a death it is on record."""


def kernel_remembers() -> bool:
    """Say whether a pidfd tells how a process ended after it was reaped (Linux 6.15)."""
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int(minor)) >= (6, 15)


@pytest.mark.covers("S0.4")
def test_killed_owner_is_lost_with_evidence(daemon: Daemon) -> None:
    """An execution whose owner is killed is lost within a second; the record says who it was and its last."""
    with Program() as program, IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("owner")
        owner = owner_of(program.pid)
        peer.send_lines(event("execution.started", "e", owner=owner), log("e", "last words"))
        peer.until_ack(2)
        last = inspect(daemon, "e")["last_seq"]
        await_watched(daemon, 1)

        died = program.die()
        [lost] = await_events(daemon, "execution.lost")

    assert lost["received"] - died < WITHIN_US
    assert (lost["producer"], lost["event"]["execution_id"]) == ("flightlogd", "e")
    evidence = lost["event"]["evidence"]
    assert died - WITHIN_US < evidence.pop("last_seen") <= lost["received"]
    assert evidence == {
        "pid": program.pid,
        "start_time": owner["start_time"],
        "boot_id": owner["boot_id"],
        "last_seq": last,
        "last_line": 2,
        "signal": "SIGKILL",
    }
    found = inspect(daemon, "e")
    assert found["status"] == "lost"
    assert (
        found["outcome_reason"] == lost["event"]["reason"] == f"its owner, process {program.pid},"
        " was ended by SIGKILL and left no word of how it went"
    )
    assert (status(daemon)["watched"], status(daemon)["unwatched"]) == (0, 0)


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize("reaped", [True, False], ids=["reaped", "not reaped"])
def test_exit_status_of_the_owner(daemon: Daemon, reaped: bool) -> None:
    """The record says with which exit status the owner ended, whether its parent has asked for it or not."""
    if reaped and not kernel_remembers():
        pytest.skip("this kernel forgets how a process ended once it was reaped")
    code = """
        import os, signal
        if sys.argv[1] == "reaped":
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)
            os._exit(7)
        print(child, flush=True)
        sys.stdin.readline()
        os.close(write)
    """
    with Program(code, "reaped" if reaped else "not") as parent:
        announce(daemon, "e", owner_of(int(parent.said)))
        await_watched(daemon, 1)
        parent.go()
        [lost] = await_events(daemon, "execution.lost")

    assert lost["event"]["evidence"]["exit_status"] == 7
    assert "ended with exit status 7" in lost["event"]["reason"]


@pytest.mark.covers("S0.4")
@pytest.mark.skipif(
    not kernel_remembers(), reason="this kernel forgets how a process ended once it was reaped"
)
def test_ending_of_a_process_that_is_reaped_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """How it ended is known, also where its parent asks for that between two looks at it."""
    with Program() as program:
        pidfd = os.pidfd_open(program.pid)
        program.kill()
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)

        def read_stat(_pid: int) -> None:
            program.wait()

        monkeypatch.setattr(processes, "read_stat", read_stat)
        try:
            assert processes.ending_of(program.pid, None, pidfd) == {"signal": "SIGKILL"}
        finally:
            os.close(pidfd)


@pytest.mark.covers("S0.4")
def test_owner_dies_while_the_daemon_is_away(daemon: Daemon) -> None:
    """Who died while no daemon ran is found at its start, and who lives is watched on; once is enough."""
    with Program() as dead, Program() as alive:
        announce(daemon, "dead", owner_of(dead.pid))
        announce(daemon, "alive", owner_of(alive.pid))
        daemon.terminate()
        dead.die()

        daemon.start()
        [lost] = await_events(daemon, "execution.lost")
        await_watched(daemon, 1)
        daemon.restart()
        await_watched(daemon, 1)

        assert lost["event"]["execution_id"] == "dead"
        assert "is there no longer" in lost["event"]["reason"]
        alive.kill()
        both = await_events(daemon, "execution.lost", 2)
        assert [line["event"]["execution_id"] for line in both] == ["dead", "alive"]


@pytest.mark.covers("S0.4", "D4", "D8")
def test_daemon_killed_before_and_after_it_decided(daemon_factory: DaemonFactory) -> None:
    """However a daemon is killed around the death of an owner, the execution is lost exactly once."""
    daemon = daemon_factory(start=False)
    names = [f"e{number}" for number in range(6)]
    for number, name in enumerate(names):
        daemon.start()
        with Program() as program, QueryPeer(daemon.query_socket) as reader:
            announce(daemon, name, owner_of(program.pid))
            await_watched(daemon, 1)
            reader.start("tail", type=["execution.lost"])
            program.kill()
            if number % 2:
                reader.next()
            daemon.kill()

    daemon.start()
    await_events(daemon, "execution.lost", len(names))
    daemon.restart()
    decided(daemon)

    lost = [line["event"]["execution_id"] for line in recorded(daemon, "execution.lost")][:-1]
    assert lost == names
    daemon.terminate()
    where = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    assert run_flightlogd("rebuild", "--check", *where).returncode == 0


@pytest.mark.covers("S0.4")
def test_owner_of_another_boot(daemon_factory: DaemonFactory) -> None:
    """An owner that ran before the machine was started again is gone, although its pid is taken."""
    daemon = daemon_factory()
    announce(daemon, "e", owner_of(os.getpid(), boot_id="00000000-0000-0000-0000-000000000000"))

    [lost] = await_events(daemon, "execution.lost")

    assert "before the machine was started again" in lost["event"]["reason"]
    assert lost["event"]["evidence"]["boot_id"] == "00000000-0000-0000-0000-000000000000"


@pytest.mark.covers("S0.4")
def test_reused_pid_is_not_the_owner(daemon: Daemon) -> None:
    """A process that has the owner's pid and began at another time is not the owner."""
    announce(daemon, "e", owner_of(os.getpid(), start_time=1))

    [lost] = await_events(daemon, "execution.lost")

    assert "is there no longer" in lost["event"]["reason"]


@pytest.mark.covers("S0.4")
def test_owner_known_by_its_pid_alone(daemon: Daemon) -> None:
    """An owner that names no more than its pid is watched by that, and is gone when no process has it."""
    with Program() as program:
        announce(daemon, "e", {"pid": program.pid})
        await_watched(daemon, 1)
        program.die()
        await_events(daemon, "execution.lost")
    announce(daemon, "late", {"pid": program.pid})

    both = await_events(daemon, "execution.lost", 2)

    assert [line["event"]["execution_id"] for line in both] == ["e", "late"]


@pytest.mark.covers("S0.4")
def test_who_is_not_the_owner_ends_nothing(daemon: Daemon) -> None:
    """A process that only logged to an execution, or announced it for another or for nobody, may die."""
    code = """
        import json, socket
        peer = socket.socket(socket.AF_UNIX)
        peer.connect(sys.argv[1])
        for line in json.loads(sys.argv[2]):
            peer.sendall(json.dumps(line).encode() + b"\\n")
        assert b"ack" in peer.recv(9999)
    """
    lines = (
        event("execution.started", "anothers", owner=owner_of(os.getpid())),
        event("execution.started", "nobodys"),
        log("anothers", "mine is only this line"),
    )
    said = "[" + b",".join(lines).decode() + "]"
    with Program(code, str(daemon.ingest_socket), said) as program:
        program.kill()
    decided(daemon)

    assert {inspect(daemon, name)["status"] for name in ("anothers", "nobodys")} == {"running"}


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize("provenance", ["backfill", "import", "relay"])
def test_what_did_not_run_here_is_not_lost(daemon: Daemon, provenance: str) -> None:
    """The owner of an execution that comes from elsewhere or from the past is nobody on this machine."""
    announce(daemon, "e", owner_of(os.getpid(), start_time=1), provenance=provenance, deadline=1)
    decided(daemon)

    assert inspect(daemon, "e")["status"] == "running"


@pytest.mark.covers("S0.4")
def test_adoption_moves_the_watch(daemon: Daemon) -> None:
    """Once another process has adopted an execution, that one's death counts and the first one's does not."""
    with Program() as first, Program() as second:
        announce(daemon, "e", owner_of(first.pid))
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(event("execution.adopted", "e", owner=owner_of(second.pid)))
        await_watched(daemon, 1)
        first.kill()
        decided(daemon)
        assert inspect(daemon, "e")["status"] == "running"

        second.kill()
        lost = await_events(daemon, "execution.lost", 2)

    assert lost[1]["event"]["execution_id"] == "e"
    assert lost[1]["event"]["evidence"]["pid"] == second.pid


@pytest.mark.covers("S0.4")
def test_late_ending_replaces_the_inference(daemon: Daemon) -> None:
    """An ending that the owner's own producer delivers afterwards is what counts; another's is not."""
    with Program() as program:
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.hello("owner")
            peer.send_lines(event("execution.started", "e", owner=owner_of(program.pid)))
            peer.until_ack(1)
        program.kill()
        await_events(daemon, "execution.lost")
    with IngestPeer(daemon.ingest_socket) as stranger:
        stranger.settle(event("execution.ended", "e", outcome="failed"))
    assert inspect(daemon, "e")["status"] == "lost"

    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("owner", 2)
        peer.settle(event("execution.ended", "e", outcome="succeeded"))

    assert inspect(daemon, "e")["status"] == "succeeded"
    daemon.restart()
    decided(daemon)
    assert inspect(daemon, "e")["status"] == "succeeded"
