"""How a block ended, by the exception that left it."""

from types import TracebackType
from typing import Final, Literal

from msgspec import Struct

from flightlog.encode import text
from flightlog.masking import masked_text
from flightlog_schemas.events.envelope import ErrorInfo

MESSAGE_LIMIT_CHARS: Final = 10_000
STACK_LIMIT_CHARS: Final = 64 * 1024
"""Longer stacks keep their end, where the error is. With JSON escapes this stays far below a line's limit."""


class Ending(Struct, frozen=True, kw_only=True):
    """What to say of a block that is over."""

    outcome: Literal["succeeded", "failed", "cancelled"]
    reason: str | None = None
    error: ErrorInfo | None = None
    exit_status: int | None = None


def ending_of(error: BaseException | None) -> Ending:
    """Return what an exception makes of the block that it leaves.

    None and `sys.exit` with 0 or nothing: succeeded. Another `sys.exit`, and every Exception: failed. What
    else derives from BaseException tells of somebody who wanted an end (Ctrl-C, asyncio, trio): cancelled.
    """
    if error is None:
        return Ending(outcome="succeeded")
    if isinstance(error, SystemExit):
        return _ending_of_exit(error)
    group = isinstance(error, BaseExceptionGroup) and error.subgroup(Exception) is not None
    if group or isinstance(error, Exception):
        return Ending(outcome="failed", error=describe(error))
    return Ending(outcome="cancelled", reason=type(error).__name__)


def _ending_of_exit(error: SystemExit) -> Ending:
    code = error.code
    if code is None or code == 0:
        return Ending(outcome="succeeded", exit_status=0)
    if isinstance(code, int):
        # What the kernel keeps of it.
        status, message = code & 0xFF, f"exit status {code & 0xFF}"
    else:
        status, message = 1, masked_text(text(code))[:MESSAGE_LIMIT_CHARS]
    return Ending(outcome="failed", error=ErrorInfo(type="SystemExit", message=message), exit_status=status)


def describe(error: BaseException, trace: TracebackType | None = None) -> ErrorInfo:
    """Return an exception's type, message and stack, each cut to its limit, and the hash of the whole stack.

    Masked before they are cut and hashed: neither half a secret nor the hash of one is told. Never raises an
    Exception.

    Args:
        error: The exception.
        trace: Where its stack begins; default: where it was caught.
    """
    stack = stack_digest = None
    try:
        import traceback  # here, because most programs never need these

        from flightlog_schemas.stacks import stack_hash

        trace = trace or error.__traceback__
        stack = masked_text("".join(traceback.format_exception(type(error), error, trace)))
        stack_digest = stack_hash(stack)
    except Exception:  # noqa: S110  # a program's broken exception must not break the program
        pass
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return ErrorInfo(
        message=masked_text(text(error))[:MESSAGE_LIMIT_CHARS] or name,
        type=name,
        stack=None if stack is None else stack[-STACK_LIMIT_CHARS:],
        stack_hash=stack_digest,
    )
