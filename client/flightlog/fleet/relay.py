"""A log to a stream: read, publish, and move the cursor once the stream has what was published."""

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import msgspec
from msgspec import Struct
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError, NoStreamResponseError

from flightlog.daemon import Daemon
from flightlog.errors import DaemonAway, FlightlogError, QueryFailed
from flightlog.exporting import Log, PrunedLine
from flightlog.fleet.messages import Line, Message, line_of
from flightlog.fleet.notice import Trouble
from flightlog.fleet.pending import MESSAGE_LIMIT_BYTES, Pending
from flightlog.fleet.running import end, first_of, within
from flightlog.fleet.servers import ANSWER_LIMIT_S, Servers, connect, disconnect, jetstream
from flightlog.fleet.stream import Wanted, open_stream, subject_of
from flightlog.fleet.tail import passing, tail_blocks
from flightlog.paths import query_socket
from flightlog_schemas.answers import DaemonStatus, NamedCursor
from flightlog_schemas.wire.lines import Cursor, Cursors, Tail
from flightlog_schemas.wire.query import StatusRequest

SAVE_EVERY_S: Final = 1.0
ONCE_LIMIT_S: Final = 30.0
"""Longest wait for anything where this is done once; what is asked for by cron must not pile up."""

STOP_LIMIT_S: Final = 5.0
"""Longest wait for acks of what is under way when it is to stop; what has none by then is sent again."""

_HEADER_BYTES: Final = 1024
_PRUNED: Final = b'{"pruned":'
_FULL: Final = (10_077, 10_122)
"""Codes of a stream that has as much as it may hold."""


class Told(Struct):
    """What a relay has done.

    Attributes:
        events: How many events the stream has taken.
        messages: In how many messages.
        known: How many of these it had already.
        pruned: How many positions governance had emptied before they were read.
        seq: Everything up to this position is in the stream.
    """

    events: int = 0
    messages: int = 0
    known: int = 0
    pruned: int = 0
    seq: int = 0


class Relay:
    """One log on its way to one stream.

    Args:
        daemon: Whose log.
        servers: Where the stream is.
        wanted: Which stream, and what it is to be if it has to be made.
        cursor: Name of the cursor that says up to where the stream has the log.
        after: Begin after this position instead, and set the cursor back.
        linger_s: How long lines wait for others to share a message with.
        once: End at what is there now.
        say: Tells a person something.

    Attributes:
        told: What was done so far.
    """

    def __init__(
        self,
        daemon: Daemon,
        servers: Servers,
        wanted: Wanted,
        *,
        cursor: str,
        after: int | None,
        linger_s: float,
        once: bool,
        say: Callable[[str], None],
    ) -> None:
        self.told = Told()
        self._daemon = daemon
        self._servers = servers
        self._wanted = wanted
        self._cursor = cursor
        self._after = after
        self._linger_s = linger_s
        self._once = once
        self._say = say
        self._log: Log | None = None
        self._back = after is not None
        self._saving = Trouble(say, f"cursor {cursor} moves again")

    async def run(self, stop: asyncio.Event) -> None:
        """Relay until everything is told, where this is done once, or until it is to stop.

        Raises:
            FlightlogError: it cannot go on: another daemon answers, or the stream is not what was asked for.
        """
        stopping = asyncio.create_task(stop.wait())
        begun = asyncio.create_task(self._begin())
        await asyncio.wait((stopping, begun), return_when=asyncio.FIRST_COMPLETED)
        if not begun.done():
            await end(stopping, begun)
            return
        client, partitions = begun.result()
        js = jetstream(client)
        assert self._log is not None
        limit_bytes = min(MESSAGE_LIMIT_BYTES, client.max_payload - _HEADER_BYTES)
        pending = Pending(self._log, partitions, self.told.seq, limit_bytes)
        reading = asyncio.create_task(self._read(pending))
        saving = asyncio.create_task(self._save(pending))
        publishing = [
            asyncio.create_task(self._publish(client, js, pending, number)) for number in range(partitions)
        ]
        try:
            await first_of(stopping, reading, saving, *publishing)
            sent = asyncio.create_task(pending.all_sent())
            if stop.is_set():
                await end(reading)
                late = asyncio.create_task(asyncio.sleep(STOP_LIMIT_S))
                await first_of(sent, late, *publishing)
                await end(sent, late)
            else:
                await first_of(sent, stopping, *publishing)
                await end(sent)
        finally:
            await end(stopping, reading, saving, *publishing)
            await self._move(pending.seq)
            await disconnect(client)

    async def _begin(self) -> tuple[Client, int]:
        """Find out where to begin, and connect."""
        await self._find()
        assert self._log is not None
        name = f"flightlog relay {self._log.host}"
        client = await connect(self._servers, name, self._say, patient=not self._once)
        opening = open_stream(jetstream(client), self._wanted, self._say)
        return client, await within(
            opening, ONCE_LIMIT_S if self._once else None, "the stream does not answer"
        )

    async def _find(self) -> None:
        """Ask the daemon which log it has, and where the cursor is; wait for it unless this is done once."""
        trouble = Trouble(self._say, "flightlogd is back")
        while True:
            try:
                log, seq = await asyncio.to_thread(self._ask)
            except DaemonAway as error:
                if self._once:
                    raise
                await trouble.wait(f"{error.reason}; waiting for it")
                continue
            trouble.clear()
            if self._log is None:
                self._log = log
                self.told.seq = seq
            elif self._log != log:
                raise FlightlogError(
                    f"another log answers: {log.log_id} of {log.host}, not {self._log.log_id}",
                    "start the relay again for that one",
                )
            return

    def _ask(self) -> tuple[Log, int]:
        try:
            with self._daemon.ask() as connection:
                status = connection.one(StatusRequest(), DaemonStatus)
                found = list(connection.all(Cursors(name=self._cursor), NamedCursor))
        except QueryFailed as failed:
            raise passing(failed) from failed
        mine = [cursor.seq for cursor in found if cursor.uid == os.geteuid()]
        if self._after is None:
            return Log(status.log_id, status.host), max(mine, default=0)
        if self._after > status.head_seq:
            raise FlightlogError(f"position {self._after} is beyond the head of the log, {status.head_seq}")
        return Log(status.log_id, status.host), self._after

    async def _read(self, pending: Pending) -> None:
        """Read the log into memory as far as there is room; a daemon that goes away is waited for."""
        trouble = Trouble(self._say, "flightlogd is back")
        path = query_socket(self._daemon.directory)
        while True:
            try:
                request = Tail(after=pending.read_seq, follow=not self._once)
                async with aclosing(tail_blocks(path, request)) as blocks:
                    async for block in blocks:
                        trouble.clear()
                        self._take(block, pending)
                        await pending.room()
            except DaemonAway as error:
                if self._once:
                    raise
                await trouble.wait(f"{error.reason}; waiting for it")
                await self._find()
            else:
                return

    def _take(self, block: list[bytes], pending: Pending) -> None:
        assert self._log is not None
        lines: list[Line] = []
        seq = pending.read_seq
        for told in block:
            if told.startswith(_PRUNED):
                hole = msgspec.json.decode(told, type=PrunedLine).pruned
                count = hole.last_seq - max(hole.first_seq, seq + 1) + 1
                self.told.pruned += count
                self._say(f"{count:,} positions from {hole.first_seq} on left the log before: {hole.reason}")
                seq = hole.last_seq
                continue
            seq, line = line_of(told, self._log)
            if line is not None:
                lines.append(line)
        pending.add(lines, seq)

    async def _publish(self, client: Client, js: JetStreamContext, pending: Pending, number: int) -> None:
        """Publish the messages of a partition, one after the other."""
        assert self._log is not None
        subject = subject_of(self._wanted.name, self._log.host, number)
        trouble = Trouble(self._say, f"stream {self._wanted.name} takes messages again")
        while True:
            message = await pending.take(number, 0 if self._once else self._linger_s)
            if len(message.body) + _HEADER_BYTES > client.max_payload:
                raise _too_large(message, client.max_payload)
            sending = self._send(js, subject, message, trouble)
            await within(sending, ONCE_LIMIT_S if self._once else None, "the stream takes nothing")
            pending.done(number)

    async def _send(self, js: JetStreamContext, subject: str, message: Message, trouble: Trouble) -> None:
        while not await self._deliver(js, subject, message, trouble):
            pass

    async def _deliver(self, js: JetStreamContext, subject: str, message: Message, trouble: Trouble) -> bool:
        """Publish a message, and say whether the stream has it now; where not, it is tried again."""
        name = self._wanted.name
        try:
            headers = {Header.MSG_ID.value: message.identity}
            ack = await js.publish(
                subject, message.body, timeout=ANSWER_LIMIT_S, stream=name, headers=headers
            )
        except MaxPayloadError:
            raise _too_large(message, len(message.body)) from None
        except NoStreamResponseError:
            await trouble.wait(f"stream {name} does not answer, trying again")
        except APIError as error:
            if error.err_code in _FULL:
                await trouble.wait(f"stream {name} is full, waiting for collectors")
            else:
                await trouble.wait(f"stream {name} takes nothing, trying again: {error.description}")
        except (NatsError, OSError) as error:
            await trouble.wait(
                f"stream {name} does not answer, trying again: {error or type(error).__name__}"
            )
        else:
            trouble.clear()
            self.told.messages += 1
            self.told.events += message.lines
            self.told.known += bool(ack.duplicate)
            return True
        return False

    async def _save(self, pending: Pending) -> None:
        """Move the cursor after what the stream has, now and then."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self._move(pending.seq)

    async def _move(self, seq: int) -> None:
        """Move the cursor; a daemon that is away gets it later, and meanwhile nothing is lost by that."""
        if seq == self.told.seq and not self._back:
            return
        try:
            await asyncio.to_thread(self._tell_cursor, seq)
        except DaemonAway:
            return  # whoever reads says so
        except QueryFailed as failed:
            self._saving.note(f"cursor {self._cursor} was not moved: {failed.reason}")
            return
        self._saving.clear()
        self.told.seq = seq
        self._back = False

    def _tell_cursor(self, seq: int) -> None:
        with self._daemon.ask() as connection:
            connection.one(Cursor(name=self._cursor, seq=seq, back=self._back), NamedCursor)


def _too_large(message: Message, limit_bytes: int) -> FlightlogError:
    return FlightlogError(
        f"the line at {message.last_seq} takes {len(message.body):,} bytes, the servers {limit_bytes:,}",
        "raise max_payload of the servers (2MB is enough for every line that flightlogd takes)",
    )
