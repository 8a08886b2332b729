"""Commands on the agents of an execution: add, update.

Agents of one execution come and go side by side, so that one command does not make another one void: where
the execution has changed in the meantime, these ask again rather than give up.
"""

import math

from flightlog.clock import now_us
from flightlog.commands.repeat import until_settled
from flightlog.daemon import Daemon
from flightlog.errors import Refusal, UsageError
from flightlog.ids import new_id
from flightlog_schemas.answers import Agent
from flightlog_schemas.events.agent import AgentAdded, AgentStatus, AgentUpdated, AgentUsage
from flightlog_schemas.events.envelope import Event
from flightlog_schemas.wire.query import Agents


def add_agent(
    execution_id: str,
    *,
    agent_id: str | None = None,
    agent_type: str = "claude",
    name: str | None = None,
    dispatch_id: str | None = None,
    model: str | None = None,
    parent_agent_id: str | None = None,
    daemon: Daemon | None = None,
) -> Agent:
    """Add an agent to an execution, active from here on, and return it.

    Args:
        execution_id: Id of the execution or the beginning of one.
        agent_id: The id to go by; default: a new one.
        agent_type: What kind of agent.
        name: What people call it.
        dispatch_id: The id of what dispatched it, elsewhere.
        model: The model that it runs on.
        parent_agent_id: The agent of the same execution that it works for.
        daemon: Where; default: the one that the environment names.

    Raises:
        Refusal: the execution has an agent of that id already.
        QueryFailed: there is no such execution.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    daemon = daemon or Daemon()
    chosen = agent_id or new_id()

    def attempt() -> Agent:
        found = daemon.execution(execution_id)
        if agent_id is not None and _find(daemon, found.execution_id, agent_id) is not None:
            raise Refusal(f"{found.execution_id} has an agent {agent_id} already, nothing was written")
        event = AgentAdded(
            execution_id=found.execution_id,
            agent_id=chosen,
            time=now_us(),
            agent_type=agent_type,
            name=name,
            dispatch_id=dispatch_id,
            model=model,
            parent_agent_id=parent_agent_id,
            # An id of our own making is nobody else's.
            expect_seq=None if agent_id is None else found.state_seq,
        )
        return _written(daemon, [event], found.execution_id, chosen)

    return until_settled(attempt)


def update_agent(
    execution_id: str,
    agent_id: str,
    *,
    status: AgentStatus | None = None,
    name: str | None = None,
    dispatch_id: str | None = None,
    model: str | None = None,
    reason: str | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
    cost_usd: float | None = None,
    daemon: Daemon | None = None,
) -> Agent:
    """Change what is known of an agent, or add to what it used, and return it as it is then.

    Args:
        execution_id: Id of the execution or the beginning of one.
        agent_id: One of its agents.
        status: `active`, `completed` or `failed`.
        name: What people call it.
        dispatch_id: The id of what dispatched it, elsewhere.
        model: The model that it runs on.
        reason: Why.
        input_tokens: Added to what it has read.
        output_tokens: Added to what it has written.
        cost_usd: Added to what it has cost, in US dollars.
        daemon: Where; default: the one that the environment names.

    Raises:
        UsageError: nothing to update, or a cost that is no number.
        Refusal: the execution has no such agent.
        QueryFailed: there is no such execution.
        AppendRefused: a value that no event may have.
        DaemonAway: nobody listens, or the outcome is unknown.
    """
    used = any(value is not None for value in (input_tokens, output_tokens, cost_usd))
    told = any(value is not None for value in (status, name, dispatch_id))
    if not used and not told and model is None:
        raise UsageError("nothing to update")
    if cost_usd is not None and not math.isfinite(cost_usd):
        raise UsageError(f"cost_usd: {cost_usd} is no amount")
    daemon = daemon or Daemon()
    found = daemon.execution(execution_id)
    if _find(daemon, found.execution_id, agent_id) is None:
        raise Refusal(
            f"{found.execution_id} has no agent {agent_id}", f"flightlog agent list {found.execution_id}"
        )
    now, events = now_us(), list[Event]()
    if used:
        usage = AgentUsage(
            execution_id=found.execution_id,
            agent_id=agent_id,
            time=now,
            model=model,
            input_tokens=input_tokens or 0,
            output_tokens=output_tokens or 0,
            cost_usd=cost_usd or 0.0,
        )
        events.append(usage)
    if told or not used:
        updated = AgentUpdated(
            execution_id=found.execution_id,
            agent_id=agent_id,
            time=now,
            status=status,
            name=name,
            dispatch_id=dispatch_id,
            model=model,
            reason=reason,
        )
        events.append(updated)
    return _written(daemon, events, found.execution_id, agent_id)


def _written(daemon: Daemon, events: list[Event], execution_id: str, agent_id: str) -> Agent:
    agent = _find(daemon, execution_id, agent_id, min_seq=daemon.write(*events))
    assert agent is not None, "an acked line is in the read models"
    return agent


def _find(daemon: Daemon, execution_id: str, agent_id: str, min_seq: int = 0) -> Agent | None:
    """Return an agent of an execution, None if it has no such one."""
    request = Agents(execution_id=execution_id, agent_id=agent_id, limit=1, min_seq=min_seq)
    with daemon.ask() as connection:
        return next(iter(list(connection.all(request, Agent))), None)
