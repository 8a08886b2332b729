"""`@flightlog.task`: functions of every kind, recorded by a real daemon."""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import Any

import pytest
import trio

import flightlog
from flightlog import Client, context
from support.daemon import Daemon
from support.programs import events


@pytest.fixture(autouse=True)
def process_client(daemon: Daemon) -> Iterator[None]:
    """Have the process's own client, which the decorator uses, speak to the fresh daemon."""
    flightlog.configure(daemon.runtime_dir)
    yield
    flightlog.configure()


def attempts(daemon: Daemon) -> list[tuple[Any, ...]]:
    """Return (task, attempt, outcome) of all attempts in the order in which they ended."""
    assert flightlog.flush()
    begun = {event["span_id"]: event for event in events(daemon, type=["task.started"])}
    return [
        (event["task_id"], begun[event["span_id"]].get("attempt", 1), event["outcome"])
        for event in events(daemon, type=["task.ended"])
    ]


def said(daemon: Daemon) -> list[tuple[str, str | None]]:
    """Return each line with the task that it is of."""
    assert flightlog.flush()
    return [(line["message"], line.get("task_id")) for line in events(daemon, type=["log"])]


@pytest.mark.covers("P8")
def test_calls_are_tasks(daemon: Daemon) -> None:
    """Each call is a task of the caller's execution and of the task around, and gives what it gave before."""

    @flightlog.task
    def inner(number: int) -> int:
        """Say it."""
        flightlog.log(f"inner {number}")
        return number + 1

    @flightlog.task("outer", task_type="sum")
    def outer(number: int) -> int:
        return inner(number) + inner(number)

    with flightlog.execution(execution_id="e"):
        assert outer(1) == 4

    assert (inner.__name__, inner.__doc__) == ("inner", "Say it.")
    assert attempts(daemon) == [("inner", 1, "succeeded")] * 2 + [("outer", 1, "succeeded")]
    assert said(daemon) == [("inner 1", "inner")] * 2
    first, second, _ = events(daemon, type=["task.started"])
    assert (first["execution_id"], first["task_type"], "inputs" in first) == ("e", "sum", False)
    assert second["parent_task_id"] == "outer"


@pytest.mark.covers("P8", "S2.1")
def test_failures_are_tried_again_and_go_on_their_way(daemon: Daemon) -> None:
    """A failure is tried again as often as asked; the last one, and any other, reaches the caller."""
    tries: list[int] = []

    @flightlog.task(retries=2, on=OSError)
    def flaky(enough: int) -> str:
        tries.append(1)
        if len(tries) < enough:
            raise OSError("not yet")
        return "done"

    @flightlog.task(retries=2, on=OSError)
    async def wrong() -> None:
        raise ValueError("never")

    with flightlog.execution(execution_id="e"):
        assert flaky(2) == "done"
        with pytest.raises(OSError, match="not yet"):
            flaky(99)
        with pytest.raises(ValueError, match="never"):
            asyncio.run(wrong())

    assert attempts(daemon) == [
        ("flaky", 1, "failed"), ("flaky", 2, "succeeded"),
        ("flaky", 1, "failed"), ("flaky", 2, "failed"), ("flaky", 3, "failed"),
        ("wrong", 1, "failed"),
    ]  # fmt: skip


@pytest.mark.covers("P8", "S1.12")
def test_inputs_are_recorded_when_asked_for(daemon: Daemon) -> None:
    """Inputs are those that are named, with their defaults, or all but `self`; secrets of them are masked."""

    class Loader:
        @flightlog.task("all", inputs=True)
        def load(self, path: str, *, password: str, limit: int = 5) -> None: ...

        @flightlog.task("one", inputs=["path"])
        def look(self, path: str, password: str) -> None: ...

    with flightlog.execution():
        Loader().load("a.csv", password="hunter2hunter2")
        Loader().look("b.csv", "hunter2hunter2")
        with pytest.raises(TypeError, match="missing"):
            Loader().look()  # type: ignore[call-arg]  # the mistake is the point

    flightlog.flush()
    inputs = {event["task_id"]: event.get("inputs") for event in events(daemon, type=["task.started"])[:2]}
    assert inputs == {"all": {"path": "a.csv", "password": "********", "limit": 5}, "one": {"path": "b.csv"}}


@pytest.mark.covers("P8")
def test_a_generator_is_in_its_task_alone(daemon: Daemon) -> None:
    """Only a generator's own code is in its task; it gets what is sent and thrown; leaving it cancels it."""

    @flightlog.task
    def numbers() -> Generator[int, str, str]:
        try:
            flightlog.log(f"got {yield 1}")
            yield 2
        except KeyError as error:
            flightlog.log(f"thrown {error}")
            yield 3
        finally:
            flightlog.log("cleaned")
        return "end"

    def whole() -> Generator[int, str, None]:
        flightlog.log(f"returned {yield from numbers()}")

    with flightlog.execution(execution_id="e") as run:
        items = whole()
        assert next(items) == 1
        assert context.get_current() is run
        flightlog.log("between")
        assert items.send("this") == 2
        assert items.throw(KeyError("that")) == 3
        with pytest.raises(StopIteration):
            next(items)
        for _ in numbers():
            break

    assert said(daemon) == [
        ("between", None), ("got this", "numbers"), ("thrown 'that'", "numbers"), ("cleaned", "numbers"),
        ("returned end", None), ("cleaned", "numbers"),
    ]  # fmt: skip
    assert attempts(daemon) == [("numbers", 1, "succeeded"), ("numbers", 1, "cancelled")]


@pytest.mark.covers("P8")
async def test_tasks_of_trio_and_asyncio_keep_apart(daemon: Daemon) -> None:
    """Concurrent calls of coroutines and asynchronous generators are tasks each, under trio and asyncio."""

    @flightlog.task
    async def letters(name: str) -> AsyncGenerator[str, None]:
        for letter in name:
            flightlog.log(f"gives {letter}")
            yield letter

    @flightlog.task("work")
    async def in_trio(name: str) -> None:
        async for letter in letters(name):
            await trio.lowlevel.checkpoint()
            flightlog.log(f"takes {letter}")

    @flightlog.task("work")
    async def in_asyncio(name: str) -> None:
        await asyncio.to_thread(flightlog.log, f"takes {name}")

    async def both() -> None:
        await asyncio.gather(in_asyncio("c"), in_asyncio("d"))

    with flightlog.execution():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(in_trio, "a")
            nursery.start_soon(in_trio, "b")
        await trio.to_thread.run_sync(asyncio.run, both())

    assert await trio.to_thread.run_sync(flightlog.flush)
    assert inspect.isasyncgenfunction(letters)
    assert inspect.iscoroutinefunction(in_trio)
    assert sorted(said(daemon)) == [
        ("gives a", "letters"), ("gives b", "letters"), *((f"takes {name}", "work") for name in "abcd")
    ]  # fmt: skip
    assert sorted(attempts(daemon)) == [("letters", 1, "succeeded")] * 2 + [("work", 1, "succeeded")] * 4


@pytest.mark.covers("P8", "S0.4")
def test_outside_of_any_execution_a_call_is_one(daemon: Daemon, client: Client) -> None:
    """Without an execution a call is one of its own, which ends as it does; threads find those around."""

    @flightlog.task
    def nightly(fails: bool) -> None:
        if fails:
            raise ValueError("no")

    nightly(False)
    with pytest.raises(ValueError, match="no"):
        nightly(True)
    with client.execution(execution_id="other"):
        worker = threading.Thread(target=contextvars.copy_context().run, args=(nightly, False))
        worker.start()
        worker.join()

    assert client.flush()
    assert [task for task, _, _ in attempts(daemon)] == ["nightly"] * 3
    ended = {event["execution_id"]: event for event in events(daemon, type=["execution.ended"])}
    assert ended.pop("other")["outcome"] == "succeeded"
    assert [(end["outcome"], "error" in end) for end in ended.values()] == [
        ("succeeded", False),
        ("failed", True),
    ]
    assert [e["execution_id"] for e in events(daemon, type=["task.started"])].count("other") == 1
    begun = events(daemon, type=["execution.started"])
    assert [e["name"] for e in begun if e["execution_id"] != "other"] == ["nightly"] * 2


def test_what_cannot_be_decorated() -> None:
    """What is no function, an input that is no parameter and retries that cannot be are errors at once."""

    def items() -> Iterator[int]:
        yield 1

    with pytest.raises(TypeError, match="decorates functions"):
        flightlog.task(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="takes no 'path'"):
        flightlog.task(inputs=["path"])(items)
    with pytest.raises(TypeError, match="cannot be tried again"):
        flightlog.task(retries=1)(items)
    with pytest.raises(ValueError, match="not -1"):
        flightlog.task(retries=-1)(print)
