"""Whatever bytes come, the daemon answers by its rules: no crash, no hang, no error of the wrong class."""

import json
import random
from collections.abc import Iterator
from itertools import count, islice
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flightlog_schemas.wire.query import REQUESTS
from fuzz.mutate import mutations
from fuzz.targets import TARGETS, seeds
from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, Json, LinePeer, QueryPeer

INPUTS = 2_000
QUICK = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
NUMBERS: Iterator[int] = count(1)


@pytest.mark.covers("D10")
@pytest.mark.parametrize("target", TARGETS)
def test_almost_good_inputs(target: str) -> None:
    """Thousands of inputs that are nearly right are understood, or refused by a reason of the closed list."""
    for data in islice(mutations(seeds(target), random.Random(7)), INPUTS):
        TARGETS[target](data)


NO_EVENTS = [
    b"{",
    b"17",
    b"\xff",
    b'{"type":"log"}',
    b'{"type":"daemon.stopped"}',
    b"[" * 90,
    b"x" * 3_000,
]
GOOD, BAD, BLANK = "good", "bad", "blank"
pieces = st.lists(
    st.one_of(
        st.tuples(st.just(GOOD), st.text(max_size=8)),
        st.tuples(
            st.just(BAD),
            st.sampled_from(
                [
                    b"{",
                    b"17",
                    b"\xff",
                    b'{"type":"log"}',
                    b'{"type":"daemon.stopped"}',
                    b"[" * 90,
                    b"x" * 3_000,
                ]
            ),
        ),
        st.tuples(st.just(BLANK), st.sampled_from([b"", b" ", b"\t\r"])),
    ),
    max_size=12,
)
connections = st.lists(
    st.tuples(pieces, st.integers(0, 12), st.integers(1, 400), st.sampled_from(["finish", "bye", "break"])),
    min_size=1,
    max_size=4,
)


@pytest.mark.covers("D3", "D4", "D5")
@settings(QUICK, max_examples=60)
@given(connections)
def test_a_producer_of_any_manners(shared_daemon: Daemon, script: list[Any]) -> None:
    """However a producer cuts, repeats and breaks off, each of its lines is stored once, refused, or resent.

    It sends lines in pieces of any size, goes back to lines that were acked, mixes bad ones in, and leaves in
    order, with a goodbye, or in the middle of a line; what the daemon acked is what it has.
    """
    name = f"p{next(NUMBERS)}"
    sent: list[tuple[str, Any]] = []
    for more, back, step, leaves in script:
        with IngestPeer(shared_daemon.ingest_socket) as peer:
            first = max(1, len(sent) + 1 - back)
            acked = peer.hello(name, line=first)["ready"]["acked"]
            assert acked == len(sent)
            sent += [piece for piece in more if piece[0] != BLANK]
            again = sent[first - 1 : len(sent) - sum(piece[0] != BLANK for piece in more)]
            whole = b"".join(_line(name, piece) + b"\n" for piece in [*again, *more])
            if leaves == "break":
                whole += b'{"type":"log","exec'
            if leaves == "bye":
                whole += b'{"bye":{"lines":%d}}\n' % len(sent)
            for start in range(0, len(whole), step):
                peer.send(whole[start : start + step])
            peer.half_close()
            replies = peer.rest()
        assert not [reply for reply in replies if "error" in reply], replies
        if more or again:
            acks = [reply["ack"]["lines"] for reply in replies if "ack" in reply]
            assert acks == sorted(acks)
            if sent[first - 1 :]:
                assert acks[-1] == len(sent)
        bad = {number for number, piece in enumerate(sent, 1) if piece[0] == BAD and number >= first}
        assert {reply["refused"]["line"] for reply in replies if "refused" in reply} == bad
    with QueryPeer(shared_daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, execution_id=name).lines

    good = [(number, piece[1]) for number, piece in enumerate(sent, 1) if piece[0] == GOOD]
    assert [(row["line"], row["event"]["message"]) for row in rows] == good


def _line(name: str, piece: tuple[str, Any]) -> bytes:
    return log(name, piece[1]) if piece[0] == GOOD else bytes(piece[1])


WORDS = [
    "",
    "e",
    "\x00",
    "é" * 129,
    "x" * 5_000,
    "%_",
    "' or 1=1 --",
    "\ud7ff",
    "log",
    "failed",
    "e/t/1",
    "0",
]
NUMBERS_OF_NOTE = [-1, 0, 1, 2, 20, 999, 1_000, 1_001, 2**31, 2**53, 2**63 - 1, 2**63, 10**40]
values = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS_OF_NOTE),
    st.sampled_from(WORDS),
    st.lists(st.one_of(st.sampled_from(WORDS), st.sampled_from(NUMBERS_OF_NOTE)), max_size=3),
    st.dictionaries(st.sampled_from(WORDS), st.sampled_from(WORDS), max_size=2),
    st.floats(),
)


@st.composite
def questions(draw: st.DrawFn) -> tuple[str, Json]:
    """Draw a verb and fields of it, with values that may mean nothing."""
    verb = draw(st.sampled_from(sorted(REQUESTS)))
    names = REQUESTS[verb].__struct_fields__
    said = draw(st.dictionaries(st.sampled_from(names), values, max_size=4))
    if "execution_id" in names and draw(st.booleans()):
        said["execution_id"] = "e"
    if "follow" in names:
        said["follow"] = False
    said["wait_ms"] = 1
    if "timeout_ms" in names:
        said["timeout_ms"] = 1
    return verb, said


@pytest.fixture(scope="module")
def told(shared_daemon: Daemon) -> Daemon:
    """Give a daemon that has something to answer with."""
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.settle(
            event("execution.started", "e", project="/p"),
            event("task.started", "e", task_id="t", slug="log"),
            *(log("e", word, task_id="t") for word in WORDS),
            event("task.ended", "e", task_id="t", outcome="failed", error={"type": "X", "message": "m"}),
            event("agent.added", "e", agent_id="a"),
            event("artifact.added", "e", path="/f", artifact_id="x"),
        )
    return shared_daemon


@pytest.mark.covers("D10")
@settings(QUICK, max_examples=500)
@given(questions())
def test_any_question_has_an_answer(told: Daemon, question: tuple[str, Json]) -> None:
    """Any verb with any values is answered or refused with a code that blames nobody here."""
    verb, said = question
    with QueryPeer(told.query_socket) as reader:
        reader.send(json.dumps({verb: said}).encode() + b"\n")
        error = reader.answers().error
        assert reader.ask("status").error is None

    assert error is None or error["code"] not in ("internal", "deadline"), (question, error)


orders = st.one_of(
    st.tuples(
        st.just("rebuild"), st.fixed_dictionaries({"check": st.just(True)}, optional={"projections": values})
    ),
    st.tuples(
        st.just("retention"),
        st.fixed_dictionaries(
            {"dry_run": st.just(True)},
            optional=dict.fromkeys(("older_than_us", "level", "status", "project", "state_dir"), values),
        ),
    ),
    st.tuples(
        st.just("scrub"), st.fixed_dictionaries({"dry_run": st.just(True)}, optional={"value": values})
    ),
    st.tuples(st.sampled_from(["reload", "stop", "", "\x00"]), values),
)


@pytest.mark.covers("D10")
@settings(QUICK, max_examples=120)
@given(orders)
def test_any_order_has_an_answer(told: Daemon, order: tuple[str, Any]) -> None:
    """Any order with any values is carried out or refused, and the daemon goes on."""
    with LinePeer(told.control_socket) as peer:
        peer.send(json.dumps({order[0]: order[1]}).encode() + b"\n")
        peer.half_close()
        last = peer.rest()[-1]

    assert "end" in last or last["error"]["code"] in ("invalid", "not_found"), (order, last)


def test_nothing_of_this_was_our_fault(told: Daemon) -> None:
    """After all that, the daemon has not complained of itself."""
    assert told.running
    assert [entry for entry in told.entries if entry["level"] in ("error", "critical")] == []
