"""`flightlog mcp` as a server: what it offers, that it cannot write, how it fails, starts and ends."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mcp.shared.exceptions import MCPError
from mcp_types import TextContent

from cli.runner import Cli
from flightlog.mcp.call import READING
from flightlog.mcp.tools import TOOLS
from flightlog_schemas.wire.query import REQUESTS
from support.agent import Agent, agent
from support.daemon import Daemon
from support.lines import event, log
from support.peers import PEER_TIMEOUT_S, QueryPeer
from support.planning import build
from support.searching import search, tell
from support.source import PACKAGES, imports_of, modules_of

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOTHING_ELSE: dict[str, dict[str, object]] = {
    "executions_list": {},
    "current": {"project": "/p"},
    "execution_inspect": {"execution_id": "run", "include": ["tasks", "agents", "artifacts", "audit"]},
    "logs_digest": {"execution_id": "run"},
    "logs_read": {"execution_id": "run"},
    "logs_search": {"text": "hello"},
    "tasks_list": {},
    "tasks_by_trace": {"trace_id": TRACE},
    "tasks_last_failed": {},
    "stats": {},
    "agents_list": {"execution_id": "run"},
    "artifacts_list": {"execution_id": "run"},
    "artifact_why": {"path": "/a"},
    "audit_read": {},
    "plan_show": {"project": "/p", "actual": True},
    "daemon_status": {},
}
"""Every tool, with arguments that it can answer."""


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with one execution."""
    tell(
        shared,
        event("execution.started", "run", project="/p"),
        event("task.started", "run", task_id="t", trace_id=TRACE),
        log("run", "hello"),
        event("artifact.added", "run", path="/a", artifact_type="code"),
    )
    search(shared, "hello")
    build(shared, event("task.declared", project="/p", task_id="a"), project="/p")
    return shared


@pytest.fixture(scope="module")
def reader(told: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Give an agent whose server finds a query.sock and no other socket of the daemon."""
    lonely = told.runtime_dir.parent / "lonely"
    lonely.mkdir()
    (lonely / "query.sock").symlink_to(told.query_socket)
    with agent(lonely) as connected:
        yield connected


@pytest.mark.covers("S2.9")
def test_all_tools_only_read(reader: Agent, told: Daemon) -> None:
    """Every tool says that it only reads, is answered over query.sock alone, and leaves the log as it was."""
    assert set(reader.tools) == set(NOTHING_ELSE)
    with QueryPeer(told.query_socket) as peer:
        before = peer.ask("status").one("status")
        for tool, arguments in NOTHING_ELSE.items():
            annotations = reader.tools[tool].annotations
            assert annotations is not None
            assert annotations.read_only_hint
            assert annotations.idempotent_hint
            assert annotations.open_world_hint is False
            reader.ask(tool, **arguments)
        after = peer.ask("status").one("status")
    for what in ("head_seq", "cursors", "refused", "line_gaps"):
        assert after[what] == before[what]


@pytest.mark.covers("S2.9")
def test_no_question_of_a_tool_writes() -> None:
    """Tools may ask what moves no cursor; what writes or governs is neither used nor imported."""
    verbs = {verb for verb, kind in REQUESTS.items() if kind in READING}
    assert verbs.isdisjoint({"cursor", "cursors", "tail", "wait"})
    assert len(verbs) == len(READING)
    folder = PACKAGES["flightlog"] / "mcp"
    imported = {module for file in modules_of(folder) for module, _ in imports_of(file)}
    ours = {module for module in imported if module.startswith("flightlog.")}
    assert ours - {module for module in ours if module.startswith("flightlog.mcp")} == {
        "flightlog.cli.output",
        "flightlog.cli.project",
        "flightlog.cli.times",
        "flightlog.clock",
        "flightlog.daemon",
        "flightlog.dial",
        "flightlog.errors",
        "flightlog.paths",
        "flightlog.query",
    }
    assert not any(module.startswith("flightlog_schemas.wire.control") for module in imported)
    assert not any(".write(" in file.read_text() for file in modules_of(folder))


@pytest.mark.covers("S2.9")
def test_tools_describe_themselves(reader: Agent) -> None:
    """Each tool has a title, a description, a description for each argument, and schemas of both sides."""
    for tool in reader.tools.values():
        assert tool.title
        assert tool.description
        assert tool.input_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert [
            name for name, said in tool.input_schema["properties"].items() if not said.get("description")
        ] == []
        assert tool.output_schema is not None
        assert {"untrusted", "schema_version"} <= set(tool.output_schema["required"])
    assert sum(len(json.dumps(tool.input_schema)) + len(tool.about) for tool in TOOLS) < 20_000
    instructions = reader.client.instructions
    assert instructions is not None
    assert "never instructions" in instructions[:512]


@pytest.mark.covers("S2.9")
@pytest.mark.parametrize(
    ("tool", "arguments", "says"),
    [
        ("tasks_list", {"limit": 1000}, "Expected `int` <= 100 - at `limit`"),
        ("tasks_list", {"limit": 0}, "Expected `int` >= 1 - at `limit`"),
        ("tasks_list", {"status": "broken"}, "Invalid enum value 'broken' - at `status`"),
        ("tasks_list", {"satus": "failed"}, "unknown field `satus`"),
        ("tasks_list", {"since": "soon"}, "since: not a time: 'soon'"),
        ("tasks_list", {"cursor": "bm90aGluZw"}, "cursor: not one of an earlier answer"),
        ("tasks_list", {"budget_tokens": 5}, "Expected `int` >= 2000"),
        ("tasks_by_trace", {"trace_id": "XYZ"}, "Expected `str` matching regex"),
        ("tasks_by_trace", {}, "missing required field `trace_id`"),
        ("tasks_last_failed", {"limit": 51}, "Expected `int` <= 50"),
        ("stats", {"limit": 101}, "Expected `int` <= 100"),
        ("stats", {"slug": "a", "task_id": "b"}, "slug"),
        ("execution_inspect", {"execution_id": "nobody"}, "no such execution: nobody"),
        ("execution_inspect", {"execution_id": "run", "as_of": "9" * 30}, "as_of: no position of the log"),
        ("logs_digest", {}, "a digest of what?"),
        ("logs_read", {}, "logs of what?"),
        ("logs_read", {"execution_id": "nobody"}, "no such execution: nobody"),
        ("logs_read", {"execution_id": "run", "level": "LOUD"}, "Invalid enum value 'LOUD'"),
        ("logs_search", {"text": "***"}, "hint:"),
        ("current", {"project": "shop"}, "project: not an absolute path"),
        ("audit_read", {"execution_id": "nobody"}, "no such execution: nobody"),
        ("plan_show", {}, "the plan of what?"),
        ("plan_show", {"project": "/nowhere"}, "no such project: /nowhere"),
    ],
)
def test_bad_arguments_are_errors_with_text(
    reader: Agent, tool: str, arguments: dict[str, object], says: str
) -> None:
    """What is wrong with arguments, or is not there, is a tool's error that says so; the server goes on."""
    assert says in reader.error(tool, **arguments)


@pytest.mark.covers("S2.9")
def test_hosts_that_begin_with_a_handshake(told: Daemon) -> None:
    """A host of an earlier protocol, which begins with `initialize`, gets the same tools and answers."""
    with agent(told.runtime_dir, mode="legacy") as reader:
        assert set(reader.tools) == set(NOTHING_ELSE)
        assert reader.ask("executions_list")["executions"][0]["execution_id"] == "run"
        assert "no such execution" in reader.error("logs_read", execution_id="nobody")


@pytest.mark.covers("S2.9")
def test_unknown_tool_and_prompt(reader: Agent) -> None:
    """A tool or prompt that does not exist is an error of the protocol that names those there are."""
    with pytest.raises(MCPError, match="no tool 'tasks_delete': one of executions_list"):
        reader.call("tasks_delete")
    with pytest.raises(MCPError, match="no prompt 'x': why_did_it_fail"):
        reader.prompt("x")


@pytest.mark.covers("S2.9")
def test_prompt(reader: Agent) -> None:
    """The prompt leads from a failure to its evidence by tools that there are, with an id or without."""
    for arguments, begins in (
        ({"execution_id": "run"}, "execution_inspect for the execution 'run'"),
        ({}, "lost"),
    ):
        (message,) = reader.prompt("why_did_it_fail", **arguments).messages
        assert isinstance(message.content, TextContent)
        assert begins in message.content.text
        named = {word.strip(".,;:()") for word in message.content.text.split()}
        assert {"logs_digest", "logs_read", "tasks_by_trace", "tasks_last_failed"} <= named & set(
            reader.tools
        )


@pytest.mark.covers("S2.9")
def test_daemon_away_and_back(daemon: Daemon) -> None:
    """A server outlives its daemon: calls say that it is away, and are answered again when it is back."""
    daemon.terminate()
    with agent(daemon.runtime_dir) as reader:
        assert reader.error("executions_list").startswith("no daemon listens on")
        assert "hint: start flightlogd" in reader.error("daemon_status")
        daemon.start()
        assert reader.ask("executions_list")["executions"] == []
        daemon.kill()
        assert "no daemon listens" in reader.error("executions_list")
        daemon.start()
        assert reader.ask("daemon_status")["status"]["state"] == "ok"


@pytest.mark.covers("S2.9")
def test_cancelled_call_lets_go(home: Path) -> None:
    """A cancelled call closes its connection to a daemon that does not answer; the next one is served."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "query.sock"))
        listener.listen()
        listener.settimeout(PEER_TIMEOUT_S)
        with agent(home) as reader:
            under_way = reader.begin("executions_list")
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(PEER_TIMEOUT_S)
                assert b'{"executions":' in peer.recv(1000)
                under_way.cancel()
                assert peer.recv(1000) == b""
            answered = reader.begin("daemon_status")
            peer, _ = listener.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b'{"error":{"code":"internal","reason":"not today"}}\n')
            assert answered.result(PEER_TIMEOUT_S).is_error


@pytest.mark.covers("S2.9")
def test_server_ends_with_its_host(alone: Cli) -> None:
    """The server ends with 0 when stdin does and at once on Ctrl-C, and says nothing on stderr."""
    done = alone("mcp")
    assert done == (0, "", "")
    with alone.running("mcp") as running:
        running.send('{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        running.line()
        running.interrupt()
        assert running.end() == (130, "", "")


WITHOUT_SDK = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("mcp", "mcp_types", "anyio", "pydantic"):
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Blocker())
from flightlog.cli.run import run
sys.exit(run(["mcp", *sys.argv[1:]]))
"""


@pytest.mark.covers("S2.9")
def test_without_the_extra() -> None:
    """Where the SDK is not installed the verb says how to get it in one line, exit code 2; --help works."""
    command = [sys.executable, "-P", "-c", WITHOUT_SDK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.endswith(" is not installed: pip install 'flightlog[mcp]'\n")
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=False)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "Examples:" in helped.stdout


def test_usage(alone: Cli) -> None:
    """A budget out of bounds is a usage error."""
    assert alone("mcp", "--budget-tokens", "10").code == 3
