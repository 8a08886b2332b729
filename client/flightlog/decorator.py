"""Functions as tasks: each call is an attempt, whatever kind of function it is.

    @flightlog.task("extract", retries=2, on=OSError, inputs=["path"])
    def extract(path, password): ...

A generator is in its task only while its own code runs: who iterates over it stays in what it was in.
"""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from flightlog import context
from flightlog.executions import Execution
from flightlog.tasks import Attempt, Attempts, Task

if TYPE_CHECKING:
    from flightlog.client import Client
    from flightlog_schemas.answers import TaskAttempt


class Recipe(NamedTuple):
    """How calls of a function are recorded; `flightlog.task` says what each means."""

    client: "Callable[[], Client]"
    name: str | None
    task_type: str | None
    retries: int
    on: type[Exception] | tuple[type[Exception], ...]
    inputs: bool | Sequence[str]


def recorded(function: Callable[..., Any], recipe: Recipe) -> Callable[..., Any]:
    """Return a function that does what this one does, each call of it a task.

    Raises:
        TypeError: it is none, inputs are named that it does not take, or a generator is to be tried again.
        ValueError: `retries` is below 0: it would never be called.
    """
    if not callable(function) or inspect.isclass(function):
        raise TypeError(f"flightlog.task decorates functions, not {function!r}")
    if recipe.retries < 0:
        raise ValueError(f"retries is how many attempts follow the first, not {recipe.retries}")
    makes_items = inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)
    if makes_items and recipe.retries:
        raise TypeError("a generator cannot be tried again: what it gave away before it failed is gone")
    calls = _Calls(function, recipe)
    wrap: Callable[[Callable[..., Any], _Calls], Callable[..., Any]] = _plain
    if inspect.isasyncgenfunction(function):
        wrap = _async_generator
    elif inspect.isgeneratorfunction(function):
        wrap = _generator
    elif inspect.iscoroutinefunction(function):
        wrap = _coroutine
    return functools.wraps(function)(wrap(function, calls))


class _Calls:
    """Makes what one call of a function is recorded as."""

    def __init__(self, function: Callable[..., Any], recipe: Recipe) -> None:
        self._recipe = recipe
        self._name = (
            recipe.name or getattr(function, "__qualname__", repr(function)).rpartition("<locals>.")[2]
        )
        self._signature = inspect.signature(function)
        wanted = recipe.inputs
        if isinstance(wanted, str):
            raise TypeError(f"inputs are names of parameters in a list, not {wanted!r}")
        known = list(self._signature.parameters)
        if isinstance(wanted, bool):
            # What a method belongs to is no input.
            self._inputs = (known[1:] if known[:1] in (["self"], ["cls"]) else known) if wanted else []
        elif unknown := [name for name in wanted if name not in known]:
            raise TypeError(f"{self._name}() takes no {unknown[0]!r} that could be an input")
        else:
            self._inputs = list(wanted)

    @contextmanager
    def attempts(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[Attempts]:
        """Give the attempts of a call, in the execution that its caller is in, or else one of its own."""
        recipe, client = self._recipe, self._recipe.client()
        inputs = self._inputs_of(args, kwargs)
        with ExitStack() as stack:
            scope = client.scope()
            if scope is None:
                run: Execution = client.execution(self._name).start()
                stack.push(run.__exit__)
                scope = run
            parent, agent_id, execution_id = scope.task_id, scope.agent_id, scope.execution_id
            owner = scope._client  # not ours, where the caller is in what another client tells

            def make(retry_of: "Task | TaskAttempt | None", reason: str | None) -> Attempt:
                return Attempt(
                    owner,
                    execution_id,
                    self._name,
                    task_id=None,
                    task_type=recipe.task_type,
                    inputs=inputs,
                    retry_of=retry_of,
                    agent_id=agent_id,
                    facts={"parent_task_id": parent} if parent else {},
                    reason=reason,
                )

            yield Attempts(make, recipe.retries, recipe.on if isinstance(recipe.on, tuple) else (recipe.on,))

    def _inputs_of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any] | None:
        if not self._inputs:
            return None
        try:
            given = self._signature.bind(*args, **kwargs)
        except TypeError:
            return None  # the call itself will say so
        given.apply_defaults()
        return {name: given.arguments[name] for name in self._inputs}


def _plain(function: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        result = None
        with calls.attempts(args, kwargs) as attempts:
            for attempt in attempts:
                with attempt:
                    result = function(*args, **kwargs)
        return result

    return call


def _coroutine(function: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        result = None
        with calls.attempts(args, kwargs) as attempts:
            for attempt in attempts:
                with attempt:
                    result = await function(*args, **kwargs)
        return result

    return call


def _generator(function: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with calls.attempts(args, kwargs) as attempts:
            (attempt,) = attempts
            with attempt.apart():
                items = function(*args, **kwargs)
                step, given = items.send, None
                while True:
                    token = context.enter(attempt)
                    try:
                        item = step(given)
                    except StopIteration as stop:
                        return stop.value
                    finally:
                        context.leave(token)
                    try:
                        step, given = items.send, (yield item)
                    except GeneratorExit:
                        token = context.enter(attempt)
                        try:
                            items.close()
                        finally:
                            context.leave(token)
                        raise
                    except BaseException as error:
                        step, given = items.throw, error

    return call


def _async_generator(function: Callable[..., Any], calls: _Calls) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with calls.attempts(args, kwargs) as attempts:
            (attempt,) = attempts
            with attempt.apart():
                items = function(*args, **kwargs)
                step, given = items.asend, None
                while True:
                    token = context.enter(attempt)
                    try:
                        item = await step(given)
                    except StopAsyncIteration:
                        return
                    finally:
                        context.leave(token)
                    try:
                        step, given = items.asend, (yield item)
                    except GeneratorExit:
                        token = context.enter(attempt)
                        try:
                            await items.aclose()
                        finally:
                            context.leave(token)
                        raise
                    except BaseException as error:
                        step, given = items.athrow, error

    return call
