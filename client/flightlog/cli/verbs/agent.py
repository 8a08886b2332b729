"""`flightlog agent`: the workers inside an execution."""

import math
from typing import Any, Final, get_args

import click
import msgspec

from flightlog import commands
from flightlog.cli.lists import AGENT_COLUMNS
from flightlog.cli.options import ID, TOKENS, execution_and, execution_argument, host_option
from flightlog.cli.output import shown
from flightlog.cli.pages import pages
from flightlog.cli.verb import Session, family, json_option, verb
from flightlog_schemas.answers import Agent
from flightlog_schemas.events.agent import AgentStatus
from flightlog_schemas.wire.query import Agents

STATUSES: Final = get_args(AgentStatus)

command = family(
    "agent",
    "Who works in an execution, and how it goes.",
    "agent=$(flightlog agent add --type claude --name reviewer)",
    'flightlog agent update "$agent" --status completed',
    "flightlog agent list EXEC --status active",
)


@command.member
@verb("add", "agent=$(flightlog agent add EXEC --name reviewer --model opus)")
@execution_argument
@click.option("--type", "agent_type", default="claude", show_default=True, help="What kind of agent.")
@click.option("--name", help="What people call it.")
@click.option("--id", "agent_id", type=ID, help="The id to go by [default: a new one].")
@click.option("--dispatch-id", metavar="ID", help="The id of what dispatched it, elsewhere.")
@click.option("--model", help="The model that it runs on.")
@click.option("--parent", type=ID, metavar="AGENT", help="The agent that it works for.")
@json_option
def add(
    session: Session,
    execution: str,
    agent_type: str,
    name: str | None,
    agent_id: str | None,
    dispatch_id: str | None,
    model: str | None,
    parent: str | None,
    as_json: bool,
) -> None:
    """Add an agent to an execution and print its id.

    It is active from here on. Exit code 1, with nothing written, for an unknown execution, and for an id that
    one of its agents has already.
    """
    agent = commands.add_agent(
        execution,
        agent_id=agent_id,
        agent_type=agent_type,
        name=name,
        dispatch_id=dispatch_id,
        model=model,
        parent_agent_id=parent,
        daemon=session.daemon,
    )
    _answer(session, agent, as_json)


@command.member
@verb("list", "flightlog agent list EXEC --status active")
@execution_argument
@click.option("--status", type=click.Choice(STATUSES), help="Only those.")
@host_option
@json_option
def list_(session: Session, execution: str, status: Any, hosts: tuple[str, ...], as_json: bool) -> None:
    """List the agents of an execution.

    They come in the order in which they were added. Piped: tab-separated id, type, status, name.
    """
    request = Agents(execution_id=execution, status=status, host=hosts)
    output = session.output()
    with session.ask() as daemon:
        if as_json:
            output.json_array(shown(agent) for agent in pages(daemon, request, dict[str, Any]))
        elif not output.rows(AGENT_COLUMNS, pages(daemon, request, Agent)):
            session.say("no agents match")


@command.member
@verb(
    "update",
    'flightlog agent update "$agent" --status completed',
    'flightlog agent update EXEC "$agent" --model opus --input-tokens 1200 --output-tokens 300',
)
@execution_and("AGENT", ID)
@click.option("--status", type=click.Choice(STATUSES), help="How it goes.")
@click.option("--name", help="What people call it.")
@click.option("--model", help="The model that it runs on, or that used the tokens.")
@click.option("--dispatch-id", metavar="ID", help="The id of what dispatched it, elsewhere.")
@click.option("--reason", metavar="TEXT", help="Why.")
@click.option("--input-tokens", type=TOKENS, metavar="N", help="Added to what it has read.")
@click.option("--output-tokens", type=TOKENS, metavar="N", help="Added to what it has written.")
@click.option("--cost-usd", type=float, metavar="USD", help="Added to what it has cost.")
@json_option
def update(
    session: Session,
    named: tuple[str, str],
    status: Any,
    name: str | None,
    model: str | None,
    dispatch_id: str | None,
    reason: str | None,
    input_tokens: int | None,
    output_tokens: int | None,
    cost_usd: float | None,
    as_json: bool,
) -> None:
    """Change what is known of an agent, or add to what it used.

    With one argument it is the agent, and the execution is $FLIGHTLOG_EXECUTION_ID. Exit code 1, with nothing
    written, for an unknown execution and for an agent that is not one of its own.
    """
    if cost_usd is not None and not (math.isfinite(cost_usd) and cost_usd >= 0):
        raise click.BadParameter(f"{cost_usd} is no amount", param_hint="'--cost-usd'")
    execution, agent_id = named
    agent = commands.update_agent(
        execution,
        agent_id,
        status=status,
        name=name,
        model=model,
        dispatch_id=dispatch_id,
        reason=reason,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=cost_usd,
        daemon=session.daemon,
    )
    if as_json:
        _answer(session, agent, as_json)


def _answer(session: Session, agent: Agent, as_json: bool) -> None:
    output = session.output()
    if as_json:
        output.json(shown(msgspec.to_builtins(agent)))
    else:
        output.line(output.safe(agent.agent_id))
