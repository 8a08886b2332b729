"""Lines to batches and back: every line is where the index says, whatever came together. Pure."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.codec import decode_line
from flightlogd.batch import Run, Span, cuts, decode_spans, encode_spans, make_batches, seal
from flightlogd.facts import facts_of
from flightlogd.lines import (
    JOIN_LIMIT_BYTES,
    LINES_LIMIT,
    join_lines,
    line_at,
    line_offsets,
    nth_line,
    pack_offsets,
    split_lines,
    unpack_offsets,
)
from flightlogd.store.eventlog import split_batch
from support.lines import event, log

RECEIVED = 1_790_000_000_000_000

lines_of_any_size = st.lists(
    st.tuples(
        st.sampled_from("efg"), st.sampled_from(["log", "state", "own", "plan", "timed"]), st.integers(0, 200)
    )
    | st.tuples(
        st.just("e"), st.just("log"), st.sampled_from([1_000, JOIN_LIMIT_BYTES // 2, JOIN_LIMIT_BYTES + 1])
    ),
    min_size=1,
    max_size=40,
)


def line(execution_id: str, kind: str, size: int) -> bytes:
    """Return a line of one of several kinds."""
    match kind:
        case "state":
            return event("execution.waiting", execution_id, time=size)
        case "own":
            return event("my.own", execution_id, x=size)
        case "plan":
            return event("plan.requested", project="p")
        case "timed":
            return log(execution_id, "m", time=size, level=("INFO", "warn", 17, "odd")[size % 4])
        case _:
            return log(execution_id, "x" * size)


def runs_of(pieces: list[list[bytes]], *, sealed: bool) -> list[Run]:
    """Return pieces of two producers' lines as runs within the limits of a batch."""
    runs: list[Run] = []
    next_line = {"p": 1, "q": 5}
    for producer, piece in zip(itertools.cycle("ppq"), pieces, strict=False):
        start = 0
        for end in cuts([len(line) for line in piece]):
            lines = piece[start:end]
            facts = facts_of(map(decode_line, lines))
            span = Span(0, producer, next_line[producer], len(lines), 1, 2)
            run = Run([span], lines, facts)
            run.sealed = seal(join_lines(lines), lines, facts) if sealed else None
            runs.append(run)
            next_line[producer] += len(lines)
            start = end
    return runs


def check(runs: list[Run], first_seq: int) -> None:
    """Assert that batches hold exactly these runs, and that their index finds every line."""
    sent = [
        (span.producer, span.first_line + n, run.lines[span.index + n])
        for run in runs
        for span in run.spans
        for n in range(span.count)
    ]
    batches = make_batches(runs, first_seq, RECEIVED)
    found = []
    next_seq = first_seq
    for batch in batches:
        assert batch.first_seq == next_seq
        assert batch.received == RECEIVED
        assert batch.sealed is not None
        blob = batch.sealed.blob
        assert blob == join_lines(batch.lines)
        assert split_lines(blob) == batch.lines
        assert 0 < len(batch.lines) <= LINES_LIMIT
        assert sum(map(len, batch.lines[:-1])) <= JOIN_LIMIT_BYTES
        assert decode_spans(encode_spans(batch.spans)) == batch.spans
        for span in batch.spans:
            lines = batch.lines[span.index : span.index + span.count]
            found += [(span.producer, span.first_line + n, line) for n, line in enumerate(lines)]
        whole = facts_of(event for event in batch.events if event is not None)
        assert batch.facts.singles == whole.singles
        assert batch.facts.tallies.keys() == whole.tallies.keys()
        for execution_id, entry in batch.facts.tallies.items():
            plain = whole.tallies[execution_id]
            assert (entry.indexes, entry.state_count, entry.levels, entry.bounds(RECEIVED)) == (
                plain.indexes,
                plain.state_count,
                plain.levels,
                plain.bounds(RECEIVED),
            )
            if entry.offsets is None:
                assert entry.indexes == list(range(len(batch.lines)))
            else:
                picked = list(unpack_offsets(entry.offsets))
                assert [index for index, _ in picked] == entry.indexes
                assert [line_at(blob, start) for _, start in picked] == [
                    batch.lines[i] for i in entry.indexes
                ]
        next_seq = batch.last_seq + 1
    assert found == sent


@given(st.lists(lines_of_any_size, min_size=1, max_size=5), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_line_is_where_the_index_says(pieces: list[list[tuple[str, str, int]]], sealed: bool) -> None:
    """Runs of any lines become batches within their limits, and spans, tallies and offsets find each line."""
    runs = runs_of([[line(*drawn) for drawn in piece] for piece in pieces], sealed=sealed)

    check(runs, 7)


def test_the_fullest_batches() -> None:
    """As many lines and as many bytes as a batch may have are still found by their offsets."""
    shortest = [log("e" if n % 2 else "f", "") for n in range(2 * LINES_LIMIT + 1)]
    longest = [log("e", "x" * (JOIN_LIMIT_BYTES // 3)) for _ in range(20)] + [
        log("f", "x" * 4 * JOIN_LIMIT_BYTES)
    ] * 3
    for sealed in (True, False):
        runs = runs_of([shortest, longest, shortest], sealed=sealed)
        check(runs, 1)


@given(st.lists(st.binary(max_size=20).filter(lambda data: b"\n" not in data), min_size=1, max_size=30))
def test_lines_are_joined_and_taken_apart(lines: list[bytes]) -> None:
    """Lines joined to one blob are found again, all at once or one by one."""
    blob = join_lines(lines)
    packed = pack_offsets(range(len(lines)), line_offsets(lines))

    assert split_lines(blob) == lines
    assert [nth_line(blob, index, len(lines)) for index in range(len(lines))] == lines
    assert [line_at(blob, start) for _, start in unpack_offsets(packed)] == lines


@pytest.mark.parametrize(
    "odd",
    [
        log("e", "m", time=5, fields={"deep": {"a": [1.50]}}, id="k", unknown=1, task_id="t"),
        log("e", "m", time=5, level=13),
        log("e", "m", level="ERROR"),
        log("e", "m", time=7, level="strange", expect_seq=0),
        event("task.started", "f", task_id="t", time=1),
        event("my.own", "f", time=9),
    ],
)
def test_stored_lines_say_what_they_said(odd: bytes) -> None:
    """Lines of any form that are read again count as they did when they came."""
    lines = [log("e", "m", time=3, level="WARN"), odd, log("f", "m", time=2)]
    blob = join_lines(lines)
    spans = encode_spans([Span(0, "p", 1, len(lines), 0, 0)])

    assert split_batch(1, RECEIVED, spans, blob).facts == facts_of(map(decode_line, lines))
