"""`agent.*`: the workers inside an execution."""

from typing import Literal

from flightlog_schemas.events.envelope import Event
from flightlog_schemas.limits import Count, Id

AgentStatus = Literal["active", "completed", "failed"]


class AgentAdded(Event, kw_only=True, tag="agent.added"):
    """An agent works in this execution from here on."""

    execution_id: Id
    agent_id: Id
    agent_type: str = "claude"
    name: str | None = None
    dispatch_id: str | None = None
    model: str | None = None
    parent_agent_id: Id | None = None


class AgentUpdated(Event, kw_only=True, tag="agent.updated"):
    """Something about an agent changed; what is left out stays."""

    execution_id: Id
    agent_id: Id
    status: AgentStatus | None = None
    name: str | None = None
    dispatch_id: str | None = None
    model: str | None = None
    reason: str | None = None


class AgentUsage(Event, kw_only=True, tag="agent.usage"):
    """Tokens and money that one call used; added to the agent's sums.

    Names follow the OpenTelemetry semantic conventions for generative AI
    (`gen_ai.usage.input_tokens`, `gen_ai.usage.output_tokens`, `gen_ai.request.model`).
    """

    execution_id: Id
    agent_id: Id
    model: str | None = None
    input_tokens: Count = 0
    output_tokens: Count = 0
    cost_usd: float = 0.0
