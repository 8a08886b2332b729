"""An ack means readable, positions have no gap, and each producer's order is kept."""

import json
import threading

import pytest

from support.daemon import Daemon
from support.lines import event, log, logs
from support.peers import IngestPeer, QueryPeer


@pytest.mark.covers("D2")
def test_what_is_acked_is_in_every_read_model(daemon: Daemon) -> None:
    """The moment an ack arrives, another connection finds the line in log, logs, inspect, audit and list."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        for number in range(1, 40):
            name = f"run-{number}"
            lines = [event("execution.started", name, name="n"), log(name, "only line", level="WARN")]
            if number % 2:
                lines.append(event("execution.ended", name, outcome="succeeded"))
            peer.send_lines(*lines)
            total = (number // 2) * 5 + (3 if number % 2 else 0)
            seq = peer.until_ack(total)[-1]["ack"]["seq"]

            shown = reader.ask("inspect", execution_id=name, audit=True)
            execution = shown.lines[0]["execution"]
            kept = reader.ask("tail", after=0, follow=False, execution_id=name).lines
            listed = reader.ask("executions", limit=1).one("execution")
            messages = [
                line["message"] for line in reader.ask("logs", execution_id=name, level=[13]).all("log")
            ]

            assert execution["status"] == ("succeeded" if number % 2 else "running")
            assert execution["log_count"] == 1
            assert execution["last_seq"] == seq == kept[-1]["seq"]
            assert [row["event"] for row in kept] == [json.loads(line) for line in lines]
            assert [line["audit"]["event_type"] for line in shown.lines[1:]][:2] == ["CREATED", "STARTED"]
            assert listed["execution_id"] == name
            assert messages == ["only line"]


@pytest.mark.covers("D3")
def test_positions_are_gapless_and_producers_keep_their_order(daemon: Daemon) -> None:
    """Eight producers write at once, bad lines among theirs: positions rise by one, each order is kept."""
    producers, count = 8, 3_000
    refused = 0

    def write(number: int) -> None:
        nonlocal refused
        with IngestPeer(daemon.ingest_socket) as peer:
            assert "ready" in peer.hello(f"p{number}")
            lines = logs(f"run-{number}", count)
            lines[count // 2] = b"not an event"
            for start in range(0, count, 7 + number):
                peer.send_lines(*lines[start : start + 7 + number])
            replies = peer.settle()
            refused += sum("refused" in reply for reply in replies)
            assert replies[-1]["ack"]["lines"] == count

    threads = [threading.Thread(target=write, args=(number,)) for number in range(producers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False).lines

    assert refused == producers
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert len(rows) == 1 + producers * (count - 1)  # the daemon's own start is the first
    received = [row["received"] for row in rows]
    assert received == sorted(received)
    for number in range(producers):
        own = [row for row in rows if row["producer"] == f"p{number}"]
        assert [row["line"] for row in own] == [
            line for line in range(1, count + 1) if line != count // 2 + 1
        ]
        assert [row["event"]["message"] for row in own] == [f"line {row['line']}" for row in own]


@pytest.mark.covers("D2")
def test_a_question_can_wait_for_a_position(daemon: Daemon) -> None:
    """A question with `min_seq` is answered once that position is readable, and not before."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.send_lines(event("execution.started", "e"))
        seq = peer.until_ack(1)[-1]["ack"]["seq"]
        reader.start("inspect", execution_id="e", min_seq=seq + 1, wait_ms=30_000)
        peer.send_lines(log("e", "the one that is waited for"))

        answer = reader.answers()

        assert answer.one("execution")["log_count"] == 1
        assert answer.end is not None
        assert answer.end["seq"] >= seq + 1


def test_a_question_waits_only_so_long(daemon: Daemon) -> None:
    """A question for a position that does not come is answered with `timed_out` when its time is up."""
    with QueryPeer(daemon.query_socket) as reader:
        error = reader.ask("status", min_seq=1_000_000, wait_ms=20).error
        assert error is not None
        assert error["code"] == "timed_out"

        assert reader.ask("status").one("status")["head_seq"] == 1
