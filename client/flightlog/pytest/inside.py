"""Where tests run, in pytest's own process or in a worker: what they log, and what they fail of."""

import os
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec
import pluggy
import pytest

from flightlog.client import Client
from flightlog.context import EXECUTION_ID_VARIABLE, TASK_VARIABLE
from flightlog.outcome import describe
from flightlog.pytest.attempt import TOLD, task_id_of
from flightlog.scope import Scope

_VARIABLES: Final = (EXECUTION_ID_VARIABLE, TASK_VARIABLE)

_RUNNERS: Final = (str(Path(pluggy.__file__).parent), str(Path(pytest.__file__).parents[1] / "_pytest"))
"""Directories of what calls a test; how it got there is the same for all, and another with each version."""


class Inside:
    """Puts each test in its task, and tells its failure beside what pytest reports.

    Args:
        client: What writes the lines.
        execution_id: The session's execution.
    """

    def __init__(self, client: Client, execution_id: str) -> None:
        self._client = client
        self._execution_id = execution_id

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Run a test as the task that it is (called by pytest)."""
        with _Within(self._client, self._execution_id, task_id_of(item.nodeid)):
            return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Add to a report what only this process knows (called by pytest)."""
        report = yield
        told: dict[str, Any] = {}
        if report.when == "teardown":
            told["markers"] = sorted({marker.name for marker in item.iter_markers()})
        if report.failed and call.excinfo is not None:
            told["error"] = _plain(describe(call.excinfo.value, _from_the_test(call.excinfo.tb)))
        setattr(report, TOLD, told)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Deliver what is left (called by pytest)."""
        self._client.close()


class _Within(Scope):
    """A test that runs; what it starts finds it in the environment, as pytest's own variable is there."""

    def __enter__(self) -> Scope:
        self._before = {name: os.environ.get(name) for name in _VARIABLES}
        os.environ.update(self.environment({}))
        return self._enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _from_the_test(trace: TracebackType) -> TracebackType:
    """Return a stack without pytest's own calls at its beginning; all of it where there is nothing else."""
    found: TracebackType | None = trace
    while found is not None and found.tb_frame.f_code.co_filename.startswith(_RUNNERS):
        found = found.tb_next
    return found or trace


def _plain(error: object) -> Any:
    """Return an error as what goes from a worker to pytest: plain values, texts that UTF-8 can say."""
    found = msgspec.to_builtins(error)
    return {name: text.encode("utf-8", "backslashreplace").decode() for name, text in found.items()}
