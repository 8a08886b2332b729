"""Whether it runs, whether it is of use, and numbers: for supervisors and for Prometheus."""

from typing import Any, Final

import msgspec
from litestar import MediaType, Response
from litestar.handlers import HTTPRouteHandler
from msgspec import Struct

from flightlog.errors import FlightlogError
from flightlog.web.asker import Asker
from flightlog.web.connections import Places
from flightlog.web.metrics import CONTENT_TYPE, Metric, Requests, daemon_metrics, single, text
from flightlog.web.problem import RETRY, Problem

PROBE_LIMIT_S: Final = 5.0
"""Longest that the daemon may take: less than those who ask wait for us."""


class Health(Struct, kw_only=True):
    """It is well."""

    status: str


def health_routes(
    asker: Asker, requests: Requests, connections: Places, streams: Places
) -> list[HTTPRouteHandler]:
    """Return the routes.

    Args:
        asker: Asks the daemon.
        requests: What was asked for here.
        connections: How many connections there are.
        streams: How many streams there are.
    """

    async def live() -> Response[bytes]:
        return _json(Health(status="ok"))

    async def ready() -> Response[bytes]:
        status = await asker.status(PROBE_LIMIT_S)
        reason = degraded(status)
        if reason is not None:
            raise Problem(503, "degraded", reason, "flightlog status says more", RETRY)
        return _json(Health(status="ok"))

    async def metrics() -> Response[bytes]:
        told = requests.metrics()
        for name, places in (("connections", connections), ("streams", streams)):
            told += [
                Metric(f"web_{name}", "gauge", f"Open {name}.", single(places.taken)),
                Metric(f"web_{name}_refused_total", "counter", f"Refused {name}.", single(places.refused)),
            ]
        try:
            told += daemon_metrics(await asker.status(PROBE_LIMIT_S))
        except FlightlogError:
            # What there is to say of the rest is worth having then, above all.
            told.append(Metric("up", "gauge", "Whether the daemon answers.", single(0)))
        return Response(text(told), headers={"content-type": CONTENT_TYPE})

    return [
        HTTPRouteHandler("/health/live", http_method="GET")(live),
        HTTPRouteHandler("/health/ready", http_method="GET")(ready),
        HTTPRouteHandler("/metrics", http_method="GET")(metrics),
    ]


def degraded(status: dict[str, Any]) -> str | None:
    """Return why the daemon is not wholly well, None where it is."""
    if status["state"] != "ok":
        return f"the daemon is in the state {status['state']}: {status['state_reason']}"
    broken = [model["name"] for model in status["projections"] if model["broken_at"] is not None]
    return f"broken read models: {', '.join(broken)}" if broken else None


def _json(answer: Struct) -> Response[bytes]:
    return Response(msgspec.json.encode(answer), media_type=MediaType.JSON)
