"""One query connection: a request on a line, answer lines, then end or error; again, until it closes.

A reader that half-closes (as `nc` does) gets its answers; one that is gone is noticed while it waits.
"""

import select
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from typing import Any, Final, TypeVar

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.wire import query as wire
from flightlog_schemas.wire.query import REQUESTS, End, QueryError, Request
from flightlogd.errors import PeerError, QuestionError
from flightlogd.follow import answer_line, run_logs, run_wait
from flightlogd.framing import LineSplitter, Oversize
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.queries.agent import agent_page
from flightlogd.queries.artifact import artifact_page
from flightlogd.queries.audit import audit_entries
from flightlogd.queries.event import event_page
from flightlogd.queries.execution import list_executions, one_execution, phase_position
from flightlogd.queries.status import daemon_status
from flightlogd.queries.task import task_page
from flightlogd.tail import run_tail
from flightlogd.timetravel import as_of, find_then, position_at

logger = structlog.get_logger(__name__)

Send = Callable[[bytes], Awaitable[None]]
Ask = Callable[[Any, Hub, Send], Awaitable[End]]
T = TypeVar("T")

_LINE_LIMIT_BYTES: Final = 64 * 1024
_WAITING_REQUESTS: Final = 16
"""Requests a peer may send ahead; after these it is not read from."""
_GONE_CHECK_S: Final = 1.0
"""How often a half-closed reader is looked at: it may have closed for good without a word."""

_encode = msgspec.json.encode


async def _ask_inspect(request: wire.Inspect, hub: Hub, send: Send) -> End:
    def read(db: apsw.Connection) -> tuple[list[bytes], bool, int]:
        if request.as_of is None and request.as_of_time is None:
            return *_inspect(db, request.execution_id, request), head
        until = position_at(db, request.as_of, request.as_of_time)
        name = find_then(db, request.execution_id, until)
        with closing(as_of(db, name, until, timeout_s=hub.readers.timeout_ms / 1000)) as past:
            return *_inspect(past, name, request), until

    head = hub.head.seq
    lines, truncated, seq = await hub.readers.run(read)
    await send(b"".join(lines))
    return End(count=len(lines), seq=seq, truncated=truncated)


def _inspect(db: apsw.Connection, text: str, request: wire.Inspect) -> tuple[list[bytes], bool]:
    """Return an execution with what is asked for of it, as answer lines; True with more there than a page."""
    found = one_execution(db, text)
    lines = [answer_line("execution", found)]
    name = found.execution_id
    more: list[int | None] = []
    if request.tasks:
        attempts, next_attempt = task_page(db, wire.Tasks(execution_id=name, oldest_first=True))
        lines += [answer_line("task", attempt) for attempt in attempts]
        more.append(next_attempt)
    if request.agents:
        agents, next_agent = agent_page(db, wire.Agents(execution_id=name))
        lines += [answer_line("agent", agent) for agent in agents]
        more.append(next_agent)
    if request.artifacts:
        artifacts, next_artifact = artifact_page(db, wire.Artifacts(execution_id=name))
        lines += [answer_line("artifact", artifact) for artifact in artifacts]
        more.append(next_artifact)
    if request.audit:
        entries, next_entry = audit_entries(db, wire.Audit(execution_id=name))
        lines += [answer_line("audit", entry) for entry in entries]
        more.append(next_entry)
    return lines, any(after is not None for after in more)


async def _ask_executions(request: wire.Executions, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    found, token = await hub.readers.run(lambda db: list_executions(db, request))
    await send(b"".join(answer_line("execution", execution) for execution in found))
    return End(count=len(found), seq=seq, truncated=token is not None, next=token)


async def _ask_phase(request: wire.Phase, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    found = await hub.readers.run(lambda db: phase_position(db, request.execution_id))
    await send(answer_line("phase", found))
    return End(count=1, seq=seq)


async def _ask_tasks(request: wire.Tasks, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    found, more = await hub.readers.run(lambda db: task_page(db, request))
    await send(b"".join(answer_line("task", attempt) for attempt in found))
    return End(count=len(found), seq=seq, truncated=more is not None, next=more)


async def _ask_agents(request: wire.Agents, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    found, after = await hub.readers.run(lambda db: agent_page(db, request))
    await send(b"".join(answer_line("agent", agent) for agent in found))
    return End(count=len(found), seq=seq, truncated=after is not None, next=after)


async def _ask_artifacts(request: wire.Artifacts, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    found, after = await hub.readers.run(lambda db: artifact_page(db, request))
    await send(b"".join(answer_line("artifact", artifact) for artifact in found))
    return End(count=len(found), seq=seq, truncated=after is not None, next=after)


async def _ask_events(request: wire.Events, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    lines, after = await hub.readers.run(lambda db: event_page(db, request))
    await send(b"".join(lines))
    return End(count=len(lines), seq=seq, truncated=after is not None, next=after)


async def _ask_audit(request: wire.Audit, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    entries, after = await hub.readers.run(lambda db: audit_entries(db, request))
    await send(b"".join(answer_line("audit", entry) for entry in entries))
    return End(count=len(entries), seq=seq, truncated=after is not None, next=after)


async def _ask_status(_request: wire.StatusRequest, hub: Hub, send: Send) -> End:
    seq = hub.head.seq
    await send(answer_line("status", await daemon_status(hub)))
    return End(count=1, seq=seq)


_ASK: Final[dict[str, Ask]] = {
    "tail": run_tail,
    "events": _ask_events,
    "executions": _ask_executions,
    "inspect": _ask_inspect,
    "phase": _ask_phase,
    "tasks": _ask_tasks,
    "agents": _ask_agents,
    "artifacts": _ask_artifacts,
    "logs": run_logs,
    "audit": _ask_audit,
    "wait": run_wait,
    "status": _ask_status,
}
assert _ASK.keys() == REQUESTS.keys()


def decode_request(line: bytes, requests: Mapping[str, type[T]]) -> tuple[str, T]:
    """Return the verb and the request of a line.

    Raises:
        QuestionError: `invalid`, with the verbs there are.
    """
    hint = f'{{"VERB":{{...}}}}, VERB one of {", ".join(requests)}'
    try:
        found = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        if len(found) != 1:
            raise QuestionError("invalid", "a request is an object with one key, its verb", hint)
        [(verb, body)] = found.items()
        if verb not in requests:
            raise QuestionError("invalid", f"no verb {verb!r}", hint)
        return verb, msgspec.json.decode(body, type=requests[verb])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise QuestionError("invalid", str(error), hint) from None


async def serve_query(stream: trio.SocketStream, _peer: Peer, hub: Hub) -> None:
    """Answer one reader until it closes."""

    async def answer(line: bytes) -> None:
        verb, request = decode_request(line, REQUESTS)
        await _wait_readable(request, hub)
        following = getattr(request, "follow", False)
        hub.followers += following
        try:
            end = await _ASK[verb](request, hub, stream.send_all)
        finally:
            hub.followers -= following
        await stream.send_all(b'{"end":' + _encode(end) + b"}\n")

    await serve_requests(stream, hub, answer)


async def _wait_readable(request: Request, hub: Hub) -> None:
    if request.min_seq > hub.head.seq:
        with trio.move_on_after(request.wait_ms / 1000):
            await hub.head.wait_past(request.min_seq - 1)
            return
        raise QuestionError(
            "timed_out", f"position {request.min_seq} was not there within {request.wait_ms} ms"
        )


async def serve_requests(
    stream: trio.SocketStream, hub: Hub, answer: Callable[[bytes], Awaitable[None]]
) -> None:
    """Read request lines and answer them one after the other; errors are answered too.

    What goes wrong on our side while answering one question is logged and answered with `internal`: a reader
    must not be able to stop the recorder.
    """
    send_line, receive_line = trio.open_memory_channel[bytes | Oversize](_WAITING_REQUESTS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read_requests, stream, hub, send_line, nursery.cancel_scope)
        try:
            async for line in receive_line:
                try:
                    await answer(_whole(line))
                except QuestionError as error:
                    await _send_error(stream, error)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
                except Exception:
                    logger.exception("question failed", request=repr(line)[:200])
                    await _send_error(stream, QuestionError("internal", "the daemon's log says more"))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()


def _whole(line: bytes | Oversize) -> bytes:
    if isinstance(line, Oversize):
        raise QuestionError("line_too_long", f"a request of {line.size_bytes} bytes")
    return line


async def _send_error(stream: trio.SocketStream, error: QuestionError) -> None:
    said = QueryError(code=error.code, reason=error.reason, hint=error.hint)
    await stream.send_all(b'{"error":' + _encode(said) + b"}\n")


async def _read_requests(
    stream: trio.SocketStream,
    hub: Hub,
    lines: "trio.MemorySendChannel[bytes | Oversize]",
    whole: trio.CancelScope,
) -> None:
    splitter = LineSplitter(_LINE_LIMIT_BYTES, hub.unfinished)
    try:
        async with lines:
            while data := await stream.receive_some(16 * 1024):
                for line in splitter.feed(data):
                    await lines.send(line)
            last = splitter.finish()
            if last is not None:
                await lines.send(last)
    except (trio.BrokenResourceError, PeerError):
        whole.cancel()
        return
    finally:
        splitter.finish()
    # A half-closed socket shows EOF for ever; only a closed one shows POLLHUP.
    poll = select.poll()
    poll.register(stream.socket.fileno(), 0)
    while not poll.poll(0):  # noqa: ASYNC110  # the kernel has no event that trio could wait for
        await trio.sleep(_GONE_CHECK_S)
    whole.cancel()
