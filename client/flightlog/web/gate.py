"""What every request passes before the application sees it, and what every answer gets on its way out."""

import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio

from flightlog.trace import span_within
from flightlog.web.access import Access
from flightlog.web.doors import problem_at
from flightlog.web.limits import BODY_LIMIT_S, QUERY_LIMIT_BYTES
from flightlog.web.login import Login
from flightlog.web.metrics import Requests
from flightlog.web.problem import BUG, Problem

Message = dict[str, Any]
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SECURITY_HEADERS: Final = {
    # Scripts, styles, connections: our own files alone. Text of a log that gets into a page can run nothing.
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Other sites learn nothing from a link to them. With `no-referrer`, a browser would not say of our own
    # forms either whose they are: their `Origin` would be `null`.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class Gate:
    """An ASGI application around another.

    Args:
        app: The other.
        access: Who may ask what.
        requests: Where requests are counted.
        say: Tells whoever runs it of what is our fault.
    """

    def __init__(self, app: App, access: Access, requests: Requests, say: Callable[[str], None]) -> None:
        self._say = say
        self._app = app
        self._access = access
        self._requests = requests
        self._login = Login(access)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        method = "WEBSOCKET" if scope["type"] == "websocket" else scope["method"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        # An id may hold a slash: paths are matched as they are written, and parts of them unquoted then.
        scope["path"] = scope["raw_path"].decode("latin-1")
        counted = self._requests.begin(method)
        reply = _Reply(send, scope, headers, counted.answered)
        try:
            _check_form(scope)
            answer = await self._login(method, scope, headers, _patient(receive))
            if answer is not None:
                await reply.whole(*answer)
                return
            may_change = self._access.check(scope["path"], headers, self._login.cookie_name(scope))
            scope["state"]["may_change"] = may_change
            await self._app(scope, receive if method == "WEBSOCKET" else _patient(receive), reply)
        except Problem as problem:
            await reply.problem(problem)
        except Exception as error:  # one request that breaks must not end others
            self._say(f"{method} {scope['path']}: {''.join(traceback.format_exception(error))}")
            if reply.begun:
                # A peer must not take what it has for all of it.
                raise
            await reply.problem(BUG)
        finally:
            counted.end()


class _Reply:
    """The way back to the client: `send` of ASGI, with headers that every answer has."""

    def __init__(
        self, send: Send, scope: Scope, headers: dict[str, str], answered: Callable[[int], None]
    ) -> None:
        self._send = send
        self.begun = False
        """An answer has begun."""
        self._socket = scope["type"] == "websocket"
        self._path, self._content_type = scope["path"], headers.get("content-type")
        self._sends = scope.get("method") in ("POST", "PATCH", "PUT")
        self._answered = answered
        self._head = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
        # Files are asked for again after an upgrade, and answers kept by nobody.
        caching = b"no-cache" if scope["path"].startswith("/static/") else b"no-store"
        self._head.append((b"cache-control", caching))
        trace = scope["state"]["trace"] = span_within(headers.get("traceparent"))
        if trace is not None:
            # What was done for it, and recorded, bears this span.
            self._head.append((b"traceresponse", trace.parent.encode()))

    async def __call__(self, message: Message) -> None:
        self.begun = True
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self._answered(message["status"])
            given = {name for name, _ in message.get("headers", [])}
            more = [(name, value) for name, value in self._head if name not in given]
            if self._sends and message["status"] >= 400:
                # What is left of its body is read by nobody, so that nothing can come after it.
                more.append((b"connection", b"close"))
            message = {**message, "headers": [*message.get("headers", []), *more]}
        elif message["type"] == "websocket.accept":
            self._answered(101)
        await self._send(message)

    async def whole(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Send an answer."""
        kind = "websocket.http.response" if self._socket else "http.response"
        told = [(name.encode(), value.encode()) for name, value in headers.items()]
        told.append((b"content-length", str(len(body)).encode()))
        await self({"type": f"{kind}.start", "status": status, "headers": told})
        await self({"type": f"{kind}.body", "body": body})

    async def problem(self, problem: Problem) -> None:
        """Send why there is no answer."""
        reply = problem_at(self._path, self._content_type, problem)
        await self.whole(reply.status, {"content-type": reply.kind, **problem.headers}, reply.body)


def _check_form(scope: Scope) -> None:
    """Refuse what is never served.

    Raises:
        Problem: it is such a request.
    """
    if scope["http_version"].startswith("2"):
        # Its flow control knows no deadline, and nothing here gains by it.
        raise Problem(505, "http_version", "HTTP/2 is not spoken here", "use HTTP/1.1")
    if len(scope["query_string"]) > QUERY_LIMIT_BYTES:
        raise Problem(414, "too_long", f"the query string has over {QUERY_LIMIT_BYTES} bytes")


def _patient(receive: Receive) -> Receive:
    """Return a `receive` that does not wait for ever for the body of a request."""
    deadline = trio.current_time() + BODY_LIMIT_S
    whole = False

    async def one() -> Message:
        nonlocal whole
        if whole:  # only the end of the connection is left to come
            return await receive()
        with trio.move_on_at(deadline):
            message = await receive()
            whole = not message.get("more_body", False)
            return message
        raise Problem(408, "timed_out", f"the body took longer than {BODY_LIMIT_S:.0f} s")

    return one
