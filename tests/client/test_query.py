"""Asking the daemon."""

import json
import select
import signal
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import FrameType

import pytest

from flightlog import paths
from flightlog.append import append
from flightlog.doctor import examine
from flightlog.errors import DaemonAway, NotUnderstood, QueryFailed
from flightlog.query import Connection
from flightlog_schemas.answers import DaemonStatus, Execution, LogLine
from flightlog_schemas.wire.control import Rebuild
from flightlog_schemas.wire.lines import Events, Logs, Tail
from flightlog_schemas.wire.query import Executions, Inspect, StatusRequest, Wait
from flightlog_schemas.wire.reply import End, Recorded
from support.daemon import Daemon
from support.lines import event, log, logs


@pytest.fixture
def filled(daemon: Daemon) -> Daemon:
    """Give a daemon with one running execution of 1,000 lines."""
    append(daemon.ingest_socket, [event("execution.started", "e", name="x"), *logs("e", 1000)])
    return daemon


def test_typed_answers(filled: Daemon) -> None:
    """Questions are answered in types, one after the other on one connection."""
    with Connection(filled.query_socket, 20) as connection:
        execution = connection.one(Inspect(execution_id="e"), Execution)
        lines = [line.message for line in connection.all(Logs(execution_id="e"), LogLine)]
        status = connection.one(StatusRequest(), DaemonStatus)

    assert (execution.name, execution.status, execution.log_count) == ("x", "running", 1000)
    assert lines[-1000:] == [f"line {number}" for number in range(1, 1001)]
    assert status.head_seq >= 1001


def test_raw_lines_and_their_end(filled: Daemon) -> None:
    """Raw answer lines come without their newlines, and the end is known after the last."""
    with Connection(filled.query_socket, 20) as connection:
        lines = list(connection.lines(Events(execution_id="e", logs=True, limit=10)))
        end = connection.end

    assert len(lines) == 10
    assert all(line.startswith(b"{") and line.endswith(b"}") for line in lines)
    assert isinstance(end, End)
    assert (end.count, end.truncated) == (10, True)


def test_error_leaves_the_connection_usable(filled: Daemon) -> None:
    """A question without an answer raises what the daemon said, and the next one is answered."""
    with Connection(filled.query_socket, 20) as connection:
        with pytest.raises(QueryFailed) as caught:
            connection.one(Inspect(execution_id="nobody"), Execution)
        assert connection.one(Inspect(execution_id="e"), Execution).execution_id == "e"

    assert (caught.value.code, caught.value.exit_code) == ("not_found", 1)


def test_answer_that_is_left_early(filled: Daemon) -> None:
    """Leaving an answer before its end stops it, and the next question goes over a new connection."""
    with Connection(filled.query_socket, 20) as connection:
        for line in connection.all(Logs(execution_id="e"), LogLine):
            assert line.execution_id == "e"
            break
        assert connection.one(Inspect(execution_id="e"), Execution).execution_id == "e"


def test_one_answer_is_one(filled: Daemon) -> None:
    """A question that should have one answer and has none is an error."""
    with Connection(filled.query_socket, 20) as connection, pytest.raises(DaemonAway, match="got 0"):
        connection.one(Executions(project="/nowhere"), Execution)


@contextmanager
def of_another_version(directory: Path, version: str) -> Iterator[None]:
    """Listen as a daemon that says of itself what it is, and knows no other question."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            for line in self.rfile:
                [verb] = json.loads(line)
                if verb == "status":
                    self.wfile.write(
                        b'{"status":{"version":"%b"}}\n{"end":{"count":1,"seq":1}}\n' % version.encode()
                    )
                else:
                    error = {"code": "invalid", "reason": f"no verb {verb!r}", "hint": "one of ..."}
                    self.wfile.write(json.dumps({"error": error}).encode() + b"\n")

    class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    with Server(str(directory / "query.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_versions_that_do_not_understand_each_other(home: Path) -> None:
    """Where daemon and client are of different versions, an error names both, and says what to do."""
    here = metadata.version("flightlog")
    with of_another_version(home, "0.0.1"):
        with Connection(home / "query.sock", 20) as connection:
            with pytest.raises(NotUnderstood, match="is not understood") as caught:
                connection.one(StatusRequest(), DaemonStatus)
            assert caught.value.hint == (
                f"flightlogd is 0.0.1, this is flightlog {here}: install one version, and restart flightlogd"
            )
            with pytest.raises(QueryFailed, match="no verb 'executions'") as refused:
                list(connection.lines(Executions()))
            assert refused.value.hint == caught.value.hint
        (bad,) = [found for found in examine(str(home)) if found.about == "daemon"]
        assert bad.remedy == caught.value.hint


def test_one_version_that_does_not_understand_itself(home: Path) -> None:
    """Where both say that they are of one version, what runs may be older than what is installed."""
    with (
        of_another_version(home, metadata.version("flightlog")),
        Connection(home / "query.sock", 20) as connection,
    ):
        with pytest.raises(NotUnderstood) as caught:
            connection.one(StatusRequest(), DaemonStatus)
        assert "restart flightlogd" in str(caught.value.hint)
        with pytest.raises(QueryFailed) as refused:
            list(connection.lines(Executions()))
        assert refused.value.hint == "one of ..."


def test_tail_of_what_exists(filled: Daemon) -> None:
    """A tail that does not follow yields recorded events up to the head and ends."""
    with Connection(filled.query_socket, 20) as connection:
        found = list(connection.tail(Tail(after=0, follow=False, execution_id="e")))

    assert len(found) == 1001
    assert all(isinstance(recorded, Recorded) for recorded in found)


def test_followed_tail_goes_on(daemon: Daemon) -> None:
    """A followed tail yields what is appended later, and its descriptor can be waited for."""
    with Connection(daemon.query_socket, 20) as connection, ThreadPoolExecutor(1) as pool:
        found = connection.tail(Tail(after=0, type=("log",)))
        first = pool.submit(next, found)
        append(daemon.ingest_socket, [log("e", "one")])
        one = first.result(20)

        append(daemon.ingest_socket, [log("e", "two")])
        assert select.select([connection], [], [], 20)[0] == [connection]
        two = next(found)

    assert isinstance(one, Recorded)
    assert isinstance(two, Recorded)
    assert (b'"one"' in bytes(one.event), b'"two"' in bytes(two.event)) == (True, True)


def test_signal_interrupts_the_wait(filled: Daemon) -> None:
    """A signal handler that raises ends the wait for an answer at once."""

    class Interrupted(Exception):  # noqa: N818  # a stand-in for KeyboardInterrupt
        pass

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with Connection(filled.query_socket) as connection:
            signal.setitimer(signal.ITIMER_REAL, 0.05)
            with pytest.raises(Interrupted):
                connection.one(Wait(execution_id="e"), Execution)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_silence_beyond_the_timeout(filled: Daemon) -> None:
    """An answer that does not come within the timeout is an error."""
    with Connection(filled.query_socket, 0.05) as connection, pytest.raises(DaemonAway, match="not answer"):
        connection.one(Wait(execution_id="e"), Execution)


def test_daemon_that_goes_away_mid_answer(filled: Daemon) -> None:
    """A daemon that dies within an answer is an error, not an end."""
    with Connection(filled.query_socket, 20) as connection:
        tail = connection.tail(Tail(after=0, execution_id="e"))
        next(tail)
        filled.kill()
        with pytest.raises(DaemonAway, match="closed the connection"):
            list(tail)


def test_nobody_listens(home: Path) -> None:
    """Without a daemon, the error says where it was looked for."""
    with pytest.raises(DaemonAway, match="no daemon listens"), Connection(home / "query.sock"):
        pass


def test_path_that_is_too_long(home: Path) -> None:
    """A path that no socket can have is an error of the same kind."""
    with pytest.raises(DaemonAway, match="too long"), Connection(home / ("x" * 200)):
        pass


def test_control_is_asked_likewise(filled: Daemon) -> None:
    """control.sock answers in objects: a check of the read models finds no difference."""
    with Connection(filled.control_socket, 20) as control:
        assert list(control.lines(Rebuild(check=True))) == []
        assert control.end is not None


def test_where_the_sockets_are(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The named directory wins, then the environment's, the user's where a daemon is, the system's."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
    assert paths.runtime_dir() == Path("/run/flightlog")
    (home / "flightlog").mkdir()
    (home / "flightlog" / "query.sock").touch()
    assert paths.runtime_dir() == home / "flightlog"
    monkeypatch.setenv("FLIGHTLOG_RUNTIME_DIR", "/elsewhere")
    assert paths.runtime_dir() == Path("/elsewhere")
    assert paths.runtime_dir("/named") == Path("/named")
