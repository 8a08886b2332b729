"""An attempt at a task, as it ended, and statistics of it: what the daemon may answer with."""

import msgspec

from flightlog_schemas import answers, stats
from flightlog_schemas.events import ErrorInfo, Retrieval, Runner, TaskIO

ATTEMPT = answers.TaskAttempt(
    execution_id="e",
    task_id="t",
    slug=None,
    name="extract",
    type=None,
    status="failed",
    inferred=False,
    reason=None,
    attempt=2,
    trace_id="0af7651916cd43dd8448eb211c80319c",
    span_id="b7ad6b7169203331",
    retry_of="00f067aa0ba902b7",
    parent_task_id=None,
    agent_id=None,
    causation_id=None,
    created_at=1,
    scheduled_at=None,
    started_at=1,
    finished_at=3,
    duration_us=2,
    inputs={"path": "/x"},
    outputs=None,
    error=ErrorInfo(message="no"),
    retrieval=Retrieval(memory_count=1),
    runner=Runner(name="make"),
    io=TaskIO(tool_calls=2),
    config_digest=None,
    provenance="live",
    scrubbed=None,
    seq=4,
)
DURATIONS = stats.Durations(count=1, min_us=2, avg_us=2, p50_us=2, p95_us=2, max_us=2)
COMPLETION = stats.Completion(**msgspec.structs.asdict(ATTEMPT), ended_seq=5, novel=True)
STATS = stats.Stats(
    attempts=1,
    retries=1,
    open={"running": 2},
    by_status={"failed": 1},
    by_provenance={"live": 1},
    success_rate=0.0,
    durations=DURATIONS,
    retrievals=stats.Retrievals(attempts=1, memory_count=1, avg_latency_us=None),
    tasks=[
        stats.TaskCounts(
            task_id="t",
            attempts=1,
            retries=1,
            by_status={"failed": 1},
            success_rate=0.0,
            durations=DURATIONS,
        )
    ],
    failures=[ATTEMPT],
    patterns=[
        stats.FailurePattern(stack_hash="h", count=1, first_at=3, last_at=3, task_ids=["t"], example=ATTEMPT)
    ],
)
