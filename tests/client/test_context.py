"""Which attempt the running code belongs to, over threads, asyncio, trio and processes that it starts."""

import asyncio
import contextvars
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import trio

from flightlog import Client
from support.daemon import Daemon, clean_environment
from support.programs import events

NAMES = ("a", "b", "c")

CHILD = """
import flightlog
flightlog.log("from a child")
with flightlog.execution("inner", execution_id="inner"):
    flightlog.log("further in")
"""


def said(daemon: Daemon) -> set[tuple[str, str | None]]:
    """Return each line with the task that it is of."""
    return {(line["message"], line.get("task_id")) for line in events(daemon, type=["log"])}


def links(daemon: Daemon, task_id: str) -> list[tuple[int, bool]]:
    """Return the number of each attempt at a task, and whether it follows the one before it."""
    started = [one for one in events(daemon, type=["task.started"]) if one["task_id"] == task_id]
    before = [None, *(one["span_id"] for one in started)]
    return [
        (one.get("attempt", 1), one.get("retry_of") == span)
        for one, span in zip(started, before, strict=False)
    ]


@pytest.mark.covers("P8", "S2.1")
def test_attempts_of_asyncio_tasks_keep_apart(daemon: Daemon, client: Client) -> None:
    """Concurrent asyncio tasks make attempts each at its own task, and threads they wait for are in it."""

    async def work(name: str) -> None:
        for attempt in run.attempts(name, retries=1, on=OSError):
            with attempt:
                await asyncio.to_thread(client.log, f"{name} {attempt.attempt}")
                if attempt.attempt == 1:
                    raise OSError

    async def main() -> None:
        await asyncio.gather(*map(work, NAMES))

    with client.execution() as run:
        asyncio.run(main())

    assert client.flush()
    assert said(daemon) == {(f"{name} {number}", name) for name in NAMES for number in (1, 2)}
    assert [links(daemon, name) for name in NAMES] == [[(1, True), (2, True)]] * 3


@pytest.mark.covers("P8", "S2.1")
async def test_attempts_of_trio_tasks_keep_apart(daemon: Daemon, client: Client) -> None:
    """Concurrent trio tasks make attempts each at its own task, and threads they wait for are in it."""

    async def work(name: str) -> None:
        for attempt in run.attempts(name, retries=1, on=OSError):
            with attempt:
                await trio.lowlevel.checkpoint()
                await trio.to_thread.run_sync(client.log, f"{name} {attempt.attempt}")
                if attempt.attempt == 1:
                    raise OSError

    with client.execution() as run:
        async with trio.open_nursery() as nursery:
            for name in NAMES:
                nursery.start_soon(work, name)

    assert await trio.to_thread.run_sync(client.flush)
    assert said(daemon) == {(f"{name} {number}", name) for name in NAMES for number in (1, 2)}
    assert [links(daemon, name) for name in NAMES] == [[(1, True), (2, True)]] * 3


@pytest.mark.covers("P8")
def test_threads_and_their_tasks(daemon: Daemon, client: Client) -> None:
    """A thread has tasks of its own; handed a context it is in that task, else in the execution."""

    def work(name: str) -> None:
        with run.task(name):
            client.log(f"in {name}")

    with client.execution() as run, run.task("outer"):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, NAMES))
            pool.submit(contextvars.copy_context().run, client.log, "handed on").result()
        lone = threading.Thread(target=client.log, args=("by itself",))
        lone.start()
        lone.join()

    assert client.flush()
    assert said(daemon) == {(f"in {name}", name) for name in NAMES} | {
        ("handed on", "outer"),
        ("by itself", None),
    }


@pytest.mark.covers("P8", "P10")
def test_a_process_that_is_started_inside(daemon: Daemon, client: Client) -> None:
    """With the environment of a scope a child logs to its execution and task, and begins parts of it."""
    ours = clean_environment(FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir), TRACEPARENT="stale")
    with client.execution(execution_id="outer") as run, run.task("t") as task:
        inside = task.environment(ours)
        subprocess.run([sys.executable, "-P", "-c", CHILD], env=inside, check=True)

    assert client.flush()
    assert inside["TRACEPARENT"] == f"00-{task.trace_id}-{task.span_id}-01"
    assert run.environment({}) == {"FLIGHTLOG_EXECUTION_ID": "outer"}
    lines = {line["message"]: line["execution_id"] for line in events(daemon, type=["log"])}
    assert lines == {"from a child": "outer", "further in": "inner"}
    assert said(daemon) == {("from a child", "t"), ("further in", None)}
    (inner,) = events(daemon, execution_id="inner", type=["execution.started"])
    assert inner["parent_id"] == "outer"
