"""Tasks: one record for each attempt, whatever order its events come in."""

import itertools
import random
from typing import Any

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.codec import decode_line
from flightlog_schemas.stacks import stack_hash
from flightlog_schemas.wire.query import Tasks
from flightlogd.project import create_tables
from flightlogd.projections import task
from flightlogd.queries.task import list_sql
from flightlogd.recorded import Recorded
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer, QueryPeer

T = 1_790_000_000_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPANS = [f"{number:016x}" for number in range(1, 6)]


def tell(daemon: Daemon, *lines: bytes) -> None:
    """Send lines and wait until all are acked."""
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(*lines)[-1]["ack"]["lines"] == len(lines)


def ask(daemon: Daemon, **arguments: object) -> list[Any]:
    """Return attempts."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("tasks", **arguments).all("task")


def started(number: int, **fields: object) -> bytes:
    """Return the beginning of the attempt of that number."""
    again = {"retry_of": SPANS[number - 2]} if number > 1 else {}
    what = {"task_id": "t", "trace_id": TRACE, "span_id": SPANS[number - 1], "attempt": number} | again
    return event("task.started", "e", **what | {"time": T + 10 * number} | fields)


def ended(number: int, outcome: str, **fields: object) -> bytes:
    """Return the end of the attempt of that number."""
    what = {"task_id": "t", "trace_id": TRACE, "span_id": SPANS[number - 1], "outcome": outcome}
    return event("task.ended", "e", **what | {"time": T + 10 * number + 5} | fields)


@pytest.mark.covers("S2.1")
def test_attempts_are_a_chain(daemon: Daemon) -> None:
    """Each attempt has its span, its number, the attempt before it, and how it fared."""
    tell(
        daemon,
        event("execution.started", "e"),
        started(1, name="extract", slug="x", task_type="etl", inputs={"path": "/x"}, config_digest="c"),
        ended(1, "failed", error={"message": "no", "type": "OSError"}),
        started(2, reason="again", retrieval={"memory_count": 2}, runner={"name": "r"}),
        ended(2, "succeeded", outputs={"rows": 4}, duration_us=3, io={"tool_calls": 1}, scrubbed=True),
    )

    first, second = ask(daemon, trace_id=TRACE, oldest_first=True)
    assert (first["attempt"], first["retry_of"], first["status"]) == (1, None, "failed")
    assert (first["name"], first["slug"], first["type"]) == ("extract", "x", "etl")
    assert (first["inputs"], first["error"]["type"]) == ({"path": "/x"}, "OSError")
    assert (first["started_at"], first["finished_at"], first["duration_us"]) == (T + 10, T + 15, 5)
    assert (second["attempt"], second["retry_of"], second["span_id"]) == (2, SPANS[0], SPANS[1])
    assert (second["status"], second["duration_us"], second["outputs"]) == ("succeeded", 3, {"rows": 4})
    assert (second["retrieval"], second["runner"]) == ({"memory_count": 2}, {"name": "r"})
    assert (second["io"], second["scrubbed"], second["inferred"]) == ({"tool_calls": 1}, True, False)


@pytest.mark.covers("S2.3")
def test_failures_have_the_hash_of_their_stack(daemon: Daemon) -> None:
    """A failure that comes with a stack and no hash gets one, to be grouped by; a given one stays."""
    stack = 'Traceback (most recent call last):\n  File "/a/b.py", line 1, in f\n    g()\nKeyError: 1\n'
    tell(
        daemon,
        event("execution.started", "e"),
        started(1),
        ended(1, "failed", error={"message": "1", "type": "KeyError", "stack": stack}),
        started(2),
        ended(2, "failed", error={"message": "2", "stack": stack, "stack_hash": "mine"}),
        event("execution.ended", "e", outcome="failed", error={"message": "3", "stack": stack}),
    )

    first, second = ask(daemon, trace_id=TRACE, oldest_first=True)
    assert first["error"]["stack_hash"] == stack_hash(stack)
    assert second["error"]["stack_hash"] == "mine"
    with QueryPeer(daemon.query_socket) as reader:
        error = reader.ask("inspect", execution_id="e").one("execution")["error"]
    assert error["stack_hash"] == stack_hash(stack)


def test_a_script_needs_no_spans(daemon: Daemon) -> None:
    """A task that is created, begins, waits, goes on and ends is one attempt, without any span."""
    tell(
        daemon,
        event("task.created", "e", task_id="t", name="load", task_type="etl"),
        event("task.started", "e", task_id="t", slug="l", time=T),
        event("task.waiting", "e", task_id="t", reason="a lock"),
    )
    [waiting] = ask(daemon, execution_id="e")
    tell(
        daemon,
        event("task.resumed", "e", task_id="t"),
        event("task.ended", "e", task_id="t", outcome="succeeded", time=T + 9),
        event("task.ended", "e", task_id="t", outcome="failed", time=T + 10),
    )
    [done] = ask(daemon, execution_id="e")

    assert (waiting["status"], waiting["reason"]) == ("waiting", "a lock")
    assert (done["name"], done["slug"], done["type"], done["span_id"]) == ("load", "l", "etl", None)
    assert (done["status"], done["duration_us"], done["attempt"]) == ("succeeded", 9, 1)


@pytest.mark.covers("S1.3")
@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (event("execution.ended", "e", outcome="cancelled"), "cancelled"),
        (event("execution.ended", "e", outcome="timed_out"), "timed_out"),
        (event("execution.ended", "e", outcome="succeeded"), "cancelled"),
        (event("execution.lost", "e", reason="gone"), "lost"),
    ],
    ids=["cancelled", "timed_out", "succeeded", "lost"],
)
def test_open_tasks_end_with_their_execution(daemon: Daemon, ending: bytes, status: str) -> None:
    """However many tasks are open, they end as their execution does, and what had ended stays as it was."""
    tell(
        daemon,
        event("execution.started", "e"),
        *(event("task.started", "e", task_id=f"open-{number}") for number in range(500)),
        event("task.created", "e", task_id="pending"),
        event("task.started", "e", task_id="done"),
        event("task.ended", "e", task_id="done", outcome="failed"),
        event("task.started", "other", task_id="elsewhere"),
        ending,
        event("task.started", "e", task_id="late"),
        event("task.created", "e", task_id="later"),
        event("task.ended", "e", task_id="open-7", outcome="succeeded"),
    )

    found = {attempt["task_id"]: attempt for attempt in ask(daemon, execution_id="e")}
    assert len(found) == 504
    assert (found["done"]["status"], found["done"]["inferred"]) == ("failed", False)
    assert (found["open-7"]["status"], found["open-7"]["inferred"]) == ("succeeded", False)
    for task_id in {*found} - {"done", "open-7"}:
        assert (found[task_id]["status"], found[task_id]["inferred"]) == (status, True), task_id
    assert [attempt["status"] for attempt in ask(daemon, task_id="elsewhere")] == ["running"]


@pytest.mark.covers("S2.1")
@given(st.randoms(use_true_random=False), st.integers(1, 5), st.integers(0, 5), st.booleans())
@settings(max_examples=100, deadline=None)
def test_attempts_are_the_same_in_any_order(
    dice: random.Random, count: int, silent: int, created: bool
) -> None:
    """Beginnings and ends of attempts, in whatever order they arrive, leave the same attempts.

    One of them may have no end of its own: it ends with the execution.
    """
    lines = [event("task.created", "e", task_id="t", name="named", time=T)] if created else []
    for number in range(1, count + 1):
        lines.append(started(number, name="named", inputs={"n": number}))
        if number != silent:
            lines.append(ended(number, "succeeded" if number == count else "failed", reason=f"r{number}"))
    lines.append(event("execution.ended", "e", outcome="failed", time=T + 1000))

    def attempts(order: list[bytes]) -> list[tuple[Any, ...]]:
        db = apsw.Connection(":memory:")
        db.execute("create table projection (name primary key, version, position, broken_at, error)")
        create_tables(db, task)
        for seq, line in enumerate(order, 1):
            task.apply(db, Recorded(seq, T, 0, 1, "p", seq, decode_line(line)))
        return db.execute(
            "select span_id, attempt, retry_of, name, status, inferred, reason, started_at, finished_at,"
            " duration_us, inputs from task order by attempt, span_id"
        ).fetchall()

    shuffled = list(lines)
    dice.shuffle(shuffled)
    assert attempts(shuffled) == attempts(lines)


@pytest.mark.covers("S2.6")
def test_questions_about_tasks(daemon: Daemon) -> None:
    """Attempts are found by task, slug, trace, status, provenance, time and execution, in pages."""
    tell(
        daemon,
        *(
            event("task.started", "one", task_id=f"t{n % 3}", slug=f"s{n % 2}", span_id=f"{n:016x}")
            for n in range(1, 10)
        ),
    )
    with QueryPeer(daemon.query_socket) as reader:
        head = reader.ask("tail", after=0, follow=False).lines[-1]
    later = head["received"] + 1
    tell(
        daemon,
        event("task.started", "two", task_id="t0", provenance="backfill", trace_id=TRACE),
        event("task.ended", "two", task_id="t0", outcome="failed"),
    )

    assert [attempt["execution_id"] for attempt in ask(daemon, task_id="t0")] == ["two", "one", "one", "one"]
    assert len(ask(daemon, slug="s1")) == 5
    assert len(ask(daemon, slug="s1", task_id="t1")) == 2
    for wanted in ({"trace_id": TRACE}, {"status": "failed"}, {"provenance": "backfill"}, {"since": later}):
        assert [attempt["execution_id"] for attempt in ask(daemon, **wanted)] == ["two"], wanted
    assert ask(daemon, since=later + 10**12) == []
    with QueryPeer(daemon.query_socket) as reader:
        for oldest_first, bound in ((False, "before"), (True, "after")):
            found: list[int] = []
            position: dict[str, int] = {}
            for _ in range(3):
                page = reader.ask("tasks", execution_id="one", oldest_first=oldest_first, limit=3, **position)
                found += [attempt["seq"] for attempt in page.all("task")]
                assert page.end is not None
                position = {bound: page.end["next"]} if "next" in page.end else {}
            assert position == {}
            assert found == sorted(found, reverse=not oldest_first)
            assert len(set(found)) == 9
        assert reader.ask("tasks", execution_id="none").error["code"] == "not_found"  # type: ignore[index]


@pytest.mark.covers("S2.6")
def test_every_question_walks_an_index(daemon: Daemon) -> None:
    """Whatever attempts are asked for, one index is walked in the order of the answer, and no other row read.

    Of each two filters one is an index's; a status beside a task or a slug has an index with both.
    """
    daemon.terminate()
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    filters: dict[str, dict[str, object]] = {
        "execution": {"execution_id": "e"},
        "task": {"task_id": "t"},
        "slug": {"slug": "s"},
        "trace": {"trace_id": TRACE},
        "failed": {"status": "failed"},
        "running": {"status": "running"},
        "provenance": {"provenance": "backfill"},
        "page": {"before": 5},
    }

    def plan_of(*chosen: str, since_seq: int | None = None) -> str:
        arguments = {name: value for key in chosen for name, value in filters[key].items()}
        execution_id = arguments.pop("execution_id", None)
        sql, values = list_sql(Tasks(**arguments), execution_id, since_seq, None)  # type: ignore[arg-type]
        return " ".join(str(row[3]) for row in db.execute(f"explain query plan {sql}", values))

    slow = []
    for size in (1, 2, 3):
        for chosen in itertools.combinations(filters, size):
            for since_seq in (None, 3):
                plan = plan_of(*chosen, since_seq=since_seq)
                by_index = "USING INDEX" in plan or chosen == ("page",)
                if "TEMP B-TREE" in plan or "SCAN" in plan or not by_index:
                    slow.append(f"{chosen}: {plan}")
    found = {
        chosen: plan_of(*chosen)
        for chosen in (("task", "failed"), ("slug", "failed"), ("task", "running"), ("provenance",))
    }
    db.close()
    assert slow == []
    assert "task_unsuccessful_by_id (task_id=? AND status=?)" in found["task", "failed"]
    assert "task_unsuccessful_by_slug (slug=? AND status=?)" in found["slug", "failed"]
    assert "task_by_status (status=?)" in found["task", "running"]
    assert "task_by_provenance (provenance=?)" in found["provenance",]
