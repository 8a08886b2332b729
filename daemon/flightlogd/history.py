"""What the log said, for read models that are computed anew: its lines, and what tombstones stand for."""

from collections.abc import Iterable, Mapping

import apsw
from msgspec import Struct

from flightlogd.batch import Batch
from flightlogd.facts import Facts
from flightlogd.projections.quiet import Quiet
from flightlogd.store.eventlog import read_batches
from flightlogd.store.tombstones import removals, taken_between


class History(Struct):
    """A stretch of the log.

    Attributes:
        batches: What is there.
        taken: What governance took of executions' logs.
        reached: The last position of the stretch.
    """

    batches: Iterable[Batch]
    taken: list[Quiet]
    reached: int


def read_history(db: apsw.Connection, after: int, until: int) -> History:
    """Return the log in (after, until], to the end of the batch that holds the last position.

    What an execution said that is being removed counts as never said.
    """
    if after >= until:
        return History([], [], after)
    batches = list(read_batches(db, after, until))
    removed = removals(db)
    if removed:
        for batch in batches:
            batch.facts = _without(batch, removed)
    reached = max(until, batches[-1].last_seq) if batches else until
    return History(batches, taken_between(db, after, reached), reached)


def _without(batch: Batch, removed: Mapping[str, int]) -> Facts:
    def counts(execution_id: str | None, index: int) -> bool:
        return execution_id is None or removed.get(execution_id, 0) < batch.first_seq + index

    # An execution is removed up to a head of the log, so a batch is on one side of that.
    return Facts(
        {
            execution_id: tally
            for execution_id, tally in batch.facts.tallies.items()
            if counts(execution_id, tally.indexes[0])
        },
        [(index, event) for index, event in batch.facts.singles if counts(event.execution_id, index)],
    )
