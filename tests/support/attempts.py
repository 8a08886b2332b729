"""Attempts at tasks as a story in plain data, told as events, and what adds up over them in plain Python."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from flightlog_schemas.codec import decode_line
from flightlogd.elsewhere import mark_event
from flightlogd.project import create_tables
from flightlogd.projections import task
from flightlogd.recorded import Recorded
from support.lines import event

T = 1_790_000_000_000_000
DAY_US = 86_400_000_000
MARKS = {"here": "", "far": "~0123456789ab", "farther": "~ba9876543210"}
"""What ids of executions end with, by the machine."""
SUMS = ("task_count", "task_duration", "task_failure")


@dataclass(frozen=True)
class Told:
    """One attempt, as its program tells it.

    Attributes:
        number: Which; makes its span.
        outcome: How it ended; None: it says nothing and ends with its execution, which is cancelled.
        at_once: Whether its end tells of its beginning, too.
    """

    number: int
    execution_id: str
    project: str | None
    task_id: str
    slug: str | None
    provenance: str
    attempt: int
    started_at: int
    duration_us: int
    outcome: str | None
    stack: str | None
    memory_count: int | None
    at_once: bool = False

    @property
    def status(self) -> str:
        """How it stands in the end."""
        return self.outcome or "cancelled"

    def lines(self) -> list[bytes]:
        """Return its events."""
        said = {"task_id": self.task_id, "span_id": f"{self.number:016x}", "provenance": self.provenance}
        again = {} if self.attempt == 1 else {"retry_of": f"{self.number + 1:016x}"}
        found = None if self.memory_count is None else {"memory_count": self.memory_count, "latency_us": 7}
        optional = {"slug": self.slug, "retrieval": found}
        begun = {
            "attempt": self.attempt,
            **again,
            **{name: value for name, value in optional.items() if value is not None},
        }
        started = event("task.started", self.execution_id, time=self.started_at, **said, **begun)
        if self.outcome is None:
            return [started]
        error = {} if self.stack is None else {"error": {"message": "no", "stack": self.stack}}
        ended = {"time": self.started_at + self.duration_us, "outcome": self.outcome, **said, **error}
        if self.at_once:
            return [event("task.ended", self.execution_id, started_at=self.started_at, **ended, **begun)]
        return [started, event("task.ended", self.execution_id, **ended)]


def feed(lines: Sequence[bytes], settled: Callable[[], bool] = lambda: True) -> apsw.Connection:
    """Return the read model of tasks after some events, in memory.

    Args:
        lines: The events.
        settled: Says after each whether sums are brought level, as at the end of a transaction.
    """
    db = apsw.Connection(":memory:")
    db.execute("create table projection (name primary key, version, position, broken_at, error)")
    create_tables(db, task)
    db.execute("create table origin (mark primary key, host)")
    db.executemany("insert into origin values (?, ?)", [(mark, host) for host, mark in MARKS.items()])
    for seq, line in enumerate(lines, 1):
        mark = next((mark for mark in MARKS.values() if mark and mark.encode() in line), "")
        told = mark_event(decode_line(line.replace(mark.encode(), b"")), mark)
        task.apply(db, Recorded(seq, T, 0, 1, "p", seq, told))
        if settled():
            task.TOTALS.settle(db)
    task.TOTALS.settle(db)
    return db


def sums(db: apsw.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """Return all sums."""
    return {table: db.execute(f"select * from {table}").fetchall() for table in (*SUMS, "task_change")}


def nearest(durations: Sequence[int], share: float) -> int | None:
    """Return the smallest duration that at least a share does not exceed."""
    ordered = sorted(durations)
    return ordered[max(1, math.ceil(share * len(ordered))) - 1] if ordered else None


def plain_stats(told: Iterable[Told]) -> dict[str, Any]:
    """Return what stats say of some attempts, all of which have ended."""
    chosen = list(told)
    status = Counter(one.status for one in chosen)
    judged = sum(count for name, count in status.items() if name != "cancelled")
    found = [one.memory_count for one in chosen if one.memory_count is not None]
    return {
        "attempts": len(chosen),
        "retries": sum(one.attempt > 1 for one in chosen),
        "by_status": dict(status),
        "by_provenance": dict(Counter(one.provenance for one in chosen)),
        "success_rate": status["succeeded"] / judged if judged else None,
        "retrievals": {
            "attempts": len(found),
            "memory_count": sum(found),
            "avg_latency_us": 7 if found else None,
        },
        "patterns": Counter(one.stack for one in chosen if one.stack is not None),
    }
