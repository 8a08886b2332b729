"""The end of the log, which the writer's thread moves on while others look at it."""

import pytest

from flightlog_schemas.codec import decode_line
from flightlogd.batch import Batch, Run, Span, make_batches
from flightlogd.facts import facts_of
from flightlogd.head import Head
from support.lines import log


def batch(seq: int, execution_id: str) -> Batch:
    """Return a commit of one line."""
    line = log(execution_id, "x")
    (made,) = make_batches([Run([Span(0, "p", 1, 1, 0, 1)], [line], facts_of([decode_line(line)]))], seq, 0)
    return made


@pytest.mark.covers("D7", "S1.10")
def test_what_comes_during_a_look_is_not_passed_over() -> None:
    """A commit in the middle of a look at those before it is looked at next, not taken for seen."""
    head = Head(0, 1_000_000)
    head.advance([batch(1, "a")])

    def tells(seen: Batch) -> bool:
        if head.seq == 1:
            head.advance([batch(2, "e")])  # as the writer's thread does, at any moment
        return "e" in seen.facts.tallies

    assert (head.quiet_until(0, tells), head.seq) == (1, 2)
    assert head.quiet_until(1, tells) == 1


def test_what_is_no_longer_in_memory_is_not_known() -> None:
    """Of a position that memory does not go back to nothing is known, behind the end there is nothing."""
    head = Head(0, 1)
    head.advance([batch(1, "a"), batch(2, "a")])

    assert [head.quiet_until(after, lambda _: False) for after in (0, 1, 2, 9)] == [0, 2, 2, 9]
