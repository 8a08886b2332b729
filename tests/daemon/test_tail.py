"""A tail has no gap and no duplicate where history meets live, and a slow reader slows only itself."""

import contextlib
import itertools
import random
import threading
from collections.abc import Iterator

import pytest

from support.daemon import Daemon
from support.lines import block, event, log
from support.peers import IngestPeer, Json, QueryPeer

LAST = "the last one"


class BulkWriter(threading.Thread):
    """Writes log lines of ten executions as fast as it can, then one that says it is the last."""

    def __init__(self, daemon: Daemon, count: int) -> None:
        super().__init__()
        self._daemon = daemon
        self._count = count
        self._progress = threading.Condition()
        self.acked = 0

    def run(self) -> None:
        """Write all lines and wait for their acks."""
        with IngestPeer(self._daemon.ingest_socket) as peer:
            reader = threading.Thread(target=self._read, args=(peer,))
            reader.start()
            for start in range(0, self._count, 50):
                peer.send(block(*(log(f"run-{n % 10}", f"line {n}") for n in range(start, start + 50))))
            peer.send_lines(log("run-0", LAST))
            peer.half_close()
            reader.join()

    def _read(self, peer: IngestPeer) -> None:
        while (reply := peer.next()) is not None:
            with self._progress:
                self.acked = max(self.acked, reply["ack"]["lines"])
                self._progress.notify_all()

    def wait_for(self, lines: int) -> None:
        """Return once that many lines are acked."""
        with self._progress:
            assert self._progress.wait_for(lambda: self.acked >= lines, 60)


def until_last(events: Iterator[Json]) -> list[Json]:
    """Return all events up to the one that says it is the last."""
    rows = []
    for row in events:
        rows.append(row)
        if row["event"].get("message") == LAST:
            return rows
    raise AssertionError("the tail ended early")


@pytest.mark.covers("D7")
def test_followers_that_join_at_any_moment(daemon: Daemon) -> None:
    """Followers join at random moments of a busy log, from random positions, and miss and repeat nothing."""
    dice = random.Random(7)
    count, followers = 25_000, 16
    writer = BulkWriter(daemon, count)
    collected: dict[int, tuple[Json, list[Json]]] = {}

    def follow(number: int, join_at: int, request: Json) -> None:
        writer.wait_for(join_at)
        with QueryPeer(daemon.query_socket) as peer:
            peer.start("tail", **request)
            collected[number] = (request, until_last(peer.events()))

    threads = []
    for number in range(followers):
        join_at = dice.randrange(count * 3 // 4)
        request: Json = dice.choice(
            [
                {"after": 0},
                {"after": dice.randrange(join_at + 1)},
                {"after": join_at},
                {"after": join_at + 500},
                {"last": dice.randrange(1_000)},
                {},
            ]
        )
        threads.append(threading.Thread(target=follow, args=(number, join_at, request)))
    for thread in [*threads, writer]:
        thread.start()
    for thread in [*threads, writer]:
        thread.join(60)

    assert len(collected) == followers
    head = count + 2  # the daemon's own start comes first
    for request, rows in collected.values():
        seqs = [row["seq"] for row in rows]
        assert seqs == list(range(seqs[0], head + 1)), request
        if "after" in request:
            assert seqs[0] == request["after"] + 1, request
        assert all(row["event"]["message"] == f"line {row['seq'] - 2}" for row in rows[1:-1]), request


@pytest.mark.covers("D7")
def test_a_follower_that_comes_back_again_and_again(daemon: Daemon) -> None:
    """A follower that drops its connection and resumes, over and over, sees each event once."""
    dice = random.Random(3)
    writer = BulkWriter(daemon, 10_000)
    writer.start()
    seqs: list[int] = []
    done = False
    while not done:
        with QueryPeer(daemon.query_socket) as peer:
            peer.start("tail", after=seqs[-1] if seqs else 0)
            for row in itertools.islice(peer.events(), dice.randrange(1, 1_500)):
                seqs.append(row["seq"])
                done = row["event"].get("message") == LAST
                if done:
                    break
    writer.join(60)

    assert seqs == list(range(1, 10_003))


@pytest.mark.covers("D7")
def test_filters_hold_where_history_meets_live(daemon: Daemon) -> None:
    """A filtered follower sees exactly the matching events, once, from history and live."""
    writer = BulkWriter(daemon, 10_000)
    writer.start()
    writer.wait_for(3_000)
    with QueryPeer(daemon.query_socket) as one, QueryPeer(daemon.query_socket) as some:
        one.start("tail", after=0, execution_id="run-0")
        some.start("tail", after=0, type=["log"], grep="7", exclude=["77"], limit=1_000)
        rows = until_last(one.events())
        matching = list(some.events())
    writer.join(60)

    assert [row["event"]["message"] for row in rows] == [*(f"line {n}" for n in range(0, 10_000, 10)), LAST]
    assert len(matching) == 1_000
    texts = [f'{{"type":"log","execution_id":"run-{n % 10}","message":"line {n}"}}' for n in range(10_000)]
    wanted = [n for n, text in enumerate(texts) if "7" in text and "77" not in text][:1_000]
    assert [row["event"]["message"] for row in matching] == [f"line {n}" for n in wanted]


@pytest.mark.covers("D7")
def test_a_follower_that_reads_nothing_slows_nobody(daemon: Daemon) -> None:
    """While one follower reads nothing, all is written and others see it; it then finds all of it."""
    with QueryPeer(daemon.query_socket) as stalled:
        stalled.start("tail", after=0)
        writer = BulkWriter(daemon, 40_000)
        writer.start()
        with QueryPeer(daemon.query_socket) as other:
            other.start("tail", after=0)
            assert len(until_last(other.events())) == 40_002
        writer.join(60)
        assert writer.acked == 40_001
        with QueryPeer(daemon.query_socket) as reader:
            assert reader.ask("status").one("status")["followers"] == 1
        rows = until_last(stalled.events())

    assert [row["seq"] for row in rows] == list(range(1, 40_003))


@pytest.mark.covers("D7")
def test_a_follower_over_a_kill(daemon: Daemon) -> None:
    """A follower cut off by kill -9 resumes after its last event and never saw one that is gone."""
    seen: list[Json] = []
    for round_number in range(3):
        with QueryPeer(daemon.query_socket) as peer, IngestPeer(daemon.ingest_socket) as producer:
            peer.start("tail", after=seen[-1]["seq"] if seen else 0)
            producer.send_lines(*(log("e", f"{round_number}.{n}") for n in range(2_000)))
            seen += itertools.islice(peer.events(), 1_000)
            daemon.process.kill()
            with contextlib.suppress(AssertionError):  # the kill may cut a line in two
                seen.extend(peer.events())
        daemon.kill()
        daemon.start()
    with QueryPeer(daemon.query_socket) as peer:
        rows = peer.ask("tail", after=0, follow=False).lines

    assert rows[: len(seen)] == seen


def test_where_a_tail_begins_and_ends(daemon: Daemon) -> None:
    """A tail begins after a position, before the head or at a time, and ends where it was asked to."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.send_lines(*(log("e", f"{n}", level="WARN" if n % 2 else "INFO", source="s") for n in range(10)))
        peer.until_ack(10)
        time = reader.ask("tail", after=10, follow=False).lines[0]["received"]

        def shown(**request: object) -> list[int]:
            answer = reader.ask("tail", **request)
            assert answer.end is not None
            assert answer.end["count"] == len(answer.lines)
            return [int(row["event"].get("message", -1)) for row in answer.lines]

        assert shown(after=0, follow=False) == [-1, *range(10)]
        assert shown(last=3, follow=False) == [7, 8, 9]
        assert shown(last=3, level=[13], follow=False) == [5, 7, 9]
        assert shown(after=0, level=[9], follow=False) == [0, 2, 4, 6, 8]
        assert shown(after=5, limit=2) == [4, 5]
        assert shown(after=0, type=["daemon."], follow=False) == [-1]
        assert shown(after=0, type=["daemon.*", "task."], follow=False) == [-1]
        assert shown(after=0, source="s", limit=1) == [0]
        assert shown(after=0, source="t", follow=False) == []
        assert shown(after=0, execution_id="f", follow=False) == []
        assert shown(follow=False) == []
        assert shown(since=time, follow=False)[-1] == 9
        assert shown(since=time + 10**12, follow=False) == []


def test_a_half_closed_reader_still_reads(daemon: Daemon) -> None:
    """A reader that closed its writing side, as `nc` does, goes on to follow."""
    with QueryPeer(daemon.query_socket) as reader, IngestPeer(daemon.ingest_socket) as peer:
        reader.start("tail", after=1)
        reader.half_close()
        peer.send_lines(event("my.own", x=1))
        row = reader.next()
        peer.send_lines(event("my.own", x=2))
        second = reader.next()

    assert row is not None
    assert second is not None
    assert [row["event"]["x"], second["event"]["x"]] == [1, 2]


def test_a_reader_that_goes_is_let_go(daemon: Daemon) -> None:
    """A follower that closes is noticed without an event for it: nobody follows any more."""
    with QueryPeer(daemon.query_socket) as watcher:
        with QueryPeer(daemon.query_socket) as reader:
            reader.start("tail", after=0)
            assert reader.next() is not None
            assert watcher.ask("status").one("status")["followers"] == 1
        for _ in range(1_000):
            status = watcher.ask("status").one("status")
            if not status["followers"] and status["connections"]["query"] == 1:
                break

    assert (status["followers"], status["connections"]["query"]) == (0, 1)
