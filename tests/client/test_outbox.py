"""The outbox, against a model: lists, and a look at what a daemon would have."""

import json

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from flightlog.outbox import OVERHEAD_BYTES, Outbox
from flightlog.overflow import EVENT

LIMIT_BYTES = 4096


class DeliveryMachine(RuleBasedStateMachine):
    """Puts, takes, acks and lost links in any order; the daemon keeps a prefix of what was taken."""

    @initialize()
    def begin(self) -> None:
        """Begin with an empty outbox and a daemon that has nothing."""
        self.outbox = Outbox(LIMIT_BYTES)
        self.put: list[bytes] = []
        self.stored: list[bytes] = []
        self.sent = 0
        self.dropped = 0

    @rule(size=st.integers(1, 700), level=st.sampled_from([EVENT, "DEBUG", "INFO", 17, "strange", None]))
    def emit(self, size: int, level: object) -> None:
        """Put a line; what is taken in gets the next number."""
        line = b"%d:" % len(self.put) + b"x" * size
        pending = self.outbox.pending
        if self.outbox.put(line, level):
            assert self.outbox.pending == pending + 1
            self.put.append(line)
        else:
            self.dropped += 1

    @rule()
    def declare(self) -> None:
        """Declarations take their place among the lines, and say each drop once."""
        before, undeclared = self.outbox.last_line, self.outbox.undeclared_count
        self.outbox.declare(0)
        declared = self.outbox.last_line - before
        self.put.extend([b""] * declared)
        assert declared == (1 if undeclared and not self.outbox.undeclared else 0)

    @rule(limit=st.integers(1, 2000))
    def send(self, limit: int) -> None:
        """Lines come out in the order of their numbers, at least one if any wait."""
        waiting = self.outbox.pending
        taken = self.outbox.take(limit)
        assert bool(taken) == bool(waiting)
        for line in taken:
            assert self.put[self.sent] in (line, b"")
            self.put[self.sent] = line
            self.sent += 1

    @rule(share=st.floats(0, 1))
    def store(self, share: float) -> None:
        """The daemon stores some of what was sent, and acks it."""
        self.keep(share)
        self.outbox.ack(len(self.stored))

    @rule(share=st.floats(0, 1))
    def lose_link(self, share: float) -> None:
        """The daemon stores some of what was sent, the ack is lost, the next link begins with it."""
        self.keep(share)
        self.outbox.ack(len(self.stored))
        self.outbox.rewind()
        self.sent = len(self.stored)

    def keep(self, share: float) -> None:
        """Let the daemon have more of what was sent."""
        count = len(self.stored) + int((self.sent - len(self.stored)) * share)
        self.stored.extend(self.put[len(self.stored) : count])

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """What the daemon has is a prefix of what was put, and the outbox holds the rest within its limit."""
        outbox = self.outbox
        assert self.stored == self.put[: len(self.stored)]
        assert outbox.last_line == len(self.put)
        assert outbox.dropped == self.dropped
        assert outbox.held_bytes <= LIMIT_BYTES
        assert outbox.pending + outbox.in_flight == len(self.put) - outbox.acked


TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def fill(outbox: Outbox, level: object) -> int:
    """Put lines until one is dropped; return how many were taken in."""
    count = 0
    while outbox.put(b"x" * 36, level):
        count += 1
    return count


@pytest.mark.covers("D10")
def test_debug_lines_go_first_and_events_last() -> None:
    """A filling buffer refuses DEBUG lines first, then other log lines; its last part is for events."""
    outbox = Outbox(100 * 100)

    assert fill(outbox, "debug") == 75
    assert fill(outbox, "INFO") == 12
    assert fill(outbox, "FATAL") == 0
    assert fill(outbox, EVENT) == 13
    assert outbox.held_bytes == 100 * (36 + OVERHEAD_BYTES)


@pytest.mark.covers("D5", "S1.2")
def test_drops_are_declared_by_reason_and_level() -> None:
    """What was dropped is declared for each reason and execution, with how many of each level."""
    outbox = Outbox(10_000)
    outbox.drop("buffer_full", "debug")
    outbox.drop("buffer_full", "nonsense")
    outbox.drop("buffer_full", 14)
    outbox.drop("buffer_full")
    outbox.drop("unencodable", "ERROR", "build-7")

    outbox.declare(1_000)
    outbox.declare(2_000)

    assert [json.loads(line) for line in outbox.take(10_000)] == [
        {
            "type": "producer.dropped",
            "time": 1_000,
            "count": 4,
            "by_level": {"DEBUG": 1, "INFO": 1, "WARN": 1},
            "reason": "buffer_full",
        },
        {
            "type": "producer.dropped",
            "execution_id": "build-7",
            "time": 1_000,
            "count": 1,
            "by_level": {"ERROR": 1},
            "reason": "unencodable",
        },
    ]
    assert outbox.dropped == 5


def test_declaration_waits_for_room() -> None:
    """A declaration that does not fit is kept until acks make room for it."""
    outbox = Outbox(10_000)
    fill(outbox, EVENT)
    outbox.declare(0)
    assert outbox.undeclared_count == 1

    outbox.ack(len(outbox.take(10_000)))
    outbox.declare(0)

    assert outbox.undeclared_count == 0
    assert outbox.pending == 1


def test_ack_of_what_was_never_sent_is_refused() -> None:
    """A daemon that acks more lines than were sent is not believed."""
    outbox = Outbox(10_000)
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.take(1)

    with pytest.raises(ValueError, match="2 lines acked, 1 sent"):
        outbox.ack(2)
    assert outbox.acked == 0


def test_older_ack_changes_nothing() -> None:
    """An ack of fewer lines than the last one lets go of nothing."""
    outbox = Outbox(10_000)
    outbox.put(b"a")
    outbox.put(b"b")
    outbox.take(100)
    outbox.ack(2)

    outbox.ack(1)

    assert (outbox.acked, outbox.held_bytes) == (2, 0)
