"""What is recorded for the page to show: an execution with some of everything."""

from support.lines import event, log

T0 = 1_790_000_000_000_000
"""When it began, microseconds since the epoch."""

SECOND = 1_000_000
PROJECT = "/src/orbital"
STACK = 'Traceback (most recent call last):\n  File "worker.py", line 88, in run\nTimeoutError: no ack'
TRACE = "0af7651916cd43dd8448eb211c80319c"
SPANS = ("b7ad6b7169203331", "b7ad6b7169203332")


def started(execution_id: str, seconds: float = 0, **fields: object) -> bytes:
    """Return the event that begins an execution."""
    return event("execution.started", execution_id, time=T0 + int(seconds * SECOND), **fields)


def ended(execution_id: str, outcome: str = "succeeded", seconds: float = 60, **fields: object) -> bytes:
    """Return the event that ends an execution."""
    return event("execution.ended", execution_id, outcome=outcome, time=T0 + int(seconds * SECOND), **fields)


def rich(execution_id: str, began: int = T0) -> list[bytes]:
    """Return an execution that runs: phases, a retry, two tasks at once, an agent, a file, lines."""

    def at(seconds: float) -> int:
        return began + int(seconds * SECOND)

    def task(kind: str, task_id: str, seconds: float, **fields: object) -> bytes:
        return event(f"task.{kind}", execution_id, task_id=task_id, time=at(seconds), **fields)

    failed = {"type": "TimeoutError", "message": "no ack within 30 s", "stack": STACK}
    agent = {"agent_id": "agent-1", "time": at(2)}
    return [
        event(
            "execution.created",
            execution_id,
            time=at(-1),
            name=f"release {execution_id}",
            project=PROJECT,
            goal="Ship the scheduler",
            tool="flightplan",
            tool_version="2.4.1",
            phases=["plan", "build", "review", "done"],
            labels={"branch": "release/2.5"},
        ),
        event("execution.started", execution_id, time=began),
        event(
            "execution.advanced",
            execution_id,
            time=at(5),
            from_phase="plan",
            to_phase="build",
            reason="ready",
        ),
        event("agent.added", execution_id, **agent, name="builder", model="opus"),
        event("agent.usage", execution_id, **agent, input_tokens=12_000, output_tokens=345, cost_usd=1.25),
        task("started", "survey", 5, name="survey the code", inputs={"spec": "docs/scheduler.md"}),
        task("ended", "survey", 15, outcome="succeeded", duration_us=10 * SECOND, outputs={"files": 3}),
        task("started", "worker", 10, name="the worker", trace_id=TRACE, span_id=SPANS[0]),
        task("ended", "worker", 30, outcome="failed", error=failed, trace_id=TRACE, span_id=SPANS[0]),
        task(
            "started",
            "worker",
            30,
            name="the worker",
            attempt=2,
            retry_of=SPANS[0],
            trace_id=TRACE,
            span_id=SPANS[1],
            reason="smaller batches",
        ),
        event(
            "artifact.added",
            execution_id,
            path="dist/orbital.tar.gz",
            size_bytes=1_843_211,
            phase="build",
            agent_id="agent-1",
        ),
        event("execution.counted", execution_id, counts={"tests_passed": 1189}),
        log(execution_id, "collected 1204 items", source="exec:pytest", time=at(11)),
        log(execution_id, "test_drain took 31 s", source="exec:pytest", level="WARN", time=at(12)),
        log(
            execution_id,
            f"FAILED test_drain\n{STACK}",
            source="exec:pytest",
            level="ERROR",
            task_id="worker",
            time=at(13),
            fields={"worker": 3},
        ),
    ]


TASKS = {
    "schema": ("Define it in `schemas/queue.py`", "core", ()),
    "queue": ("Write `scheduler/queue.py`", "core", ("schema",)),
    "worker": ("Write `scheduler/worker.py` beside `scheduler/queue.py`", "core", ("schema",)),
    "docs": ("Write `docs/queue.md`", "docs", ("queue",)),
    "a": ("", None, ("b",)),
    "b": ("", None, ("a",)),
}


def declared(project: str, task_id: str, description: str, epic: str | None, needs: tuple[str, ...]) -> bytes:
    """Return the event that declares a task."""
    depends_on = [{"task_id": need} for need in needs]
    return event(
        "task.declared",
        task_id=task_id,
        project=project,
        description=description,
        epic=epic,
        depends_on=depends_on,
    )


def tasks(project: str) -> list[bytes]:
    """Return what declares tasks, two of which write one file, and two that wait for each other."""
    return [declared(project, task_id, *told) for task_id, told in TASKS.items()]
