"""Following the log for a client: from a position on, over any number of daemons that go and come back."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import trio
from msgspec import UNSET, Meta, Raw, Struct, to_builtins
from msgspec.structs import replace

from flightlog.cli.output import shown
from flightlog.errors import DaemonAway, FlightlogError, QueryFailed, UsageError
from flightlog.web.asker import Asker, Feed, decoded, row_of
from flightlog.web.limits import KEEP_ALIVE_S
from flightlog.web.params import (
    AgentId,
    Exclude,
    ExecutionId,
    Grep,
    Hosts,
    Levels,
    Limit,
    Source,
    TaskId,
    Words,
    levels,
)
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.limits import Count
from flightlog_schemas.times import rfc3339
from flightlog_schemas.wire.lines import Logs, Tail
from flightlog_schemas.wire.reply import Pruned, Recorded

_RETRY_S: Final = (0.1, 0.25, 0.5, 1.0)
"""How long to wait before each attempt at a daemon that is away; the last one from then on."""

_PASSING: Final = frozenset({"shutting_down", "too_many_connections", "deadline", "storage_failing"})
"""Why a daemon may have no answer now, and have one soon."""


class StreamAsked(Struct, kw_only=True):
    """What is followed, and from where on."""

    execution_id: ExecutionId | None = None
    type: Annotated[Words, Meta(description="Any of these types; `task.` is all that begin so.")] = ()
    level: Levels = ()
    task: TaskId | None = None
    agent: AgentId | None = None
    source: Source | None = None
    grep: Grep = ()
    exclude: Exclude = ()
    host: Hosts = ()
    after: Annotated[Count, Meta(description="Events after this position; default: from now on.")] | None = (
        None
    )
    last: Annotated[Limit, Meta(description="Begin with the last so many that match.")] | None = None
    follow: Annotated[bool, Meta(description="Go on with what comes, rather than end at the head.")] = True
    logs: Annotated[
        bool,
        Meta(description="Lines of an execution as its log has them (`log`), until it has ended; no `type`."),
    ] = False


class Message(NamedTuple):
    """Something to tell a client.

    Attributes:
        event: What it is: `head`, `tail` or `log`, `pruned`, `daemon`, `reset`, `error`, `end`.
        seq: The position from which a client can go on that has this; None where it moves none.
        data: JSON.
    """

    event: str
    seq: int | None
    data: bytes


Question = Tail | Logs
Emit = Callable[[list[Message]], Awaitable[None]]


def question_of(asked: StreamAsked, after: int | None) -> Question:
    """Return the question.

    Args:
        asked: What is followed.
        after: The position that a client has already; it wins over what the parameters say.

    Raises:
        UsageError: a level that is none, or lines of no execution.
    """
    if asked.logs and (asked.execution_id is None or asked.type):
        raise UsageError("logs needs an execution_id, and goes without type")
    told: dict[str, Any] = {
        "execution_id": asked.execution_id,
        "level": levels(asked.level),
        "task_id": asked.task,
        "agent_id": asked.agent,
        "source": asked.source,
        "grep": asked.grep,
        "exclude": asked.exclude,
        "host": asked.host,
        "after": asked.after if after is None else after,
        "last": asked.last if after is None and asked.after is None else None,
        "follow": asked.follow,
    }
    return Logs(**told) if asked.logs else Tail(type=asked.type, **told)


class Follower:
    """One client's way through the log.

    Args:
        asker: Asks the daemon.
        request: What is followed.
        emit: Hands messages on, and returns when the client has room for more; none are a sign of life.
    """

    def __init__(self, asker: Asker, request: Question, emit: Emit) -> None:
        self._asker = asker
        self._request = request
        self._emit = emit
        self._log_id: str | None = None
        self._misses = 0

    async def begin(self) -> list[Message]:
        """Find out where the log ends, and return what to tell of that.

        Raises:
            DaemonAway: nobody answers.
            QueryFailed: there is no answer.
        """
        status = await self._asker.status()
        head, log_id = int(status["head_seq"]), str(status["log_id"])
        after = self._request.after
        told: list[Message] = []
        if self._misses:
            told.append(_message("daemon", None, {"state": "back"}))
        if (self._log_id or log_id) != log_id or (after is not None and after > head):
            # A backup was restored, or the state directory is another: positions mean other events now.
            told.append(_message("reset", None, {"reason": "the log is another, or shorter than it was"}))
            after = head
        elif after is None and self._request.last is None:
            after = head
        if after is not None:
            self._request = replace(self._request, after=after, last=None)
        self._log_id, self._misses = log_id, 0
        where = {"schema_version": SCHEMA_VERSION, "seq": after, "head_seq": head, "log_id": log_id}
        return [*told, _message("head", after, where)]

    async def run(self) -> None:
        """Tell what comes until there is no more, or the daemon has no answer. Begin first."""
        while True:
            try:
                if self._misses:
                    await self._emit(await self.begin())
                async with self._asker.feed(self._request) as feed:
                    await self._feed(feed)
                assert feed.end is not None
                await self._emit([_message("end", feed.end.seq, {"seq": feed.end.seq})])
            except DaemonAway as error:
                await self._away(error)
            except QueryFailed as error:
                if error.code not in _PASSING:
                    told = {"code": error.code, "reason": error.reason, "hint": error.hint}
                    await self._emit([_message("error", None, told)])
                    return
                await self._away(error)
            else:
                return

    async def _feed(self, feed: Feed) -> None:
        while True:
            lines: list[bytes] | None = None
            with trio.move_on_after(KEEP_ALIVE_S):
                lines = await feed.lines()
            if lines == []:
                return
            messages = list(_messages(lines or []))
            await self._emit(messages)
            if messages:
                assert messages[-1].seq is not None
                self._request = replace(self._request, after=messages[-1].seq, last=None)

    async def _away(self, error: FlightlogError) -> None:
        if not self._misses:
            told = {"state": "away", "reason": error.reason, "hint": error.hint}
            await self._emit([_message("daemon", None, told)])
        else:
            await self._emit([])
        await trio.sleep(_RETRY_S[min(self._misses, len(_RETRY_S) - 1)])
        self._misses += 1


def _messages(lines: list[bytes]) -> Iterator[Message]:
    for line in lines:
        if line.startswith(b'{"pruned":'):
            hole = decoded(line, dict[str, Pruned])["pruned"]
            yield Message("pruned", hole.last_seq, msgspec.json.encode(hole))
        elif line.startswith(b'{"log":'):
            row = row_of(line)[1]
            yield Message("log", row["seq"], msgspec.json.encode(row))
        else:
            recorded = decoded(line, Recorded)
            # The event itself goes on as it came.
            told: dict[str, Any] = {**decoded(line, dict[str, Raw]), "received": rfc3339(recorded.received)}
            if recorded.origin is not UNSET:
                told["origin"] = shown(to_builtins(recorded.origin))
            yield Message("tail", recorded.seq, msgspec.json.encode(told))


def _message(event: str, seq: int | None, data: dict[str, Any]) -> Message:
    return Message(event, seq, msgspec.json.encode(data))
