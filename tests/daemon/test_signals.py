"""SIGTERM drains within its deadline; SIGHUP takes over what can change while running."""

import signal
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import block, log, logs
from support.peers import IngestPeer, LinePeer, QueryPeer

pytestmark = pytest.mark.from_nothing


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_settles_what_came_and_acks_it(daemon: Daemon, number: signal.Signals) -> None:
    """What had come whole is committed and acked, the peer is told why it ends, and the exit code is 0."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        peer.send(block(*logs("e", 5_000)))
        peer.until_ack(1)
        daemon.signal(number)
        replies = peer.rest()
    assert daemon.wait() == 0
    acked = max(reply["ack"]["lines"] for reply in replies if "ack" in reply)
    daemon.start()
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, execution_id="e").lines

    assert replies[-1]["error"]["code"] == "shutting_down"
    assert [row["line"] for row in rows] == list(range(1, acked + 1))


def test_idle_and_stuck_peers_do_not_hold_a_stop(daemon_factory: DaemonFactory) -> None:
    """Peers that are silent, in the middle of a line, following, or never read do not hold up a stop."""
    daemon = daemon_factory(drain_timeout_ms=20_000)
    with (
        IngestPeer(daemon.ingest_socket) as idle,
        IngestPeer(daemon.ingest_socket) as halfway,
        IngestPeer(daemon.ingest_socket) as deaf,
        QueryPeer(daemon.query_socket) as follower,
        QueryPeer(daemon.query_socket) as waiting,
        LinePeer(daemon.control_socket),
    ):
        for peer in (idle, halfway, deaf):
            peer.send_lines(log("e", "m"))
            peer.until_ack(1)
        halfway.send(b'{"type":"log"')
        deaf.send(block(*[b"bad"] * 500))
        follower.start("tail", after=0)
        assert follower.next() is not None
        waiting.start("wait", execution_id="e")

        daemon.signal(signal.SIGTERM)
        code = daemon.wait(15)

        assert code == 0
        assert idle.rest()[-1]["error"]["code"] == "shutting_down"
        assert halfway.rest()[-1]["error"]["code"] == "shutting_down"
    stopping = daemon.wait_for_entry("stopping")
    assert stopping["signal"] == "SIGTERM"


@pytest.fixture
def file(home: Path) -> Path:
    """Give a configuration file with one setting."""
    path = home / "flightlog.toml"
    path.write_text("connection_limit = 2\nreader_limit = 2\n")
    return path


@pytest.mark.covers("P14")
def test_a_reload_takes_over_what_can_change(daemon_factory: DaemonFactory, file: Path) -> None:
    """SIGHUP applies what can change, names what needs a restart, and disturbs no connection."""
    daemon = daemon_factory(argv=("--config", str(file)))
    with IngestPeer(daemon.ingest_socket) as one, IngestPeer(daemon.ingest_socket) as two:
        for peer in (one, two):
            peer.send_lines(log("e", "before"))
            peer.until_ack(1)
        file.write_text("connection_limit = 3\nreader_limit = 3\n")
        daemon.signal(signal.SIGHUP)
        reloaded = daemon.wait_for_entry("configuration reloaded")
        with IngestPeer(daemon.ingest_socket) as three:
            three.send_lines(log("e", "third"))
            three.until_ack(1)
        one.send_lines(log("e", "after"))
        one.until_ack(2)

    assert (reloaded["changed"], reloaded["needs_restart"]) == (["connection_limit"], ["reader_limit"])


@pytest.mark.covers("P14")
def test_a_bad_configuration_is_not_taken_over(daemon_factory: DaemonFactory, file: Path) -> None:
    """A reload of a wrong file leaves the old settings in force and says what is wrong."""
    daemon = daemon_factory(argv=("--config", str(file)))
    file.write_text('connection_limit = "many"\n')
    daemon.signal(signal.SIGHUP)

    complaint = daemon.wait_for_entry("configuration not reloaded")

    assert "connection_limit" in complaint["reason"]
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(log("e", "m"))[-1]["ack"]["lines"] == 1
    with LinePeer(daemon.control_socket) as operator:
        operator.send(b'{"reload":{}}\n')
        answer = operator.next()
    assert answer is not None
    assert answer["error"]["code"] == "invalid"


@pytest.mark.covers("P14")
def test_an_operator_can_ask_for_a_reload(daemon_factory: DaemonFactory, file: Path) -> None:
    """A reload over the control socket is answered with what changed."""
    daemon = daemon_factory(argv=("--config", str(file)))
    file.write_text('connection_limit = 5\nreader_limit = 2\nlog_level = "warning"\n')
    with LinePeer(daemon.control_socket) as operator:
        operator.send(b'{"reload":{}}\n')
        answer, end = operator.next(), operator.next()

    assert answer == {"reload": {"changed": ["log_level", "connection_limit"], "needs_restart": []}}
    assert end is not None
    assert "end" in end
