"""The endpoints as an application: routes, parameters, errors as JSON, the page."""

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import msgspec
import trio
from litestar import Litestar, MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.static_files import create_static_files_router

from flightlog.clock import now_us
from flightlog.daemon import Daemon
from flightlog.errors import FlightlogError
from flightlog.web.access import NOT_OURS, Access
from flightlog.web.asker import Asker
from flightlog.web.connections import Places
from flightlog.web.doors import DOORS, problem_at
from flightlog.web.doors.intake import Intake
from flightlog.web.endpoint import PREFIX, Call, Endpoint
from flightlog.web.endpoints import ENDPOINTS
from flightlog.web.gate import App, Gate, Receive, Scope, Send
from flightlog.web.health import health_routes
from flightlog.web.limits import BODY_LIMIT_BYTES, COMMANDS_AT_ONCE
from flightlog.web.metrics import Requests
from flightlog.web.openapi import description
from flightlog.web.params import convert, pairs_of
from flightlog.web.problem import BUG, Problem, problem_of
from flightlog.web.streams import Streams

STATIC: Final = Path(__file__).parent / "static"

_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
_AS: Final = {"HEAD": "GET", "OPTIONS": "NONE"}
"""Methods that are served as others. Litestar's own answer to OPTIONS knows one method of each path."""
_HINT: Final = "/docs lists what there is"

AnyRequest = Request[Any, Any, Any]


def application(daemon: Daemon, access: Access, connections: Places, say: Callable[[str], None]) -> Gate:
    """Return the application.

    Args:
        daemon: Whom it asks; it may be away.
        access: Who may ask what.
        connections: How many connections there are.
        say: Tells whoever runs it of what is our fault.
    """
    asker, requests = Asker(daemon), Requests()
    commands = trio.CapacityLimiter(COMMANDS_AT_ONCE)
    streams = Streams(asker)
    intake = Intake(daemon, access)
    routes: list[Any] = [
        _file("/", "index.html"),
        _file("/docs", "docs.html"),
        _description(),
        create_static_files_router("/static", [STATIC], include_in_schema=False),
        *health_routes(asker, requests, connections, streams.places),
        *(_route(endpoint, asker, daemon, commands) for endpoint in ENDPOINTS),
        *map(intake.route, DOORS),
    ]

    def on_bug(request: AnyRequest, error: Exception) -> Response[bytes]:
        say(f"{request.method} {request.scope['path']}: {''.join(traceback.format_exception(error))}")
        return _on_problem(request, BUG)

    rest = Litestar(
        routes,
        exception_handlers={
            FlightlogError: _on_flightlog_error,
            Problem: _on_problem,
            HTTPException: _on_http_error,
            Exception: on_bug,
        },
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=None,
        logging_config=None,
    )
    return Gate(_with_streams(streams, rest), access, requests, say)


def _with_streams(streams: Streams, rest: Litestar) -> App:
    """Return an application that serves streams by itself, whose every write is waited for."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if scope["path"] != f"{PREFIX}/ws":
                raise Problem(404, "not_found", "no WebSocket here", f"there is one: {PREFIX}/ws")
            await streams.socket(scope, receive, send)
        elif scope["path"] == f"{PREFIX}/ws":
            raise Problem(400, "invalid", "this is a WebSocket", f"{PREFIX}/stream has the same over HTTP")
        elif scope["path"] == f"{PREFIX}/stream":
            await streams.sse(scope, receive, send)
        else:
            if scope["method"] in _AS:
                # A copy, for the server still has to know: to HEAD it leaves out what follows the head.
                scope = {**scope, "method": _AS[scope["method"]]}
            await rest(scope, receive, send)  # type: ignore[arg-type]  # as ASGI has it

    return serve


def _file(path: str, name: str) -> HTTPRouteHandler:
    async def show() -> Response[bytes]:
        return Response((STATIC / name).read_bytes(), media_type=MediaType.HTML)

    return HTTPRouteHandler(path, http_method="GET")(show)


def _description() -> HTTPRouteHandler:
    body = msgspec.json.encode(description())

    async def show() -> Response[bytes]:
        return Response(body, media_type=MediaType.JSON)

    return HTTPRouteHandler("/openapi.json", http_method="GET")(show)


def _route(
    endpoint: Endpoint, asker: Asker, daemon: Daemon, commands: trio.CapacityLimiter
) -> HTTPRouteHandler:
    """Return the handler of an endpoint."""

    async def answer(request: AnyRequest) -> Response[bytes]:
        if endpoint.method != "GET" and not request.scope["state"]["may_change"]:
            raise NOT_OURS
        body = await request.body() if endpoint.body is not None else b""
        # Paths are matched as they are written, so that an id may hold a slash.
        path = {name: unquote(value) for name, value in request.path_params.items()}
        asked = convert(pairs_of(request.scope["query_string"]), path, endpoint.asked)
        call = Call(asker, daemon, commands, now_us(), body, request.scope["state"]["trace"])
        told = await endpoint.run(call, asked)
        return Response(msgspec.json.encode(told), media_type=MediaType.JSON, status_code=endpoint.status)

    path = PREFIX + endpoint.path.replace("}", ":str}")
    return HTTPRouteHandler(path, http_method=endpoint.method)(answer)


def _on_flightlog_error(request: AnyRequest, error: FlightlogError) -> Response[bytes]:
    return _on_problem(request, problem_of(error))


def _on_problem(request: AnyRequest, problem: Problem) -> Response[bytes]:
    reply = problem_at(request.scope["path"], request.headers.get("content-type"), problem)
    return Response(reply.body, status_code=reply.status, media_type=reply.kind, headers=problem.headers)


def _on_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    code = _CODES.get(error.status_code, "invalid" if error.status_code < 500 else "internal")
    headers = dict(error.headers or {})
    if "allow" in headers:
        there = set(headers["allow"].split(", ")) - {"OPTIONS"}
        headers["allow"] = ", ".join(sorted(there | {"HEAD"} if "GET" in there else there))
    problem = Problem(error.status_code, code, error.detail, _HINT, headers)
    return _on_problem(request, problem)
