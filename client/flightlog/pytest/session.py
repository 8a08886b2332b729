"""A session of pytest, as an execution: told by the process that leads it."""

from collections import Counter
from collections.abc import Generator
from typing import Any, Final

import pytest

from flightlog.client import Client
from flightlog.executions import Execution
from flightlog.masking import masked_text
from flightlog.outcome import MESSAGE_LIMIT_CHARS, STACK_LIMIT_CHARS, describe
from flightlog.pytest import WORKER_INPUT
from flightlog.pytest.attempt import PHASES, Run
from flightlog_schemas.events.envelope import ErrorInfo
from flightlog_schemas.stacks import with_stack_hash

_WORDS: Final = {
    pytest.ExitCode.OK: None,
    pytest.ExitCode.TESTS_FAILED: "tests failed",
    pytest.ExitCode.INTERRUPTED: "interrupted",
    pytest.ExitCode.INTERNAL_ERROR: "internal error",
    pytest.ExitCode.USAGE_ERROR: "usage error",
    pytest.ExitCode.NO_TESTS_COLLECTED: "no tests collected",
}

_COUNTED_AS: Final = {"error": "errors", "rerun": "reruns"}


class Session:
    """Tells of one session. With pytest-xdist it is that of the process that the others report to.

    Args:
        client: What tells it.
        config: What pytest was asked for.
    """

    def __init__(self, client: Client, config: pytest.Config) -> None:
        self._execution: Execution = client.execution(
            config.getoption("--flightlog-name") or config.rootpath.name or "pytest",
            project=config.rootpath,
            tool="pytest",
            tool_version=pytest.__version__,
            args=config.invocation_params.args,
        )
        self.execution_id = self._execution.execution_id
        self._client = client
        self._runs: dict[str, Run] = {}
        self._again: dict[str, Run] = {}
        self._counts: Counter[str] = Counter()
        self._error: ErrorInfo | None = None
        self._was_interrupted = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Begin (called by pytest)."""
        self._execution.start()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker which execution it works for (called by pytest-xdist)."""
        node.workerinput[WORKER_INPUT] = self.execution_id

    def pytest_runtest_logstart(self, nodeid: str, location: tuple[str, int | None, str]) -> None:
        """Begin a test (called by pytest)."""
        self._begin(nodeid, location)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take in what happened in a test (called by pytest)."""
        run = self._runs.get(report.nodeid)
        if run is not None and run.outcome == "rerun" and report.when == "setup":
            # A plugin that runs it again without saying so between.
            self._end(report.nodeid)
            run = None
        if run is None:
            run = self._begin(report.nodeid, report.location)
        run.take(report)
        if report.when not in PHASES:
            self._end(report.nodeid)  # its worker is gone, and nothing more comes of it

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """End a test (called by pytest)."""
        self._end(nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record that tests could not be collected, of which the session fails (called by pytest)."""
        if report.failed:
            self._counts["errors"] += 1
            lines = (text := masked_text(report.longreprtext.strip())).splitlines() or ["no reason given"]
            self._execution.log(f"cannot collect {report.nodeid}", "ERROR", source="pytest")
            self._error = self._error or with_stack_hash(
                ErrorInfo(
                    message=f"cannot collect {report.nodeid}: {lines[-1]}"[:MESSAGE_LIMIT_CHARS],
                    type="pytest.CollectError",
                    stack=text[-STACK_LIMIT_CHARS:],
                )
            )

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note what pytest itself failed of (called by pytest)."""
        self._error = describe(excinfo.value)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note that somebody wanted an end (called by pytest)."""
        # pytest stops itself by an exception of this kind, too, such as after files that it cannot collect.
        stopped_itself = isinstance(excinfo.value, pytest.Session.Interrupted)
        self._was_interrupted = isinstance(excinfo.value, KeyboardInterrupt) and not stopped_itself

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, None, None]:
        """End, with the exit status that all other plugins leave (called by pytest)."""
        yield
        status = int(session.exitstatus)
        word = _WORDS.get(status, f"exit status {status}")  # type: ignore[call-overload]  # an IntEnum
        if self._was_interrupted:
            self._execution.end("cancelled", reason=word, exit_status=status & 0xFF, counts=self._counts)
            return
        error = self._error
        if status and error is None:
            told = ", ".join(f"{count:,} {name}" for name, count in sorted(self._counts.items()))
            error = ErrorInfo(message=told or str(word), type="pytest.ExitCode")
        self._execution.end(
            "failed" if status else "succeeded",
            reason=word,
            error=error if status else None,
            exit_status=status & 0xFF,
            counts=self._counts,
        )

    def _begin(self, nodeid: str, location: tuple[str, int | None, str]) -> Run:
        run = Run(self._client, self.execution_id, nodeid, location, self._again.pop(nodeid, None))
        self._runs[nodeid] = run
        run.start()
        return run

    def _end(self, nodeid: str) -> None:
        run = self._runs.pop(nodeid, None)
        if run is None:
            return
        run.end()
        self._counts[_COUNTED_AS.get(run.outcome, run.outcome)] += 1
        if run.outcome == "rerun":
            self._again[nodeid] = run
