"""Brief questions, one after the other on a connection, are answered as any others are."""

import contextlib
import json

import pytest

from flightlog_schemas.wire.lines import Logs, OneEvent
from flightlog_schemas.wire.query import Inspect
from flightlog_schemas.wire.request import Request
from flightlogd.brief import is_brief
from support.daemon import Daemon
from support.lines import event, log, logs
from support.peers import Answers, IngestPeer, Json, QueryPeer

BRIEF: list[tuple[str, Json]] = [
    ("event", {"seq": 2}),
    ("phase", {"execution_id": "e"}),
    ("inspect", {"execution_id": "e"}),
    ("logs", {"execution_id": "e", "last": 5}),
]
"""Questions that are brief."""

OTHERS: list[tuple[str, Json]] = [
    ("event", {"seq": 1_000_000}),
    ("event", {}),
    ("phase", {"execution_id": "nobody"}),
    ("logs", {"execution_id": "e", "last": 5, "grep": "line 1"}),
    ("tail", {"after": 1, "follow": False}),
    ("cursors", {}),
    ("nonsense", {}),
]
"""Questions that are not, or that have no answer."""


def answer_alone(daemon: Daemon, verb: str, arguments: Json) -> Answers:
    """Return the answer on a connection of its own, on which nothing else was asked."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask(verb, **arguments)


@pytest.fixture
def told(daemon: Daemon) -> Daemon:
    """Give a daemon whose log has an execution with lines."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "e", name="e"), *logs("e", 30))
    return daemon


def test_brief_and_other_questions_in_any_order(told: Daemon) -> None:
    """Each is answered on a connection that asked others before as it is on one of its own."""
    expected = {json.dumps(one): answer_alone(told, *one) for one in (*BRIEF, *OTHERS)}
    with QueryPeer(told.query_socket) as reader:
        for other in OTHERS:
            for verb, arguments in (*BRIEF, *BRIEF, *BRIEF, other, *BRIEF):
                answer = reader.ask(verb, **arguments)

                assert answer == expected[json.dumps((verb, arguments))], (verb, arguments)


@pytest.mark.covers("D2")
def test_what_is_acked_is_in_the_answer(told: Daemon) -> None:
    """A line that was acked is in the next answer, and one that is waited for by its position comes."""
    with IngestPeer(told.ingest_socket) as peer, QueryPeer(told.query_socket) as reader:
        for number in range(1, 200):
            peer.send_lines(log("e", f"new {number}"))
            seq = peer.until_ack(number)[-1]["ack"]["seq"]
            [line] = reader.ask("logs", execution_id="e", last=1).all("log")
            assert line["message"] == f"new {number}"
        reader.start("logs", execution_id="e", last=1, min_seq=seq + 1)
        peer.send_lines(log("e", "waited for"))
        [waited_for] = reader.answers().all("log")

    assert (waited_for["message"], waited_for["seq"]) == ("waited for", seq + 1)


def test_questions_sent_together_and_in_pieces(told: Daemon) -> None:
    """Several at once are answered in order, half a one once it is whole, the last one without a newline."""
    question = b'{"event":{"seq":%d}}'
    with QueryPeer(told.query_socket) as reader:
        for _ in range(3):
            reader.ask("event", seq=2)
        reader.send(b"\n".join(question % seq for seq in (3, 4, 5)) + b"\n")
        together = [reader.answers().lines[0]["seq"] for _ in range(3)]
        for _ in range(9):
            reader.ask("event", seq=2)
        reader.send((question % 6)[:10])
        reader.send((question % 6)[10:] + b"\n")
        in_pieces = reader.answers().lines[0]["seq"]
        for _ in range(9):
            reader.ask("event", seq=2)
        reader.send(question % 7)
        reader.half_close()
        last = reader.answers().lines[0]["seq"]

    assert (together, in_pieces, last) == ([3, 4, 5], 6, 7)


def test_an_answer_that_the_socket_does_not_take_at_once(daemon: Daemon) -> None:
    """Answers of megabytes are whole, also where they are read late, and the next question is answered."""
    long = "x" * 30_000
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(*(log("e", f"{number} {long}") for number in range(100)))
    with QueryPeer(daemon.query_socket) as reader:
        for _ in range(4):
            messages = [line["message"] for line in reader.ask("logs", execution_id="e", last=90).all("log")]
            assert messages == [f"{number} {long}" for number in range(10, 100)]
            assert reader.ask("event", seq=1).error is None


def test_it_goes_on_when_a_crowd_comes(told: Daemon) -> None:
    """Connections that ask brief questions go on among a hundred others, and when these have gone."""
    with QueryPeer(told.query_socket) as reader:
        for _ in range(3):
            assert reader.ask("event", seq=2).error is None
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(QueryPeer(told.query_socket)) for _ in range(100)]
            for other in [reader, *others] * 3:
                assert other.ask("event", seq=3).lines[0]["seq"] == 3
        for _ in range(3):
            assert reader.ask("event", seq=2).error is None


def test_a_stop_waits_for_nobody_who_asks(told: Daemon) -> None:
    """The daemon stops while connections are open that asked brief questions, and some that went away."""
    with QueryPeer(told.query_socket) as reader, QueryPeer(told.query_socket) as gone:
        for _ in range(3):
            reader.ask("event", seq=2)
            gone.ask("event", seq=2)
        gone.close()
        assert told.terminate() == 0
        assert reader.next() is None


@pytest.mark.parametrize(
    ("request_", "brief"),
    [
        (OneEvent(seq=1), True),
        (Inspect(execution_id="e"), True),
        (Inspect(execution_id="e", min_seq=7), True),
        (Inspect(execution_id="e", tasks=True), False),
        (Logs(execution_id="e", last=100), True),
        (Logs(execution_id="e", last=100, wait_ms=1), True),
        (Logs(execution_id="e"), False),
        (Logs(execution_id="e", last=1_000), False),
        (Logs(task_id="t", last=10), False),
        (Logs(execution_id="e", last=10, follow=True), False),
        (Logs(execution_id="e", last=10, level=(17,)), False),
    ],
)
def test_what_is_brief(request_: Request, brief: bool) -> None:
    """Brief is what is answered with a few reads; what may look through a whole log is not."""
    assert is_brief(request_) is brief
