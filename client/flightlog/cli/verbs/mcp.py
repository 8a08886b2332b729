"""`flightlog mcp`: what was recorded, for agents, over the Model Context Protocol."""

import click

from flightlog.cli.verb import Session, verb
from flightlog.errors import FlightlogError
from flightlog.mcp.tool import BUDGET_LEAST_TOKENS, BUDGET_MOST_TOKENS, BUDGET_TOKENS

_NEEDED = frozenset({"mcp", "mcp_types", "anyio"})


@verb(
    "mcp",
    "claude mcp add flightlog -- flightlog mcp",
    "flightlog mcp --runtime-dir /run/flightlog --budget-tokens 3000",
)
@click.option(
    "--budget-tokens",
    type=click.IntRange(BUDGET_LEAST_TOKENS, BUDGET_MOST_TOKENS),
    default=BUDGET_TOKENS,
    show_default=True,
    metavar="N",
    help="About how many tokens an answer may have, four bytes each.",
)
def command(session: Session, budget_tokens: int) -> None:
    """Let an agent read what was recorded: an MCP server on stdin and stdout.

    An agent's host starts it; it ends when stdin does. It only reads, over query.sock, and needs no daemon to
    start: while there is none, calls say so. Needs the extra mcp: pip install 'flightlog[mcp]'.
    """
    try:
        from flightlog.mcp.server import serve
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in _NEEDED:
            raise
        raise FlightlogError(f"{error.name} is not installed: pip install 'flightlog[mcp]'") from None
    serve(session.daemon, budget_tokens)
