"""What the audit trail says of tasks: by themselves, in the transaction of the change, however many."""

import json
from typing import Any

import pytest

from support.daemon import Daemon
from support.lines import event
from support.peers import Json, QueryPeer
from support.rebuild import rebuild, tell

SPAN, NEXT = "00f067aa0ba902b7", "00f067aa0ba902b8"


def trail(daemon: Daemon, execution_id: str | None, **filters: object) -> list[Json]:
    """Return all entries that match, page by page."""
    found: list[Json] = []
    after: int | str = 0
    with QueryPeer(daemon.query_socket) as reader:
        while True:
            answers = reader.ask("audit", execution_id=execution_id, after=after, **filters)
            found += answers.all("audit")
            assert answers.end is not None
            if not answers.end.get("truncated"):
                return found
            after = answers.end["next"]


def of_tasks(daemon: Daemon, execution_id: str) -> list[tuple[Any, ...]]:
    """Return (type, task, from, to, reason) of the entries about tasks."""
    return [
        (entry["event_type"], entry["task_id"], entry["from_state"], entry["to_state"], entry["reason"])
        for entry in trail(daemon, execution_id)
        if entry["task_id"] is not None
    ]


def started(execution_id: str, task_id: str, **fields: object) -> bytes:
    """Return the beginning of an attempt."""
    return event("task.started", execution_id, task_id=task_id, time=1_000, **fields)


def ended(execution_id: str, task_id: str, outcome: str = "succeeded", **fields: object) -> bytes:
    """Return the end of an attempt, 2 ms later."""
    return event("task.ended", execution_id, task_id=task_id, outcome=outcome, time=3_000, **fields)


@pytest.mark.covers("S1.3", "S1.6", "S1.13")
def test_an_attempt_is_told_from_start_to_end(shared_daemon: Daemon) -> None:
    """Inputs, outputs, error, duration, attempt and the reason for it are in the trail, with who said so."""
    tell(
        shared_daemon,
        event("execution.started", "whole"),
        event("task.created", "whole", task_id="t", name="extract", task_type="etl"),
        started("whole", "t", span_id=SPAN, inputs={"rows": 3}),
        event("task.waiting", "whole", task_id="t", span_id=SPAN, reason="quota"),
        event("task.resumed", "whole", task_id="t", span_id=SPAN),
        ended("whole", "t", "failed", span_id=SPAN, error={"message": "no disk", "type": "OSError"}),
        started("whole", "t", span_id=NEXT, attempt=2, retry_of=SPAN, reason="after OSError: no disk"),
        ended("whole", "t", span_id=NEXT, outputs={"rows": 2}),
    )
    entries = [entry for entry in trail(shared_daemon, "whole") if entry["task_id"]]

    assert [(entry["event_type"], entry["from_state"], entry["to_state"]) for entry in entries] == [
        ("TASK_CREATED", None, "pending"),
        ("TASK_STARTED", "pending", "running"),
        ("TASK_STATE_CHANGE", "running", "waiting"),
        ("TASK_STATE_CHANGE", "waiting", "running"),
        ("TASK_FAILED", "running", "failed"),
        ("TASK_RETRIED", "pending", "running"),
        ("TASK_COMPLETED", "running", "succeeded"),
    ]
    assert entries[1]["detail"] == {"span_id": SPAN, "attempt": 1, "inputs": {"rows": 3}}
    assert entries[2]["reason"] == "quota"
    assert entries[4]["detail"] == {
        "span_id": SPAN,
        "attempt": 1,
        "duration_us": 2000,
        "error": {"type": "OSError", "message": "no disk"},
    }
    assert entries[5]["reason"] == "after OSError: no disk"
    assert entries[5]["detail"] == {"span_id": NEXT, "attempt": 2, "retry_of": SPAN}
    assert entries[6]["detail"] == {
        "span_id": NEXT,
        "attempt": 2,
        "duration_us": 2000,
        "outputs": {"rows": 2},
    }
    assert all(entry["uid"] is not None and entry["pid"] for entry in entries)


@pytest.mark.covers("S1.3", "S1.6")
@pytest.mark.parametrize(
    ("outcome", "becomes", "entry"),
    [
        ("failed", "cancelled", "TASK_CANCELLED"),
        ("cancelled", "cancelled", "TASK_CANCELLED"),
        ("timed_out", "timed_out", "TASK_TIMEOUT"),
    ],
)
def test_an_execution_takes_its_open_tasks_along(
    shared_daemon: Daemon, outcome: str, becomes: str, entry: str
) -> None:
    """Each task that is open when its execution ends has an entry of its own, at the same position."""
    name = f"along-{outcome}"
    tell(
        shared_daemon,
        event("execution.started", name),
        started(name, "done"),
        ended(name, "done"),
        started(name, "open"),
        event("task.created", name, task_id="waits"),
        event("execution.ended", name, outcome=outcome, time=5_000),
    )
    reason = f"its execution ended: {outcome}"

    assert of_tasks(shared_daemon, name)[-2:] == [
        (entry, "open", "running", becomes, reason),
        (entry, "waits", "pending", becomes, reason),
    ]
    *_, end, opened, _ = trail(shared_daemon, name)
    assert (
        end["event_type"] == {"failed": "FAILED", "cancelled": "CANCELLED", "timed_out": "TIMEOUT"}[outcome]
    )
    assert (opened["seq"], opened["time"]) == (end["seq"], end["time"])
    assert opened["detail"] == {"span_id": None, "attempt": 1, "duration_us": 4000, "inferred": True}


@pytest.mark.covers("S1.3", "S1.6")
def test_what_comes_late_is_told_as_well(shared_daemon: Daemon) -> None:
    """A task that begins after its execution ended ends with it; its own end, which comes later, stands."""
    tell(
        shared_daemon,
        event("execution.started", "late"),
        event("execution.ended", "late", outcome="cancelled"),
        started("late", "t"),
        ended("late", "t"),
        ended("late", "t", "failed", error={"message": "m"}),
    )
    reason = "its execution ended: cancelled"

    assert of_tasks(shared_daemon, "late") == [
        ("TASK_STARTED", "t", "pending", "running", None),
        ("TASK_CANCELLED", "t", "running", "cancelled", reason),
        ("TASK_COMPLETED", "t", "cancelled", "succeeded", None),
        ("ANOMALY", "t", "succeeded", None, "it has ended already (succeeded)"),
    ]


def test_what_cannot_be_is_an_anomaly(shared_daemon: Daemon) -> None:
    """A second start, a wait of what does not run, and tasks of an execution nobody announced are noted."""
    tell(
        shared_daemon,
        started("odd", "t"),
        started("odd", "t"),
        event("task.resumed", "odd", task_id="t"),
        ended("odd", "first-heard-of-now"),
        started("odd", "first-heard-of-now"),
    )

    assert of_tasks(shared_daemon, "odd") == [
        ("TASK_STARTED", "t", "pending", "running", None),
        ("ANOMALY", "t", None, None, "it was never announced, and things happen in it"),
        ("ANOMALY", "t", "running", None, "this attempt was started before; the first record stands"),
        ("ANOMALY", "t", "running", None, "it is running, not waiting"),
        ("TASK_COMPLETED", "first-heard-of-now", None, "succeeded", None),
        ("TASK_STARTED", "first-heard-of-now", None, None, "its end came before"),
    ]


def test_large_inputs_are_named_by_their_size(shared_daemon: Daemon) -> None:
    """The trail stays small: inputs and outputs past a limit are there as a number of bytes."""
    inputs = {"text": "x" * 5000}
    tell(shared_daemon, event("execution.started", "large"), started("large", "t", inputs=inputs))
    (entry,) = trail(shared_daemon, "large", task_id="t")

    assert entry["detail"] == {"attempt": 1, "inputs_bytes": len(json.dumps(inputs, separators=(",", ":")))}


@pytest.mark.covers("S1.3", "D8")
def test_ten_thousand_open_tasks_end_with_their_execution(daemon: Daemon) -> None:
    """However many tasks are open, each has its entry, pages of the trail lose none, and a rebuild agrees."""
    count = 10_000
    tell(daemon, event("execution.started", "many"), *(started("many", f"t{n}") for n in range(count)))
    tell(daemon, event("execution.ended", "many", outcome="cancelled", reason="enough"))

    ends = trail(daemon, "many", type=["TASK_CANCELLED"])
    assert sorted(int(entry["task_id"][1:]) for entry in ends) == list(range(count))
    assert len({entry["seq"] for entry in ends}) == 1
    assert len(trail(daemon, "many")) == 2 * count + 3
    assert [entry["task_id"] for entry in trail(daemon, "many", last=2500)] == [
        f"t{n}" for n in range(count - 2500, count)
    ]
    assert rebuild(daemon, "--check") == (0, {})


def test_a_lost_execution_that_ended_after_all(shared_daemon: Daemon) -> None:
    """Tasks that were lost with their execution are told to have been cut short once its own end arrives."""
    tell(
        shared_daemon,
        event("execution.started", "found"),
        started("found", "t"),
        event("execution.lost", "found", reason="a guess"),
        event("execution.ended", "found", outcome="succeeded"),
    )
    assert of_tasks(shared_daemon, "found")[1:] == [
        ("TASK_LOST", "t", "running", "lost", "its execution ended: lost"),
        ("TASK_CANCELLED", "t", "lost", "cancelled", "its execution ended: succeeded"),
    ]


@pytest.mark.covers("S1.6")
def test_filters_narrow_the_trail(shared_daemon: Daemon) -> None:
    """By task, types, time of recording and number, of one execution or of everything, in order."""
    tell(
        shared_daemon,
        event("execution.started", "narrow"),
        started("narrow", "narrow-a"),
        started("narrow", "narrow-b"),
        ended("narrow", "narrow-a"),
        event("execution.ended", "narrow", outcome="failed"),
    )

    def types(**filters: object) -> list[str]:
        return [entry["event_type"] for entry in trail(shared_daemon, "narrow", **filters)]

    everything = ["CREATED", "STARTED", "TASK_STARTED", "TASK_STARTED", "TASK_COMPLETED", "FAILED"]
    everything.append("TASK_CANCELLED")
    assert types() == everything
    assert types(limit=1) == everything
    assert types(task_id="narrow-a") == ["TASK_STARTED", "TASK_COMPLETED"]
    assert types(type=["FAILED", "STARTED"]) == ["STARTED", "FAILED"]
    assert types(last=3) == everything[-3:]
    assert types(last=3, limit=1) == everything[-3:]
    assert types(last=0) == []
    assert types(last=1, type=["TASK_STARTED"]) == ["TASK_STARTED"]
    assert types(since=1) == everything
    assert types(until=1) == []
    assert types(since=2**62) == []
    of_all = trail(shared_daemon, None, task_id="narrow-b")
    assert [entry["event_type"] for entry in of_all] == ["TASK_STARTED", "TASK_CANCELLED"]
    assert len(trail(shared_daemon, None, type=["CREATED"], limit=1)) == len(
        trail(shared_daemon, None, type=["CREATED"])
    )


@pytest.mark.covers("S1.6", "D8")
def test_the_past_is_as_it_was(shared_daemon: Daemon) -> None:
    """The trail of an execution as of each position is the beginning of today's, tasks included."""
    tell(
        shared_daemon,
        event("execution.started", "past"),
        started("past", "a", inputs={"rows": 3}),
        started("past", "b"),
        ended("past", "a"),
        event("execution.ended", "past", outcome="timed_out"),
        started("past", "late"),
    )
    whole = trail(shared_daemon, "past")

    with QueryPeer(shared_daemon.query_socket) as reader:
        for seq in sorted({entry["seq"] for entry in whole}):
            then = reader.ask("inspect", execution_id="past", audit=True, as_of=seq).lines
            assert [line["audit"] for line in then if "audit" in line] == [
                entry for entry in whole if entry["seq"] <= seq
            ]


def test_a_strange_page_is_refused(shared_daemon: Daemon) -> None:
    """An `after` that no page gave is an error that says so."""
    with QueryPeer(shared_daemon.query_socket) as reader:
        for after in ("x", "1:-2", "5", ":"):
            error = reader.ask("audit", after=after).error
            assert error is not None
            assert error["code"] == "invalid"
