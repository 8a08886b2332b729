"""How attempts at tasks went: read from sums, whatever their number (`projections.task_stats`)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import apsw

from flightlog_schemas.limits import INT64_MAX
from flightlog_schemas.stats import Durations, FailurePattern, Retrievals, Stats, TaskCounts
from flightlog_schemas.statuses import TaskStatus
from flightlog_schemas.wire.query import Stats as StatsRequest
from flightlogd.durations import share_of
from flightlogd.elsewhere import OTHERS
from flightlogd.errors import QuestionError
from flightlogd.periods import DAY_US, day_of, ranges, widened
from flightlogd.queries.find import require
from flightlogd.queries.of_host import host_condition, marks_of
from flightlogd.queries.task import COLUMNS, attempt_of

_FAILED: Final = ("failed", "timed_out", "lost")
_FAILURES: Final = "(status = 'failed' or status = 'timed_out' or status = 'lost')"
"""As the partial indexes have it, to the letter: SQLite uses them for nothing else."""
_TASKS_OF_PATTERN: Final = 5
_LOOKED_AT: Final = 300
"""The newest failures that are looked through for examples of patterns, of each way to fail."""

Histogram = dict[int, int]


def task_stats(db: apsw.Connection, request: StatsRequest) -> Stats:
    """Return how attempts at tasks went.

    Raises:
        QuestionError: `projection_broken`; `not_found`, where nothing of a host is here; `invalid`, for more
            than one of task, slug and project.
    """
    if sum(value is not None for value in (request.task_id, request.slug, request.project)) > 1:
        raise QuestionError(
            "invalid", "statistics are of a task, a slug or a project, not of two of them", "ask for one"
        )
    require(db, "task")
    where = _Where(db, request)
    counts = where.counts()
    attempts = sum(row[2] for row in counts)
    by_status = _added((row[0], row[2]) for row in counts)
    timed = sum(row[6] for row in counts)
    durations = where.durations([request.task_id or ""]).get(request.task_id or "", {})
    return Stats(
        attempts=attempts,
        retries=sum(row[3] for row in counts),
        open=where.open(),
        by_status=by_status,
        by_provenance=_added((row[1], row[2]) for row in counts),
        success_rate=_success_rate(by_status),
        durations=_durations(durations, sum(row[4] for row in counts)),
        retrievals=Retrievals(
            attempts=sum(row[5] for row in counts),
            memory_count=int(sum(row[7] for row in counts)),
            avg_latency_us=round(sum(row[8] for row in counts) / timed) if timed else None,
        ),
        tasks=where.tasks() if request.slug is None else [],
        failures=[attempt_of(row) for row in where.failures(request.failures)],
        patterns=where.patterns(),
    )


def _added(pairs: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    """Add up what has the same key, the largest first."""
    found: dict[Any, int] = {}
    for key, count in pairs:
        found[key] = found.get(key, 0) + count
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def _success_rate(by_status: Mapping[TaskStatus, int]) -> float | None:
    succeeded = by_status.get("succeeded", 0)
    judged = succeeded + sum(count for status, count in by_status.items() if status in _FAILED)
    return succeeded / judged if judged else None


def _durations(histogram: Histogram, sum_us: float) -> Durations:
    count = sum(histogram.values())
    return Durations(
        count=count,
        min_us=share_of(histogram, 1 / count) if count else None,
        avg_us=round(sum_us / count) if count else None,
        p50_us=share_of(histogram, 0.5),
        p95_us=share_of(histogram, 0.95),
        max_us=share_of(histogram, 1),
    )


class _Where:
    """Which sums a request is about, as SQL.

    Args:
        db: A connection that reads, in a transaction.
        request: What is asked.
    """

    def __init__(self, db: apsw.Connection, request: StatsRequest) -> None:
        self._db = db
        self._request = request
        self._project = request.project or ""
        self._slug = request.slug or ""
        self._days = (
            0 if request.since is None else day_of(request.since),
            day_of(INT64_MAX) if request.until is None else day_of(request.until),
        )
        self._chosen = marks_of(db, request.host)
        self._marks = ["", OTHERS] if self._chosen is None else self._chosen
        self._periods = self._find_periods()

    def _find_periods(self) -> list[int]:
        """Return the days and stretches that there are sums for and that make up what is asked for."""
        first = self._bound("min", self._days[0])
        last = self._bound("max", self._days[1])
        if first is None or last is None or first > last:
            return []
        # Where there is nothing between the last day and the end of its stretch, the stretch will do.
        first, last = widened(first, last, *self._days)
        return [period for low, high in ranges(first, last) for period in self._existing(low, high)]

    def _bound(self, which: str, day: int) -> int | None:
        """Return the first day from one on (`min`), or the last up to it (`max`), that has sums."""
        sign = ">=" if which == "min" else "<="
        sql = (
            f"select {which}(period) from task_count"
            f" where mark = ? and project = ? and slug = ? and period {sign} ? and period >= 0"
        )
        # One by one: for several marks SQLite would read all their rows.
        found = [self._db.execute(sql, (mark, self._project, self._slug, day)).get for mark in self._marks]
        days = [int(one) for one in found if one is not None]
        if not days:
            return None
        return min(days) if which == "min" else max(days)

    def _existing(self, low: int, high: int) -> Sequence[int]:
        """Return the periods in a range that have sums: by one look at the index for each."""
        sql = (
            "with recursive found(period) as ("
            " select min(period) from task_count"
            " where mark = :mark and project = :project and slug = :slug and period >= :low"
            " union all select (select min(period) from task_count"
            " where mark = :mark and project = :project and slug = :slug"
            " and period > found.period) from found where found.period < :high)"
            " select period from found where period <= :high"
        )
        key = {"project": self._project, "slug": self._slug, "low": low, "high": high}
        return sorted({row[0] for mark in self._marks for row in self._db.execute(sql, {"mark": mark} | key)})

    def _sums(self, task_ids: Sequence[str] | None) -> tuple[str, list[Any]]:
        """Return the condition and values of rows of sums: of these tasks, '' for any, None for each."""
        conditions = [
            f"mark in ({_places(self._marks)}) and project = ? and slug = ?"
            f" and period in ({_places(self._periods)})"
        ]
        values: list[Any] = [*self._marks, self._project, self._slug, *self._periods]
        if task_ids is None:
            conditions.append("task_id > ''")
        else:
            conditions.append(f"task_id in ({_places(task_ids)})")
            values += task_ids
        for column in ("provenance", "status"):
            if (value := getattr(self._request, column)) is not None:
                conditions.append(f"{column} = ?")
                values.append(value)
        return " and ".join(conditions), values

    def counts(self) -> list[tuple[Any, ...]]:
        """Return sums by status and provenance."""
        where, values = self._sums([self._request.task_id or ""])
        return self._db.execute(
            "select status, provenance, sum(attempts), sum(retries), total(duration_us),"
            " sum(retrievals), sum(timed), total(memory_count), total(latency_us)"
            f" from task_count where {where} group by status, provenance",
            values,
        ).fetchall()

    def durations(self, task_ids: Sequence[str]) -> dict[str, Histogram]:
        """Return how many attempts took how long, for each of some tasks; '' for all together."""
        where, values = self._sums(task_ids)
        found: dict[str, Histogram] = {}
        for task_id, bucket, count in self._db.execute(
            f"select task_id, bucket, sum(attempts) from task_duration where {where} group by 1, 2",
            values,
        ):
            found.setdefault(task_id, {})[bucket] = count
        return found

    def tasks(self) -> list[TaskCounts]:
        """Return the tasks with most attempts."""
        only = None if self._request.task_id is None else [self._request.task_id]
        where, values = self._sums(only)
        largest = [
            row[0]
            for row in self._db.execute(
                f"select task_id from task_count where {where}"
                " group by task_id order by sum(attempts) desc, task_id limit ?",
                (*values, self._request.tasks),
            )
        ]
        where, values = self._sums(largest)
        rows: dict[str, list[tuple[Any, ...]]] = {task_id: [] for task_id in largest}
        for row in self._db.execute(
            "select task_id, status, sum(attempts), sum(retries), total(duration_us)"
            f" from task_count where {where} group by task_id, status",
            values,
        ):
            rows[row[0]].append(row)
        histograms = self.durations(largest)
        return [_task_counts(task_id, found, histograms.get(task_id, {})) for task_id, found in rows.items()]

    def open(self) -> dict[TaskStatus, int]:
        """Return how many attempts have not ended, by status; none where only those before some day count."""
        if self._request.until is not None:
            return {}
        # Few are open at any time, so all of these are looked at.
        where, values = self._attempts("status in ('pending', 'running', 'waiting')", plus="+")
        sql = f"select status, count(*) from task where {where} group by status"
        return _added((row[0], row[1]) for row in self._rows(sql, values))

    def failures(self, limit: int) -> list[tuple[Any, ...]]:
        """Return the attempts that failed last, newest first, as rows of `COLUMNS`."""
        found = self._failed(COLUMNS, limit)
        return sorted(found, key=lambda row: (row[_FINISHED], row[_SEQ]), reverse=True)[:limit]

    def patterns(self) -> list[FailurePattern]:
        """Return the largest groups of failures with the same stack."""
        where, values = self._sums([self._request.task_id or ""])
        largest = self._rows(
            f"select stack_hash, sum(attempts) from task_failure where {where}"
            " group by stack_hash order by sum(attempts) desc, stack_hash limit ?",
            (*values, self._request.patterns),
        )
        # Most of them are among the newest failures of what was asked about, which an index has together.
        newest: dict[str, list[tuple[int, str]]] = {}
        rows = self._failed(("finished_at", "seq", "stack_hash", "task_id"), _LOOKED_AT) if largest else []
        for _, seq, stack_hash, task_id in sorted(rows, key=lambda row: row[:2], reverse=True):
            newest.setdefault(stack_hash, []).append((seq, task_id))
        return [
            self._pattern(stack_hash, count, newest.get(stack_hash) or self._with_stack(stack_hash))
            for stack_hash, count in largest
        ]

    def _rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def _failed(self, columns: Sequence[str], limit: int) -> list[tuple[Any, ...]]:
        """Return columns of the newest attempts that failed, as many in each of the ways to fail."""
        found: list[tuple[Any, ...]] = []
        for status in _FAILED:
            if self._request.status in (None, status):
                where, values = self._attempts(f"{_FAILURES} and status = '{status}'")
                found += self._newest(columns, where, values, limit)
        return found

    def _with_stack(self, stack_hash: str) -> list[tuple[int, str]]:
        """Return position and task of the newest failures with a stack."""
        where, values = self._attempts("stack_hash = ?", plus="+")
        return self._newest(("seq", "task_id"), where, [stack_hash, *values], _TASKS_OF_PATTERN)

    def _pattern(self, stack_hash: str, count: int, newest: Sequence[tuple[int, str]]) -> FailurePattern:
        ends = "select {}(finished_at) from task where stack_hash = ?"
        first_at, last_at = (self._db.execute(ends.format(end), (stack_hash,)).get for end in ("min", "max"))
        example = None
        if newest:
            sql = f"select {', '.join(COLUMNS)} from task where seq = ?"
            example = self._db.execute(sql, newest[0][:1]).fetchone()
        return FailurePattern(
            stack_hash=stack_hash,
            count=count,
            first_at=first_at,
            last_at=last_at,
            task_ids=list(dict.fromkeys(task_id for _, task_id in newest))[:_TASKS_OF_PATTERN],
            example=None if example is None else attempt_of(example),
        )

    def _attempts(self, condition: str, plus: str = "") -> tuple[str, list[Any]]:
        """Return the condition and values of the attempts themselves.

        Args:
            condition: What else must hold.
            plus: `+` where the index is that of the condition, not one of what is narrowed by.
        """
        conditions, values = [condition], []
        for column in ("task_id", "slug", "project"):
            if (value := getattr(self._request, column)) is not None:
                conditions.append(f"{plus}{column} = ?")
                values.append(value)
                plus = "+"
        for column in ("provenance", "status"):
            if (value := getattr(self._request, column)) is not None:
                conditions.append(f"+{column} = ?")
                values.append(value)
        of_hosts, marks = host_condition(self._chosen, walk=not plus)
        return " and ".join([*conditions, *of_hosts]), [*values, *marks]

    def _times(self) -> tuple[int, int]:
        """Return the first moment of the first day, and the last of the last."""
        first, last = self._days
        return first * DAY_US, min(INT64_MAX, (last + 1) * DAY_US - 1)

    def _newest(
        self, columns: Sequence[str], where: str, values: Sequence[Any], limit: int
    ) -> list[tuple[Any, ...]]:
        """Return columns of the attempts that ended last."""
        sql = (
            f"select {', '.join(columns)} from task where {where}"
            " and finished_at between ? and ? order by finished_at desc, seq desc limit ?"
        )
        return self._rows(sql, (*values, *self._times(), limit))


_FINISHED: Final = COLUMNS.index("finished_at")
_SEQ: Final = COLUMNS.index("seq")


def _task_counts(task_id: str, rows: Sequence[tuple[Any, ...]], histogram: Histogram) -> TaskCounts:
    by_status = _added((row[1], row[2]) for row in rows)
    return TaskCounts(
        task_id=task_id,
        attempts=sum(row[2] for row in rows),
        retries=sum(row[3] for row in rows),
        by_status=by_status,
        success_rate=_success_rate(by_status),
        durations=_durations(histogram, sum(row[4] for row in rows)),
    )


def _places(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
