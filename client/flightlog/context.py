"""Which execution, and which task of it, the running code belongs to."""

import os
from collections.abc import Mapping
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flightlog.scope import Scope

EXECUTION_ID_VARIABLE: Final = "FLIGHTLOG_EXECUTION_ID"
"""What `flightlog exec` sets for its command, so that what runs inside finds the execution."""

TASK_VARIABLE: Final = "FLIGHTLOG_TASK"
"""What `flightlog exec --task` sets beside it: the execution and the task of it, with a blank between them.

It names the execution as well, for what runs inside may begin another one, of which this is no task.
"""

_current: ContextVar["Scope | None"] = ContextVar("flightlog_scope", default=None)

get_current = _current.get


def enter(scope: "Scope") -> Token["Scope | None"]:
    """Make a scope the current one, for this thread or asynchronous task and those it starts."""
    return _current.set(scope)


def leave(token: Token["Scope | None"]) -> None:
    """Make the scope before it the current one again."""
    try:
        _current.reset(token)
    except ValueError:
        # Left in another context than entered, as generators of test fixtures do: nothing to undo here.
        _current.set(None)


def inside(environment: Mapping[str, str], execution_id: str, task_id: str | None) -> dict[str, str]:
    """Return the environment of what is started inside an execution, and as a task of it, if any."""
    found = {**environment, EXECUTION_ID_VARIABLE: execution_id}
    found.pop(TASK_VARIABLE, None)
    return found if task_id is None else found | {TASK_VARIABLE: f"{execution_id} {task_id}"}


def inherited_execution_id() -> str | None:
    """Return the execution that this process was started inside, by its environment."""
    return os.environ.get(EXECUTION_ID_VARIABLE) or None


def inherited_task_id(execution_id: str) -> str | None:
    """Return the task of an execution that this process was started as, by its environment."""
    execution, _, task_id = os.environ.get(TASK_VARIABLE, "").partition(" ")
    return task_id or None if execution == execution_id else None
