"""What an exception makes of the block that it leaves."""

import asyncio

import pytest
import trio

from flightlog.outcome import MESSAGE_LIMIT_CHARS, STACK_LIMIT_CHARS, describe, ending_of


class Odd(Exception):  # noqa: N818  # what programs do
    """An exception that cannot be printed."""

    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.covers("S0.4")
@pytest.mark.parametrize(
    ("error", "outcome", "exit_status"),
    [
        (None, "succeeded", None),
        (ValueError("bad"), "failed", None),
        (SystemExit(), "succeeded", 0),
        (SystemExit(0), "succeeded", 0),
        (SystemExit(3), "failed", 3),
        (SystemExit(-1), "failed", 255),
        (SystemExit("went wrong"), "failed", 1),
        (KeyboardInterrupt(), "cancelled", None),
        (asyncio.CancelledError(), "cancelled", None),
        (BaseExceptionGroup("several", [KeyboardInterrupt()]), "cancelled", None),
        (BaseExceptionGroup("several", [KeyboardInterrupt(), ValueError()]), "failed", None),
        (ExceptionGroup("several", [ValueError()]), "failed", None),
    ],
    ids=repr,
)
def test_exceptions_have_outcomes(error: BaseException | None, outcome: str, exit_status: int | None) -> None:
    """Errors fail, calls for an end cancel, and sys.exit says its own status."""
    ending = ending_of(error)

    assert (ending.outcome, ending.exit_status) == (outcome, exit_status)
    assert (ending.error is not None) == (outcome == "failed")


async def test_cancelled_trio_task_is_cancelled() -> None:
    """Trio's own cancellation counts as one."""
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            ending = ending_of(error)
            raise

    assert (ending.outcome, ending.reason) == ("cancelled", "Cancelled")


def test_error_is_described_with_its_stack() -> None:
    """An error has its type's full name, its message and the stack with the place that raised it."""
    try:
        asyncio.run(asyncio.wait_for(asyncio.Event().wait(), 0))
    except TimeoutError as error:
        info = describe(error)
    odd = describe(Odd())

    assert info.type == "TimeoutError"
    assert info.message == "TimeoutError"
    assert info.stack is not None
    assert "asyncio.run" in info.stack
    assert odd.type == f"{__name__}.Odd"
    assert odd.message == "<Odd>"


def test_long_errors_are_cut() -> None:
    """A message and a stack are cut to their limits, the stack at its beginning."""
    info = describe(ValueError("x" * 1_000_000))

    assert info.stack is not None
    assert len(info.message) == MESSAGE_LIMIT_CHARS
    assert len(info.stack) == STACK_LIMIT_CHARS
