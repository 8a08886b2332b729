"""What an endpoint is: a path, typed parameters, and a function that asks the daemon."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import trio
from msgspec import Struct

from flightlog.daemon import Daemon
from flightlog.trace import Trace
from flightlog.web.asker import Answer, Asker, Row
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.wire.query import Inspect
from flightlog_schemas.wire.request import Request

Asked = TypeVar("Asked", bound=Struct)

PREFIX: Final = "/api"


class Nothing(Struct, kw_only=True):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an endpoint.

    Attributes:
        asker: Asks the daemon.
        daemon: The daemon, for commands.
        commands: Threads for commands.
        now_us: When it came, in microseconds since the epoch.
        body: What was sent with it.
        trace: The span of what is done for it, where it named a trace.
    """

    asker: Asker
    daemon: Daemon
    commands: trio.CapacityLimiter
    now_us: int
    body: bytes
    trace: Trace | None

    async def whole_id(self, execution_id: str) -> str:
        """Return the id of an execution that a beginning of it stands for.

        Raises:
            QueryFailed: there is none, or there are several.
            DaemonAway: nobody answers.
        """
        return str((await self.asker.one(Inspect(execution_id=execution_id)))["execution_id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One endpoint.

    Attributes:
        path: Where, with `{name}` for a parameter.
        title: What it is for, in a few words.
        about: What it answers, for people.
        asked: Its parameters, those of the path included.
        item: What it answers with, or what `noun` lists.
        noun: Under which name a list stands; None where the answer is one object.
        named: The list is about one execution, whose `execution_id` the answer has.
        run: Answers.
        method: GET, POST or PATCH.
        body: What is sent with it.
        status: The status code of an answer.
    """

    path: str
    title: str
    about: str
    asked: type[Struct]
    item: type[Struct]
    run: Callable[[Call, Any], Awaitable[Row]]
    noun: str | None = None
    named: bool = False
    method: Literal["GET", "POST", "PATCH"] = "GET"
    body: type[Struct] | None = None
    status: int = 200


def listing(
    path: str,
    noun: str,
    about: str,
    asked: type[Asked],
    item: type[Struct],
    request: Callable[[Asked, int], Request],
) -> Endpoint:
    """Return an endpoint that answers with a page of a list.

    Args:
        path: Where.
        noun: What the list is called.
        about: What it answers, for people.
        asked: Its parameters.
        item: What it lists.
        request: Makes the question from the parameters and the time.
    """
    named = "{execution_id}" in path

    async def run(call: Call, given: Asked) -> Row:
        question = request(given, call.now_us)
        head: Row = {}
        if named:
            execution_id = await call.whole_id(question.execution_id)  # type: ignore[attr-defined]  # of these
            question.execution_id = execution_id  # type: ignore[attr-defined]  # likewise
            head["execution_id"] = execution_id
        return page(await call.asker.ask(question), noun, head)

    return Endpoint(
        path=path,
        title=f"List {noun}",
        about=about,
        asked=asked,
        item=item,
        noun=noun,
        named=named,
        run=run,
    )


def page(answer: Answer, noun: str, head: Row) -> Row:
    """Return a page as it is sent: `next` continues where it is not null."""
    end = answer.end
    told: Row = {"schema_version": SCHEMA_VERSION, **head, noun: [row for _, row in answer.rows]}
    told["next"] = end.next if end.truncated else None
    told["truncated"] = end.truncated
    if end.lag:
        told["lag"] = end.lag
    if end.pruned:
        told["pruned"] = end.pruned
    return told


def one(row: Row) -> Row:
    """Return an answer that is one object as it is sent."""
    return {"schema_version": SCHEMA_VERSION, **row}
