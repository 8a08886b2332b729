"""One query connection: a request on a line, answer lines, then end or error; again, until it closes.

A reader that half-closes (as `nc` does) gets its answers; one that is gone is noticed while it waits.
"""

import os
import select
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.wire.lines import Search
from flightlog_schemas.wire.query import REQUESTS
from flightlog_schemas.wire.reply import QueryError
from flightlog_schemas.wire.request import Request
from flightlogd.answer import ASK, ASK_AS
from flightlogd.errors import PeerError, QuestionError
from flightlogd.framing import LineSplitter, Oversize
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.sending import Sender
from flightlogd.store.database import DAMAGE_HINT, is_damage, storage_fault
from flightlogd.turns import asking

if TYPE_CHECKING:
    from flightlogd.brief import Brief

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_LINE_LIMIT_BYTES: Final = 64 * 1024
_WAITING_REQUESTS: Final = 16
"""Requests a peer may send ahead; after these it is not read from."""
_GONE_CHECK_S: Final = 1.0
"""How often a half-closed reader is looked at: it may have closed for good without a word."""

_WANTED_LIMIT: Final = 8
"""Most brief questions in a row after which a connection is lent again that asked others in between."""

_Asked = tuple[bytes | Oversize, bool, trio.Event]
"""A request, whether it is the first of what was read at once, and what is set once it is answered."""

_encode = msgspec.json.encode


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


async def serve_query(stream: trio.SocketStream, peer: Peer, hub: Hub, brief: "Brief") -> None:
    """Answer one reader until it closes."""
    asking.set(peer)
    share = hub.users.share
    send = Sender(stream)

    async def answer(line: bytes) -> None:
        verb, request = decode_request(line, REQUESTS)
        await _wait_readable(request, hub)
        following = getattr(request, "follow", False)
        holds = not following and share.hold(peer)
        hub.followers += following
        try:
            if verb in ASK_AS:
                end = await ASK_AS[verb](request, hub, send, peer.uid)
            else:
                end = await ASK[verb](request, hub, send)
        finally:
            hub.followers -= following
            if holds:
                share.let_go()
        await send(b'{"end":' + _encode(end) + b"}\n")

    await serve_requests(stream, peer, hub, answer, brief)


async def _wait_readable(request: Request, hub: Hub) -> None:
    if isinstance(request, Search):
        reached, wait_past = hub.search.position, hub.search.wait_past
    else:
        reached, wait_past = hub.head.seq, hub.head.wait_past
    if request.min_seq > reached:
        with trio.move_on_after(request.wait_ms / 1000):
            await wait_past(request.min_seq - 1)
            return
        raise QuestionError(
            "timed_out", f"position {request.min_seq} was not there within {request.wait_ms} ms"
        )


async def serve_requests(
    stream: trio.SocketStream,
    peer: Peer,
    hub: Hub,
    answer: Callable[[bytes], Awaitable[None]],
    brief: "Brief | None" = None,
) -> None:
    """Read request lines and answer them one after the other; errors are answered too.

    What goes wrong on our side while answering one question is logged and answered with `internal`: a reader
    must not be able to stop the recorder.
    """
    send_line, receive_line = trio.open_memory_channel[_Asked](_WAITING_REQUESTS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_read_requests, stream, peer, hub, send_line, nursery.cancel_scope, brief)
        try:
            async for line, first, answered in receive_line:
                if not first:
                    await hub.users.share.turn(peer)
                try:
                    await answer(_whole(line))
                except QuestionError as error:
                    await _send_error(stream, error)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
                except apsw.Error as error:
                    logger.warning("question failed", request=repr(line)[:200], reason=str(error))
                    await _send_error(stream, _storage_says(error))
                except Exception:
                    logger.exception("question failed", request=repr(line)[:200])
                    await _send_error(stream, QuestionError("internal", "the daemon's log says more"))
                answered.set()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        nursery.cancel_scope.cancel()


def _storage_says(error: apsw.Error) -> QuestionError:
    """Return what is answered where storage fails; what is no fault of it is raised again."""
    if is_damage(error):
        return QuestionError("damaged", str(error), DAMAGE_HINT)
    fault = storage_fault(error)
    if fault is None:
        logger.error("question failed", exc_info=error)
        return QuestionError("internal", "the daemon's log says more")
    return QuestionError(fault.state, fault.reason, fault.hint)


def _whole(line: bytes | Oversize) -> bytes:
    if isinstance(line, Oversize):
        raise QuestionError("line_too_long", f"a request of {line.size_bytes} bytes")
    return line


async def _send_error(stream: trio.SocketStream, error: QuestionError) -> None:
    said = QueryError(code=error.code, reason=error.reason, hint=error.hint)
    await stream.send_all(b'{"error":' + _encode(said) + b"}\n")


class Habit:
    """What a peer asks: whether a thread of its own is to read and answer what comes next.

    To lend a connection for one question, and to have it back, costs as much as it saves.
    """

    def __init__(self) -> None:
        self._row = 0
        self._wanted = 1

    def asked(self, *, brief: bool) -> None:
        """Note a question that was asked here."""
        self._row = self._row + 1 if brief else 0

    def returned(self) -> None:
        """Note that something else was asked there."""
        self._row = 0
        self._wanted = min(2 * self._wanted, _WANTED_LIMIT)

    @property
    def brief(self) -> bool:
        """Whether enough brief questions came in a row."""
        return self._row >= self._wanted


async def _receive(
    stream: trio.SocketStream, peer: Peer, hub: Hub, brief: "Brief | None", habit: Habit
) -> bytes:
    """Return what is there to read, b"" at the end, when it is this peer's turn.

    Brief questions may be answered meanwhile.
    """
    fd = stream.socket.fileno()
    if brief is not None and habit.brief and not hub.users.share.crowded:
        loan = await brief.lend(fd, peer)
        habit.returned()
        if loan.error is not None:
            raise loan.error
        await stream.send_all(loan.rest)
        await hub.users.share.turn(peer)
        if loan.found is not None:
            return loan.found
    while True:
        await hub.users.share.readable(fd, peer)
        with suppress(BlockingIOError):
            return os.read(fd, 16 * 1024)


async def _read_requests(
    stream: trio.SocketStream,
    peer: Peer,
    hub: Hub,
    lines: "trio.MemorySendChannel[_Asked]",
    whole: trio.CancelScope,
    brief: "Brief | None",
) -> None:
    splitter = LineSplitter(_LINE_LIMIT_BYTES, hub.unfinished)
    try:
        async with lines:
            habit = Habit()
            while data := await _receive(stream, peer, hub, brief, habit):
                for number, line in enumerate(splitter.feed(data)):
                    answered = trio.Event()
                    await lines.send((line, number == 0, answered))
                    alone = brief is not None and line == data[:-1] and brief.takes(line)
                    habit.asked(brief=alone)
                    if alone:
                        await answered.wait()
            last = splitter.finish()
            if last is not None:
                await lines.send((last, True, trio.Event()))
    except (OSError, trio.BrokenResourceError, PeerError):
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
