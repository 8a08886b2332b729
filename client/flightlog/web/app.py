"""The endpoints as a Litestar application: routes, parameters, errors as JSON, the page."""

from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import msgspec
from litestar import Litestar, MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.static_files import create_static_files_router

from flightlog.daemon import Daemon
from flightlog.errors import FlightlogError, UsageError
from flightlog.web.asker import Asker
from flightlog.web.endpoint import PREFIX, Endpoint, call_now
from flightlog.web.endpoints import ENDPOINTS
from flightlog.web.params import convert
from flightlog.web.problem import Problem, problem_of

STATIC: Final = Path(__file__).parent / "static"

BODY_LIMIT_BYTES: Final = 256 * 1024
"""Largest body of a request; a plan's changes are far smaller."""

PARAMETER_LIMIT: Final = 64
"""Most parameters of a query string."""

_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}

AnyRequest = Request[Any, Any, Any]


def application(daemon: Daemon) -> Litestar:
    """Return the application.

    Args:
        daemon: Whom it asks; it may be away.
    """
    asker = Asker(daemon)
    return Litestar(
        [
            _index,
            create_static_files_router("/static", [STATIC], include_in_schema=False),
            *(_route(endpoint, asker, daemon) for endpoint in ENDPOINTS),
        ],
        exception_handlers={
            FlightlogError: _on_flightlog_error,
            Problem: _on_problem,
            HTTPException: _on_http_error,
        },
        request_max_body_size=BODY_LIMIT_BYTES,
        openapi_config=None,
        logging_config=None,
    )


async def _show_page() -> Response[bytes]:
    return Response((STATIC / "index.html").read_bytes(), media_type=MediaType.HTML)


_index: Final = HTTPRouteHandler("/", http_method="GET")(_show_page)


def _route(endpoint: Endpoint, asker: Asker, daemon: Daemon) -> HTTPRouteHandler:
    """Return the handler of an endpoint."""

    async def answer(request: AnyRequest) -> Response[bytes]:
        body = await request.body() if endpoint.body is not None else b""
        # Paths are routed as they are written, so that an id may hold a slash.
        path = {name: unquote(value) for name, value in request.path_params.items()}
        asked = convert(_pairs(request), path, endpoint.asked)
        told = await endpoint.run(call_now(asker, daemon, body), asked)
        return Response(msgspec.json.encode(told), media_type=MediaType.JSON, status_code=endpoint.status)

    path = PREFIX + endpoint.path.replace("}", ":str}")
    return HTTPRouteHandler(path, http_method=endpoint.method)(answer)


def _pairs(request: AnyRequest) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            request.scope["query_string"].decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETER_LIMIT,
        )
    except ValueError as error:
        raise UsageError(f"the query string is none: {error}") from None


def _on_flightlog_error(request: AnyRequest, error: FlightlogError) -> Response[bytes]:
    return _on_problem(request, problem_of(error))


def _on_problem(_: AnyRequest, problem: Problem) -> Response[bytes]:
    return Response(
        problem.body, status_code=problem.status, media_type=MediaType.JSON, headers=problem.headers
    )


def _on_http_error(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    code = _CODES.get(error.status_code, "invalid" if error.status_code < 500 else "internal")
    problem = Problem(error.status_code, code, error.detail, "/docs lists what there is", error.headers)
    return _on_problem(request, problem)
