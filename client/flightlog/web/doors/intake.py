"""From a request to the daemon's ack: who may, how much, unpacking, events, and what became of them."""

import zlib
from typing import Any, Final

import trio
from litestar import Request, Response
from litestar.handlers import HTTPRouteHandler

from flightlog.append import append
from flightlog.clock import now_us
from flightlog.daemon import ACK_LIMIT_S, Daemon
from flightlog.encode import encode_line
from flightlog.paths import ingest_socket
from flightlog.web.access import NOT_OURS, Access
from flightlog.web.doors.door import Batch, Door, Outcome, Posted, media_type
from flightlog.web.limits import INTAKE_LIMIT_BYTES, INTAKES_AT_ONCE, UNPACKED_LIMIT_BYTES
from flightlog.web.problem import RETRY, Problem
from flightlog_schemas.wire.ingest import Busy, Refused

_GZIP: Final = 31
"""Of zlib: with gzip's header."""
_BROWSERS: Final = ("origin", "sec-fetch-site")
"""Headers that a browser adds to what a page has it post."""


class Intake:
    """All doors of one server.

    Args:
        daemon: Whom it is told.
        access: Who may ask what.
    """

    def __init__(self, daemon: Daemon, access: Access) -> None:
        self._daemon = daemon
        self._access = access
        # Bodies are read within it, so that no more of them are held.
        self._places = trio.CapacityLimiter(INTAKES_AT_ONCE)

    def route(self, door: Door) -> HTTPRouteHandler:
        """Return the handler of a door."""

        async def take(request: Request[Any, Any, Any]) -> Response[bytes]:
            self._check(request)
            headers = {name.lower(): value for name, value in request.headers.items()}
            kind = media_type(headers.get("content-type"))
            async with self._places:
                body = await request.body()
                reply = await trio.to_thread.run_sync(
                    self._take, door, kind, headers, body, abandon_on_cancel=True
                )
            return Response(reply.body, media_type=reply.kind, status_code=reply.status)

        return HTTPRouteHandler(door.path, http_method="POST", request_max_body_size=INTAKE_LIMIT_BYTES)(take)

    def _check(self, request: Request[Any, Any, Any]) -> None:
        """Refuse what is not meant.

        Programs that export know no `Origin`. Where no token is wanted, the kernel has said that it is the
        same user, and nothing says that a page of a browser is behind it, that will do.

        Raises:
            Problem: it is such a request.
        """
        browser = any(name in request.headers for name in _BROWSERS)
        if not request.scope["state"]["may_change"] and (self._access.cookie is not None or browser):
            raise NOT_OURS

    def _take(self, door: Door, kind: str, headers: dict[str, str], body: bytes) -> Any:
        posted = Posted(kind, headers, unpacked(body, headers.get("content-encoding", "")), now_us())
        try:
            batch = door.read(posted)
            outcome = self._tell(batch)
        except (ValueError, RecursionError) as error:
            raise Problem(400, "invalid", f"the body is none of {door.title}: {error}") from None
        return door.answer(posted, outcome)

    def _tell(self, batch: Batch) -> Outcome:
        """Tell the daemon, and return what became of it once it is on disk.

        Raises:
            FlightlogError: it is not known to be on disk: whoever posted it does so again.
            Problem: likewise.
        """
        refused = dict(batch.refused)
        lines: list[bytes] = []
        items: list[int] = []
        for item, event in batch.events:
            line = encode_line(event)
            if line is None:
                refused.setdefault(item, "it holds what JSON cannot say")
            else:
                lines.append(line)
                items.append(item)
        if not lines:
            return Outcome(batch.count, refused, 0, 0)

        def refuse(reply: Refused) -> None:
            refused.setdefault(items[reply.line - 1], f"{reply.code}: {reply.reason}")

        done = append(
            ingest_socket(self._daemon.directory),
            lines,
            timeout_s=ACK_LIMIT_S,
            masked=True,
            on_busy=_busy,
            on_refused=refuse,
        )
        return Outcome(batch.count, refused, done.duplicate_count, done.seq)


def _busy(busy: Busy) -> None:
    """Do not wait a fault out: who posts has a deadline, and posts again.

    Raises:
        Problem: always.
    """
    raise Problem(503, busy.code, "the daemon waits out a fault", "flightlog status says more", RETRY)


def unpacked(body: bytes, encoding: str) -> bytes:
    """Return a body without its compression.

    Raises:
        Problem: it is compressed in another way (415), damaged (400), or too large (413).
    """
    if encoding in ("", "identity"):
        return body
    if encoding.lower() != "gzip":
        raise Problem(415, "unsupported_media_type", f"no such encoding: {encoding}", "gzip, or none")
    parts: list[bytes] = []
    room = UNPACKED_LIMIT_BYTES
    while body:
        member = zlib.decompressobj(_GZIP)
        try:
            part = member.decompress(body, room + 1)
        except zlib.error as error:
            raise Problem(400, "invalid", f"the body is no gzip: {error}") from None
        room -= len(part)
        if room < 0:
            raise Problem(413, "too_large", f"the body unpacks to over {UNPACKED_LIMIT_BYTES} bytes")
        if not member.eof:
            raise Problem(400, "invalid", "the body is no gzip: it ends too early")
        parts.append(part)
        body = member.unused_data
    return b"".join(parts)
