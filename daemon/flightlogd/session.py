"""One ingest connection: hello, lines in, acks out.

    receive -> LineSplitter -> decode_lines -> Submission -> Inbox ... Outcome -> ack, refused, duplicate

A named producer resumes by its line numbers; a peer without hello gets a name of its own and starts at 1.
When the peer closes its write side, everything is committed and acked before the daemon closes.
"""

from typing import Final

import structlog
import trio
from msgspec import UNSET

from flightlog_schemas import PROTOCOL_VERSION
from flightlog_schemas.codec import RefusalError
from flightlog_schemas.wire.ingest import (
    Ack,
    Busy,
    ErrorCode,
    Hello,
    IngestError,
    Ready,
    Refused,
)
from flightlogd.decode import Mixed, decode_lines
from flightlogd.elsewhere import GIVEN_PREFIX
from flightlogd.errors import PeerError, StorageFault
from flightlogd.framing import LineSplitter, Oversize
from flightlogd.greeting import decode_hello, is_bye, is_whole, reply_line, take_bye
from flightlogd.hub import Hub
from flightlogd.lone import LONE_BYTES, Habit, Loan
from flightlogd.outgoing import Outgoing
from flightlogd.peer import Peer, is_readable
from flightlogd.receive import Receiver
from flightlogd.recorded import DAEMON_PRODUCER
from flightlogd.repeat import Repeater
from flightlogd.shedding import shed_newest
from flightlogd.store import producers
from flightlogd.submission import Outcome, Submission

logger = structlog.get_logger(__name__)

_SUPERSEDED: Final = "a newer connection of this producer took over"
_BYE_IS_LAST: Final = 'after {"bye":{"lines":N}} nothing follows on a connection'


class Session:
    """An ingest connection from accept to close; also the writer's `Source`.

    Args:
        stream: The connection.
        peer: Who connected.
        hub: What all connections share.
        nursery: Where what is left to write is written.
    """

    def __init__(self, stream: trio.SocketStream, peer: Peer, hub: Hub, nursery: trio.Nursery) -> None:
        self._stream = stream
        self._hub = hub
        self.user = hub.users.of(peer.uid)
        self._receiver = Receiver(stream, peer, hub)
        self.out = Outgoing(stream, nursery, hub.config.reply_limit_bytes)
        self._splitter = LineSplitter(hub.config.line_limit_bytes, hub.unfinished)
        self._next_line = 1
        self._acked_before = 0
        """Lines of this producer that were settled before this connection."""
        self._known_line = 0
        """Last line that was settled before or is with the writer."""
        self._settled = 0
        self._submitted = 0
        self._queued_bytes = 0
        self._said_bye = False
        self._resumes = False
        """The peer named itself: it can come back and go on."""
        self._repeater: Repeater | None = None
        """Takes the lines of a peer that repeats what others said elsewhere."""
        self._habit = Habit()
        self._loan: Loan | None = None
        self._progress = trio.lowlevel.ParkingLot()
        self._closed = trio.Event()
        self._scope = trio.CancelScope()
        self._last_word = b""
        self.peer = peer
        self.producer = ""

    async def run(self) -> None:
        """Serve until the peer closes, breaks the protocol, or is superseded."""
        self._hub.connected.add(self)
        try:
            with self._scope:
                await self._serve()
        except PeerError as error:
            self._last_word = reply_line(
                error=IngestError(code=error.code, reason=error.reason, hint=error.hint)
            )
            logger.info("ingest peer dismissed", code=error.code, reason=error.reason, pid=self.peer.pid)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            # What was handed to the writer is settled before anybody takes this producer's place.
            with trio.CancelScope(shield=True):
                await self._all_settled()
                self.out.post(self._last_word)
                with trio.move_on_after(self._hub.config.drain_timeout_ms / 1000):
                    await self.out.drained()
            self._splitter.finish()
            self._hub.leave(self)
            self._hub.connected.discard(self)
            if self.producer.startswith(GIVEN_PREFIX):
                self._hub.writer.forget(self.producer)
            self._closed.set()

    @property
    def quiet(self) -> bool:
        """True while all that the peer has sent is settled, as far as anybody can know."""
        if (
            not self._receiver.listening
            or self._settled < self._submitted
            or is_readable(self._stream.socket)
        ):
            return False
        # What is not to be read any more, the writer may have read.
        return self._loan is None or self._hub.writer.lone.is_settled(self._loan)

    async def supersede(self) -> None:
        """Close this connection for a newer one of the same producer; returns when all is settled."""
        if not self._closed.is_set():
            self._stop("superseded", _SUPERSEDED)
        await self._closed.wait()

    async def drain(self) -> None:
        """The daemon stops: settle and ack what came whole, read nothing more, close."""
        if not self._closed.is_set():
            self._stop("shutting_down", "flightlogd stops; connect again later")
        await self._closed.wait()

    def settle(self, outcome: Outcome) -> None:
        """Tell the peer what became of its lines (called after their commit)."""
        self._settled += 1
        self._queued_bytes -= outcome.size_bytes
        answers = [
            reply_line(refused=reply) if isinstance(reply, Refused) else reply_line(duplicate=reply)
            for reply in outcome.replies
        ]
        lines = max(outcome.lines, self._acked_before)
        answers.append(b'{"ack":{"lines":%d,"seq":%d}}\n' % (lines, outcome.seq))
        self.out.post(b"".join(answers))
        self.wake()

    def wake(self) -> None:
        """Let what waits for progress look again."""
        self._progress.unpark_all()

    @property
    def lone_limit_bytes(self) -> int:
        """Below how many bytes the writer may take what it has read of this user; 0: nothing."""
        if self._hub.fault is not None or self.user.rated:
            return 0
        return min(LONE_BYTES, self._hub.config.line_limit_bytes)

    def settle_lent(self, answer: bytes) -> None:
        """Take the answer to lines that the writer had read when it was no longer to."""
        self._settled += 1
        self.out.post(answer)
        self.wake()

    def busy(self, fault: StorageFault) -> None:
        """Tell the peer that the daemon keeps what came and reads no more until this clears."""
        if self._submitted > self._settled or (self._loan is not None and self._loan.unsettled):
            self._say_busy(fault)

    def _say_busy(self, fault: StorageFault) -> None:
        self.out.post(reply_line(busy=Busy(code=fault.state)))

    async def _serve(self) -> None:
        while True:
            try:
                data = await self._receive()
            except PeerError:
                await self._take_rest()
                raise
            if not data:
                await self._take_rest()
                return
            await self._take(self._splitter.feed(data), terminated=True)
            await self._room()

    async def _take_rest(self) -> None:
        """Take what came of a last line without newline: it counts if it decodes.

        If not, the half line of a named producer stays unsettled, for it can send the whole one again; that
        of a peer that cannot come back is refused, so that it leaves a record.
        """
        rest = self._splitter.finish()
        if rest is not None and (not self._resumes or is_whole(rest)):
            await self._take([rest], terminated=False)

    async def _take(self, lines: list[bytes | Oversize], *, terminated: bool) -> None:
        if lines and not self.producer and await self._greet(lines[0]):
            del lines[0]
        if lines and self._repeater is not None:
            await self._repeat(lines)
        elif lines:
            await self._submit(lines, terminated=terminated)

    async def _receive(self) -> bytes:
        """Return what is there to read, b"" at the end, when it is to be read."""
        if self._is_plain and (data := await self._lend()) is not None:
            return data
        data = await self._receiver.receive(unfinished=self._splitter.unfinished)
        self._habit.came(len(data))
        return data

    @property
    def _is_plain(self) -> bool:
        """Whether the writer may read what comes next by itself."""
        if not (self._habit.lone and self.producer and self.lone_limit_bytes):
            return False
        between = self._splitter.unfinished or self._said_bye or self._repeater is not None
        return not between and self._settled == self._submitted and self._known_line == self._next_line - 1

    async def _lend(self) -> bytes | None:
        """Let the writer read until there is something that is not plain; return that."""
        lone = self._hub.writer.lone
        loan = self._loan = lone.lend(self, self._stream.socket.fileno(), self._next_line)
        self._receiver.listening = True
        try:
            await loan.returned()
        finally:
            self._submitted += lone.take_back(loan)
            self._loan = None
            self._next_line = loan.next_line
            self._known_line = loan.next_line - 1
        self._receiver.listening = False
        self._habit.returned(plain=loan.plain)
        if loan.error is not None:
            raise trio.BrokenResourceError from loan.error
        if loan.found:
            self.user.use(loan.found.count(b"\n"), len(loan.found))
        return loan.found

    async def _greet(self, line: bytes | Oversize) -> bool:
        """Take the first line's hello, or name the peer; True when the line was a hello."""
        hello = None if isinstance(line, Oversize) else decode_hello(line)
        if hello is None:
            self._go_nameless()
            return False
        if hello.protocol != PROTOCOL_VERSION:
            raise PeerError(
                "protocol",
                f"protocol {hello.protocol} is not spoken here",
                f"this is protocol {PROTOCOL_VERSION}",
            )
        if hello.origin is not UNSET:
            self._greet_repeater(hello)
            return True
        name = hello.producer
        if name == DAEMON_PRODUCER or name.startswith(GIVEN_PREFIX):
            raise PeerError("not_owner", f"producer {name!r} is the daemon's own to give")
        older = self._hub.find(name)
        if older is not None and older.peer.uid != self.peer.uid:
            raise PeerError("not_owner", f"producer {name!r} belongs to another user")
        if older is not None and older.peer.number > self.peer.number:
            # Of two that were accepted together the later one may have been read first.
            raise PeerError("superseded", _SUPERSEDED)
        self.producer = name
        self._hub.join(self)  # from here on a newer hello of this name finds this session
        if older is not None:
            await older.supersede()
        # Ahead of what others wait for: of this producer nothing is with the writer any more.
        found = await self._hub.look(lambda db: producers.find_producer(db, name), self._say_busy)
        uid, acked = found or (self.peer.uid, 0)
        if uid != self.peer.uid:
            raise PeerError("not_owner", f"producer {name!r} belongs to another user")
        self._resumes = True
        self._next_line = max(hello.line, 1)
        self._acked_before = self._known_line = acked
        self._say_ready(acked)
        return True

    def _go_nameless(self) -> None:
        """Give the connection a name."""
        self.producer = f"{GIVEN_PREFIX}{self._hub.next_anonymous()}"
        self._hub.join(self)

    def _greet_repeater(self, hello: Hello) -> None:
        self._repeater = Repeater(self.peer, self._hub, self._hand_over, self._settle_repeated)
        self._repeater.greet(hello)
        self._resumes = True  # half a line can come again
        self._go_nameless()
        self._say_ready(0)

    def _say_ready(self, acked: int) -> None:
        self.out.post(
            reply_line(
                ready=Ready(
                    protocol=PROTOCOL_VERSION, producer=self.producer, acked=acked, log_id=self._hub.log_id
                )
            )
        )

    async def _repeat(self, lines: list[bytes | Oversize]) -> None:
        """Hand over lines that were recorded elsewhere first, up to a bye."""
        assert self._repeater is not None
        if self._said_bye:
            raise PeerError("protocol", _BYE_IS_LAST)
        self._said_bye = take_bye(lines) is not None
        await self._repeater.take(lines)
        if self._hub.fault is not None:
            self.busy(self._hub.fault)

    async def _hand_over(self, submission: Submission) -> None:
        submission.charged_uid = self.peer.uid
        await self._hub.inbox.room(self.peer.uid)
        self._submitted += 1
        self._queued_bytes += submission.part.size_bytes
        self._hub.inbox.put(submission)

    def _settle_repeated(self, size_bytes: int, answers: bytes) -> None:
        self._settled += 1
        self._queued_bytes -= size_bytes
        self.out.post(answers)
        self.wake()

    async def _submit(self, lines: list[bytes | Oversize], *, terminated: bool) -> None:
        """Hand lines to the writer; those that were settled before are only answered."""
        if self._said_bye and lines:
            raise PeerError("protocol", _BYE_IS_LAST)
        bye = take_bye(lines)
        self._said_bye = bye is not None
        first_line = self._next_line
        self._next_line += len(lines)
        again = min(max(self._acked_before - first_line + 1, 0), len(lines))
        if again:
            await self._answer_again(first_line, first_line + again - 1)
            del lines[:again]
            first_line += again
        if not lines and bye is None:
            return
        parts = decode_lines(lines, self._hub.config.line_limit_bytes, self._hub.masker)
        if self.user.bounds.shed and self.user.overdrawn:
            parts = iter(shed_newest(list(parts), first_line, self.producer, self.user))
        for part in parts:
            end_line = first_line + len(part.lines) - 1
            last = end_line == self._next_line - 1
            if isinstance(part, Mixed) and any(map(is_bye, part.lines)):
                raise PeerError("protocol", _BYE_IS_LAST)
            if (
                last
                and not terminated
                and isinstance(part, Mixed)
                and isinstance(part.events[-1], RefusalError)
            ):
                part.events[-1] = RefusalError("truncated", "the connection ended inside this line")
            await self._hub.inbox.room(self.peer.uid)
            # No checkpoint from here on: what is counted as submitted is in the queue.
            missing_from = self._known_line + 1 if first_line > self._known_line + 1 else None
            self._known_line = max(self._known_line, end_line)
            self._submitted += 1
            self._queued_bytes += part.size_bytes
            self._hub.inbox.put(
                Submission(
                    source=self,
                    first_line=first_line,
                    part=part,
                    missing_from=missing_from,
                    bye_lines=bye if last else None,
                )
            )
            first_line = end_line + 1
        if self._hub.fault is not None:
            self.busy(self._hub.fault)

    async def _answer_again(self, first_line: int, last_line: int) -> None:
        """Answer lines that were settled before: refused ones get their refusal again, all get an ack."""
        refusals = await self._hub.look(
            lambda db: producers.find_refused(db, self.producer, first_line, last_line), self._say_busy
        )
        answers = [reply_line(refused=refusal) for refusal in refusals]
        answers.append(reply_line(ack=Ack(lines=self._acked_before, seq=self._hub.head.seq)))
        self.out.post(b"".join(answers))

    async def _room(self) -> None:
        """Stop reading while this peer has too much underway or does not read its answers."""
        limit = self._hub.config.connection_queue_limit_bytes
        while self._queued_bytes >= limit:
            await self._progress.park()
        if self.out.congested:
            await self.out.drained()

    async def _all_settled(self) -> None:
        while self._settled < self._submitted and not self._hub.abandoned:
            await self._progress.park()

    def _stop(self, code: ErrorCode, reason: str) -> None:
        """End the reading; the last word follows the last ack."""
        self._last_word = reply_line(error=IngestError(code=code, reason=reason))
        self._scope.cancel()
