"""All endpoints that answer with JSON, one module for each noun."""

from itertools import chain
from typing import Final

from flightlog.web.endpoint import Endpoint
from flightlog.web.endpoints import executions, logs

ENDPOINTS: Final[tuple[Endpoint, ...]] = tuple(chain(executions.ENDPOINTS, logs.ENDPOINTS))
"""All, as /docs lists them."""
