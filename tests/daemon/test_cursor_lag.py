"""Cursors that fall behind are warned of once, and a reader is told how far was looked for it."""

import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import log, logs
from support.peers import IngestPeer, Json, QueryPeer


def settle(daemon: Daemon, *lines: bytes) -> int:
    """Store lines and return the position of the last one."""
    with IngestPeer(daemon.ingest_socket) as peer:
        seq = peer.settle(*lines)[-1]["ack"]["seq"]
    assert isinstance(seq, int)
    return seq


@pytest.mark.covers("P3", "P11")
def test_a_cursor_that_falls_behind_is_warned_of_once(daemon_factory: DaemonFactory) -> None:
    """It is in `status` and once in the log, until it has caught up; others are not."""
    daemon = daemon_factory(cursor_lag_warn_seqs=50)
    head = settle(daemon, *logs("e", 100))
    with QueryPeer(daemon.query_socket) as reader:
        reader.ask("cursor", name="slow", seq=head - 60)
        reader.ask("cursor", name="quick", seq=head - 10)
        told = daemon.wait_for_entry("a cursor is behind")
        late = reader.ask("status").one("status")["late_cursors"]
        reader.ask("cursor", name="slow", seq=head)
        caught_up = daemon.wait_for_entry("a cursor has caught up, or was removed")
        after = reader.ask("status").one("status")["late_cursors"]

    assert (told["level"], told["cursor"], told["lag"]) == ("warning", "slow", 60)
    assert [(cursor["name"], cursor["seq"], cursor["lag"]) for cursor in late] == [("slow", head - 60, 60)]
    assert late[0]["lag_us"] > 0
    assert caught_up["cursor"] == "slow"
    assert after == []
    assert [entry["cursor"] for entry in daemon.entries if entry["event"] == "a cursor is behind"] == ["slow"]


@pytest.mark.covers("P3")
def test_a_cursor_is_late_by_time_too(daemon_factory: DaemonFactory) -> None:
    """However few lines are unread, they may not be unread for longer than is allowed."""
    daemon = daemon_factory(start=False, cursor_lag_warn_s=3_600)
    daemon.clock_shift_us = -7_200_000_000
    daemon.start()
    head = settle(daemon, *logs("e", 3))
    daemon.terminate()
    daemon.clock_shift_us = 0
    daemon.start()
    with QueryPeer(daemon.query_socket) as reader:
        reader.ask("cursor", name="old", seq=head - 1)
        reader.ask("cursor", name="read", seq=head + 1)
        [late] = reader.ask("status").one("status")["late_cursors"]

    assert late["name"] == "old"
    assert late["lag_us"] > 7_000_000_000


@pytest.mark.covers("P3", "D7")
def test_a_follower_is_told_how_far_was_looked(daemon: Daemon) -> None:
    """With `passing` a tail whose filter matches little says where it is, behind all that matched before."""
    head = settle(daemon, *logs("e", 50))
    with QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=0, grep="needle", passing=True)
        first = reader.next()
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.send_lines(*logs("e", 20), log("e", "a needle"), log("e", "hay"))
            peer.until_ack(22)
        answers: list[Json] = []
        while not answers or "passed" not in answers[-1] or answers[-1]["passed"]["seq"] < head + 22:
            answer = reader.next()
            assert answer is not None
            answers.append(answer)

    assert first == {"passed": {"seq": head}}
    positions = [answer["passed"]["seq"] if "passed" in answer else answer["seq"] for answer in answers]
    assert positions == sorted(positions)
    assert [answer["seq"] for answer in answers if "event" in answer] == [head + 21]


def test_nobody_is_told_who_did_not_ask(daemon: Daemon) -> None:
    """A plain tail has events alone, as does one that everything matches."""
    settle(daemon, *logs("e", 5))
    with QueryPeer(daemon.query_socket) as reader:
        plain = reader.ask("tail", after=0, grep="nothing", follow=False)
        whole = reader.ask("tail", after=0, passing=True, follow=False)

    assert (plain.error, plain.lines) == (None, [])
    assert all("event" in line for line in whole.lines)


@pytest.mark.covers("P18", "P3")
def test_status_tells_of_relays(daemon: Daemon) -> None:
    """A cursor of a relay's is told of with where to, how far it is and when it got on; others are not."""
    head = settle(daemon, *logs("e", 20))
    with QueryPeer(daemon.query_socket) as reader:
        before = reader.ask("status").one("status")
        for name, seq in (("relay:n1/s", head - 5), ("relay:n2/s", head), ("xrelay:", 1), ("other", 1)):
            moved = reader.ask("cursor", name=name, seq=seq).one("cursor")
        first, second = reader.ask("status").one("status")["relays"]

    assert before["relays"] == []
    assert (first["target"], first["name"], first["seq"], first["lag"]) == ("n1/s", "relay:n1/s", head - 5, 5)
    assert (second["target"], second["lag"], second["lag_us"]) == ("n2/s", 0, 0)
    assert first["lag_us"] > 0
    assert 0 < second["moved_at"] <= moved["moved_at"]
