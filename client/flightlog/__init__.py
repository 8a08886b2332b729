"""flightlog: a flight recorder for executions.

    import flightlog

    with flightlog.execution("build", goal="a release", project=".") as run:
        run.info("compiling", files=3)
        run.count("files", 3)
        flightlog.log("from anywhere inside, also other threads and tasks", level="WARN")

Emitting costs a few microseconds, never waits and never fails for the daemon's sake. The functions here use
one client for the whole process; `Client` is for programs that want their own. Reading is in
`flightlog.query`; commands that ask first and are refused where they make no sense in `flightlog.commands`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, overload

from flightlog.client import Client, Statistics
from flightlog.errors import (
    AppendFailed,
    AppendRefused,
    Conflict,
    DaemonAway,
    FlightlogError,
    QueryFailed,
    Refusal,
    UsageError,
)
from flightlog.executions import Announcement, Execution
from flightlog.masking import mask, scrub_pii
from flightlog.scope import Scope
from flightlog_schemas.events.envelope import Event

if TYPE_CHECKING:
    from flightlog.agents import Agent
    from flightlog.retries import last_attempt
    from flightlog.tasks import Task

__all__ = [
    "Agent",
    "Announcement",
    "AppendFailed",
    "AppendRefused",
    "Client",
    "Conflict",
    "DaemonAway",
    "Execution",
    "FlightlogError",
    "QueryFailed",
    "Refusal",
    "Scope",
    "Statistics",
    "Task",
    "UsageError",
    "adopt",
    "close",
    "configure",
    "emit",
    "execution",
    "flush",
    "last_attempt",
    "log",
    "mask",
    "scrub_pii",
    "statistics",
    "task",
]

_LATER: Final = {"Agent": "agents", "Task": "tasks", "last_attempt": "retries"}
"""What an execution with its log does without, by its module: imported when it is first asked for."""

Function = TypeVar("Function", bound=Callable[..., Any])

_client = Client()


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def configure(
    runtime_dir: str | os.PathLike[str] | None = None,
    *,
    buffer_limit_bytes: int = 8 * 1024 * 1024,
    flush_lines: int = 100,
    flush_interval_s: float = 1.0,
    exit_timeout_s: float = 2.0,
    spool: bool | str | os.PathLike[str] | None = None,
    spool_limit_bytes: int = 64 * 1024 * 1024,
    spool_total_limit_bytes: int = 256 * 1024 * 1024,
) -> None:
    """Set the process's client up anew, best before it is used; what the old one holds is delivered first.

    Executions that are open stay with the old one. Arguments and errors are those of `Client`.
    """
    global _client  # one client for the process is what this module is
    new = Client(
        runtime_dir,
        buffer_limit_bytes=buffer_limit_bytes,
        flush_lines=flush_lines,
        flush_interval_s=flush_interval_s,
        exit_timeout_s=exit_timeout_s,
        spool=spool,
        spool_limit_bytes=spool_limit_bytes,
        spool_total_limit_bytes=spool_total_limit_bytes,
    )
    old, _client = _client, new
    old.close()


def execution(name: str | None = None, **announcement: Unpack[Announcement]) -> Execution:
    """Return an execution to be entered with `with`; see `Client.execution` and `Announcement`."""
    return _client.execution(name, **announcement)


def adopt(execution_id: str) -> Execution:
    """Take over an execution that another process began, and return it running; see `Client.adopt`."""
    return _client.adopt(execution_id)


@overload
def task(function: Function, /) -> Function: ...


@overload
def task(
    name: str | None = None,
    /,
    *,
    task_type: str | None = None,
    retries: int = 0,
    on: type[Exception] | tuple[type[Exception], ...] = Exception,
    inputs: bool | Sequence[str] = False,
) -> Callable[[Function], Function]: ...


def task(
    function: Callable[..., Any] | str | None = None,
    /,
    *,
    task_type: str | None = None,
    retries: int = 0,
    on: type[Exception] | tuple[type[Exception], ...] = Exception,
    inputs: bool | Sequence[str] = False,
) -> Any:
    """Decorate a function: each call is a task of the execution that its caller is in.

        @flightlog.task
        def load(): ...

        @flightlog.task("extract", retries=2, on=OSError, inputs=["path"])
        async def extract(path, password): ...

    A call outside of any execution is one of its own. One within another task has that as its parent. How
    the function is left is how the task ends; what it returns is not recorded. A generator is a task from
    its first item to its end: who leaves it before that cancels it.

    Args:
        function: The function, or the name of its tasks; default: the function's.
        task_type: What kind of work.
        retries: How many attempts follow the first at the most, one at once after the other.
        on: Failures after which there is another attempt.
        inputs: Parameters whose values are recorded, by name, or True for all; secrets among them are masked
            by the rules for all that is recorded.

    Raises:
        TypeError: it is no function, inputs are named that it does not take, or a generator is to be retried.
        ValueError: `retries` is below 0.
    """
    from flightlog.decorator import Recipe, recorded  # here, because most programs decorate nothing

    name = function if isinstance(function, str) else None
    recipe = Recipe(lambda: _client, name, task_type, retries, on, inputs)
    if function is None or isinstance(function, str):
        return lambda decorated: recorded(decorated, recipe)
    return recorded(function, recipe)


def log(
    message: object,
    level: object = "INFO",
    *,
    execution_id: str | None = None,
    source: str | None = None,
    agent_id: str | None = None,
    fields: dict[str, Any] | None = None,
) -> None:
    """Write one log line to an execution, by default the current one; see `Client.log`."""
    _client.log(message, level, execution_id=execution_id, source=source, agent_id=agent_id, fields=fields)


def emit(event: Event | Mapping[str, object]) -> None:
    """Write any event; see `Client.emit`."""
    _client.emit(event)


def flush(timeout_s: float = 5.0) -> bool:
    """Wait until everything emitted before is on disk and readable; False when the time ran out first."""
    return _client.flush(timeout_s)


def close(timeout_s: float | None = None) -> bool:
    """Deliver what is left and disconnect; see `Client.close`. Emitting after that connects again."""
    return _client.close(timeout_s)


def statistics() -> Statistics:
    """Return how the process's client stands at this moment."""
    return _client.statistics()
