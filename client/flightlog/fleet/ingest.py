"""What other machines recorded, told to this one's daemon: messages on one connection, each with its ack."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from flightlog.dial import away
from flightlog.errors import AppendFailed, DaemonAway, NotUnderstood
from flightlog.versions import versions_hint
from flightlog_schemas.wire.ingest import IngestReply

_RECEIVE_BYTES: Final = 64 * 1024
_LASTING: Final = frozenset({"protocol", "not_owner", "not_allowed"})
"""What the daemon would say again and again."""

_decode_reply = msgspec.json.Decoder(IngestReply).decode


class Stored(Struct):
    """What became of a message.

    Attributes:
        refused: Why lines of it were not stored.
    """

    refused: list[str]


class _Sent(Struct):
    last_line: int
    settled: asyncio.Future[Stored]
    stored: Stored


class Ingest:
    """A connection to ingest.sock that is made when it is needed.

    Args:
        path: The socket.
        say: Tells a person something.

    Attributes:
        known: How many lines the daemon had already.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.known = 0
        self._path = path
        self._say = say
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._sent: deque[_Sent] = deque()
        self._lines = 0
        self._known = 0
        self._failure: Exception | None = None
        self._busy = False

    async def tell(self, body: bytes, lines: int) -> Stored:
        """Send hellos and lines, and return once all lines are settled and on disk.

        Args:
            body: A hello, what follows it, and so on.
            lines: How many lines it holds besides hellos.

        Raises:
            DaemonAway: nobody listens, or the connection broke: it may be sent again.
            AppendFailed: the daemon will not have it.
        """
        async with self._connecting:
            if self._writer is None:
                await self._connect()
            writer = self._writer
            assert writer is not None
            self._lines += lines
            sent = _Sent(self._lines, asyncio.get_running_loop().create_future(), Stored([]))
            self._sent.append(sent)
            writer.write(body)
        with suppress(OSError):  # whoever reads finds out why, and says so
            await writer.drain()
        return await sent.settled

    async def close(self) -> None:
        """End the connection."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _connect(self) -> None:
        try:
            reader, self._writer = await asyncio.open_unix_connection(self._path)
        except OSError as error:
            raise away(self._path, error) from error
        self._lines = self._known = 0
        self._failure = None
        self._reading = asyncio.create_task(self._read(reader, self._writer))

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        failure: Exception = DaemonAway("the daemon closed the connection")
        try:
            rest = b""
            while data := await reader.read(_RECEIVE_BYTES):
                *whole, rest = (rest + data).split(b"\n")
                for line in whole:
                    self._take(_decode_reply(line))
        except OSError as error:
            failure = away(self._path, error)
        except ValueError as error:
            hint = await asyncio.to_thread(versions_hint, self._path.parent)
            failure = NotUnderstood(f"the daemon's reply is not understood: {error}", hint)
        finally:
            writer.close()
            self._writer = None
            failure = self._failure or failure
            while self._sent:
                sent = self._sent.popleft()
                if not sent.settled.done():
                    sent.settled.set_exception(failure)

    def _take(self, reply: IngestReply) -> None:
        if reply.ack is not None:
            self._busy = False
            self.known += reply.ack.known - self._known
            self._known = reply.ack.known
            while self._sent and self._sent[0].last_line <= reply.ack.lines:
                sent = self._sent.popleft()
                if not sent.settled.done():
                    sent.settled.set_result(sent.stored)
        elif reply.refused is not None:
            for sent in self._sent:
                if reply.refused.line <= sent.last_line:
                    sent.stored.refused.append(f"{reply.refused.code}: {reply.refused.reason}")
                    break
        elif reply.busy is not None and not self._busy:
            self._busy = True
            self._say(f"the daemon waits ({reply.busy.code}), and so does this")
        elif reply.error is not None:
            error = reply.error
            self._failure = (
                AppendFailed(error.code, error.reason, error.hint, 0)
                if error.code in _LASTING
                else DaemonAway(error.reason, error.hint)
            )
