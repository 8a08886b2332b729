"""Once, however often: the same line of a named producer, the same key, the same refusal."""

import os
import subprocess
import sys

import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import event, log, logs
from support.peers import IngestPeer, Json, QueryPeer


def stored(daemon: Daemon, **filters: object) -> list[Json]:
    """Return all recorded events but the daemon's own."""
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, **filters).lines
    return [row for row in rows if row["producer"] != "flightlogd"]


@pytest.mark.covers("D4")
def test_lines_that_come_again_are_acked_and_not_stored(daemon: Daemon) -> None:
    """A producer that starts over from its first line is told what is settled; only new lines are stored."""
    lines = logs("e", 30)
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p")["ready"]["acked"] == 0
        assert peer.settle(*lines[:20])[-1]["ack"]["lines"] == 20
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p", line=1)["ready"]["acked"] == 20
        assert peer.settle(*lines)[-1]["ack"]["lines"] == 30
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p", line=11)["ready"]["acked"] == 30
        assert peer.settle(*lines[10:])[-1]["ack"]["lines"] == 30

    assert [(row["line"], row["event"]["message"]) for row in stored(daemon)] == [
        (number, f"line {number}") for number in range(1, 31)
    ]


@pytest.mark.covers("D4")
def test_the_producers_lines_are_known_after_a_restart(daemon: Daemon) -> None:
    """What was acked before the daemon was killed is known afterwards and not stored again."""
    lines = logs("e", 10)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        peer.settle(*lines[:7])
    daemon.kill()
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p")["ready"]["acked"] == 7
        peer.settle(*lines)

    assert [row["line"] for row in stored(daemon)] == list(range(1, 11))


@pytest.mark.covers("D4")
def test_a_key_is_stored_once_whoever_sends_it(daemon: Daemon) -> None:
    """A known key is answered with the first one's position, and whether the line is the same."""
    with IngestPeer(daemon.ingest_socket) as peer:
        first = peer.settle(log("e", "one", id="k1"), log("e", "two", id="k2"), log("e", "one", id="k1"))
    daemon.restart()
    with IngestPeer(daemon.ingest_socket) as peer:
        again = peer.settle(log("e", "changed", id="k2"), log("e", "one", id="k1"), log("e", "three"))

    rows = stored(daemon)
    seqs = {row["event"].get("id"): row["seq"] for row in rows}
    duplicates = [reply["duplicate"] for reply in first + again if "duplicate" in reply]
    assert [row["event"]["message"] for row in rows] == ["one", "two", "three"]
    assert duplicates == [
        {"line": 3, "seq": seqs["k1"], "same": True},
        {"line": 1, "seq": seqs["k2"], "same": False},
        {"line": 2, "seq": seqs["k1"], "same": True},
    ]
    assert again[-1]["ack"]["lines"] == 3
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("inspect", execution_id="e").one("execution")["log_count"] == 3


def test_a_refused_line_gets_its_refusal_again(daemon: Daemon) -> None:
    """A refused line that comes again, on a new connection, is refused with the same code and reason."""
    lines = [log("e", "good"), b"bad", event("execution.nonsense", "e"), log("e", "good too")]
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        first = [reply for reply in peer.settle(*lines) if "refused" in reply]
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        again = [reply for reply in peer.settle(*lines) if "refused" in reply]

    assert [(reply["refused"]["line"], reply["refused"]["code"]) for reply in first] == [
        (2, "invalid"),
        (3, "unknown_type"),
    ]
    assert again == first
    assert [row["line"] for row in stored(daemon)] == [1, 4]


def test_lines_that_never_came_leave_a_recorded_gap(daemon: Daemon) -> None:
    """A producer that goes on beyond what it was acked is believed, and the hole is counted."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        peer.settle(*logs("e", 3))
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p", line=11)["ready"]["acked"] == 3
        assert peer.settle(log("e", "line 11"))[-1]["ack"]["lines"] == 11

    assert [row["line"] for row in stored(daemon)] == [1, 2, 3, 11]
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("status").one("status")["line_gaps"] == 1


@pytest.mark.covers("D4")
def test_a_newer_connection_takes_the_producer_over(daemon: Daemon) -> None:
    """What the older connection had sent is settled before the newer one is ready; the older one is told."""
    lines = logs("e", 2_000)
    with IngestPeer(daemon.ingest_socket) as older, IngestPeer(daemon.ingest_socket) as newer:
        older.hello("p")
        older.send_lines(*lines)
        acked = newer.hello("p")["ready"]["acked"]
        farewell = older.rest()
        newer.settle(*lines)

    assert farewell[-1]["error"]["code"] == "superseded"
    assert max(reply["ack"]["lines"] for reply in farewell if "ack" in reply) == acked if acked else True
    assert [row["line"] for row in stored(daemon)] == list(range(1, 2_001))


@pytest.mark.parametrize("name", ["~1", "flightlogd"])
def test_names_that_the_daemon_gives_are_its_own(daemon: Daemon, name: str) -> None:
    """A hello under a name that only the daemon may give is refused and the connection closed."""
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello(name)["error"]["code"] == "not_owner"
        assert peer.rest() == []


GREETINGS = [
    b'{"hello":{"protocol":99,"producer":"p"}}',
    b'{"hello":{"producer":"p"}}',
    b'{"hello":7}',
    b'{"hello":{"protocol":1,"producer":""}}',
    b'{"hello":{"protocol":1,"producer":"p","line":-1}}',
    b'{"hello":{"protocol":1,"producer":"p","extra":1}}',
]


def test_a_hello_that_is_none(daemon: Daemon) -> None:
    """A hello that is none, or of another protocol, is answered with `protocol` and the connection closed."""
    for greeting in GREETINGS:
        with IngestPeer(daemon.ingest_socket) as peer:
            answer = peer.settle(greeting)

        assert [reply["error"]["code"] for reply in answer] == ["protocol"], greeting


def test_a_bye_is_no_line(daemon: Daemon) -> None:
    """Bye and blank lines have no number: the last ack counts events alone."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        replies = peer.settle(log("e", "1"), b"", b"  ", log("e", "2"), b'{"bye":{"lines":2}}')

    assert replies[-1]["ack"]["lines"] == 2
    assert not [reply for reply in replies if "refused" in reply]


def test_expect_seq_lets_one_of_two_commands_win(daemon: Daemon) -> None:
    """`expect_seq` is refused with `conflict` when the execution has moved on; log lines do not move it."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.send_lines(event("execution.started", "e", expect_seq=0), log("e", "does not count"))
        peer.until_ack(2)
        seen = reader.ask("inspect", execution_id="e").one("execution")["state_seq"]
        change = event("execution.changed", "e", complexity=2, expect_seq=seen)
        peer.send_lines(change, change, event("execution.started", "e", expect_seq=0))
        replies = peer.until_ack(5)
        execution = reader.ask("inspect", execution_id="e").one("execution")

    assert [
        (reply["refused"]["line"], reply["refused"]["code"]) for reply in replies if "refused" in reply
    ] == [
        (4, "conflict"),
        (5, "conflict"),
    ]
    assert execution["complexity"] == 2
    assert execution["state_seq"] == seen + 2


@pytest.mark.covers("P16")
def test_a_producer_belongs_to_the_user_who_first_used_it(daemon_factory: DaemonFactory) -> None:
    """Another user's hello under a known producer's name is refused with `not_owner`."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    daemon = daemon_factory(ingest_mode="0666")
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        peer.settle(log("e", "mine"))
    code = (
        "import os, socket, sys\nos.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        's.sendall(b\'{"hello":{"protocol":1,"producer":"p"}}\\n\')\nprint(s.recv(4096).decode())'
    )
    daemon.state_dir.parent.chmod(0o755)
    daemon.runtime_dir.chmod(0o755)

    done = subprocess.run(
        [sys.executable, "-c", code, str(daemon.ingest_socket)], capture_output=True, text=True, check=True
    )

    assert '"not_owner"' in done.stdout
