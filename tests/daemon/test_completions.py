"""Attempts at tasks as they end: told live, in order, and whether a failure is new."""

import apsw
import pytest

from flightlog_schemas.wire.query import Completions
from flightlogd.queries.task import completion_sql
from support.daemon import Daemon
from support.lines import event
from support.peers import Json, QueryPeer
from support.rebuild import tell


def attempt(number: int, outcome: str | None = None, **fields: object) -> list[bytes]:
    """Return the beginning of an attempt, and its end if it has one."""
    what = {"task_id": "t", "span_id": f"{number:016x}"} | {
        name: value for name, value in fields.items() if name in ("task_id", "provenance")
    }
    error = {"error": {"message": "no", "stack": fields["stack"]}} if "stack" in fields else {}
    lines = [event("task.started", "e", **what)]
    return lines if outcome is None else [*lines, event("task.ended", "e", outcome=outcome, **what, **error)]


def next_one(reader: QueryPeer) -> Json:
    """Return the next completion."""
    answer = reader.next()
    assert answer is not None
    found = answer["completion"]
    assert isinstance(found, dict)
    return found


def ended(daemon: Daemon, **arguments: object) -> list[Json]:
    """Return what has ended so far."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("completions", follow=False, **{"after": 0} | arguments).all("completion")


@pytest.mark.covers("S2.10")
def test_completions_come_live(daemon: Daemon) -> None:
    """Who follows gets each attempt when it ends; the first failure with a stack is novel, no other is."""
    with QueryPeer(daemon.query_socket) as reader:
        reader.start("completions", after=0)
        tell(daemon, *attempt(1, "failed", stack="a"))
        first = next_one(reader)
        tell(daemon, *attempt(2, "failed", stack="a"), *attempt(3, "succeeded"))
        again, fine = next_one(reader), next_one(reader)
        tell(
            daemon,
            event("execution.started", "e"),
            *attempt(4),
            event("execution.ended", "e", outcome="failed"),
        )
        cut = next_one(reader)
        tell(daemon, *attempt(5, "failed", stack="b"))
        other = next_one(reader)

    assert (first["span_id"], first["status"], first["novel"]) == (f"{1:016x}", "failed", True)
    assert first["error"]["stack"] == "a"
    assert (again["span_id"], again["novel"]) == (f"{2:016x}", False)
    assert (fine["status"], fine["novel"]) == ("succeeded", False)
    assert (cut["status"], cut["inferred"], cut["novel"]) == ("cancelled", True, False)
    assert (other["span_id"], other["novel"]) == (f"{5:016x}", True)


@pytest.mark.covers("S2.10", "D8")
def test_what_was_novel_stays_so(daemon: Daemon) -> None:
    """Whether a failure was new is a fact of its place in the log: asked later, the answer is the same."""
    tell(daemon, *attempt(1, "failed", stack="a"), *attempt(2, "failed", stack="a"))
    tell(daemon, *attempt(3, "failed", stack="b"), *attempt(4, "failed"), *attempt(5, "timed_out", stack="b"))

    assert [one["novel"] for one in ended(daemon)] == [True, False, True, False, False]
    assert [one["span_id"][-1] for one in ended(daemon, novel_only=True)] == ["1", "3"]
    third = ended(daemon)[2]["ended_seq"]
    assert [one["span_id"][-1] for one in ended(daemon, after=third)] == ["4", "5"]
    assert [one["span_id"][-1] for one in ended(daemon, after=third, limit=1)] == ["4"]


@pytest.mark.covers("S2.10")
def test_completions_are_chosen(daemon: Daemon) -> None:
    """Task, status, provenance and execution narrow what comes."""
    tell(
        daemon,
        *attempt(1, "failed", task_id="a"),
        *attempt(2, "succeeded", task_id="b", provenance="import"),
        *attempt(3, "timed_out", task_id="b"),
        event("task.ended", "other", task_id="a", outcome="succeeded"),
    )

    def tasks(**arguments: object) -> list[tuple[str, str]]:
        return [(one["task_id"], one["status"]) for one in ended(daemon, **arguments)]

    assert tasks(task_id="a") == [("a", "failed"), ("a", "succeeded")]
    assert tasks(status=["failed", "timed_out"]) == [("a", "failed"), ("b", "timed_out")]
    assert tasks(provenance="import") == [("b", "succeeded")]
    assert tasks(execution_id="other") == [("a", "succeeded")]


@pytest.mark.covers("S2.10")
def test_a_real_ending_is_told_after_an_inferred_one(daemon: Daemon) -> None:
    """An attempt that ended with its execution and then tells of its own end is where that own end is."""
    tell(
        daemon,
        *attempt(1),
        event("execution.started", "e"),
        event("execution.ended", "e", outcome="timed_out"),
        event("task.created", "e", task_id="t", name="late"),
        event("task.ended", "e", task_id="t", span_id=f"{1:016x}", outcome="succeeded"),
        event("task.ended", "e", task_id="t", span_id=f"{1:016x}", outcome="failed"),
    )
    with QueryPeer(daemon.query_socket) as reader:
        [first, *_] = reader.ask("tail", after=0, follow=False, type=["task.ended"]).lines

    assert [(one["status"], one["ended_seq"]) for one in ended(daemon)] == [("succeeded", first["seq"])]


def test_thousands_that_end_at_once(daemon: Daemon) -> None:
    """An execution that takes thousands of attempts with it is told in pages, each attempt once."""
    starts = [event("task.started", "e", task_id=f"t{number}") for number in range(2500)]
    tell(daemon, event("execution.started", "e"), *starts, event("execution.ended", "e", outcome="cancelled"))

    found = ended(daemon)
    assert len({one["task_id"] for one in found}) == len(found) == 2500


def test_completions_walk_an_index(daemon: Daemon) -> None:
    """Whatever is asked for, ends are walked in their order, and a novel failure is seen at one look."""
    daemon.terminate()
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    slow = []
    for request in (
        Completions(),
        Completions(novel_only=True),
        Completions(task_id="t", status=("failed", "lost"), provenance="live", slug="s", execution_id="e"),
    ):
        sql, values = completion_sql(request, (5, 6), 90)
        plan = [row[3] for row in db.execute(f"explain query plan {sql}", values)]
        if not plan[0].startswith("SEARCH task USING INDEX task_by_end") or "TEMP B-TREE" in str(plan):
            slow.append(plan)
        if not any("task_by_stack_end (stack_hash=?)" in step for step in plan):
            slow.append(plan)
    db.close()
    assert slow == []
