"""Agents and artifacts of a program, as a real daemon has them."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from flightlog import Client
from support.clients import ClientFactory
from support.daemon import HOST, Daemon
from support.peers import QueryPeer
from support.programs import events


def ask(daemon: Daemon, verb: str, noun: str, **fields: object) -> list[dict[str, Any]]:
    """Return what the daemon answers, without the noun around each line."""
    with QueryPeer(daemon.query_socket) as reader:
        answers = reader.ask(verb, **fields)
    assert answers.error is None, answers.error
    return [line[noun] for line in answers.lines]


@pytest.mark.covers("S3.5")
def test_an_agent_is_its_block(daemon: Daemon, client: Client) -> None:
    """An agent is added where its block begins, and completed with the sums of what it used where it ends."""
    with client.execution() as run, run.agent("reviewer", model="opus", dispatch_id="d-1") as agent:
        agent.usage(input_tokens=100, output_tokens=20, cost_usd=0.25)
        agent.usage(model="haiku", input_tokens=11)
        assert client.flush()
        [during] = ask(daemon, "agents", "agent", execution_id=run.execution_id)
        assert during["status"] == "active"

    assert client.flush()
    [told] = ask(daemon, "agents", "agent", execution_id=run.execution_id)
    assert told["created_at"] <= told.pop("updated_at")
    assert told.pop("created_at") > 0
    assert told == {
        "agent_id": agent.agent_id,
        "execution_id": run.execution_id,
        "host": HOST,
        "agent_type": "claude",
        "name": "reviewer",
        "status": "completed",
        "dispatch_id": "d-1",
        "parent_agent_id": None,
        "model": "haiku",
        "input_tokens": 111,
        "output_tokens": 20,
        "cost_usd": 0.25,
    }
    [execution] = ask(daemon, "inspect", "execution", execution_id=run.execution_id)
    sums = {name: execution[name] for name in ("agent_count", "input_tokens", "output_tokens", "cost_usd")}
    assert sums == {"agent_count": 1, "input_tokens": 111, "output_tokens": 20, "cost_usd": 0.25}


@pytest.mark.covers("S3.5")
@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ValueError("bad"), "failed", "ValueError: bad"),
        (KeyboardInterrupt(), "failed", "KeyboardInterrupt"),
        (SystemExit(3), "failed", "SystemExit: exit status 3"),
        (SystemExit(0), "completed", None),
    ],
    ids=repr,
)
def test_an_agent_that_is_left_by_an_exception(
    daemon: Daemon, client: Client, error: BaseException, status: str, reason: str | None
) -> None:
    """An exception that leaves its block makes it failed, says why, and goes on its way."""
    run = client.execution().start()
    with pytest.raises(type(error)), run.agent(agent_id="a1"):
        raise error
    run.end()

    assert client.flush()
    [updated] = events(daemon, type=["agent.updated"])
    assert (updated["agent_id"], updated["status"], updated.get("reason")) == ("a1", status, reason)


@pytest.mark.covers("S3.5")
def test_an_agent_by_hand_starts_and_ends_once(daemon: Daemon, client: Client) -> None:
    """Without a block it is started and ended by hand; what comes twice is said once."""
    with client.execution() as run:
        agent = run.agent("slow")
        agent.end()
        agent.start().start()
        agent.end("failed", reason="gave up")
        agent.end("completed")

    assert client.flush()
    told = [event for event in events(daemon) if event["type"].startswith("agent.")]
    assert [event["type"] for event in told] == ["agent.added", "agent.updated"]
    assert (told[1]["status"], told[1]["reason"]) == ("failed", "gave up")


@pytest.mark.covers("S3.5", "P8")
def test_a_forked_child_ends_no_agent_of_its_parent(daemon: Daemon, client: Client) -> None:
    """An agent belongs to the process that started it: a fork that leaves the block says nothing."""
    with client.execution() as run:
        agent = run.agent().start()
        child = os.fork()
        if child == 0:
            agent.end("failed")
            os._exit(0 if client.statistics().lines == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        agent.end()

    assert client.flush()
    assert [event["status"] for event in events(daemon, type=["agent.updated"])] == ["completed"]


@pytest.mark.covers("S3.5", "P8")
def test_what_an_agent_says_carries_its_id(daemon: Daemon, client: Client) -> None:
    """Log lines, tasks and agents inside know at which agent, and in which task, they are."""
    with client.execution() as run, run.task("review") as task, run.agent("outer", agent_id="a1") as outer:
        outer.info("by itself")
        client.log("from anywhere")
        client.log("of another", agent_id="a9")
        with run.task("inner") as inner:
            inner.info("in a task of the agent")
        with run.agent("helper", agent_id="a2"):
            client.log("by the helper")
        task.info("beside")
    run.info("after")

    assert client.flush()
    lines = [(e["message"], e.get("agent_id"), e.get("task_id")) for e in events(daemon, type=["log"])]
    assert lines == [
        ("by itself", "a1", "review"),
        ("from anywhere", "a1", "review"),
        ("of another", "a9", "review"),
        ("in a task of the agent", "a1", "inner"),
        ("by the helper", "a2", "review"),
        ("beside", None, "review"),
        ("after", None, None),
    ]
    added = events(daemon, type=["agent.added"])
    assert [(each["agent_id"], each.get("parent_agent_id")) for each in added] == [("a1", None), ("a2", "a1")]
    assert [each.get("agent_id") for each in events(daemon, type=["task.started"])] == [None, "a1"]


@pytest.mark.covers("S3.6")
def test_artifacts_of_a_program(daemon: Daemon, client: Client, tmp_path: Path) -> None:
    """A file is kept with its normalised path, its size and digest, and who wrote it."""
    (tmp_path / "plan.md").write_bytes(b"x" * 300_000)
    with client.execution(phases=["one", "two"]) as run:
        with run.task("write"), run.agent(agent_id="a1") as agent:
            first = agent.artifact(
                tmp_path / "." / "sub" / ".." / "plan.md", artifact_type="plan", phase="one"
            )
        second = run.artifact(tmp_path / "plan.md", digest=False, artifact_id="again")
        run.artifact(tmp_path / "missing")

    assert client.flush()
    told = ask(daemon, "artifacts", "artifact", execution_id=run.execution_id)
    assert [each["artifact_id"] for each in told][:2] == [first, second]
    assert second == "again"
    names = ("path", "type", "phase", "agent_id", "task_id", "size_bytes", "sha256")
    digest = hashlib.sha256(b"x" * 300_000).hexdigest()
    plan = str(tmp_path / "plan.md")
    assert [tuple(each[name] for name in names) for each in told] == [
        (plan, "plan", "one", "a1", "write", 300_000, digest),
        (plan, "file", None, None, None, None, None),
        (str(tmp_path / "missing"), "file", None, None, None, None, None),
    ]


@pytest.mark.covers("S3.6", "D9")
def test_files_that_cannot_be_read_harm_nobody(
    daemon: Daemon, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pipes, directories, devices, impossible and strange names are artifacts without size and digest."""
    os.mkfifo(tmp_path / "pipe")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    strange = os.fsdecode(b"/nowhere/\xff")
    with client.execution() as run:
        for path in (tmp_path / "pipe", tmp_path, "/dev/null", "/a\0b", strange, "relative"):
            run.artifact(path)

    assert client.flush()
    told = ask(daemon, "artifacts", "artifact", execution_id=run.execution_id)
    assert [each["path"] for each in told] == [
        str(tmp_path / "pipe"),
        str(tmp_path),
        "/dev/null",
        "/a\0b",
        "/nowhere/\\udcff",
        "relative",
    ]
    assert {(each["size_bytes"], each["sha256"]) for each in told} == {(None, None)}
    assert client.statistics().dropped == 0


@pytest.mark.covers("D9")
def test_agents_and_artifacts_need_no_daemon(client_factory: ClientFactory, tmp_path: Path) -> None:
    """Without a daemon, and with values that no event may have, the program goes on."""
    client = client_factory(tmp_path / "nobody")
    with client.execution() as run, run.agent() as agent:
        agent.usage(input_tokens=-1, cost_usd=float("nan"))
        agent.artifact(tmp_path)

    assert client.statistics().lines == 6
