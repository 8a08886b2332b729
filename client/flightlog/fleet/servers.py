"""The connection to NATS: which servers, who we are, and what is said while none of them answers."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext

from flightlog.errors import FlightlogError, UsageError
from flightlog.fleet.notice import Trouble, text_of
from flightlog.fleet.running import end, within

T = TypeVar("T")

SCHEMES: Final = ("nats", "tls")
DEFAULT_PORT: Final = 4222
ANSWER_LIMIT_S: Final = 5.0
"""Longest wait for a server's answer before it is asked again."""

_RETRY_S: Final = 1
_NOT_ALLOWED: Final = "permissions violation"
_NOT_KNOWN: Final = "authorization violation"
_END_LIMIT_S: Final = 2.0
_ONCE_LIMIT_S: Final = 20.0
_PENDING_BYTES: Final = 4 * 1024 * 1024
"""Most that waits for a server to come back; what is not answered is sent again anyway."""


class Servers(Struct, frozen=True):
    """Where NATS is, and what it has to be shown.

    Attributes:
        urls: `nats://HOST:PORT` or `tls://...`, at least one.
        tls_ca: Certificates that are trusted, where those of the system are not meant.
        tls_cert: Our own certificate.
        tls_key: Its key.
        creds: A credentials file, as `nsc` writes it.
    """

    urls: tuple[str, ...]
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    creds: Path | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Hosts and ports, without anything secret."""
        return tuple(_name(url) for url in self.urls)

    def tls(self) -> ssl.SSLContext | None:
        """Return what TLS is done with, None where it is up to the servers.

        Raises:
            UsageError: a file is missing, or holds something else.
        """
        if self.tls_key is not None and self.tls_cert is None:
            raise UsageError("--tls-key goes with --tls-cert")
        if self.tls_ca is None and self.tls_cert is None:
            return None
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert is not None:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(file) for file in (self.tls_ca, self.tls_cert, self.tls_key) if file)
            raise UsageError(f"cannot use {files}: {error}") from error
        return context


def servers_in(text: str) -> tuple[str, ...]:
    """Return the URLs in a list that is separated by commas.

    Raises:
        UsageError: there is none, or one is of another kind.
    """
    urls = tuple(part.strip() for part in text.split(",") if part.strip())
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES or not parts.hostname or not _has_port(parts):
            raise UsageError(
                f"{url}: no server of NATS", "nats://HOST:PORT or tls://HOST:PORT, separated by commas"
            )
    if not urls:
        raise UsageError("no server was named", "nats://HOST:PORT")
    return urls


async def connect(servers: Servers, name: str, say: Callable[[str], None], *, patient: bool) -> Client:
    """Return a connection that comes back by itself whenever it breaks.

    Args:
        servers: Where to.
        name: Who we are, for the servers' own monitoring.
        say: Tells a person something.
        patient: Wait for a server as long as it takes, and for somebody who mends certificates and rights.

    Raises:
        FlightlogError: where this is not patient, none answered in time, or all turned us away; or the
            credentials cannot be read.
    """
    where = ", ".join(servers.names)
    trouble = Trouble(say, f"connected to {where} again")
    client = Client()
    refusals = 0
    refused: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def failed(error: Exception) -> None:
        nonlocal refusals
        refusals += _is_refusal(error)
        if refusals >= len(servers.urls) and not patient and not refused.done():
            refused.set_result(error)
        if not client.is_connected:
            trouble.note(f"no connection to {where}, trying again: {text_of(error)}")
        elif _NOT_ALLOWED in str(error).lower():
            trouble.note(f"{where}: {error}")

    async def disconnected() -> None:
        if not client.is_closed:
            trouble.note(f"the connection to {where} broke, trying again")

    async def reconnected() -> None:
        trouble.clear()

    if servers.creds is not None and not servers.creds.is_file():
        raise FlightlogError(f"{servers.creds}: no such file")
    connecting = client.connect(
        list(servers.urls),
        name=name,
        error_cb=failed,
        disconnected_cb=disconnected,
        reconnected_cb=reconnected,
        max_reconnect_attempts=-1,
        reconnect_time_wait=_RETRY_S,
        connect_timeout=int(ANSWER_LIMIT_S),
        ping_interval=10,
        max_outstanding_pings=2,
        pending_size=_PENDING_BYTES,
        tls=servers.tls(),
        user_credentials=None if servers.creds is None else str(servers.creds),
    )
    trying = asyncio.create_task(connecting)
    limit_s = None if patient else _ONCE_LIMIT_S
    try:
        await asyncio.wait((trying, refused), timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
        if trying.done():
            trying.result()
        elif refused.done():
            raise FlightlogError(f"no connection to {where}: {refused.result()}")
        else:
            raise FlightlogError(f"no connection to {where} within {_ONCE_LIMIT_S:.0f} s")
    except (NatsError, ValueError) as error:
        raise FlightlogError(f"no connection to {where}: {error}") from error
    finally:
        await end(trying)
    trouble.clear()
    return client


async def connect_and(
    servers: Servers,
    name: str,
    say: Callable[[str], None],
    opening: Callable[[JetStreamContext], Awaitable[T]],
    limit_s: float | None,
) -> tuple[Client, T]:
    """Return a connection, and what is opened by it; where that fails or is cancelled, nothing stays open.

    Args:
        servers: Where to.
        name: Who we are, for the servers' own monitoring.
        say: Tells a person something.
        opening: Opens it.
        limit_s: Longest wait for it; None waits as long as it takes, also for a server.

    Raises:
        FlightlogError: as `connect` does; or the time was up.
    """
    client = await connect(servers, name, say, patient=limit_s is None)
    try:
        return client, await within(opening(jetstream(client)), limit_s, "the stream does not answer")
    except BaseException:
        await disconnect(client)
        raise


async def disconnect(client: Client) -> None:
    """Write what is still to be written, as far as a server is there, and close."""
    for ending in (client.flush(), client.close()):
        # A connection that is being made again, or breaks just now, has nothing that would not come again.
        # TypeError: from Python 3.12 on, asyncio raises it where a transport is written to that was lost.
        with suppress(NatsError, OSError, TimeoutError, TypeError):
            await asyncio.wait_for(ending, _END_LIMIT_S)


def not_allowed(client: Client) -> Exception | None:
    """Return what a server said last, where that was that these credentials may not do something."""
    error = client.last_error
    return error if error is not None and _NOT_ALLOWED in str(error).lower() else None


def jetstream(client: Client) -> JetStreamContext:
    """Return what streams are used by."""
    return client.jetstream(timeout=ANSWER_LIMIT_S)


def _is_refusal(error: Exception) -> bool:
    """Say whether a server is there and will not have us: trying again does not help."""
    text = str(error).lower()
    if isinstance(error, ssl.SSLError):
        return "certificate" in text or "alert" in text  # others are of a connection that breaks
    return _NOT_KNOWN in text


def _has_port(parts: SplitResult) -> bool:
    """Say whether the port is one, or left out."""
    try:
        return parts.port != 0
    except ValueError:
        return False


def _name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or DEFAULT_PORT}"
