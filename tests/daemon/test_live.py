"""Followers at the end of the log are written what they want of each commit, whoever else follows."""

import itertools
import json
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, Json, QueryPeer

Wanted = Callable[[Json, str], bool]

FILTERS: list[tuple[Json, Wanted]] = [
    ({}, lambda _event, _text: True),
    ({"execution_id": "run-3"}, lambda event, _: event["execution_id"] == "run-3"),
    (
        {"execution_id": "run-3", "type": ["task."]},
        lambda event, _: event["execution_id"] == "run-3" and event["type"] == "task.started",
    ),
    ({"type": ["task.", "mine.said"]}, lambda event, _: event["type"] != "log"),
    ({"type": ["task.started"]}, lambda event, _: event["type"] == "task.started"),
    ({"type": ["log"], "level": [17]}, lambda event, _: event.get("level") == "ERROR"),
    ({"grep": "needle"}, lambda _, text: "needle" in text),
    (
        {"grep": ["needle", "7"], "exclude": ["77"]},
        lambda _, text: "needle" in text and "7" in text and "77" not in text,
    ),
    ({"task_id": "t-5"}, lambda event, _: event.get("task_id") == "t-5"),
    ({"source": "s", "passing": True}, lambda event, _: event.get("source") == "s"),
]
COPIES_OF_A_CROWD = 8


def told(number: int) -> bytes:
    """Return one of many lines of all kinds."""
    name = f"run-{number % 7}"
    if number % 11 == 0:
        return event("task.started", name, task_id=f"t-{number % 9}", name=f"task {number}")
    if number % 13 == 0:
        return event("mine.said", name, number=number)
    text = f"a needle {number}" if number % 5 == 0 else f"hay {number}"
    return log(name, text, level="ERROR" if number % 6 == 0 else "INFO", source="s" if number % 4 else "t")


@pytest.mark.covers("D7")
@pytest.mark.parametrize("copies", [1, COPIES_OF_A_CROWD], ids=["few", "crowd"])
def test_each_is_sent_what_it_wants(daemon: Daemon, copies: int) -> None:
    """Followers of all kinds, a few or a crowd of them, get each line that they want, once and in order.

    Lines come alone, each after the ack of the one before, and many at once.
    """
    numbers = itertools.count()
    acked = 0
    with ExitStack() as stack:
        producer = stack.enter_context(IngestPeer(daemon.ingest_socket))
        followers = [
            (wanted, stack.enter_context(QueryPeer(daemon.query_socket)), request)
            for request, wanted in FILTERS * copies
        ]
        for _, peer, request in followers:
            peer.start("tail", after=1, **request)
        for sizes in ([1] * 40, [400, 1, 3, 50], [1, 1, 120] * 5):
            lines = []
            for size in sizes:
                lines += (some := [told(next(numbers)) for _ in range(size)])
                producer.send_lines(*some)
                acked += size
                producer.until_ack(acked)
            events = [(json.loads(line), line.decode()) for line in lines]
            for wanted, peer, request in followers:
                expected = [event for event, text in events if wanted(event, text)]
                answers = (row for row in peer.events() if "event" in row)
                assert [row["event"] for row in itertools.islice(answers, len(expected))] == expected, request


@pytest.mark.covers("D7")
def test_who_wants_so_many_is_sent_no_more(daemon: Daemon) -> None:
    """A follower with a limit ends when it has as many, and its connection takes the next question."""
    with IngestPeer(daemon.ingest_socket) as producer, QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=1, execution_id="run-3", type=["log"], limit=3)
        for number in range(40):
            producer.send_lines(told(number))
            producer.until_ack(number + 1)
        answer = reader.answers()

        assert [row["event"]["message"] for row in answer.lines] == ["hay 3", "a needle 10", "hay 17"]
        assert reader.ask("status").one("status")["followers"] == 0


@pytest.mark.covers("D7")
def test_who_reads_late_has_all_of_it(daemon: Daemon) -> None:
    """What a follower's socket does not take at once comes when it reads, then what came meanwhile."""
    long = "x" * 20_000
    with IngestPeer(daemon.ingest_socket) as producer, QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=1, grep="needle")
        for number in range(100):
            producer.send_lines(log("e", f"a needle {number} {long}"), log("e", "hay"))
            producer.until_ack(2 * number + 2)
        rows = list(itertools.islice(reader.events(), 100))

    assert [row["event"]["message"] for row in rows] == [f"a needle {number} {long}" for number in range(100)]


def test_who_follows_a_log_is_woken_by_its_execution(daemon: Daemon) -> None:
    """`logs` with `follow`, and `wait`, go on with lines of their execution, and have none of others'."""
    with (
        IngestPeer(daemon.ingest_socket) as producer,
        QueryPeer(daemon.query_socket) as reader,
        QueryPeer(daemon.query_socket) as waiter,
    ):
        producer.send_lines(event("execution.started", "e", name="e"), log("e", "first"))
        producer.until_ack(2)
        reader.start("logs", execution_id="e", follow=True)
        waiter.start("wait", execution_id="e")
        for number in range(20):
            producer.send_lines(log("other", f"{number}"))
            producer.until_ack(number + 3)
        producer.settle(log("e", "last"), event("execution.ended", "e", outcome="succeeded"))
        messages = [line["message"] for line in reader.answers().all("log")]
        status = waiter.answers().one("execution")["status"]

    assert messages[1:3] == ["first", "last"]
    assert status == "succeeded"
