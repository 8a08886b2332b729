"""What attempts at tasks add up to: whatever order their events come in, and whatever leaves the log."""

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.stacks import stack_hash
from flightlog_schemas.stats import Stats as Answer
from flightlog_schemas.wire.query import Stats
from flightlogd.durations import bucket_of, middle_of
from flightlogd.periods import ranges
from flightlogd.projections import task
from flightlogd.queries.stats import task_stats
from support.attempts import DAY_US, MARKS, SUMS, T, Told, feed, nearest, plain_stats, sums
from support.daemon import Daemon, DaemonFactory
from support.govern import ask, govern, is_whole
from support.lines import event
from support.origins import ran, repeat
from support.peers import IngestPeer
from support.rebuild import rebuild, stopped, tell

EXECUTIONS = {
    "e": "/p",
    "f": "/q",
    "g": None,
    "e~0123456789ab": "/p",
    "e~ba9876543210": "/r",
    "e~notamark____": "/p",
}

ATTEMPTS = st.lists(
    st.builds(
        lambda execution_id, **facts: Told(
            number=0, execution_id=execution_id, project=EXECUTIONS[execution_id], **facts
        ),
        execution_id=st.sampled_from(sorted(EXECUTIONS)),
        task_id=st.sampled_from(["t", "u"]),
        slug=st.sampled_from([None, "s"]),
        provenance=st.sampled_from(["live", "backfill"]),
        attempt=st.integers(1, 2),
        started_at=st.integers(0, 100).map(lambda day: T + day * DAY_US),
        duration_us=st.integers(0, 10**9),
        outcome=st.sampled_from([None, "succeeded", "failed", "timed_out", "cancelled"]),
        stack=st.none(),
        memory_count=st.one_of(st.none(), st.integers(0, 5)),
        at_once=st.booleans(),
    ),
    max_size=12,
)


def numbered(attempts: list[Told]) -> list[Told]:
    """Return attempts with a span of their own each, and a stack for each that failed."""
    return [
        replace(one, number=2 * at + 1, stack=f"at {at % 3}" if one.outcome == "failed" else None)
        for at, one in enumerate(attempts)
    ]


def story(attempts: list[Told]) -> list[bytes]:
    """Return all events: the executions begin, attempts are made, the executions are cancelled."""
    projects = {name: {"project": project} if project else {} for name, project in EXECUTIONS.items()}
    return [
        *(event("execution.started", name, time=T, **facts) for name, facts in projects.items()),
        *(line for one in attempts for line in one.lines()),
        *(event("execution.ended", name, time=T + 200 * DAY_US, outcome="cancelled") for name in EXECUTIONS),
    ]


def check(found: Answer, wanted: list[Told]) -> None:
    """Compare an answer with what plain Python makes of the same attempts."""
    plain = plain_stats(wanted)
    answer = msgspec.to_builtins(found)
    for name in ("attempts", "retries", "by_status", "by_provenance", "success_rate", "retrievals"):
        assert answer[name] == plain[name], name
    assert {one.stack_hash: one.count for one in found.patterns} == {
        stack_hash(stack): count for stack, count in plain["patterns"].items()
    }
    ends = {one.number: T + 200 * DAY_US for one in wanted if one.outcome is None}
    took = [ends.get(one.number, one.started_at + one.duration_us) - one.started_at for one in wanted]
    durations = found.durations
    assert durations.count == len(took)
    assert durations.avg_us == (round(sum(took) / len(took)) if took else None)
    for share, value in ((0, durations.min_us), (0.5, durations.p50_us), (0.95, durations.p95_us)):
        close(value, nearest(took, share))
    close(durations.max_us, nearest(took, 1))


def close(found: int | None, exact: int | None) -> None:
    """Compare a duration with what it is exactly, to 2 %."""
    assert (found is None) == (exact is None)
    if found is not None and exact is not None:
        assert abs(found - exact) <= 0.02 * exact


@pytest.mark.covers("S2.7")
@given(st.randoms(use_true_random=False), ATTEMPTS)
@settings(max_examples=60, deadline=None)
def test_sums_are_the_same_in_any_order(dice: random.Random, attempts: list[Told]) -> None:
    """Events in any order, in any transactions, leave the same sums, which plain Python finds too."""
    attempts = numbered(attempts)
    lines = story(attempts)
    in_order = feed(lines)
    shuffled = list(lines)
    dice.shuffle(shuffled)
    db = feed(shuffled, lambda: dice.random() < 0.3)

    assert sums(db) == sums(in_order)
    assert sums(db)["task_change"] == []
    check(task_stats(db, Stats()), attempts)
    for name in ("task_id", "slug", "project", "provenance"):
        for value in {getattr(one, name) for one in attempts} - {None}:
            chosen = [one for one in attempts if getattr(one, name) == value]
            check(task_stats(db, Stats(**{name: value})), chosen)
    for hosts in (["here"], ["far"], ["farther", "here"], list(MARKS)):
        chosen = [
            one for one in attempts if split_mark(one.execution_id)[1] in [MARKS[host] for host in hosts]
        ]
        check(task_stats(db, Stats(host=tuple(hosts))), chosen)
        some = task_stats(db, Stats(host=tuple(hosts), project="/p", failures=100))
        chosen = [one for one in chosen if one.project == "/p"]
        assert some.attempts == len(chosen)
        assert len(some.failures) == sum(one.outcome in ("failed", "timed_out") for one in chosen)
        assert {one.task_id: one.attempts for one in some.tasks} == Counter(one.task_id for one in chosen)
    in_project = {one.task_id: one.attempts for one in task_stats(db, Stats(project="/p")).tasks}
    assert in_project == Counter(one.task_id for one in attempts if one.project == "/p")
    found = task_stats(db, Stats(status="failed"))
    assert found.attempts == sum(one.outcome == "failed" for one in attempts)
    by_task = {one.task_id: one.attempts for one in task_stats(db, Stats()).tasks}
    assert by_task == {name: sum(one.task_id == name for one in attempts) for name in by_task}
    assert sum(by_task.values()) == len(attempts)


@pytest.mark.covers("S2.7")
@given(ATTEMPTS, st.integers(-5, 110), st.integers(0, 110))
@settings(max_examples=60, deadline=None)
def test_days_bound_what_counts(attempts: list[Told], first: int, count: int) -> None:
    """Since and until choose by the day of the end, both days included, over stretches and single days."""
    attempts = [replace(one, outcome=one.outcome or "lost") for one in numbered(attempts)]
    attempts = [replace(one, outcome="failed" if one.outcome == "lost" else one.outcome) for one in attempts]
    db = feed(story(attempts))
    since, until = T + first * DAY_US, T + (first + count) * DAY_US
    days = range(since // DAY_US, until // DAY_US + 1)

    found = task_stats(db, Stats(since=since, until=until))
    chosen = [one for one in attempts if (one.started_at + one.duration_us) // DAY_US in days]
    assert found.attempts == len(chosen)
    assert len(found.failures) == min(10, sum(one.outcome in ("failed", "timed_out") for one in chosen))
    assert task_stats(db, Stats(since=since)).attempts == sum(
        (one.started_at + one.duration_us) // DAY_US >= days[0] for one in attempts
    )


@given(st.integers(0, 300), st.integers(-1, 300))
def test_periods_cover_each_day_once(first: int, count: int) -> None:
    """Whatever days are asked for, the days and stretches read are those and no other, each once."""
    found: list[int] = []
    for low, high in ranges(first, first + count):
        for period in range(low, high + 1):
            found += [period] if period >= 0 else range(32 * (-1 - period), 32 * -period)
    assert sorted(found) == list(range(first, first + count + 1))


@pytest.mark.covers("S2.7")
@given(st.integers(0, 2**63 - 1))
def test_buckets_are_narrow(duration_us: int) -> None:
    """The middle of its bucket is within 2 % of every duration, and longer ones are in no lower bucket."""
    bucket = bucket_of(duration_us)

    assert abs(middle_of(bucket) - duration_us) <= 0.02 * duration_us
    assert bucket_of(middle_of(bucket)) == bucket
    assert bucket_of(duration_us // 2) <= bucket <= bucket_of(min(2 * duration_us, 2**63 - 1))


@pytest.mark.covers("S2.7", "D8")
def test_absurd_numbers_break_nothing() -> None:
    """Durations and counts at the end of 64 bits, many of them, cannot break the read model or the answer."""
    huge = 2**63 - 1
    lines = [event("execution.started", "e")]
    for number in range(1, 9):
        what = {"task_id": "t", "span_id": f"{number:016x}"}
        found = {"memory_count": huge, "latency_us": huge}
        lines.append(event("task.started", "e", time=0, retrieval=found, **what))
        lines.append(event("task.ended", "e", time=huge, duration_us=huge, outcome="succeeded", **what))
    db = feed(lines)

    answer = task_stats(db, Stats(since=0, until=huge))
    assert answer.attempts == 8
    assert answer.durations.max_us is not None
    close(answer.durations.max_us, huge)
    for number in range(1, 9):
        db.execute("delete from task where span_id = ?", (f"{number:016x}",))
    task.TOTALS.settle(db)
    assert all(rows == [] for rows in sums(db).values())


@pytest.mark.covers("S2.7")
def test_a_late_project_moves_what_counts() -> None:
    """Attempts of an execution announced only later count for its project, as if it had been first."""
    what = {"task_id": "t", "time": T}
    db = feed(
        [
            event("task.started", "e", **what),
            event("task.ended", "e", outcome="succeeded", **what),
            event("execution.started", "e", project="/p", time=T),
            event("execution.started", "e", project="/other", time=T),
        ]
    )

    assert task_stats(db, Stats(project="/p")).by_status == {"succeeded": 1}
    assert task_stats(db, Stats(project="/other")).attempts == 0
    assert task_stats(db, Stats()).attempts == 1


@pytest.mark.covers("S2.7")
def test_the_page_of_stats(daemon: Daemon) -> None:
    """Totals, tasks, what is open, the newest failures, and groups of them, each with an example."""
    tell(daemon, event("execution.started", "e", project="/p"))
    for number in range(1, 31):
        one = Told(
            number=number,
            execution_id="e",
            project="/p",
            task_id=f"t{number % 3}",
            slug="s",
            provenance="backfill" if number % 10 == 0 else "live",
            attempt=1,
            started_at=T + number,
            duration_us=1000 * number,
            outcome="failed" if number % 5 == 0 else "succeeded",
            stack=f"in {number % 2}" if number % 5 == 0 else None,
            memory_count=None,
        )
        tell(daemon, *one.lines())
    tell(daemon, event("task.started", "e", task_id="t0", span_id="f" * 16))

    found: dict[str, Any] = ask(daemon, "stats", failures=2).one("stats")
    assert (found["attempts"], found["by_status"]) == (30, {"succeeded": 24, "failed": 6})
    assert (found["open"], found["success_rate"]) == ({"running": 1}, 0.8)
    assert found["by_provenance"] == {"live": 27, "backfill": 3}
    assert {one["task_id"]: one["attempts"] for one in found["tasks"]} == {"t0": 10, "t1": 10, "t2": 10}
    assert [one["finished_at"] for one in found["failures"]] == [T + 30 + 30_000, T + 25 + 25_000]
    [first, second] = found["patterns"]
    assert {first["stack_hash"], second["stack_hash"]} == {stack_hash("in 0"), stack_hash("in 1")}
    odd = first if first["stack_hash"] == stack_hash("in 1") else second
    assert (odd["count"], odd["first_at"], odd["last_at"]) == (3, T + 5 + 5000, T + 25 + 25_000)
    assert odd["example"]["error"]["stack"] == "in 1"
    assert odd["task_ids"] == ["t1", "t0", "t2"]
    of_task = ask(daemon, "stats", task_id="t0").one("stats")
    assert (of_task["attempts"], of_task["open"]) == (10, {"running": 1})
    assert ask(daemon, "stats", until=T).one("stats")["open"] == {}
    assert ask(daemon, "stats", slug="s").one("stats")["tasks"] == []
    refused = ask(daemon, "stats", slug="s", task_id="t0").error
    assert refused is not None
    assert refused["code"] == "invalid"


@pytest.mark.covers("S2.7", "S1.7", "D8")
def test_retention_takes_back_what_counted(daemon_factory: DaemonFactory) -> None:
    """When an execution leaves the log its attempts count no more, and a rebuild agrees."""
    daemon = daemon_factory(start=False)
    daemon.clock_shift_us = -400 * 86_400_000_000
    daemon.start()
    for name, count in (("old", 40), ("open", 3)):
        lines = [event("execution.started", name, project="/p")]
        for number in range(1, count + 1):
            what = {"task_id": "t", "span_id": f"{number:016x}"}
            lines += [
                event("task.started", name, **what),
                event("task.ended", name, outcome="failed", error={"message": "m", "stack": "s"}, **what),
            ]
        tell(daemon, *lines, *([event("execution.ended", name, outcome="failed")] if name == "old" else []))
    before = ask(daemon, "stats", project="/p").one("stats")
    daemon.terminate()
    daemon.clock_shift_us = 0
    daemon.start()
    daemon.wait_for_entry("retention is done", where=lambda entry: entry["executions"] == 1)

    found = ask(daemon, "stats").one("stats")
    assert (before["attempts"], before["patterns"][0]["count"]) == (43, 43)
    assert (found["attempts"], found["patterns"][0]["count"]) == (3, 3)
    assert found["durations"]["count"] == 3
    assert is_whole(daemon)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("task.started", "open", task_id="t", span_id="f" * 16))
    assert ask(daemon, "stats").one("stats")["open"] == {"running": 1}
    assert govern(daemon, "rebuild") == []


@pytest.mark.covers("S2.7", "D8")
def test_a_rebuild_mends_sums(daemon: Daemon) -> None:
    """Sums and attempts that were tampered with are put right together, and go on counting."""
    what = {"task_id": "t", "time": T}
    for number in range(5):
        name = f"e{number}"
        tell(daemon, event("task.started", name, **what), event("task.ended", name, outcome="failed", **what))
    with stopped(daemon) as db:
        before = {table: db.execute(f"select * from {table}").fetchall() for table in SUMS}
        db.execute("update task_count set attempts = 7, retries = 3")
        db.execute("delete from task_duration")
        # With the triggers of the read model, as a hand at the database would.
        db.execute("update task set status = 'succeeded' where execution_id = 'e1'")
        db.execute("delete from task where execution_id = 'e2'")

    code, found = rebuild(daemon)
    tell(daemon, event("log", "e0", message="on"), event("task.started", "e0", task_id="u"))

    assert code == 0
    assert found["task"] == (1, 0, 1)
    with stopped(daemon) as db:
        assert {table: db.execute(f"select * from {table}").fetchall() for table in SUMS} == before
        assert db.execute("select count(*) from task_change").get == 0
    assert rebuild(daemon, "--check") == (0, {})


def test_sums_are_read_by_key(daemon: Daemon) -> None:
    """Whatever is asked for, sums are found by their key and attempts by an index; no table is scanned."""
    tell(
        daemon,
        event("execution.started", "e", project="/p"),
        event("task.started", "e", task_id="t", slug="s"),
        event("task.ended", "e", task_id="t", outcome="failed", error={"message": "m", "stack": "s"}),
    )
    here = ask(daemon, "hosts").one("host")["host"]
    repeat(daemon, *ran("far", "e", event("task.ended", "e", task_id="t", outcome="failed")))
    daemon.terminate()
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    statements: list[tuple[str, Any]] = []

    def note(_cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
        statements.append((sql, bindings))
        return True

    db.exec_trace = note
    for request in (
        Stats(),
        Stats(task_id="t", provenance="live"),
        Stats(slug="s", since=1),
        Stats(project="/p", until=2**62),
        Stats(project="/p", status="failed"),
        Stats(host=(here,)),
        Stats(host=("far",)),
        Stats(host=("far",), task_id="t"),
        Stats(host=("far", here)),
    ):
        task_stats(db, request)
    db.exec_trace = None
    slow = []
    for sql, bindings in statements:
        plan = [row[3] for row in db.execute(f"explain query plan {sql}", bindings)]
        if any(step.startswith("SCAN task") for step in plan):
            slow.append(f"{sql}: {plan}")
        if "finished_at desc" in sql and any("TEMP B-TREE" in step for step in plan):
            slow.append(f"{sql}: {plan}")
    db.close()
    assert len(statements) > 40
    assert slow == []
