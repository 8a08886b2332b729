"""Connections that send a line at a time: the writer reads and acks them itself."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import cast

import pytest

from flightlogd.decode import Plain
from flightlogd.lone import Habit, LoneLines
from flightlogd.masking import Masker
from flightlogd.peer import Peer
from flightlogd.session import Session
from flightlogd.submission import Outcome, Submission
from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, Json, QueryPeer


def alone(peer: IngestPeer, line: bytes, number: int) -> list[Json]:
    """Send a line, and return all replies up to its ack."""
    peer.send_lines(line)
    return peer.until_ack(number)


def kept(daemon: Daemon) -> list[Json]:
    """Return all that is in the log, but for what the daemon says."""
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False).lines
    return [row for row in rows if row["producer"] != "flightlogd"]


@pytest.mark.covers("D1", "D3")
def test_lone_lines_of_many_are_acked_one_by_one_and_survive(daemon: Daemon) -> None:
    """Of sixteen who wait for each ack, every acked line is there after kill -9, in each one's order."""
    with ExitStack() as stack:
        peers = [stack.enter_context(IngestPeer(daemon.ingest_socket)) for _ in range(16)]
        for name, peer in enumerate(peers):
            assert "ready" in peer.hello(f"p{name}")
        seqs: list[int] = []
        for number in range(1, 31):
            for name, peer in enumerate(peers):
                peer.send_lines(log(f"e{name}", f"{name} {number}"))
            for peer in peers:
                [reply] = peer.until_ack(number)
                assert reply["ack"]["lines"] == number
                seqs.append(reply["ack"]["seq"])
        daemon.kill()
    daemon.start()
    rows = kept(daemon)

    assert sorted(seqs) == [row["seq"] for row in rows]
    for name in range(16):
        mine = [row for row in rows if row["producer"] == f"p{name}"]
        assert [row["line"] for row in mine] == list(range(1, 31))
        assert [row["event"]["message"] for row in mine] == [f"{name} {number}" for number in range(1, 31)]


@pytest.mark.covers("D4", "D5")
def test_lone_lines_that_are_not_plain_are_decided_one_by_one(daemon: Daemon) -> None:
    """One that is refused, has a known key, or a secret in it, is treated as ever, and so are others."""
    with IngestPeer(daemon.ingest_socket) as odd, IngestPeer(daemon.ingest_socket) as plain:
        for number in range(1, 5):
            alone(odd, log("e", "m"), number)
            alone(plain, log("f", "m"), number)
        odd.send_lines(b'{"type":"log"}')
        plain.send_lines(log("f", "m"))
        refused, _ = odd.until_ack(5)
        assert [set(reply) for reply in plain.until_ack(5)] == [{"ack"}]
        first = alone(odd, log("e", "m", id="k"), 6)[-1]["ack"]["seq"]
        duplicate, _ = alone(odd, log("e", "m", id="k"), 7)
        for number in range(8, 80):
            alone(odd, log("e", "password=hunter2hunter2"), number)

    assert refused["refused"]["line"] == 5
    assert duplicate["duplicate"] == {"line": 7, "seq": first, "same": True}
    assert not [row for row in kept(daemon) if "hunter2" in str(row)]


def test_who_sends_a_line_at_a_time_may_change_to_anything(daemon: Daemon) -> None:
    """Half lines, many at once, blank ones, a bye and an end are taken behind lone lines as before them."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        alone(peer, log("e", "1"), 1)
        alone(peer, log("e", "2"), 2)
        half = log("e", "3") + b"\n"
        peer.send(half[:9])
        alone(peer, half[9:-1], 3)
        for number in (4, 5):
            alone(peer, log("e", str(number)), number)
        peer.send_lines(b"", *(log("e", str(number)) for number in range(6, 1_006)), b"")
        peer.until_ack(1_005)
        for number in range(1_006, 1_009):
            alone(peer, log("e", str(number)), number)
        peer.send_lines(*[b" "] * 2_000)
        peer.send_lines(log("e", "1009"), b'{"bye":{"lines":1009}}')
        peer.half_close()
        assert peer.rest()[-1]["ack"]["lines"] == 1_009

    assert [row["event"]["message"] for row in kept(daemon)] == [str(number) for number in range(1, 1_010)]


@pytest.mark.covers("D4")
def test_a_newer_connection_takes_over_from_one_that_sends_lone_lines(daemon: Daemon) -> None:
    """It is told how far the older one got, that one is told why it ends, and each line is stored once."""
    with IngestPeer(daemon.ingest_socket) as older, IngestPeer(daemon.ingest_socket) as newer:
        older.hello("p")
        for number in range(1, 6):
            alone(older, log("e", str(number)), number)
        older.send_lines(log("e", "6"))
        acked = newer.hello("p")["ready"]["acked"]
        newer.send(b'{"hello":{"protocol":1}}\n')
        assert older.rest()[-1]["error"]["code"] == "superseded"

    assert acked in (5, 6)
    assert [row["line"] for row in kept(daemon)][:acked] == list(range(1, acked + 1))


@pytest.mark.covers("D2")
def test_a_lone_line_is_readable_when_it_is_acked(daemon: Daemon) -> None:
    """Whoever asks after the ack finds the line in the log and in the read models."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        for number in range(1, 40):
            name = f"e{number}"
            seq = alone(peer, event("execution.started", name, name="n"), number)[-1]["ack"]["seq"]
            assert reader.ask("tail", after=seq - 1, follow=False).lines[0]["event"]["execution_id"] == name
            assert reader.ask("inspect", execution_id=name).error is None


class Lender:
    """A session as far as the writer sees it."""

    def __init__(self, uid: int, number: int) -> None:
        self.near, self.far = socket.socketpair()
        self.near.setblocking(False)
        self.peer = Peer(uid=uid, pid=1, gid=uid, number=number)
        self.producer = f"{uid}-{number}"
        self.out = self
        self.user = self
        self.lone_limit_bytes = 4096
        self.lone_lines = 0
        self.settled: list[bytes] = []
        self.posted: list[bytes] = []
        self.settle_lent = self.settled.append
        self.post = self.posted.append

    def write(self, data: bytes) -> int:
        """Send what the socket takes."""
        try:
            return self.near.send(data)
        except BlockingIOError:
            return 0


@contextmanager
def lenders(*uids: int) -> Iterator[tuple[LoneLines, list[Lender], list[Callable[[], None]]]]:
    """Give what reads the connections of some users, all lent, and what it would have called elsewhere."""
    told: list[Callable[[], None]] = []
    found = [Lender(uid, number) for number, uid in enumerate(uids)]
    wake, other = socket.socketpair()
    try:
        yield LoneLines(Masker(builtin=True, patterns=()), told.append, wake.fileno()), found, told
    finally:
        for sock in (wake, other, *(end for lender in found for end in (lender.near, lender.far))):
            sock.close()


def settle(lone: LoneLines, submission: Submission) -> None:
    """Ack a submission as if it had been committed as the first of a log."""
    lone.ack(
        submission, Outcome(submission.source, len(submission.part.lines), len(submission.part.lines), 0, [])
    )


@pytest.mark.covers("P7")
def test_of_each_user_as_many_are_read() -> None:
    """A crowd of one user's connections does not keep another user's single one out of a commit."""
    with lenders(*[1] * 200, 2) as (lone, sessions, _):
        for one in sessions:
            lone.lend(cast(Session, one), one.near.fileno(), 1)
            one.far.sendall(log("e", "m") + b"\n")
        lone.read()
        uids = [source.peer.uid for source in lone.sources]

        assert len(uids) <= 64
        assert 2 in uids


def test_what_is_read_for_one_commit_fits_a_batch() -> None:
    """However often it is looked before a commit, and however many lines each sends, no more is taken."""
    with lenders(*[1] * 300) as (lone, sessions, _):
        for one in sessions:
            lone.lend(cast(Session, one), one.near.fileno(), 1)
            one.far.sendall((log("e", "m") + b"\n") * 16)
        for _ in range(300):
            lone.read()
        [submission] = lone.take()

        assert len(submission.part.lines) == 64 * 16


@pytest.mark.covers("D3")
def test_what_is_decoded_while_others_are_waited_for_is_one_submission() -> None:
    """Lines that come one by one are as if they had come at once; what is not plain goes back alone."""
    with lenders(*[1] * 4) as (lone, sessions, told):
        for one in sessions:
            lone.lend(cast(Session, one), one.near.fileno(), 1)
        for number, one in enumerate(sessions):
            more = {"id": "key"} if number == 1 else {}
            one.far.sendall(event("log", f"e{number % 3}", message=f"{number}", level="WARN", **more) + b"\n")
            lone.read()
            lone.decode()
        [submission] = lone.take()

        assert [source.producer for source in lone.sources] == []
        assert submission.shares is not None
        assert [share.source.producer for share in submission.shares] == ["1-0", "1-2", "1-3"]
        assert isinstance(submission.part, Plain)
        assert submission.part.size_bytes == sum(map(len, submission.part.lines))
        tallies = submission.part.facts.tallies
        assert {name: (tally.indexes, tally.levels[3]) for name, tally in tallies.items()} == {
            "e0": ([0, 2], 2),
            "e2": ([1], 1),
        }
        settle(lone, submission)
        acks = [b'{"ack":{"lines":1,"seq":%d}}\n' % seq for seq in (1, 2, 3)]
        assert [sessions[number].far.recv(100) for number in (0, 2, 3)] == acks
        assert len(told) == 1  # one has its connection back


@pytest.mark.covers("D1")
def test_lines_that_were_read_before_a_connection_was_taken_back_are_settled_by_the_session() -> None:
    """Their ack goes to the session, once, and the writer does not touch the connection any more."""
    with lenders(1, 1) as (lone, [kept, gone], told):
        loans = [lone.lend(cast(Session, one), one.near.fileno(), 7) for one in (kept, gone)]
        for one in (kept, gone):
            one.far.sendall(log("e", "m") + b"\n")
        lone.read()
        assert not lone.is_settled(loans[1])
        assert lone.take_back(loans[1]) is True
        [submission] = lone.take()
        settle(lone, submission)
        for call in told:
            call()

        assert gone.settled == [b'{"ack":{"lines":7,"seq":2}}\n']
        assert kept.far.recv(100) == b'{"ack":{"lines":7,"seq":1}}\n'
        assert lone.is_settled(loans[0])
        assert lone.take_back(loans[0]) is False


def test_a_peer_that_does_not_read_its_acks_is_left_to_its_session() -> None:
    """What its socket does not take is posted, and the connection goes back."""
    with lenders(1) as (lone, [one], told):
        loan = lone.lend(cast(Session, one), one.near.fileno(), 1)
        while one.write(b"x" * 10_000):
            pass
        one.far.sendall(log("e", "m") + b"\n")
        lone.read()
        [submission] = lone.take()
        settle(lone, submission)
        for call in told:
            call()

        assert loan.over
        assert one.posted[0].endswith(b'{"lines":1,"seq":1}}\n')


def test_who_sends_what_is_not_plain_is_lent_less_and_less_often() -> None:
    """After each time twice as many small pieces must come in a row, up to a bound; plain ones end that."""
    habit = Habit()
    needed = []
    for plain in (True, False, False, False, *[False] * 5, True):
        habit.returned(plain=plain)
        count = 0
        while not habit.lone:
            habit.came(100)
            count += 1
        needed.append(count)

    assert needed == [1, 2, 4, 8, 16, 32, 64, 64, 64, 1]
