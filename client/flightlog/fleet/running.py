"""A relay or a collector as a program: until it is done, or a signal comes."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from flightlog.errors import FlightlogError

T = TypeVar("T")


def run_until_signal(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> int:
    """Run something until it is done, or SIGTERM or SIGINT say that it is to stop.

    Args:
        work: Gets an event that is set once it is to stop, and then ends by itself soon.

    Returns:
        The number of the signal, 0 where none came.
    """
    return asyncio.run(_run(work))


async def _run(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> int:
    stop = asyncio.Event()
    came: list[int] = []

    def take(number: int) -> None:
        came.append(number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, take, number)
    await work(stop)
    return came[0] if came else 0


async def within(work: Awaitable[T], limit_s: float | None, why: str) -> T:
    """Wait for something, at most so long.

    Raises:
        FlightlogError: the time was up; says why.
    """
    try:
        return await asyncio.wait_for(work, limit_s)
    except TimeoutError:
        raise FlightlogError(f"{why}, for {limit_s:.0f} s now") from None


async def unless(stopping: asyncio.Task[Any], work: Coroutine[Any, Any, T]) -> T | None:
    """Return what comes of some work; None, and it is cancelled, where it is to stop before."""
    task = asyncio.create_task(work)
    await asyncio.wait((stopping, task), return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        return task.result()
    await end(task)
    return None


async def first_of(*tasks: asyncio.Task[Any]) -> None:
    """Return when one of several tasks is done, and raise what it failed of."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
