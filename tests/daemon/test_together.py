"""Events of one commit are applied together: to the same effect as one by one."""

import random
from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import pytest

from flightlog_schemas.codec import decode_line
from flightlogd.project import Projector, create_tables, read_positions
from flightlogd.projections import PROJECTIONS, Projection, task
from flightlogd.recorded import Recorded
from support.lines import event

T = 1_790_000_000_000_000
ROUNDS = 20
EVENTS = 60
SPANS = (None, *(f"{number:016x}" for number in range(1, 4)))


def told(dice: random.Random) -> bytes:
    """Return an event that makes sense by itself, of one of few executions, tasks and attempts."""
    execution_id = dice.choice("ef")
    head: dict[str, Any] = {"time": T + dice.randrange(10_000_000)}
    if dice.random() < 0.2:
        kind = dice.choice(["created", "started", "started", "ended", "ended", "lost", "waiting"])
        if kind == "ended":
            head["outcome"] = dice.choice(["succeeded", "failed", "cancelled"])
        elif kind in ("created", "started"):
            head["project"] = dice.choice([None, "/p", "/q"])
        elif kind == "lost":
            head["reason"] = "gone"
        return event(f"execution.{kind}", execution_id, **head)
    head["task_id"] = dice.choice("tu")
    head["span_id"] = dice.choice(SPANS)
    head["trace_id"] = dice.choice([None, "1" * 32])
    head["scrubbed"] = dice.choice([None, None, True])
    kind = dice.choice(["created", "started", "started", "ended", "ended", "waiting", "resumed"])
    if kind in ("created", "started"):
        head |= {"name": dice.choice([None, "n", "m"]), "slug": dice.choice([None, "s"])}
    if kind == "started":
        head |= {"attempt": dice.randrange(1, 3), "inputs": {"n": dice.random()}}
        head["retrieval"] = dice.choice([None, {"memory_count": 2, "latency_us": 7}])
    if kind == "ended":
        head |= {"outcome": dice.choice(["succeeded", "failed"]), "duration_us": dice.choice([None, 5])}
        head["error"] = dice.choice([None, {"message": "m", "stack": "Traceback\nX: y"}])
    return event(
        f"task.{kind}", execution_id, **{name: said for name, said in head.items() if said is not None}
    )


def recorded(lines: Sequence[bytes]) -> list[Recorded]:
    """Return lines as the log has them."""
    return [Recorded(seq, T, 0, 1, "p", seq, decode_line(line)) for seq, line in enumerate(lines, 1)]


def empty(projections: Sequence[Projection] = PROJECTIONS) -> apsw.Connection:
    """Return a database in memory with the tables of read models."""
    db = apsw.Connection(":memory:")
    db.execute("create table projection (name primary key, version, position, broken_at, error)")
    for projection in projections:
        create_tables(db, projection)
    return db


def rows(db: apsw.Connection) -> dict[str, list[Any]]:
    """Return all rows of all read models."""
    tables = (table for projection in PROJECTIONS for table in projection.TABLES)
    return {table: sorted(db.execute(f"select * from {table}"), key=repr) for table in tables}


def groups(events: Sequence[Recorded], dice: random.Random) -> Iterator[Sequence[Recorded]]:
    """Yield events in groups of any size."""
    start = 0
    while start < len(events):
        size = dice.choice([1, 2, 5, 20, EVENTS])
        yield events[start : start + size]
        start += size


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_together_as_one_by_one(seed: int) -> None:
    """Whatever events come in whatever commits, all read models have the rows that they leave one by one."""
    dice = random.Random(seed)
    events = recorded([told(dice) for _ in range(EVENTS)])
    together, alone = empty(), empty()
    for projection in PROJECTIONS:
        for group in groups(events, dice):
            if projection.apply_all is None:
                for one in group:
                    projection.apply(together, one)
            else:
                projection.apply_all(together, group)
            if projection.TOTALS is not None:
                projection.TOTALS.settle(together)
        for one in events:
            projection.apply(alone, one)
            if projection.TOTALS is not None:
                projection.TOTALS.settle(alone)

    assert rows(together) == rows(alone)


def test_the_event_that_breaks_a_read_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read model that fails at an event stops there, though the event was applied with others."""
    applied = task.apply_all

    def fail(db: apsw.Connection, singles: Sequence[Recorded]) -> None:
        applied(db, singles)
        if any(one.event.task_id == "bad" for one in singles):
            raise ValueError("made to fail")

    monkeypatch.setattr(task, "apply_all", fail)
    names = ("good", "bad", "good")
    events = recorded([event("task.created", "e", task_id=name) for name in names])
    db = empty([task])
    Projector([task])._apply(db, events, [], 0, len(events))

    found = read_positions(db)["task"]
    assert (found.broken_at, found.error) == (2, "ValueError: made to fail")
    assert db.execute("select count(*) from task").get == 0
