"""Who may start where: one daemon a directory, no newer database, no stranger's file, sockets put right."""

import os
import socket
import stat
import sys

import apsw
import pytest

from flightlogd.store.schema import APPLICATION_ID, schema_version
from support.daemon import Daemon, DaemonFactory, StartFailedError, clean_environment, run_flightlogd
from support.lines import log
from support.peers import IngestPeer, Json, LinePeer, QueryPeer

pytestmark = pytest.mark.from_nothing


def refused_start(daemon: Daemon) -> StartFailedError:
    """Start a daemon that must refuse; return how it ended."""
    with pytest.raises(StartFailedError) as caught:
        daemon.start()
    assert caught.value.returncode == 2, caught.value.stderr
    assert "Traceback" not in caught.value.stderr
    assert "hint: " in caught.value.stderr
    return caught.value


def test_a_second_daemon_on_the_same_state_directory(daemon: Daemon, daemon_factory: DaemonFactory) -> None:
    """A second daemon on the state directory ends with exit code 2 and names the first; that one goes on."""
    second = daemon_factory(start=False)
    second.runtime_dir = daemon.runtime_dir.parent / "other"

    ended = refused_start(second)

    assert "another flightlogd" in ended.stderr
    assert str(daemon.pid) in ended.stderr
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(log("e", "m"))[-1]["ack"]["lines"] == 1


def test_a_second_daemon_on_the_same_sockets(daemon: Daemon, daemon_factory: DaemonFactory) -> None:
    """A daemon whose sockets a live one has refuses to start and leaves them alone."""
    second = daemon_factory(start=False)
    second.state_dir = daemon.state_dir.parent / "other"

    ended = refused_start(second)

    assert "another daemon listens there" in ended.stderr
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("status").error is None


def test_a_stale_socket_is_replaced(daemon: Daemon) -> None:
    """Sockets that a killed daemon left behind are replaced."""
    daemon.kill()
    assert stat.S_ISSOCK(daemon.ingest_socket.stat().st_mode)

    daemon.start()

    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(log("e", "m"))[-1]["ack"]["lines"] == 1


def test_what_is_no_socket_is_left_alone(daemon_factory: DaemonFactory) -> None:
    """A file in a socket's place is not ours to remove: the daemon refuses to start."""
    daemon = daemon_factory(start=False)
    daemon.runtime_dir.mkdir()
    daemon.query_socket.write_text("precious")

    ended = refused_start(daemon)

    assert "not a socket" in ended.stderr
    assert daemon.query_socket.read_text() == "precious"


def test_sockets_have_their_modes_and_go_with_the_daemon(daemon_factory: DaemonFactory) -> None:
    """Each socket has the mode of its privilege, and an orderly stop removes all three."""
    daemon = daemon_factory(query_mode="0666")
    sockets = (daemon.ingest_socket, daemon.query_socket, daemon.control_socket)

    modes = [stat.S_IMODE(path.stat().st_mode) for path in sockets]
    assert modes == [0o660, 0o666, 0o600]

    assert daemon.terminate() == 0
    assert [path.exists() for path in sockets] == [False, False, False]


def test_inherited_sockets_are_taken(daemon_factory: DaemonFactory) -> None:
    """Sockets passed by a supervisor (sd_listen_fds) are served, and nothing is bound in their place."""
    daemon = daemon_factory(start=False)
    path = daemon.state_dir.parent / "from-supervisor.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(5)
        pid = os.fork()
        if pid == 0:
            os.dup2(listener.fileno(), 3)
            environment = clean_environment(
                LISTEN_FDS="1", LISTEN_FDNAMES="flightlog-ingest.socket", LISTEN_PID=str(os.getpid())
            )
            directories = ["--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir)]
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.execve(sys.executable, [sys.executable, "-P", "-m", "flightlogd", *directories], environment)
    try:
        with IngestPeer(path) as peer:  # waits in the queue until the daemon accepts
            assert peer.settle(log("e", "m"))[-1]["ack"]["lines"] == 1
        assert not daemon.ingest_socket.exists()
        with QueryPeer(daemon.query_socket) as reader:
            assert reader.ask("status").one("status")["connections"]["query"] == 1
    finally:
        os.kill(pid, 15)
        os.waitpid(pid, 0)


def test_a_database_newer_than_the_program_is_refused(daemon: Daemon) -> None:
    """A database of a newer schema is refused with both versions named, and not touched."""
    daemon.terminate()
    newer = schema_version() + 1
    with apsw.Connection(str(daemon.database)) as db:
        db.pragma("user_version", newer)
    db.close()
    before = daemon.database.read_bytes()

    ended = refused_start(daemon)

    assert f"schema version {newer}" in ended.stderr
    assert f"up to {schema_version()}" in ended.stderr
    assert daemon.database.read_bytes() == before, "the database was written to"


def test_another_programs_database_is_refused(daemon_factory: DaemonFactory) -> None:
    """A database without our mark in its header is not taken for ours."""
    daemon = daemon_factory(start=False)
    daemon.state_dir.mkdir()
    db = apsw.Connection(str(daemon.database))
    db.execute("create table theirs (a)")
    db.close()

    assert "not a database of flightlog" in refused_start(daemon).stderr


def test_a_damaged_database_is_never_deleted(daemon: Daemon) -> None:
    """A file that is no database any more is refused and left as it is."""
    daemon.terminate()
    damaged = b"\x00garbage" * 4096
    daemon.database.write_bytes(damaged)

    refused_start(daemon)

    assert daemon.database.read_bytes() == damaged


def test_what_is_no_file_is_no_database(daemon_factory: DaemonFactory) -> None:
    """A directory in the database's place is said in one line, by the daemon and by its SQL shell."""
    daemon = daemon_factory(start=False)
    daemon.database.mkdir(parents=True)

    shell = run_flightlogd("sql", "select 1", "--state-dir", str(daemon.state_dir))

    assert str(daemon.database) in refused_start(daemon).stderr
    assert (shell.returncode, shell.stderr.count(str(daemon.database))) == (2, 1)


def test_a_database_is_ours_by_its_header(daemon: Daemon) -> None:
    """The file carries our mark and the schema version, and can free its pages step by step."""
    daemon.terminate()
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        assert db.pragma("application_id") == APPLICATION_ID
        assert db.pragma("user_version") == schema_version()
        assert db.pragma("auto_vacuum") == 2  # incremental
        assert db.pragma("journal_mode") == "wal"
        assert db.pragma("integrity_check") == "ok"
    finally:
        db.close()


def test_a_directory_that_cannot_be_written(daemon_factory: DaemonFactory) -> None:
    """A state directory that cannot be made is said in one line, with a hint."""
    daemon = daemon_factory(start=False)
    daemon.state_dir.write_text("a file in its place")

    assert str(daemon.state_dir) in refused_start(daemon).stderr


def test_a_start_after_a_stop_and_after_a_kill(daemon: Daemon) -> None:
    """Each start is an event, each orderly stop too: a start without a stop before it was a kill."""

    def rows(up_to: int) -> list[Json]:
        with QueryPeer(daemon.query_socket) as reader:
            return reader.ask("tail", after=0, follow=False, type=["daemon."], min_seq=up_to).lines

    assert len(rows(1)) == 1
    daemon.restart()
    assert len(rows(3)) == 3
    daemon.kill()
    daemon.start()
    found = rows(4)

    assert [row["event"]["type"] for row in found] == [
        "daemon.started",
        "daemon.stopped",
        "daemon.started",
        "daemon.started",
    ]
    assert [row["line"] for row in found] == [1, 2, 3, 4]
    assert found[1]["event"]["reason"] == "SIGTERM"
    assert [row["event"].get("recovered_seq") for row in found] == [0, None, 2, 3]


def test_nothing_may_be_said_in_the_daemons_name(daemon: Daemon) -> None:
    """Events of the daemon's own family are refused from everybody else."""
    with LinePeer(daemon.ingest_socket) as peer:
        peer.send(b'{"type":"daemon.started","version":"x","recovered_seq":0}\n')
        reply = peer.next()

    assert reply is not None
    assert reply["refused"]["code"] == "reserved"
