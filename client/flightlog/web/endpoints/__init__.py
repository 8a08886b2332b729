"""All endpoints that answer with JSON, one module for each noun."""

from typing import Final

from flightlog.web.endpoint import Endpoint
from flightlog.web.endpoints import artifacts, daemon, events, executions, logs, projects, tasks

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *executions.ENDPOINTS,
    *logs.ENDPOINTS,
    *events.ENDPOINTS,
    *tasks.ENDPOINTS,
    *artifacts.ENDPOINTS,
    *projects.ENDPOINTS,
    *daemon.ENDPOINTS,
)
"""All, as /docs lists them."""
