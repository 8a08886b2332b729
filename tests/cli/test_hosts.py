"""`flightlog hosts`, and `--host` of verbs that read."""

import json

import pytest

from cli.runner import Cli
from support.agent import agent
from support.daemon import Daemon, DaemonFactory
from support.lines import event, log
from support.origins import id_here, ran, repeat
from support.peers import IngestPeer, QueryPeer
from support.searching import search

HERE = "here"


@pytest.fixture
def daemon(daemon_factory: DaemonFactory) -> Daemon:
    """Give a daemon on a machine called `here`, which has been told what two others recorded."""
    daemon = daemon_factory(host_name=HERE)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "build-7"), log("build-7", "said here"))
    for host, outcome in (("far", "succeeded"), ("farther", "failed")):
        task = event("task.ended", "build-7", task_id="t", outcome=outcome)
        wrote = event("artifact.added", "build-7", path="/p/a", artifact_id="a")
        agent = event("agent.added", "build-7", agent_id=host, agent_type="worker")
        repeat(
            daemon, *ran(host, "build-7", log("build-7", f"said {host}"), task, wrote, agent, outcome=outcome)
        )
    return daemon


@pytest.mark.covers("P18")
def test_hosts(daemon: Daemon, flightlog: Cli) -> None:
    """Each machine is a line, this one first; --json has times and what ids of its executions end with."""
    rows = [line.split("\t") for line in flightlog.ok("hosts").lines]
    assert [(row[0], *row[2:6]) for row in rows[1:]] == [
        ("far", "6", "1", "0", "0"),
        ("farther", "6", "1", "0", "1"),
    ]
    assert (rows[0][0], rows[0][3:6]) == (HERE, ["1", "1", "0"])
    (far,) = flightlog.ok("hosts", "--host", "far", "--json").json
    assert f"build-7{far['mark']}" == id_here("far", "build-7")
    assert far["last_at"] == "2023-11-14T22:13:20.000000Z"
    assert flightlog("hosts", "--host", "nowhere").code == 1


@pytest.mark.covers("P18")
def test_verbs_keep_to_a_machine(daemon: Daemon, flightlog: Cli) -> None:
    """`--host` narrows lists, finds the execution that an id alone does not, and follows."""
    name = id_here("far", "build-7")
    assert [line.split("\t")[0] for line in flightlog.ok("list", "--host", "far").lines] == [name]
    several = flightlog.ok("list", "--host", "far", "--host", HERE, "--json").json
    assert {one["host"] for one in several} == {"far", HERE}
    assert [one["execution_id"] for one in flightlog.ok("task", "list", "--host", "far", "--json").json] == [
        name
    ]
    assert flightlog.ok("task", "failed", "--host", "far", "--json").json == []
    assert len(flightlog.ok("task", "failed", "--host", "farther").lines) == 1
    assert "said far" in flightlog.ok("logs", "build-7", "--host", "far").out
    assert "said farther" not in flightlog.ok("logs", "build-7", "--host", "far").out
    assert flightlog.ok("inspect", "build-7", "--host", "far", "--json").json["execution_id"] == name
    assert flightlog.ok("inspect", "build-7", "--json").json["execution_id"] == "build-7"
    assert [
        one["host"] for one in flightlog.ok("artifact", "why", "/p/a", "--host", "far", "--json").json
    ] == ["far"]
    assert len(flightlog.ok("artifact", "list", "build-7", "--host", "far").lines) == 1
    assert flightlog.ok("agent", "list", "build-7", "--host", "far").lines[0].startswith("far\t")
    trail = flightlog.ok("audit", "--host", "far", "--json").json
    assert {one["execution_id"] for one in trail} == {name}
    tail = flightlog.ok("tail", "--no-follow", "--host", "far", "--after", "0", "-o", "json").lines
    assert {json.loads(line)["execution_id"] for line in tail} == {name}
    assert name in flightlog.ok("tail", "--no-follow", "--host", "far", "-n", "1").out
    search(daemon, "said")  # once it is searchable
    found = flightlog.ok("search", "said", "--host", "far", "--json").json
    assert [one["message"] for one in found] == ["said far"]
    assert flightlog("list", "--host", "nowhere").code == 1
    assert "a machine has a name" in flightlog("list", "--host", "").err
    refused = flightlog("log", name, "hello")
    assert refused.code != 0
    assert "other machines" in refused.err


@pytest.mark.covers("P18")
def test_an_export_has_the_name_of_the_machine(daemon: Daemon, flightlog: Cli) -> None:
    """What is exported is from where its daemon says that it is, what was told by others from there."""
    origins = [
        json.loads(line)["origin"]["host"]
        for line in flightlog.ok("export").lines
        if '"origin":{"log_id' in line
    ]
    assert origins == [HERE, "far", "farther"]


@pytest.mark.covers("P18")
def test_status_of_relays_and_origins(daemon: Daemon, flightlog: Cli) -> None:
    """`status` has a line for each relay and each other log, and says when each got on; --json, too."""
    with QueryPeer(daemon.query_socket) as reader:
        reader.ask("cursor", name="relay:n1/flightlog", seq=1)
    rows = flightlog.ok("status").rows
    (relay,) = [row[1] for row in rows if row[0] == "relay"]
    assert relay.startswith("to n1/flightlog: up to 1, ")
    assert " events behind, for " in relay
    assert [
        row[1].partition(": up to 6, received there 2023-11-14")[0] for row in rows if row[0] == "origin"
    ] == ["farther", "far"]
    (others,) = [row[1] for row in rows if row[0] == "origins"]
    assert others.startswith("2 other logs, the newest lines at ")
    status = flightlog.ok("status", "--json").json
    assert status["origins"][0]["last_at"] == "2023-11-14T22:13:20.000000Z"
    assert status["relays"][0]["moved_at"].endswith("Z")
    assert status["collected_at"] in {one["received_at"] for one in status["origins"]}


@pytest.mark.covers("P18", "S2.7")
def test_stats_and_current_of_a_machine(daemon: Daemon, flightlog: Cli) -> None:
    """`stats --host` counts what machines recorded, of all of those named; `current --host` finds there."""
    assert flightlog.ok("stats", "--host", "far", "--json").json["by_status"] == {"succeeded": 1}
    assert flightlog.ok("stats", "--host", "farther", "--host", HERE, "--json").json["by_status"] == {
        "failed": 1
    }
    assert flightlog.ok("stats", "--host", HERE, "--json").json["attempts"] == 0
    assert flightlog.ok("stats", "--json").json["attempts"] == 2
    assert flightlog("stats", "--host", "nowhere").code == 1
    repeat(daemon, *ran("far", "open", seq=90))
    running = flightlog.ok("current", "--project", "/p", "--host", "far", "--json").json
    assert (running["execution_id"], running["host"]) == (id_here("far", "open"), "far")
    assert flightlog("current", "--project", "/p", "--host", "farther").code == 1


@pytest.mark.covers("P18", "S2.9")
def test_agents_keep_to_a_machine(daemon: Daemon) -> None:
    """Tools that list keep to the machine that an agent names, and say whose an execution or a task is."""
    search(daemon, "said")
    with agent(daemon.runtime_dir) as reader:
        every = reader.ask("executions_list")["executions"]
        (far,) = reader.ask("executions_list", host="far")["executions"]
        (failure,) = reader.ask("tasks_last_failed")["failures"]
        (line,) = reader.ask("logs_search", text="said", host="far")["lines"]
        stats = reader.ask("stats", host="farther")
        assert {one["host"] for one in every} == {HERE, "far", "farther"}
        assert (far["host"], far["execution_id"]) == ("far", id_here("far", "build-7"))
        assert failure["host"] == "farther"
        assert line["message"] == "said far"
        assert (stats["by_status"], stats["failures"][0]["host"]) == ({"failed": 1}, "farther")
        assert [one["host"] for one in reader.ask("tasks_list", host="far")["tasks"]] == ["far"]
        assert reader.ask("tasks_last_failed", host="far")["failures"] == []
        assert {one["host"] for one in reader.ask("audit_read", host="far")["entries"]} == {"far"}
        assert reader.ask("current", project="/p", host="far")["found"] is False
        refused = reader.call("stats", host="nowhere")
        assert refused.is_error
        assert "no such host: nowhere" in str(refused.content)
