"""One run of one test, as an attempt at a task: put together from what pytest reports of it."""

from typing import Any, Final

import msgspec
import pytest

from flightlog.capture.quota import Quota
from flightlog.capture.split import LineSplitter
from flightlog.client import Client
from flightlog.clock import now_us
from flightlog.ids import fitting, new_span_id, new_trace_id
from flightlog.logging import exception_field
from flightlog.masking import KeyBlock, masked_text
from flightlog.outcome import MESSAGE_LIMIT_CHARS
from flightlog.scope import Scope
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.events.task import TaskEnded, TaskOutcome, TaskStarted

TOLD: Final = "flightlog"
"""Attribute of a report: what the process that ran the test added to it. It goes along from a worker."""

PHASES: Final = ("setup", "call", "teardown")

OUTCOMES: Final[dict[str, TaskOutcome]] = {
    "passed": "succeeded",
    "xfailed": "succeeded",
    "xpassed": "succeeded",
    "skipped": "cancelled",
    "failed": "failed",
    "error": "failed",
    "rerun": "failed",
}
"""What pytest calls it, and how the task ends by that."""

_REASON_LIMIT_CHARS: Final = 1_000


def task_id_of(nodeid: str) -> str:
    """Return the id of a test's task: what pytest calls it, as far as that can be one."""
    return fitting(masked_text(nodeid))


class Run(Scope):
    """A test that runs, or ran: from `start` to `end`.

    Args:
        client: What tells it.
        execution_id: The session's execution.
        nodeid: What pytest calls the test.
        location: File, line from 0, and the name within the file.
        before: The run that failed before this one, where this is another try.

    Attributes:
        outcome: What pytest calls it.
    """

    def __init__(
        self,
        client: Client,
        execution_id: str,
        nodeid: str,
        location: tuple[str, int | None, str],
        before: "Run | None" = None,
    ) -> None:
        self.id = task_id_of(nodeid)
        super().__init__(client, execution_id, self.id)
        self.nodeid = nodeid
        self.location = location
        self.outcome = "passed"
        self._before = before
        self._trace_id: str = before._trace_id if before else new_trace_id()
        self._span_id = new_span_id()
        self._attempt: int = before._attempt + 1 if before else 1
        self._error: ErrorInfo | None = None
        self._reason: str | None = None
        self._outputs: dict[str, Any] = {}
        self._durations_us: dict[str, int] = {}
        self._sections = 0
        self._quota, self._key_block = Quota(), KeyBlock()

    def start(self) -> None:
        """Say that it runs."""
        path, line, name = self.location
        before = self._before
        self._client.put_now(
            TaskStarted(
                execution_id=self.execution_id,
                task_id=self.id,
                time=now_us(),
                trace_id=self._trace_id,
                span_id=self._span_id,
                name=name,
                slug=self.nodeid.partition("[")[0],
                task_type="test",
                attempt=self._attempt,
                retry_of=before._span_id if before else None,
                reason=None if before is None or before._error is None else f"after {before._error.type}",
                inputs={"nodeid": self.nodeid, "file": path, "line": None if line is None else line + 1},
            )
        )

    def take(self, report: pytest.TestReport) -> None:
        """Take in a report: of its setup, its call, its teardown, or that its worker is gone."""
        outcome: str = report.outcome  # "rerun" is what a plugin puts there
        if report.when in PHASES:
            # Subtests are calls, too; the last one that is told is the whole.
            self._durations_us[report.when] = round(report.duration * 1e6)
        self._write_output(report)
        told: dict[str, Any] = getattr(report, TOLD, {})
        if markers := told.get("markers"):
            self._outputs["markers"] = markers
        if report.user_properties:
            self._outputs["properties"] = dict(report.user_properties)
        if worker := getattr(report, "worker_id", None):
            self._outputs["worker"] = worker
        if outcome in ("failed", "rerun"):
            self._fail(report, outcome, told.get("error"))
        elif OUTCOMES[self.outcome] != "failed" and (unusual := _unusual(report)):
            self.outcome, why = unusual
            self._reason = f"{self.outcome}: {why}" if why else self.outcome

    def end(self) -> None:
        """Say how it ended."""
        left_out = dict(
            zip(
                ("cut_lines", "cut_chars", "unrecorded_lines", "unrecorded_chars"),
                self._quota.left_out,
                strict=True,
            )
        )
        self._client.put_now(
            TaskEnded(
                execution_id=self.execution_id,
                task_id=self.id,
                time=now_us(),
                trace_id=self._trace_id,
                span_id=self._span_id,
                outcome=OUTCOMES[self.outcome],
                reason=None if self._reason is None else masked_text(self._reason)[:_REASON_LIMIT_CHARS],
                error=self._error,
                outputs={
                    "outcome": self.outcome,
                    **{f"{phase}_us": duration for phase, duration in self._durations_us.items()},
                    **self._outputs,
                    **{name: count for name, count in left_out.items() if count},
                },
                duration_us=sum(self._durations_us.values()) or None,
            )
        )

    def _fail(self, report: pytest.TestReport, outcome: str, said: dict[str, Any] | None) -> None:
        error = _error_of(report) if said is None else msgspec.convert(said, ErrorInfo)
        if self._error is not None:
            # The first failure is what the test failed of; a teardown may fail after it.
            self.log(
                f"{report.when} failed, too: {error.message}",
                "ERROR",
                source="pytest",
                fields={"exception": exception_field(error)},
            )
            return
        self._error = error
        if outcome == "rerun":
            self.outcome = "rerun"
        elif report.when in ("setup", "teardown"):
            self.outcome, self._outputs["phase"] = "error", report.when
        else:
            self.outcome = "failed"

    def _write_output(self, report: pytest.TestReport) -> None:
        """Log what was captured; each report repeats what those before it had."""
        for title, content in report.sections[self._sections :]:
            # "Captured stdout call"
            _, _, stream = title.partition("Captured ")
            stream, _, when = (stream or title).rpartition(" ")
            splitter = LineSplitter()
            for line in splitter.feed(content.encode("utf-8", "backslashreplace")) + splitter.finish():
                if said := self._quota.take(line, stream or when, self._key_block.masked):
                    fields = {**said.fields, "when": report.when}
                    self.log(said.message, said.level or "INFO", source="pytest", fields=fields)
        self._sections = len(report.sections)


def _unusual(report: pytest.TestReport) -> tuple[str, str] | None:
    """Return what else than passed a report calls its test, and why."""
    expected: str | None = getattr(report, "wasxfail", None)
    if expected is not None:
        return ("xfailed" if report.skipped else "xpassed"), expected
    if not report.skipped:
        return None
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")
    return "skipped", why.removeprefix("Skipped: ")


def _error_of(report: pytest.TestReport) -> ErrorInfo:
    """Return what a report says of a failure that no exception was: a strict xpass, a worker that is gone."""
    kind = "pytest.Failed" if report.when in PHASES else "xdist.WorkerCrashed"
    # As text a report from a worker begins with the worker.
    said = report.longrepr if isinstance(report.longrepr, str) else report.longreprtext
    message = masked_text(said.strip())[:MESSAGE_LIMIT_CHARS]
    return ErrorInfo(message=message or "it failed and said nothing of why", type=kind)
