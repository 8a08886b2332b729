"""What `logs` shows of tasks by themselves, those included that end with their execution."""

import pytest

from support.daemon import Daemon
from support.lines import event, log
from support.peers import Json, QueryPeer
from support.rebuild import tell


def lines(daemon: Daemon, execution_id: str | None, **filters: object) -> list[Json]:
    """Return the log lines that match."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("logs", execution_id=execution_id, **filters).all("log")


def texts(daemon: Daemon, execution_id: str | None, **filters: object) -> list[tuple[str, str]]:
    """Return (level, message) of the lines that match."""
    return [(line["level"], line["message"]) for line in lines(daemon, execution_id, **filters)]


@pytest.mark.covers("S1.3", "S1.13")
def test_inputs_outputs_attempts_and_reasons_are_shown(shared_daemon: Daemon) -> None:
    """A task's lines say what it began with, why it was tried again, how long it took and what came of it."""
    large = {"text": "x" * 300}
    tell(
        shared_daemon,
        event("execution.started", "lines"),
        event("task.started", "lines", task_id="t", name="load", inputs={"rows": 3}),
        event("task.waiting", "lines", task_id="t", reason="quota"),
        event("task.resumed", "lines", task_id="t"),
        event(
            "task.ended",
            "lines",
            task_id="t",
            outcome="failed",
            duration_us=2000,
            error={"message": "no disk"},
        ),
        event("task.started", "lines", task_id="t", attempt=2, reason="after OSError", inputs=large),
        event("task.ended", "lines", task_id="t", outcome="succeeded", outputs={"rows": 2}),
    )

    assert texts(shared_daemon, "lines", task_id="t") == [
        ("INFO", 'task started: load; inputs {"rows":3}'),
        ("INFO", "task waiting: quota"),
        ("INFO", "task resumed"),
        ("ERROR", "task failed after 2ms: no disk"),
        ("INFO", f'task started (attempt 2: after OSError); inputs {{"text":"{"x" * 190}…'),
        ("INFO", 'task succeeded; outputs {"rows":2}'),
    ]
    fields = [line["fields"] for line in lines(shared_daemon, "lines", task_id="t")]
    assert fields == [{"inputs": {"rows": 3}}, None, None, None, {"inputs": large}, {"outputs": {"rows": 2}}]


@pytest.mark.covers("S1.3")
@pytest.mark.parametrize(
    ("end", "level", "said"),
    [
        ({"outcome": "cancelled", "reason": "enough"}, "WARN", "execution cancelled: enough"),
        ({"outcome": "timed_out"}, "ERROR", "execution timed out"),
    ],
    ids=["cancelled", "timed_out"],
)
def test_tasks_that_end_with_their_execution(
    shared_daemon: Daemon, end: dict[str, str], level: str, said: str
) -> None:
    """The execution's last line names them; among the lines of one task it is that task's."""
    name = f"with-{end['outcome']}"
    tell(
        shared_daemon,
        event("execution.started", name, time=1),
        event("task.started", name, task_id=f"{name}-a", time=1_000),
        event("task.started", name, task_id=f"{name}-b", time=1_000),
        event("task.ended", name, task_id=f"{name}-b", outcome="succeeded", time=2_000),
        log(name, "between", task_id=f"{name}-a", time=2_500),
        event("execution.ended", name, time=3_000, **end),
    )

    assert texts(shared_daemon, name)[-1] == (level, f"{said} (with 1 open task: {name}-a)")
    assert texts(shared_daemon, name, task_id=f"{name}-a") == [
        ("INFO", "task started"),
        ("INFO", "between"),
        (level, f"task {end['outcome'].replace('_', ' ')} after 2ms: its execution ended: {end['outcome']}"),
    ]
    assert texts(shared_daemon, name, task_id=f"{name}-b")[-1][1].startswith("task succeeded")
    assert texts(shared_daemon, None, task_id=f"{name}-a") == texts(shared_daemon, name, task_id=f"{name}-a")


@pytest.mark.covers("S1.3")
def test_many_tasks_are_one_line(shared_daemon: Daemon) -> None:
    """Of ten thousand tasks that end at once the line tells how many, and names a few."""
    tell(
        shared_daemon,
        event("execution.started", "crowd"),
        *(event("task.started", "crowd", task_id=f"t{number}", time=1_000) for number in range(10_000)),
        event("execution.ended", "crowd", outcome="failed", time=2_000),
    )

    assert texts(shared_daemon, "crowd", last=1) == [
        ("ERROR", "execution failed (with 10,000 open tasks: t0, t1, t2, t3, t4, ...)")
    ]
    assert texts(shared_daemon, "crowd", task_id="t9999")[-1] == (
        "WARN", "task cancelled after 1ms: its execution ended: failed",
    )  # fmt: skip


@pytest.mark.covers("S1.13")
def test_log_lines_are_counted(shared_daemon: Daemon) -> None:
    """`log_count` is the number of an execution's log lines, by level; nothing else counts."""
    tell(
        shared_daemon,
        event("execution.started", "counted"),
        log("counted", "a", level="WARN"),
        log("counted", "b"),
        event("task.started", "counted", task_id="t"),
        log("counted", "c", task_id="t"),
    )
    with QueryPeer(shared_daemon.query_socket) as reader:
        found = reader.ask("inspect", execution_id="counted").one("execution")

    assert found["log_count"] == 3
    assert {level: count for level, count in found["levels"].items() if count} == {"WARN": 1, "INFO": 2}
