"""What `exec` records its command as: an execution, or an attempt at a task of one that is there. Pure."""

from typing import Any

from msgspec import Struct

from flightlog.capture.verdict import Verdict
from flightlog.clock import now_us
from flightlog_schemas.events.execution import ExecutionEnded, ExecutionStarted
from flightlog_schemas.events.task import TaskEnded, TaskStarted


class Subject(Struct, frozen=True):
    """A command that is recorded.

    Attributes:
        started: The event that begins it.
        source: What its lines name as their source.
    """

    started: ExecutionStarted | TaskStarted
    source: str

    def ended(self, verdict: Verdict) -> ExecutionEnded | TaskEnded:
        """Return the event that ends it."""
        started = self.started
        if isinstance(started, ExecutionStarted):
            return ExecutionEnded(
                execution_id=started.execution_id,
                time=now_us(),
                outcome=verdict.outcome,
                reason=verdict.reason,
                error=verdict.error,
                exit_status=verdict.exit_status,
                duration_us=verdict.duration_us,
                counts=verdict.left_out or None,
            )
        outputs: dict[str, Any] = {"exit_status": verdict.exit_status, **verdict.left_out}
        return TaskEnded(
            execution_id=started.execution_id,
            task_id=started.task_id,
            time=now_us(),
            trace_id=started.trace_id,
            span_id=started.span_id,
            outcome=verdict.outcome,
            reason=verdict.reason,
            error=verdict.error,
            outputs=outputs,
            duration_us=verdict.duration_us,
        )
