"""Agents and artifacts: one record each, as their events left it."""

import json
from typing import Any

import pytest

from flightlog_schemas.limits import INT64_MAX
from support.daemon import HOST, Daemon
from support.lines import event
from support.peers import IngestPeer, QueryPeer

T = 1_790_000_000_000_000


def tell(daemon: Daemon, *lines: bytes) -> None:
    """Send lines and wait until all are acked."""
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(*lines)[-1]["ack"]["lines"] == len(lines)


def ask(daemon: Daemon, verb: str, **arguments: object) -> list[Any]:
    """Return the answers to one request."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask(verb, **arguments).all(verb.removesuffix("s"))


@pytest.mark.covers("S3.5")
def test_an_agents_life(daemon: Daemon) -> None:
    """An agent has what it was added with, what was updated, and the sums of what it used."""
    tell(
        daemon,
        event("execution.started", "e"),
        event(
            "agent.added",
            "e",
            agent_id="a1",
            name="worker",
            dispatch_id="d1",
            model="small",
            parent_agent_id="boss",
            time=T,
        ),
        event("agent.updated", "e", agent_id="a1", status="completed", reason="all done", time=T + 5),
        event(
            "agent.usage", "e", agent_id="a1", model="big", input_tokens=10, output_tokens=3, cost_usd=0.25
        ),
        event("agent.usage", "e", agent_id="a1", input_tokens=5, cost_usd=0.5, time=T + 7),
        event("agent.added", "e", agent_id="a2", agent_type="codex", time=T + 1),
        event("agent.usage", "e", agent_id="a2", output_tokens=7, time=T + 2),
    )
    [one, two] = ask(daemon, "agents", execution_id="e")
    with QueryPeer(daemon.query_socket) as reader:
        whole = reader.ask("inspect", execution_id="e").one("execution")

    assert one == {
        "agent_id": "a1",
        "execution_id": "e",
        "host": HOST,
        "agent_type": "claude",
        "name": "worker",
        "status": "completed",
        "dispatch_id": "d1",
        "parent_agent_id": "boss",
        "model": "big",
        "input_tokens": 15,
        "output_tokens": 3,
        "cost_usd": 0.75,
        "created_at": T,
        "updated_at": one["updated_at"],
    }
    assert one["updated_at"] > T + 7
    assert (two["agent_type"], two["status"], two["output_tokens"]) == ("codex", "active", 7)
    assert (whole["agent_count"], whole["input_tokens"], whole["output_tokens"], whole["cost_usd"]) == (
        2,
        15,
        10,
        0.75,
    )
    assert whole["state_seq"] == 7, "what an agent used moves no state"
    assert [agent["agent_id"] for agent in ask(daemon, "agents", execution_id="e", status="active")] == ["a2"]


@pytest.mark.covers("S3.5")
def test_a_sum_never_breaks(daemon: Daemon) -> None:
    """Tokens and money stop at a bound; the read model goes on."""
    usage = {"input_tokens": INT64_MAX, "output_tokens": INT64_MAX, "cost_usd": 1.7e308}
    tell(daemon, *(event("agent.usage", "e", agent_id="a", **usage) for _ in range(3)))
    [agent] = ask(daemon, "agents", execution_id="e")

    assert (agent["input_tokens"], agent["output_tokens"]) == (INT64_MAX, INT64_MAX)
    assert agent["cost_usd"] == 1e300
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("status").one("status")["state"] == "ok"


def test_strange_facts_are_kept_and_shown(daemon: Daemon) -> None:
    """What cannot be is stored and leaves an anomaly, each kind once; the first record stands."""
    tell(
        daemon,
        event("artifact.added", "nobody", path="/p"),
        event("artifact.added", "nobody", path="/q"),
        event("execution.started", "e"),
        event("agent.updated", "e", agent_id="late", status="failed"),
        event("agent.usage", "e", agent_id="late", input_tokens=1),
        event("agent.added", "e", agent_id="late", name="first", agent_type="one"),
        event("agent.added", "e", agent_id="late", name="second", agent_type="two"),
    )
    [agent] = ask(daemon, "agents", execution_id="e")
    nobody = ask(daemon, "audit", execution_id="nobody")
    trail = ask(daemon, "audit", execution_id="e")

    assert (agent["name"], agent["agent_type"], agent["status"], agent["input_tokens"]) == (
        "first",
        "one",
        "failed",
        1,
    )
    assert [(entry["event_type"], entry["reason"]) for entry in nobody] == [
        ("ANOMALY", "it was never announced, and things happen in it")
    ]
    assert [entry["reason"] for entry in trail if entry["event_type"] == "ANOMALY"] == [
        "agent late was never added",
        "agent late was added before; the first record stands",
    ]
    assert len(ask(daemon, "artifacts", execution_id="nobody")) == 2


@pytest.mark.covers("S3.6")
def test_artifacts_and_who_wrote_them(daemon: Daemon) -> None:
    """Artifacts are listed by execution, phase, type and agent, and by path over all executions, in order."""
    sha = "ab" * 32
    tell(
        daemon,
        event("execution.started", "one"),
        event("execution.started", "two"),
        event("artifact.added", "one", artifact_id="x", path="/p/a", phase="plan", size_bytes=3, sha256=sha),
        event(
            "artifact.added", "two", path="/p/a", agent_id="ag", task_id="t", artifact_type="report", time=T
        ),
        event("artifact.added", "one", path="/p/b", phase="do", agent_id="ag"),
        event("artifact.added", "one", path="/p/a", phase="do"),
    )

    why = ask(daemon, "artifacts", path="/p/a")
    assert [(found["execution_id"], found["phase"]) for found in why] == [
        ("one", "plan"),
        ("two", None),
        ("one", "do"),
    ]
    assert (why[0]["artifact_id"], why[0]["size_bytes"], why[0]["sha256"]) == ("x", 3, sha)
    assert why[1] == {
        "artifact_id": str(why[1]["seq"]),
        "execution_id": "two",
        "host": HOST,
        "phase": None,
        "path": "/p/a",
        "type": "report",
        "agent_id": "ag",
        "task_id": "t",
        "size_bytes": None,
        "sha256": None,
        "created_at": T,
        "seq": why[1]["seq"],
    }
    narrowed = {
        json.dumps(wanted): [
            found["path"] for found in ask(daemon, "artifacts", execution_id="one", **wanted)
        ]
        for wanted in ({}, {"phase": "do"}, {"agent_id": "ag"}, {"type": "report"}, {"path": "/p/a"})
    }
    assert list(narrowed.values()) == [
        ["/p/a", "/p/b", "/p/a"],
        ["/p/b", "/p/a"],
        ["/p/b"],
        [],
        ["/p/a", "/p/a"],
    ]


def test_pages_of_agents_and_artifacts(daemon: Daemon) -> None:
    """Every page but the last says how to go on, and the pages together are the whole."""
    tell(
        daemon,
        event("execution.started", "e"),
        *(event("agent.added", "e", agent_id=f"a{number}") for number in range(7)),
        *(event("artifact.added", "e", path=f"/p/{number}") for number in range(7)),
    )
    with QueryPeer(daemon.query_socket) as reader:
        for verb, noun, key in (("agents", "agent", "agent_id"), ("artifacts", "artifact", "path")):
            found: list[str] = []
            pages = after = 0
            more = True
            while more:
                answer = reader.ask(verb, execution_id="e", limit=3, after=after)
                found += [line[key] for line in answer.all(noun)]
                assert answer.end is not None
                more, after = answer.end.get("truncated", False), answer.end.get("next", 0)
                pages += 1
            assert (pages, len(found), len(set(found))) == (3, 7, 7), verb
        assert reader.ask("artifacts").error["code"] == "invalid"  # type: ignore[index]
        for verb in ("agents", "artifacts"):
            assert reader.ask(verb, execution_id="none").error["code"] == "not_found"  # type: ignore[index]
