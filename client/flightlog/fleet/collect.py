"""A stream to a daemon: take a message, tell the daemon, and ack it once the daemon has it on disk."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from msgspec import Struct
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeoutError
from nats.js import JetStreamContext
from nats.js.errors import Error as JetStreamError

from flightlog.daemon import Daemon
from flightlog.errors import DaemonAway, NotUnderstood
from flightlog.fleet.ingest import Ingest, Stored
from flightlog.fleet.messages import count_lines
from flightlog.fleet.notice import Trouble, text_of
from flightlog.fleet.running import end, unless
from flightlog.fleet.servers import Servers, connect_and, disconnect, jetstream
from flightlog.fleet.stream import TAKEOVER_S, consumer_config, find_stream
from flightlog.paths import ingest_socket

STOP_LIMIT_S: Final = 5.0
_FETCH_S: Final = 2.0
"""How long to wait for a message before asking again: a server that was replaced has forgotten who asked."""

_ONCE_LIMIT_S: Final = 10.0
_IDLE_S: Final = 0.3
"""After so long without a message, who collects once asks whether that was all."""

_TOLD_LIMIT: Final = 10
"""Most refusals of a message that are told one by one."""


class Collected(Struct):
    """What a collector has done.

    Attributes:
        messages: How many messages are acked.
        events: How many events they held.
        known: How many of these the daemon had already.
        refused: How many of these it did not take.
        rejected: How many messages are none of a relay, and were taken out of the stream.
    """

    messages: int = 0
    events: int = 0
    known: int = 0
    refused: int = 0
    rejected: int = 0


class Collector:
    """One of those who tell a daemon what a stream holds.

    Args:
        daemon: Whom.
        servers: Where the stream is.
        stream: Its name.
        once: End when nothing more is there.
        say: Tells a person something.
    """

    def __init__(
        self, daemon: Daemon, servers: Servers, stream: str, *, once: bool, say: Callable[[str], None]
    ) -> None:
        self._servers = servers
        self._stream = stream
        self._once = once
        self._say = say
        self._ingest = Ingest(ingest_socket(daemon.directory), say)
        self._away = Trouble(say, "flightlogd is back")
        self._done = Collected()
        self._stopping = False

    @property
    def done(self) -> Collected:
        """What was done so far."""
        self._done.known = self._ingest.known
        return self._done

    async def run(self, stop: asyncio.Event) -> None:
        """Collect until nothing more is there, where this is done once, or until it is to stop.

        Raises:
            FlightlogError: it cannot go on: the stream is another one, or the daemon will not have it.
        """
        stopping = asyncio.create_task(stop.wait())
        begun = await unless(stopping, self._begin())
        if begun is None:
            return
        client, partitions = begun
        js = jetstream(client)
        working = [asyncio.create_task(self._serve(js, number)) for number in range(partitions)]
        every = asyncio.gather(*working)
        try:
            await asyncio.wait((stopping, every), return_when=asyncio.FIRST_COMPLETED)
            self._stopping = True
            if not every.done():
                # What is with the daemon gets its ack; what is not is for other collectors.
                await asyncio.wait((every,), timeout=STOP_LIMIT_S)
            if every.done():
                every.result()
        finally:
            await end(stopping, *working)
            await self._ingest.close()
            await disconnect(client)

    async def _begin(self) -> tuple[Client, int]:
        return await connect_and(
            self._servers,
            f"flightlog collect {socket.gethostname()}",
            self._say,
            lambda js: find_stream(js, self._stream, self._say),
            _ONCE_LIMIT_S if self._once else None,
        )

    async def _serve(self, js: JetStreamContext, number: int) -> None:
        """Take the messages of a partition, one after the other."""
        trouble = Trouble(self._say, f"partition {number} of stream {self._stream} answers")
        config = consumer_config(self._stream, number)
        while not self._stopping:
            try:
                await js.add_consumer(self._stream, config)
                assert config.durable_name is not None
                source = await js.pull_subscribe_bind(config.durable_name, self._stream)
            except (NatsError, JetStreamError, OSError) as error:
                await trouble.wait(f"stream {self._stream} does not answer, trying again: {text_of(error)}")
                continue
            try:
                while not self._stopping:
                    try:
                        (message,) = await source.fetch(1, timeout=_IDLE_S if self._once else _FETCH_S)
                    except NatsTimeoutError:
                        if self._once and await self._is_empty(source):
                            return
                        continue
                    trouble.clear()
                    await self._take(message)
            except (NatsError, JetStreamError, OSError) as error:
                await trouble.wait(f"stream {self._stream} does not answer, trying again: {text_of(error)}")
            finally:
                with suppress(NatsError):
                    await source.unsubscribe()

    async def _is_empty(self, source: JetStreamContext.PullSubscription) -> bool:
        info = await source.consumer_info()
        return not info.num_pending and not info.num_ack_pending

    async def _take(self, message: Msg) -> None:
        """Tell the daemon what a message holds, however long that takes, and ack it then."""
        try:
            lines = count_lines(message.data)
        except (ValueError, RecursionError) as error:
            self._done.rejected += 1
            self._say(
                f"message {message.metadata.sequence.stream} on {message.subject} is none of a relay,"
                f" and was taken out of the stream: {error}"
            )
            await message.term()
            return
        holding = asyncio.create_task(_hold(message))
        try:
            stored = await self._tell(message.data, lines)
        except asyncio.CancelledError:
            await message.nak()
            raise
        finally:
            await end(holding)
        await message.ack()
        self._done.messages += 1
        self._done.events += lines
        self._done.refused += len(stored.refused)
        for reason in stored.refused[:_TOLD_LIMIT]:
            self._say(f"a line on {message.subject} was refused: {reason}")
        if len(stored.refused) > _TOLD_LIMIT:
            self._say(f"{len(stored.refused) - _TOLD_LIMIT:,} more of that message were refused")

    async def _tell(self, body: bytes, lines: int) -> Stored:
        while True:
            try:
                stored = await self._ingest.tell(body, lines)
            except DaemonAway as error:
                if self._once or isinstance(error, NotUnderstood):
                    raise
                await self._away.wait(f"{error.reason}; waiting for it")
            else:
                self._away.clear()
                return stored


async def _hold(message: Msg) -> None:
    """Say again and again that a message is being worked on, so that nobody else gets it."""
    while True:
        await asyncio.sleep(TAKEOVER_S / 3)
        await message.in_progress()
