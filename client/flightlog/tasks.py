"""A unit of work inside an execution, and its attempts."""

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from flightlog.clock import now_us
from flightlog.encode import text
from flightlog.ids import fitting
from flightlog.masking import masked_text
from flightlog.outcome import ending_of
from flightlog.retries import given_up
from flightlog.scope import Scope
from flightlog.task_facts import TaskFacts, check_facts, fields_of, span_of
from flightlog.trace import VARIABLE, current_span, next_span
from flightlog_schemas.events.task import TaskEnded, TaskIO, TaskStarted

if TYPE_CHECKING:
    from flightlog.client import Client
    from flightlog_schemas.answers import TaskAttempt

_REASON_LIMIT_CHARS: Final = 1_000


class Task(Scope):
    """One attempt at a task: from `with` to its end, with an outcome as executions have it.

    Made by `Execution.task`, which says what the arguments mean.

    Attributes:
        trace_id: Constant over the retries of a task: that of the span of OpenTelemetry around, else that of
            the process's environment, else a new one.
        span_id: New for each attempt.
        attempt: Counted from 1.
        outputs: What it produced; set it inside the block.
        io: What it did to the outside, a `TaskIO` of flightlog_schemas.events.task; set it inside the block.
    """

    def __init__(
        self,
        client: "Client",
        execution_id: str,
        name: str,
        *,
        task_id: str | None,
        task_type: str | None,
        inputs: Mapping[str, Any] | None,
        retry_of: "Task | TaskAttempt | None",
        agent_id: str | None,
        facts: TaskFacts,
        reason: str | None = None,
    ) -> None:
        check_facts(facts)
        before_id = retry_of.task_id if retry_of else None
        self._id = task_id or before_id or fitting("-".join(masked_text(name).split()))
        super().__init__(client, execution_id, self._id, agent_id)
        self.name = name
        around = current_span() or next_span(os.environ.get(VARIABLE))
        self.trace_id: str = (retry_of.trace_id if retry_of else None) or around.trace_id
        # An attempt without a span cannot be followed: nobody could tell which one is meant.
        before = retry_of if retry_of and retry_of.span_id else None
        self.attempt: int = before.attempt + 1 if before else 1
        self.span_id: str = span_of(self._id, facts.get("scheduled_at_us"), self.attempt)
        self.outputs: dict[str, Any] | None = None
        self.io: TaskIO | None = None
        self._facts = facts
        self._task_type = task_type
        self._inputs = dict(inputs) if inputs else None
        self._retry_of = before.span_id if before else None
        self._given_up = None if before is None or isinstance(before, Task) else given_up(before)
        self._reason = reason
        self._owner_pid = 0
        self._started_ns = 0

    def _traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"

    def __enter__(self) -> Self:
        self._owner_pid = os.getpid()
        self._started_ns = time.monotonic_ns()
        if self._given_up is not None:
            self._client.put_now(self._given_up)
        self._client.put_now(
            TaskStarted(
                execution_id=self.execution_id,
                task_id=self._id,
                agent_id=self.agent_id,
                time=now_us(),
                trace_id=self.trace_id,
                span_id=self.span_id,
                name=self.name,
                task_type=self._task_type,
                attempt=self.attempt,
                retry_of=self._retry_of,
                reason=self._reason,
                inputs=self._inputs,
                **fields_of(self._facts, self._id, self.attempt),
            )
        )
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._leave()
        if self._owner_pid != os.getpid():
            return None
        ending = ending_of(error)
        self._client.put_now(
            TaskEnded(
                execution_id=self.execution_id,
                task_id=self._id,
                agent_id=self.agent_id,
                time=now_us(),
                trace_id=self.trace_id,
                span_id=self.span_id,
                outcome=ending.outcome,
                reason=ending.reason,
                error=ending.error,
                outputs=self.outputs,
                io=self.io,
                duration_us=(time.monotonic_ns() - self._started_ns) // 1000,
            )
        )
        return None

    @contextmanager
    def apart(self) -> Iterator[Self]:
        """Be it from here to the end of the block, without being what the block is in."""
        with self:
            self._leave()
            yield self


class Attempt(Task):
    """One of several attempts; a failure that is to be tried again does not leave its block."""

    again_on: tuple[type[Exception], ...] = ()
    """Failures after which there is another attempt; none in the last."""
    failure: Exception | None = None
    """What it failed of, if there is another attempt."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        super().__exit__(kind, error, trace)
        if isinstance(error, self.again_on):
            self.failure = error
            return True
        return None


class Attempts:
    """Attempts at one task, until one does not fail: each has its span, its number and the one before it.

    Made by `Execution.attempts`, which says what the arguments mean.

    Raises:
        ValueError: `retries` is below 0, with which nothing would be done at all.
    """

    def __init__(
        self,
        make: Callable[["Task | TaskAttempt | None", str | None], Attempt],
        retries: int,
        on: tuple[type[Exception], ...],
        retry_of: "Task | TaskAttempt | None" = None,
    ) -> None:
        if retries < 0:
            raise ValueError(f"retries is how many attempts follow the first, not {retries}")
        self._make = make
        self._retries = retries
        self._on = on
        self._retry_of = retry_of

    def __iter__(self) -> Iterator[Attempt]:
        before: Attempt | None = None
        for left in range(self._retries, -1, -1):
            failure = before and before.failure
            reason = None if failure is None else f"after {type(failure).__name__}: {text(failure)}"
            attempt = self._make(
                before or self._retry_of, reason and masked_text(reason)[:_REASON_LIMIT_CHARS]
            )
            attempt.again_on = self._on if left else ()
            yield attempt
            if attempt.failure is None:
                return
            before = attempt
