"""All tools, in the order in which an agent finds them."""

from typing import Final

from flightlog.mcp.tool import Tool
from flightlog.mcp.tools import (
    agents,
    artifacts,
    audit,
    daemon,
    digest,
    executions,
    logs,
    plans,
    stats,
    tasks,
)

TOOLS: Final[tuple[Tool, ...]] = (
    executions.LIST,
    executions.CURRENT,
    executions.INSPECT,
    digest.DIGEST,
    logs.READ,
    logs.SEARCH,
    tasks.LIST,
    tasks.BY_TRACE,
    tasks.LAST_FAILED,
    stats.STATS,
    agents.LIST,
    artifacts.LIST,
    artifacts.WHY,
    audit.READ,
    plans.SHOW,
    daemon.STATUS,
)
"""Each says in its `about` when it is the right one."""
