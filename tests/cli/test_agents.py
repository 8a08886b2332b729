"""`agent`: who works in an execution, told and asked by a script."""

import pytest

from cli.runner import Cli
from support.daemon import HOST, Daemon
from support.lines import event
from support.peers import IngestPeer


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def head_seq(flightlog: Cli) -> int:
    """Return the position of the last event of the log."""
    return int(flightlog.ok("status", "--json").json["head_seq"])


@pytest.mark.covers("S3.5")
def test_agents_come_and_go(flightlog: Cli) -> None:
    """`agent add` prints an id, `update` changes what it is told, `list` has them in the order of adding."""
    execution = flightlog.ok("start").out.strip()
    first = flightlog.ok("agent", "add", execution, "--name", "the reviewer").out.strip()
    second = flightlog.ok("agent", "add", execution, "--id", "b", "--type", "codex").out.strip()
    third = flightlog.ok("agent", "add", "--id", "a", FLIGHTLOG_EXECUTION_ID=execution).out.strip()

    assert (second, third) == ("b", "a")
    assert flightlog.ok("agent", "update", execution, "b", "--status=completed").out == ""
    flightlog.ok("agent", "update", "a", "--status", "failed", FLIGHTLOG_EXECUTION_ID=execution)
    assert flightlog.ok("agent", "list", execution).rows == [
        [first, "claude", "active", "the reviewer"],
        ["b", "codex", "completed", "-"],
        ["a", "claude", "failed", "-"],
    ]
    assert [row[0] for row in flightlog.ok("agent", "list", execution, "--status", "active").rows] == [first]
    assert "the reviewer" in flightlog.on_terminal("agent", "list", execution)
    empty = flightlog.ok("start").out.strip()
    assert flightlog.ok("agent", "list", empty).out == ""
    assert flightlog.ok("agent", "list", empty, "--json").json == []


@pytest.mark.covers("S3.5")
def test_an_agent_as_json(flightlog: Cli) -> None:
    """All fields are there, what is not known is null, and usage is summed up, per agent and execution."""
    execution = flightlog.ok("start").out.strip()
    arguments = ["--id", "w", "--name", "n", "--dispatch-id", "d-1", "--model", "opus", "--parent", "boss"]
    flightlog.ok("agent", "add", execution, "--id", "boss")
    added = flightlog.ok("agent", "add", execution, *arguments, "--json").json
    for tokens in ("100", "23"):
        flightlog.ok("agent", "update", execution, "w", "--input-tokens", tokens, "--cost-usd", "0.25")
    both = ["--status", "completed", "--output-tokens", "7", "--model", "haiku", "--reason", "done"]
    flightlog.ok("agent", "update", execution, "w", *both)

    assert {name: value for name, value in added.items() if not name.endswith("_at")} == {
        "agent_id": "w",
        "execution_id": execution,
        "host": HOST,
        "agent_type": "claude",
        "name": "n",
        "status": "active",
        "dispatch_id": "d-1",
        "parent_agent_id": "boss",
        "model": "opus",
        "input_tokens": 0,
        "output_tokens": 0,
        "cost_usd": 0.0,
    }
    told = flightlog.ok("agent", "list", execution, "--json").json[1]
    assert (told["input_tokens"], told["output_tokens"], told["cost_usd"]) == (123, 7, 0.5)
    assert (told["status"], told["model"]) == ("completed", "haiku")
    assert told["created_at"] == added["created_at"] < told["updated_at"]
    facts = dict(flightlog.ok("inspect", execution).rows)
    assert facts["agents"] == "2, 123 tokens in, 7 out, $0.50"
    last = flightlog.ok("events", execution).rows[-1]
    assert last[2:] == ["agent.updated", "-", "completed", "done"]


@pytest.mark.covers("S3.5", "S3.7")
def test_agents_of_nobody_are_refused(flightlog: Cli, alone: Cli) -> None:
    """An unknown execution, an unknown agent, one of another execution, and an id given twice are exit 1."""
    mine = flightlog.ok("start").out.strip()
    other = flightlog.ok("start").out.strip()
    flightlog.ok("agent", "add", other, "--id", "theirs")
    before = head_seq(flightlog)

    for arguments in (["add", "nobody"], ["list", "nobody"], ["update", "nobody", "x", "--status", "failed"]):
        done = flightlog("agent", *arguments)
        assert (done.code, done.out) == (1, ""), arguments
        assert done.err.startswith(f"flightlog agent {arguments[0]}: no such execution: nobody\n")
    for agent in ("nobody", "theirs"):
        done = flightlog("agent", "update", mine, agent, "--status", "failed")
        assert (done.code, done.err.splitlines()[0]) == (
            1,
            f"flightlog agent update: {mine} has no agent {agent}",
        )
    twice = flightlog("agent", "add", other, "--id", "theirs")
    assert (twice.code, twice.out) == (1, "")
    assert twice.err == f"flightlog agent add: {other} has an agent theirs already, nothing was written\n"
    assert head_seq(flightlog) == before
    away = alone("agent", "add", "x")
    assert (away.code, away.out) == (2, "")


@pytest.mark.covers("S3.5")
@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "--id", "a b"),
        ("add", "--parent", ""),
        ("list", "--status", "done"),
        ("update", "w", "--status", "done"),
        ("update", "w"),
        ("update", "w", "--input-tokens", "-1"),
        ("update", "w", "--output-tokens", "many"),
        ("update", "w", "--cost-usd", "nan"),
        ("update", "w", "--cost-usd", "-1"),
        ("update", "a", "b", "c", "--status", "failed"),
        ("update",),
        ("remove", "w"),
        (),
    ],
    ids=" ".join,
)
def test_bad_values_are_usage_errors(flightlog: Cli, arguments: tuple[str, ...]) -> None:
    """Values that make no sense are exit code 3, and nothing is written."""
    flightlog("start", "--id", "values")
    before = head_seq(flightlog)

    done = flightlog("agent", *arguments, FLIGHTLOG_EXECUTION_ID="values")

    assert (done.code, done.out) == (3, "")
    assert "flightlog agent" in done.err
    assert head_seq(flightlog) == before


@pytest.mark.covers("S3.5")
def test_one_argument_is_the_agent(flightlog: Cli) -> None:
    """Without $FLIGHTLOG_EXECUTION_ID a lone argument leaves open which execution is meant."""
    done = flightlog("agent", "update", "w", "--status", "failed")

    assert (done.code, done.out) == (3, "")
    assert "which execution? Give its id before AGENT, or set FLIGHTLOG_EXECUTION_ID" in done.err


@pytest.mark.covers("S3.5")
def test_agents_of_many_pages_are_all_listed(flightlog: Cli, shared: Daemon) -> None:
    """More agents than one answer holds are listed and inspected whole."""
    lines = [event("agent.added", "crowded", agent_id=f"a{number:04}") for number in range(1_234)]
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(event("execution.started", "crowded"), *lines)

    expected = [f"a{number:04}" for number in range(1_234)]
    assert [row[0] for row in flightlog.ok("agent", "list", "crowded").rows] == expected
    told = flightlog.ok("inspect", "crowded", "--json").json
    assert [agent["agent_id"] for agent in told["agents"]] == expected
    assert len(flightlog.ok("events", "crowded").rows) == 1_235
    assert [row[2] for row in flightlog.ok("events", "crowded", "-n", "2").rows] == ["agent.added"] * 2


@pytest.mark.parametrize("verb", ["agent add", "agent list", "agent update"])
def test_each_verb_teaches(alone: Cli, verb: str) -> None:
    """The help of each shows an example."""
    done = alone(*verb.split(), "--help")

    assert done.code == 0
    assert f"flightlog {verb}" in done.out.split("Example", 1)[1]
