"""Agents, tools and tokens: spans that follow the semantic conventions for generative AI.

`gen_ai.operation.name` says what a span is. An agent is known by `gen_ai.agent.id`, else by its name; what
has neither is the nearest agent's above it, as far as that came in the same batch.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from flightlog.importing.keys import as_id, digest
from flightlog.otlp.model import KIND_CLIENT, STATUS_ERROR, Attributes, Span
from flightlog_schemas.events import AgentAdded, AgentUpdated, AgentUsage
from flightlog_schemas.limits import INT64_MAX

OPERATION: Final = "gen_ai.operation.name"
AGENT_ID: Final = "gen_ai.agent.id"
AGENT_NAME: Final = "gen_ai.agent.name"
TOOL: Final = "execute_tool"

_AGENT: Final = "invoke_agent"
_MODEL: Final = frozenset({"chat", "generate_content", "text_completion", "embeddings"})
_DEPTH_LIMIT: Final = 64
_REASON_LIMIT_CHARS: Final = 1_000


class Agents:
    """Whose each span of a batch is.

    Args:
        spans: All spans of the batch, by trace and span.
    """

    def __init__(self, spans: Mapping[tuple[str, str], Span]) -> None:
        self._spans = spans

    def of(self, span: Span) -> str | None:
        """Return the agent that a span belongs to, None where none is known."""
        return next((agent for above in self._line(span) if (agent := _agent_id(above.attributes))), None)

    def events(self, span: Span, execution_id: str, reason: str | None) -> Iterator[Any]:
        """Yield what a span tells of agents and tokens.

        Args:
            span: The span.
            execution_id: Its execution.
            reason: Why it failed, where it did.
        """
        operation = _first(span.attributes, OPERATION)
        # What an agent's span sums up, its calls of models say one by one; not so where it runs elsewhere.
        counts = operation in _MODEL or (operation == _AGENT and span.kind == KIND_CLIENT)
        tokens = _tokens(span.attributes) if counts else (0, 0)
        if operation != _AGENT and not any(tokens):
            return
        agent_id, model = self.of(span), _model(span.attributes)
        provider = _first(span.attributes, "gen_ai.provider.name", "gen_ai.system")
        # A call that no agent made is its provider's.
        chosen = agent_id or as_id("-".join((provider or "model").split()))
        head: dict[str, Any] = {"execution_id": execution_id, "agent_id": chosen, "task_id": span.span_id}
        head |= {"trace_id": span.trace_id, "span_id": span.span_id}
        key = f"otel:{span.trace_id}:{span.span_id}"
        once = f"otel:{digest(execution_id, chosen, 'agent')}"
        ended_us, name = span.end_ns // 1_000, _first(span.attributes, AGENT_NAME)
        # What an agent calls may come in an earlier batch than the agent itself: whoever is first adds it.
        yield AgentAdded(
            **head,
            time=span.start_ns // 1_000,
            id=once,
            agent_type=provider or "otel",
            name=name or chosen,
            model=model,
            parent_agent_id=self._above(span, chosen),
        )
        if any(tokens):
            yield AgentUsage(
                **head,
                time=ended_us,
                id=f"{key}:usage",
                model=model,
                input_tokens=tokens[0],
                output_tokens=tokens[1],
            )
        if operation == _AGENT or agent_id is None:
            failed = operation == _AGENT and span.status_code == STATUS_ERROR
            yield AgentUpdated(
                **head,
                time=ended_us,
                id=f"{key}:agent" if operation == _AGENT else f"{once}:ended",
                status="failed" if failed else "completed",
                name=name,
                reason=reason[:_REASON_LIMIT_CHARS] if failed and reason else None,
            )

    def _above(self, span: Span, agent_id: str) -> str | None:
        found = (_agent_id(above.attributes) for above in self._line(span))
        return next((agent for agent in found if agent and agent != agent_id), None)

    def _line(self, span: Span) -> Iterator[Span]:
        """Yield a span, and those above it that are here."""
        current: Span | None = span
        for _ in range(_DEPTH_LIMIT):
            if current is None:
                return
            yield current
            parent = current.parent_span_id
            current = None if parent is None else self._spans.get((current.trace_id, parent))


def _agent_id(attributes: Attributes) -> str | None:
    found = _first(attributes, AGENT_ID, AGENT_NAME)
    return None if found is None else as_id("-".join(found.split()))


def _model(attributes: Attributes) -> str | None:
    return _first(attributes, "gen_ai.response.model", "gen_ai.request.model")


def _tokens(attributes: Attributes) -> tuple[int, int]:
    return (
        _count(attributes, "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        _count(attributes, "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    )


def _count(attributes: Attributes, *names: str) -> int:
    """Return the first number of these names; older ones come last."""
    for name in names:
        found = attributes.get(name)
        if type(found) is int and 0 <= found <= INT64_MAX:
            return found
    return 0


def _first(attributes: Attributes, *names: str) -> str | None:
    for name in names:
        found = attributes.get(name)
        if isinstance(found, str) and found.strip():
            return found
    return None
