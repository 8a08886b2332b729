"""What is known of an attempt, from whoever tells it to whoever asks; and scheduled ones, told once."""

import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from cli.runner import Cli
from flightlog import Client
from flightlog_schemas.events.task import Retrieval, Runner, TaskIO
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer
from support.rebuild import tell

DUE = 1_790_000_000_000_000
KEY = hashlib.sha256(f"load:{DUE}:1".encode()).hexdigest()
FACTS: dict[str, Any] = {
    "slug": "nightly-load",
    "parent_task_id": "whole",
    "causation_id": "p/17",
    "config_digest": "c0ffee",
}
RETRIEVAL = {"memory_count": 3, "sources": ["wiki", "mail"], "query": "how to load", "latency_us": 1500}
RUNNER: dict[str, Any] = {"name": "runner", "version": "1.2", "pid": 7, "host": "h"}
IO = {"files_written": ["/a"], "artifact_ids": ["art"], "tool_calls": 2, "script_runs": 1}


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    """Give a client of the fresh daemon."""
    client = Client(daemon.runtime_dir)
    yield client
    client.close(0)


def check(flightlog: Cli, execution_id: str) -> None:
    """Look for every fact in what the command line shows as JSON."""
    [listed] = flightlog.ok("task", "list", "--execution", execution_id, "--json").json
    [inspected] = flightlog.ok("inspect", execution_id, "--json").json["tasks"]
    for found in (listed, inspected):
        for name, value in FACTS.items():
            assert found[name] == value, name
        assert (found["task_id"], found["name"], found["type"]) == ("load", "Load it", "etl")
        assert found["scheduled_at"] == "2026-09-21T14:13:20.000000Z"
        assert (found["retrieval"], found["runner"], found["io"]) == (RETRIEVAL, RUNNER, IO)
        assert found["provenance"] == "live"


@pytest.mark.covers("S2.4")
def test_every_fact_comes_through_the_api(flightlog: Cli, daemon: Daemon, client: Client) -> None:
    """All that a program says of an attempt is in what `task list` and `inspect` show."""
    with (
        client.execution("nightly") as run,
        run.task(
            "Load it",
            task_id="load",
            task_type="etl",
            scheduled_at_us=DUE,
            retrieval=Retrieval(
                memory_count=3, sources=("wiki", "mail"), query="how to load", latency_us=1500
            ),
            runner=Runner(**RUNNER),
            **FACTS,
        ) as task,
    ):
        task.io = TaskIO(files_written=("/a",), artifact_ids=("art",), tool_calls=2, script_runs=1)
    assert client.flush()

    check(flightlog, run.execution_id)


@pytest.mark.covers("S2.4")
def test_every_fact_comes_through_the_socket(flightlog: Cli, daemon: Daemon) -> None:
    """All that a line says of an attempt is in what `task list` and `inspect` show."""
    what = {"task_id": "load", "span_id": "00f067aa0ba902b7"}
    facts = FACTS | {"name": "Load it", "task_type": "etl", "scheduled_at": DUE}
    tell(
        daemon,
        event("execution.started", "e"),
        event("task.started", "e", **what, **facts, retrieval=RETRIEVAL, runner=RUNNER),
        event("task.ended", "e", **what, outcome="succeeded", io=IO),
    )

    check(flightlog, "e")


@pytest.mark.covers("S2.4")
def test_a_runner_is_known_by_itself(flightlog: Cli, daemon: Daemon, client: Client) -> None:
    """What nobody says of the runner is filled in: its process and host; by hand is without a schedule."""
    with client.execution("e") as run, run.task("load"):
        pass
    assert client.flush()

    [found] = flightlog.ok("task", "list", "--json").json
    assert found["runner"] == {"pid": os.getpid(), "host": os.uname().nodename}
    assert found["scheduled_at"] is None
    with pytest.raises(TypeError, match="colour"):
        run.task("load", colour="red")  # type: ignore[call-arg]


@pytest.mark.covers("S2.2")
def test_a_scheduled_start_is_stored_once(daemon: Daemon) -> None:
    """Through the socket, the second start with the key is answered with the position of the first."""
    started = event("task.started", "e", task_id="load", scheduled_at=DUE, id=KEY)
    with IngestPeer(daemon.ingest_socket) as peer:
        first = peer.settle(started)
    with IngestPeer(daemon.ingest_socket) as peer:
        second = peer.settle(event("log", "e", message="between"), started)

    [ack] = [reply["ack"] for reply in first if "ack" in reply]
    [duplicate] = [reply["duplicate"] for reply in second if "duplicate" in reply]
    assert duplicate == {"line": 2, "seq": ack["seq"], "same": True}


@pytest.mark.covers("S2.2")
def test_who_starts_it_again_starts_nothing(flightlog: Cli, daemon: Daemon, client: Client) -> None:
    """A task that was due at a time is one attempt, by the API and by `exec`, however often it is started."""
    due = "2026-09-21T14:13:20Z"
    which = ("exec", "--execution", "e", "--task", "load", "--scheduled-at", due, "--", "true")
    with client.execution("nightly", execution_id="e") as run:
        with run.task("Load it", task_id="load", scheduled_at_us=DUE):
            pass
        with run.task("Load it", task_id="load", scheduled_at_us=DUE):
            pass
        assert client.flush()
        flightlog.ok(*which)
        flightlog.ok(*which)
        with run.task("Load it", task_id="load", scheduled_at_us=DUE + 1):
            pass
    assert client.flush()

    later, first = flightlog.ok("task", "list", "--json").json
    assert (first["name"], first["span_id"], first["status"]) == ("Load it", KEY[:16], "succeeded")
    assert later["scheduled_at"] != first["scheduled_at"]
    again = flightlog("emit", stdin=event("task.started", "e", task_id="load", scheduled_at=DUE, id=KEY))
    assert again.err == "flightlog emit: 0 stored, 1 known already\n"
    lines = flightlog.ok("tail", "--no-follow", "--after", "0", "--type", "task.started", "-o", "json").lines
    assert len([line for line in lines if json.loads(line)["event"]["id"] == KEY]) == 1
    assert flightlog("exec", "--scheduled-at", due, "--", "true").code == 3
