"""Which execution, and which task of it, the running code belongs to."""

import os
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flightlog.scope import Scope

EXECUTION_ID_VARIABLE: Final = "FLIGHTLOG_EXECUTION_ID"
"""What `flightlog exec` sets for its command, so that what runs inside finds the execution."""

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


def inherited_execution_id() -> str | None:
    """Return the execution that this process was started inside, by its environment."""
    return os.environ.get(EXECUTION_ID_VARIABLE) or None
