"""Brief questions: a thread of its own reads them, answers them, and goes to the next.

    socket -> [this thread: read the question, read the log, write the answer] -> socket

To go through the loop costs such a question more than its answer: two tasks are woken for it, and it changes
threads twice. A connection is lent to this thread while no crowd is there and all that comes is such a
question, by itself. Anything else goes back to the loop with what was read, and so does what fails: it is
asked again there, and there it is said what is wrong.
"""

import os
import select
import threading
from collections.abc import Awaitable
from typing import Final, cast

import trio
from msgspec.structs import replace

from flightlog_schemas.wire.lines import Logs, OneEvent
from flightlog_schemas.wire.query import Inspect, Phase
from flightlog_schemas.wire.reply import End
from flightlog_schemas.wire.request import Request
from flightlogd.answer import ASK, ASK_AS
from flightlogd.errors import QuestionError
from flightlogd.follow import answer_line
from flightlogd.hub import Hub
from flightlogd.peer import Peer
from flightlogd.query import decode_request
from flightlogd.sending import Kept

VERBS: Final[dict[str, type[Request]]] = {
    "event": OneEvent,
    "phase": Phase,
    "inspect": Inspect,
    "logs": Logs,
}

_LAST_LINES: Final = 200
"""More lines of a log are read by others: each may be in a row of its own."""

_READ_BYTES: Final = 4096


class Loan:
    """A connection that the thread reads.

    Attributes:
        fd: Its descriptor.
        peer: Whose it is.
        over: The loop has it back.
        found: What was read that the loop is to take itself; None where that is nothing.
        rest: What the socket did not take of an answer; it comes first.
        error: Why reading failed.
        returned: Set when it is over.
    """

    __slots__ = ("error", "fd", "found", "over", "peer", "rest", "returned")

    def __init__(self, fd: int, peer: Peer) -> None:
        self.fd = fd
        self.peer = peer
        self.over = False
        self.found: bytes | None = None
        self.rest = b""
        self.error: OSError | None = None
        self.returned = trio.Event()


class Brief:
    """Who is read and answered aside of the loop.

    Args:
        hub: What connections share.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._poll = select.epoll()
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll.register(self._wake_fd, select.EPOLLIN)
        self._loans: dict[int, Loan] = {}
        self._lock = threading.Lock()
        """Held while connections are read or written here: who takes one back knows that neither goes on."""
        self._token: trio.lowlevel.TrioToken | None = None
        self._stopping = False

    async def run(self) -> None:
        """Answer until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stop_when_cancelled)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._serve)

    async def lend(self, fd: int, peer: Peer) -> Loan:
        """Have brief questions of a connection answered; return when something else came."""
        loan = Loan(fd, peer)
        with self._lock:
            self._loans[fd] = loan
            self._poll.register(fd, select.EPOLLIN)
        try:
            await loan.returned.wait()
        finally:
            with self._lock:
                self._end(loan)
        return loan

    def takes(self, line: bytes) -> bool:
        """Say whether a line is a brief question."""
        try:
            return is_brief(decode_request(line, VERBS)[1])
        except QuestionError:
            return False

    async def _stop_when_cancelled(self) -> None:
        try:
            await trio.sleep_forever()
        finally:
            self._stopping = True
            os.eventfd_write(self._wake_fd, 1)

    def _serve(self) -> None:
        self._hub.readers.read_here()
        while not self._stopping:
            for fd, _ in self._poll.poll():
                loan = self._loans.get(fd)
                if loan is not None and (data := self._read(loan)) is not None:
                    self._reply(
                        loan, data, None if self._hub.users.share.crowded else self._answer(loan, data)
                    )

    def _read(self, loan: Loan) -> bytes | None:
        """Return what there is to read, b"" at the end; None where there is nothing for us."""
        with self._lock:
            if loan.over:
                return None
            try:
                return os.read(loan.fd, _READ_BYTES)
            except BlockingIOError:
                return None
            except OSError as error:
                loan.error = error
                return b""

    def _answer(self, loan: Loan, data: bytes) -> bytes | None:
        """Return the whole answer to what was read; None where that is for the loop."""
        if not data or data.find(b"\n") != len(data) - 1 or self._hub.users.share.crowded:
            return None
        answer = Kept()
        try:
            verb, request = decode_request(data[:-1], VERBS)
            if not is_brief(request) or request.min_seq > self._hub.head.seq:
                return None
            if verb in ASK_AS:
                end = _run(ASK_AS[verb](request, self._hub, answer, loan.peer.uid))
            else:
                end = _run(ASK[verb](request, self._hub, answer))
        except Exception:  # it is asked again on the loop, and said there
            return None
        return b"".join([*answer.parts, answer_line("end", end)])

    def _reply(self, loan: Loan, data: bytes, answer: bytes | None) -> None:
        with self._lock:
            if loan.over:
                return
            if answer is None:
                loan.found = data
            else:
                try:
                    loan.rest = answer[os.write(loan.fd, answer) :]
                except OSError:
                    loan.rest = answer
                if not loan.rest:
                    return
            self._end(loan)
        assert self._token is not None
        self._token.run_sync_soon(loan.returned.set)

    def _end(self, loan: Loan) -> None:
        if not loan.over:
            loan.over = True
            del self._loans[loan.fd]
            self._poll.unregister(loan.fd)


def is_brief(request: Request) -> bool:
    """Say whether a question is answered with a few reads, however much there is in the log. Pure."""
    asked = replace(request, min_seq=0, wait_ms=0)
    if isinstance(asked, Logs):
        plain = Logs(execution_id=asked.execution_id, after=asked.after, last=asked.last, wait_ms=0)
        named = asked.execution_id is not None
        return named and asked == plain and asked.last is not None and asked.last <= _LAST_LINES
    if isinstance(asked, Inspect):
        return asked == Inspect(execution_id=asked.execution_id, wait_ms=0)
    return True


def _run(question: Awaitable[End]) -> End:
    """Return what a coroutine returns that waits for nothing."""
    steps = question.__await__()
    try:
        next(steps)
    except StopIteration as done:
        return cast("End", done.value)
    raise AssertionError("a brief question waits for something")
