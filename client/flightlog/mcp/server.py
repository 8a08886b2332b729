"""The server: the official SDK on stdio, tools in threads, errors as text that an agent can act on."""

import select
from importlib.metadata import version
from typing import Any, Final

import anyio
import mcp_types as types
import msgspec
from anyio import from_thread, to_thread
from mcp.server import Server, ServerRequestContext
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError

from flightlog.clock import now_us
from flightlog.daemon import SILENCE_LIMIT_S, Daemon
from flightlog.dial import away
from flightlog.errors import FlightlogError
from flightlog.mcp import guide
from flightlog.mcp.call import Call
from flightlog.mcp.tool import Tool
from flightlog.mcp.tools import TOOLS
from flightlog.mcp.untrusted import harmless
from flightlog.paths import query_socket

_CALLS_AT_ONCE: Final = 4
"""Calls answered at the same time; others wait, for the daemon limits connections."""

_LOOK_S: Final = 0.1
"""How often a call that waits for the daemon looks whether it was cancelled."""

_CONTEXT = ServerRequestContext[dict[str, Any]]


class Reader:
    """The tools, asked on behalf of one agent.

    Args:
        daemon: Whom to ask.
        budget_tokens: About how many tokens an answer may have, where a call does not say.
    """

    def __init__(self, daemon: Daemon, budget_tokens: int) -> None:
        self._daemon = daemon
        self._budget_tokens = budget_tokens
        self._tools = {tool.name: tool for tool in TOOLS}
        self._limiter = anyio.CapacityLimiter(_CALLS_AT_ONCE)

    async def list_tools(
        self, _context: _CONTEXT, _params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Return all tools."""
        return types.ListToolsResult(tools=[_described(tool) for tool in TOOLS])

    async def call_tool(
        self, _context: _CONTEXT, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Answer a call: what was found, or an error that says why not and what to do.

        A call that is cancelled leaves no question behind: its connection is closed.
        """
        tool = self._tools.get(params.name)
        if tool is None:
            names = ", ".join(self._tools)
            raise MCPError(types.INVALID_PARAMS, f"no tool {harmless(params.name)!r}: one of {names}")
        try:
            answer = await to_thread.run_sync(
                self._answer, tool, params.arguments or {}, limiter=self._limiter
            )
        except msgspec.ValidationError as error:
            return _failed(f"invalid arguments: {_plain(str(error))}", f"{tool.name} takes {_taken(tool)}")
        except FlightlogError as error:
            return _failed(error.reason, error.hint)
        text = msgspec.json.encode(answer).decode()
        return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=answer)

    def _answer(self, tool: Tool, arguments: dict[str, Any]) -> dict[str, Any]:
        asked = msgspec.convert(arguments, tool.arguments)
        call = Call(tool.name, asked, self._daemon, self._wait, self._budget_tokens, now_us())
        try:
            return tool.run(call, asked)
        finally:
            call.close()

    def _wait(self, descriptor: int) -> None:
        """Return when the daemon has said something; a call that was cancelled ends here."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        for _ in range(int(SILENCE_LIMIT_S / _LOOK_S)):
            from_thread.check_cancelled()
            if poll.poll(_LOOK_S * 1000):
                return
        raise away(query_socket(self._daemon.directory), TimeoutError())

    async def list_prompts(
        self, _context: _CONTEXT, _params: types.PaginatedRequestParams | None
    ) -> types.ListPromptsResult:
        """Return the one prompt."""
        argument = types.PromptArgument(
            name="execution_id", description=guide.FAILED_ARGUMENT, required=False
        )
        prompt = types.Prompt(
            name=guide.FAILED_NAME,
            title="Why did it fail?",
            description=guide.FAILED_ABOUT,
            arguments=[argument],
        )
        return types.ListPromptsResult(prompts=[prompt])

    async def get_prompt(
        self, _context: _CONTEXT, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        """Return the prompt, filled in."""
        if params.name != guide.FAILED_NAME:
            raise MCPError(types.INVALID_PARAMS, f"no prompt {harmless(params.name)!r}: {guide.FAILED_NAME}")
        text = guide.why_did_it_fail((params.arguments or {}).get("execution_id"))
        message = types.PromptMessage(role="user", content=types.TextContent(text=text))
        return types.GetPromptResult(description=guide.FAILED_ABOUT, messages=[message])


def serve(daemon: Daemon, budget_tokens: int) -> None:
    """Serve one agent on stdin and stdout until it closes them.

    Args:
        daemon: Whom to ask; it may be away, then calls say so.
        budget_tokens: About how many tokens an answer may have, where a call does not say.
    """
    reader = Reader(daemon, budget_tokens)
    server: Server[dict[str, Any]] = Server(
        "flightlog",
        version=version("flightlog"),
        title="flightlog, a flight recorder for executions",
        instructions=guide.INSTRUCTIONS,
        on_list_tools=reader.list_tools,
        on_call_tool=reader.call_tool,
        on_list_prompts=reader.list_prompts,
        on_get_prompt=reader.get_prompt,
    )

    async def run() -> None:
        async with stdio_server() as (incoming, outgoing):
            await server.run(incoming, outgoing, server.create_initialization_options())

    anyio.run(run)


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=tool.about,
        input_schema=tool.input_schema,
        output_schema=tool.output_schema,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=True,
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=False,
        ),
    )


def _failed(reason: str, hint: str | None) -> types.CallToolResult:
    text = reason if hint is None else f"{reason}\nhint: {hint}"
    return types.CallToolResult(content=[types.TextContent(text=harmless(text))], is_error=True)


def _plain(reason: str) -> str:
    """Return what is wrong with arguments, paths as an agent wrote them."""
    return reason.replace("`$.", "`").replace("`$`", "the arguments")


def _taken(tool: Tool) -> str:
    return ", ".join(tool.input_schema["properties"])
