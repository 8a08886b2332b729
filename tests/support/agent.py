"""An agent as `flightlog mcp` meets it: the SDK's own client, the server in a process of its own."""

import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
from anyio.from_thread import BlockingPortal, start_blocking_portal
from mcp import Client, StdioServerParameters, stdio_client
from mcp_types import CallToolResult, GetPromptResult, TextContent, Tool

from support.daemon import clean_environment

Json = dict[str, Any]


class Agent:
    """A connected client, for tests that are not async."""

    def __init__(self, client: Client, portal: BlockingPortal) -> None:
        self.client = client
        self._portal = portal
        self.tools: dict[str, Tool] = {tool.name: tool for tool in portal.call(client.list_tools).tools}

    def call(self, tool: str, **arguments: object) -> CallToolResult:
        """Call a tool, whatever comes of it."""
        result: CallToolResult = self._portal.call(self.client.call_tool, tool, arguments)
        return result

    def ask(self, tool: str, **arguments: object) -> Json:
        """Return a tool's answer, which must be one, as its schema says and the same as text."""
        result = self.call(tool, **arguments)
        assert not result.is_error, result.content
        answer = result.structured_content
        assert isinstance(answer, dict)
        jsonschema.validate(answer, self.tools[tool].output_schema or {})
        assert msgspec.json.decode(text_of(result)) == answer
        return answer

    def error(self, tool: str, **arguments: object) -> str:
        """Return the text of a tool's error, which there must be."""
        result = self.call(tool, **arguments)
        assert result.is_error, result.content
        assert result.structured_content is None
        return text_of(result)

    def begin(self, tool: str, **arguments: object) -> "Future[CallToolResult]":
        """Call a tool and return at once; the call is cancelled by its future."""
        return self._portal.start_task_soon(self.client.call_tool, tool, arguments)

    def prompt(self, name: str, **arguments: str) -> GetPromptResult:
        """Return a prompt, filled in."""
        return self._portal.call(self.client.get_prompt, name, arguments)


@contextmanager
def agent(runtime_dir: Path, *options: str, mode: str = "auto") -> Iterator[Agent]:
    """Start `flightlog mcp` and give an agent that is connected to it; both end afterwards.

    Args:
        runtime_dir: Where the daemon's sockets are.
        options: More options for the server.
        mode: How they agree on a protocol, as the SDK's client takes it.
    """
    server = StdioServerParameters(
        command=sys.executable,
        args=["-P", "-W", "error", "-m", "flightlog", "mcp", "--runtime-dir", str(runtime_dir), *options],
        env=clean_environment(),
        cwd="/",
    )
    with (
        start_blocking_portal("trio") as portal,
        portal.wrap_async_context_manager(Client(stdio_client(server), mode=mode)) as client,
    ):
        yield Agent(client, portal)


def text_of(result: CallToolResult) -> str:
    """Return the text of a result."""
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text
