"""The bytes of a stored batch are frozen."""

import json
from typing import Any

import pytest

from flightlog_schemas.codec import decode_line
from flightlogd import batch, seal
from flightlogd.facts import facts_of
from flightlogd.lines import split_lines
from support.golden import check_golden
from support.lines import event, log


def run(producer: str, uid: int, pid: int, first_line: int, lines: list[bytes]) -> batch.Run:
    """Return lines of one producer as they come to be stored."""
    span = batch.Span(0, producer, first_line, len(lines), uid, pid)
    return batch.Run([span], lines, facts_of(decode_line(line) for line in lines))


ELSEWHERE = batch.Place("0192f0c1a2b37c4d8e5f60718293a4b5", "build-3", 99, 4)


def stored() -> dict[str, Any]:
    """Return the columns of three batches of three producers' lines, as they are stored."""
    alone = "p2", 1001, 43, 7, [log("f", "one", level="WARN")]
    runs = [
        run("p1", 1000, 42, 1, [event("execution.started", "e"), log("e", "ü")]),
        run(*alone),
        run("p1", 1000, 42, 3, [b'{"type":"my.own","x": [1, 2]}']),
    ]
    (first,) = batch.make_batches(runs, 1, 1_790_000_000_000_000)
    (second,) = batch.make_batches([run(*alone)], first.last_seq + 1, 1_790_000_000_000_001)
    elsewhere = run(*alone)
    elsewhere.spans = [batch.OriginSpan(0, "p2", 7, 1, 1001, 43, ELSEWHERE)]
    (third,) = batch.make_batches([elsewhere], second.last_seq + 1, 1_790_000_000_000_002)
    chain = seal.GENESIS
    columns = []
    for row in (first, second, third):
        assert row.sealed is not None
        blob, digest, spans = row.sealed.blob, row.sealed.digest, batch.encode_spans(row.spans)
        chain = seal.extend_chain(
            chain,
            first_seq=row.first_seq,
            last_seq=row.last_seq,
            received=row.received,
            spans=spans,
            digest=digest,
        )
        columns.append(
            {
                "first_seq": row.first_seq,
                "last_seq": row.last_seq,
                "received": row.received,
                "spans": spans,
                "digest": digest.hex(),
                "chain": chain.hex(),
                "lines": blob.decode(),
            }
        )
    return {"batches": columns}


@pytest.mark.covers("D1")
def test_stored_bytes(update_golden: bool) -> None:
    """The stored bytes of a batch, its spans, digest and chain are what they were."""
    actual = stored()
    check_golden("stored", actual, update=update_golden)

    first = actual["batches"][0]
    assert [json.loads(line)["type"] for line in split_lines(first["lines"].encode())] == [
        item["type"] for item in json.loads(first["lines"])
    ]
    assert batch.decode_spans(first["spans"]) == [
        batch.Span(0, "p1", 1, 2, 1000, 42),
        batch.Span(2, "p2", 7, 1, 1001, 43),
        batch.Span(3, "p1", 3, 1, 1000, 42),
    ]
    (elsewhere,) = batch.decode_spans(actual["batches"][2]["spans"])
    assert batch.origin_of(elsewhere) == ELSEWHERE


def test_an_origin_without_its_way_is_read() -> None:
    """Places that were stored before there were relays came by an import."""
    (span,) = batch.decode_spans('[[0,"~l/p",7,1,1001,43,["l","build-3",99,4]]]')
    assert batch.origin_of(span) == batch.Place("l", "build-3", 99, 4, relayed=False)
