"""What grows has a bound: the WAL under long readers, memory under deaf followers and many cursors."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import log, logs
from support.peers import IngestPeer, QueryPeer

MIB = 1024 * 1024


def resident_bytes(daemon: Daemon) -> int:
    """Return how much of a daemon is resident (proc(5))."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) * 1024


def wal_bytes(daemon: Daemon) -> int:
    """Return the size of the write-ahead log."""
    return daemon.database.with_name(f"{daemon.database.name}-wal").stat().st_size


@pytest.mark.slow
@pytest.mark.covers("D10", "P15")
def test_the_wal_is_bounded_while_questions_read(daemon_factory: DaemonFactory) -> None:
    """With readers that always have a long question under way, the WAL stays near its limit."""
    daemon = daemon_factory(checkpoint_bytes=MIB, wal_limit_bytes=4 * MIB, query_timeout_ms=600_000)
    text = "x" * 2_000
    with IngestPeer(daemon.ingest_socket) as peer:
        readers = [QueryPeer(daemon.query_socket) for _ in range(3)]
        peer.send_lines(*(log("e", text) for _ in range(2_000)))
        peer.until_ack(2_000)
        largest = 0
        for turn in range(1, 11):
            for reader in readers:
                reader.start("tail", after=0, grep="what is nowhere", follow=False)
            peer.send_lines(*(log("e", text) for _ in range(1_000)))
            peer.until_ack(2_000 + 1_000 * turn)
            largest = max(largest, wal_bytes(daemon))
            for reader in readers:
                error = reader.answers().error
                assert error is None or error["code"] == "deadline", error
        for reader in readers:
            reader.close()

    assert daemon.database.stat().st_size > 16 * MIB
    assert largest < 16 * MIB


@pytest.mark.slow
@pytest.mark.covers("D10")
def test_a_reader_from_outside_does_not_stop_the_log(daemon_factory: DaemonFactory) -> None:
    """A shell that holds an old snapshot makes the WAL grow, no ack waits for it, and it shrinks after."""
    daemon = daemon_factory(checkpoint_bytes=MIB, wal_limit_bytes=4 * MIB)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(*logs("e", 10))
        peer.until_ack(10)
        shell = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
        shell.execute("begin")
        assert shell.execute("select count(*) from event_batch").get
        peer.send_lines(*(log("e", "x" * 5_000) for _ in range(3_000)))
        peer.until_ack(3_010)
        held = wal_bytes(daemon)
        shell.close()
        peer.send_lines(*(log("e", "x" * 5_000) for _ in range(3_000)))
        peer.until_ack(6_010)

    assert held > 12 * MIB
    assert wal_bytes(daemon) < held + 12 * MIB  # it is written anew from its beginning


@pytest.mark.slow
@pytest.mark.covers("D7", "D10")
def test_followers_that_never_read_cost_a_page_each(daemon: Daemon) -> None:
    """A hundred tails that read nothing hold one page each, while the log grows past them."""
    followers = [QueryPeer(daemon.query_socket) for _ in range(100)]
    with IngestPeer(daemon.ingest_socket) as peer:
        for follower in followers:
            follower.start("tail", after=0)
        sent = 0
        sizes = []
        for _ in range(2):
            for _ in range(10):
                peer.send_lines(*(log("e", "x" * 1_000) for _ in range(1_000)))
                sent += 1_000
                peer.until_ack(sent)
            sizes.append(resident_bytes(daemon))
    for follower in followers:
        follower.close()

    assert sizes[1] - sizes[0] < 32 * MIB
    assert sizes[1] < 400 * MIB


@pytest.mark.covers("P3", "D10")
def test_many_cursors_cost_a_row_each(daemon_factory: DaemonFactory) -> None:
    """Hundreds of cursors are kept, listed and watched, and make nothing else grow."""
    daemon = daemon_factory(cursor_limit=300, cursor_lag_warn_seqs=1)
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.send_lines(*logs("e", 10))
        peer.until_ack(10)
        before = resident_bytes(daemon)
        for number in range(300):
            assert reader.ask("cursor", name=f"c{number}", seq=1).error is None
        refused = reader.ask("cursor", name="one-more", seq=1).error
        daemon.wait_for_entry("a cursor is behind")
        status = reader.ask("status").one("status")

    assert refused is not None
    assert refused["code"] == "cursor_limit"
    assert (status["cursors"], len(status["late_cursors"])) == (300, 100)
    assert resident_bytes(daemon) - before < 32 * MIB


@pytest.mark.covers("D10", "D5")
def test_peers_without_a_name_leave_nothing_behind(daemon: Daemon) -> None:
    """Of peers that cannot come back only those are kept that left something out beside what is stored."""
    good, key, garbage = log("e", "good"), log("e", "once", id="k"), b"garbage"
    for lines in [[good], [garbage], [key], [key, key], [good, garbage]] * 20:
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(*lines)
    for _ in range(2):
        daemon.restart()
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.settle(good)
        found = reader.ask("check", execution_id="e").one("check")
    daemon.terminate()
    with closing(apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        kept = db.execute("select line from producer where producer like '~%' order by producer").fetchall()
        gaps = db.execute("select first_line, last_line, cause from line_gap").fetchall()

    assert kept == [(2,)] * 20
    assert gaps == [(2, 2, "refused")] * 20
    assert (found["records"], found["producer_count"]) == (42, 42)
    assert {producer["state"] for producer in found["producers"]} == {"unnamed"}
    assert [finding["count"] for finding in found["findings"] if finding["loss"]] == [1] * 20
