"""Executions, tasks and log lines, as a real daemon has them."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

import flightlog
from flightlog import Client
from flightlog.process import this_process
from support.daemon import Daemon
from support.peers import QueryPeer
from support.programs import events, messages, records


def inspect(daemon: Daemon, execution_id: str) -> dict[str, Any]:
    """Return an execution as the daemon has it."""
    with QueryPeer(daemon.query_socket) as reader:
        found = reader.ask("inspect", execution_id=execution_id).one("execution")
    assert isinstance(found, dict)
    return found


@pytest.mark.covers("S0.1", "S0.7")
def test_block_that_ends_is_recorded_whole(daemon: Daemon, client: Client, tmp_path: Path) -> None:
    """A block is an execution with all that was said of it, its owner, its true duration and its success."""
    (tmp_path / "link").symlink_to(tmp_path)

    with client.execution(
        "build",
        goal="a release",
        project=tmp_path / "link",
        labels={"n": 1, "db_path": Path("/x.db")},
        tool="make",
        tool_version="4.4",
        args=["-j", 2],
    ) as run:
        run.info("compiling", files=3)

    assert client.flush()
    found = inspect(daemon, run.execution_id)
    said = {"name", "goal", "project", "labels", "tool", "tool_version", "args", "status", "owner", "trigger"}
    assert {key: found[key] for key in said} == {
        "name": "build",
        "goal": "a release",
        "project": str(tmp_path.resolve()),
        "labels": {"n": "1", "db_path": "/x.db"},
        "tool": "make",
        "tool_version": "4.4",
        "args": ["-j", "2"],
        "status": "succeeded",
        "trigger": "manual",
        "owner": {
            "pid": this_process().pid,
            "start_time": this_process().start_time,
            "boot_id": this_process().boot_id,
            "pid_namespace": this_process().pid_namespace,
        },
    }
    assert 0 < found["duration_us"] <= found["finished_at"] - found["started_at"] + 1_000
    assert found["log_count"] == 1


def test_log_line_has_all_that_was_said(daemon: Daemon, client: Client) -> None:
    """Level, source, agent and fields of a line arrive as given; a message that is no string as its text."""
    with client.execution() as run:
        run.log("hello", "warn", source="app.db", agent_id="a1", fields={"n": 1})
        run.log(ValueError("bad"), 17)
        run.debug("d")
        run.warning("w")
        run.error("e", code=5)

    assert client.flush()
    lines = events(daemon, type=["log"])
    assert all(line.pop("time") > 0 for line in lines)
    assert all(line.pop("execution_id") == run.execution_id for line in lines)
    assert lines == [
        {
            "type": "log",
            "agent_id": "a1",
            "message": "hello",
            "level": "warn",
            "source": "app.db",
            "fields": {"n": 1},
        },
        {"type": "log", "message": "bad", "level": 17},
        {"type": "log", "message": "d", "level": "DEBUG"},
        {"type": "log", "message": "w", "level": "WARN"},
        {"type": "log", "message": "e", "level": "ERROR", "fields": {"code": 5}},
    ]


@pytest.mark.covers("S0.4")
def test_exception_fails_the_execution_and_goes_on(daemon: Daemon, client: Client) -> None:
    """An exception leaves the block as it came, and the execution failed by it, with type and stack."""
    with pytest.raises(KeyError) as caught, client.execution("x") as run:  # noqa: PT012  # the block is the point
        run.info("before")
        raise KeyError("gone")

    assert str(caught.value) == "'gone'"
    assert client.flush()
    found = inspect(daemon, run.execution_id)
    assert found["status"] == "failed"
    assert (found["error"]["type"], found["error"]["message"]) == ("KeyError", "'gone'")
    assert 'raise KeyError("gone")' in found["error"]["stack"]


@pytest.mark.covers("S0.2")
def test_counts_add_up(daemon: Daemon, client_factory: Any) -> None:
    """Counts show while the execution runs, what is added later is added, and the end brings the rest."""
    client = client_factory(daemon.runtime_dir)
    run = client.execution("count").start()
    for _ in range(1000):
        run.count("files")
    run.count("symbols", 7)
    assert client.flush()
    underway = inspect(daemon, run.execution_id)["counts"]
    run.count("files", 2)
    run.end(counts={"symbols": 1, "errors": 0})
    assert client.flush()

    assert underway == {"files": 1000, "symbols": 7}
    assert inspect(daemon, run.execution_id)["counts"] == {"files": 1002, "symbols": 8, "errors": 0}
    # Three lines for a thousand calls: start, one sum, end.
    assert client.statistics().lines == 3


@pytest.mark.covers("D9")
def test_counts_that_are_none_are_left_out(daemon: Daemon, client: Client) -> None:
    """Adding what is no number of 64 bits raises and spoils nothing; the log says what was left out."""
    with client.execution() as run:
        run.count("files", "many")  # type: ignore[arg-type]  # the mistake is the point
        run.count("files", 2**63)
        run.count("files", 2**62)
        run.count("files", 2**62)
        run.count(7, 1)  # type: ignore[arg-type]  # as above

    assert client.flush()
    assert inspect(daemon, run.execution_id)["counts"] == {"files": 2**62, "7": 1}
    dropped = [event["count"] for event in events(daemon, type=["producer.dropped"])]
    assert sum(dropped) == 3


def test_end_by_hand_is_final(daemon: Daemon, client: Client) -> None:
    """An execution ended by hand keeps that ending, whatever happens to its block after that."""
    with pytest.raises(ValueError, match="late"), client.execution("x") as run:  # noqa: PT012  # as above
        run.end("partial", reason="half of it", error="disk was slow", exit_status=4)
        run.end("failed")
        raise ValueError("late")

    assert client.flush()
    found = inspect(daemon, run.execution_id)
    assert (found["status"], found["outcome_reason"], found["exit_status"]) == ("partial", "half of it", 4)
    assert found["error"]["message"] == "disk was slow"
    assert len(events(daemon, type=["execution.ended"])) == 1


def test_unknown_argument_is_an_error_at_once(client: Client) -> None:
    """A misspelt argument of an execution raises where it is written."""
    with pytest.raises(TypeError, match="'gaol'"):
        client.execution("x", gaol="a release")  # type: ignore[call-arg]  # the misspelling is the point


def test_nested_executions_know_their_parents(
    daemon: Daemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A nested execution has the one around as its parent, the outermost that of the environment."""
    monkeypatch.setenv("FLIGHTLOG_EXECUTION_ID", "from-outside")
    with client.execution() as outer, client.execution() as inner:
        pass
    with client.execution(parent_id="named") as other:
        pass

    assert client.flush()
    parents = {
        event["execution_id"]: event.get("parent_id") for event in events(daemon, type=["execution.started"])
    }
    assert parents == {
        outer.execution_id: "from-outside",
        inner.execution_id: outer.execution_id,
        other.execution_id: "named",
    }


def test_tasks_and_their_attempts(daemon: Daemon, client: Client) -> None:
    """A task has a start and an end, its lines carry its id, and a retry keeps the trace."""
    with client.execution() as run:
        with pytest.raises(OSError, match="busy"), run.task("fetch all", inputs={"n": 2}) as first:  # noqa: PT012
            client.log("trying")
            raise OSError("busy")
        with run.task("fetch all", retry_of=first) as second:
            second.outputs = {"files": 2}

    assert client.flush()
    log, *rest = (
        event for event in events(daemon) if event["type"] == "log" or event["type"].startswith("task.")
    )
    log, rest = rest[0], [log, *rest[1:]]
    assert (log["message"], log["task_id"]) == ("trying", "fetch-all")
    assert [
        (event["type"], event["span_id"], event.get("attempt", 1), event.get("outcome")) for event in rest
    ] == [
        ("task.started", first.span_id, 1, None),
        ("task.ended", first.span_id, 1, "failed"),
        ("task.started", second.span_id, 2, None),
        ("task.ended", second.span_id, 1, "succeeded"),
    ]
    assert {event["trace_id"] for event in rest} == {first.trace_id}
    assert rest[2]["retry_of"] == first.span_id
    assert rest[1]["error"]["message"] == "busy"
    assert rest[3]["outputs"] == {"files": 2}


def test_emit_takes_any_event(daemon: Daemon, client: Client) -> None:
    """Typed events, a program's own types and explicit times are kept as given; a missing time is now."""
    from flightlog_schemas.events import ArtifactAdded

    artifact = ArtifactAdded(execution_id="e", path="/out")
    client.emit(artifact)
    client.emit({"type": "shop.sold", "items": [1, 2], "time": 5})

    assert client.flush()
    added, sold = events(daemon)
    assert (added["type"], added["path"], added["time"] > 0) == ("artifact.added", "/out", True)
    assert sold == {"type": "shop.sold", "items": [1, 2], "time": 5}
    assert artifact.time is None


@pytest.mark.covers("D5")
def test_line_without_execution_is_declared(daemon: Daemon, client: Client) -> None:
    """A line that belongs to no execution is left out, and the log says so."""
    client.log("lost", "ERROR")

    assert client.flush()
    (declared,) = events(daemon)
    assert {key: declared[key] for key in ("type", "count", "by_level", "reason")} == {
        "type": "producer.dropped",
        "count": 1,
        "by_level": {"ERROR": 1},
        "reason": "no_execution",
    }


def test_environment_names_the_execution(
    daemon: Daemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside of any execution, lines go to the one that the process was started inside."""
    monkeypatch.setenv("FLIGHTLOG_EXECUTION_ID", "from-outside")
    client.log("hello")

    assert client.flush()
    assert [event["execution_id"] for event in events(daemon)] == ["from-outside"]


@pytest.mark.covers("D3")
def test_threads_log_to_the_open_execution(daemon: Daemon, client: Client) -> None:
    """Threads that were started inside an execution find it, and the order of each is kept."""
    with client.execution() as run:

        def work(name: str) -> None:
            for number in range(500):
                client.log(f"{name} {number}")

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert client.flush()
    said = messages(daemon, execution_id=run.execution_id)
    assert len(said) == 2000
    for name in "abcd":
        assert [line for line in said if line[0] == name] == [f"{name} {number}" for number in range(500)]
    assert [record["line"] for record in records(daemon)] == list(range(1, 2003))


def test_asyncio_tasks_keep_apart(daemon: Daemon, client: Client) -> None:
    """Concurrent asyncio tasks log each to its own execution; a cancelled one is cancelled."""
    runs: dict[str, str] = {}

    async def work(name: str, together: asyncio.Barrier) -> None:
        with client.execution(name) as run:
            runs[name] = run.execution_id
            for number in range(5):
                client.log(f"{name} {number}")
                await together.wait()
            if name == "b":
                await asyncio.Event().wait()

    async def main() -> None:
        together = asyncio.Barrier(3)
        never = asyncio.create_task(work("b", together))
        await asyncio.gather(work("a", together), work("c", together))
        never.cancel()
        await asyncio.gather(never, return_exceptions=True)

    asyncio.run(main())

    assert client.flush()
    for name, execution_id in runs.items():
        assert messages(daemon, execution_id=execution_id) == [f"{name} {number}" for number in range(5)]
    assert [inspect(daemon, runs[name])["status"] for name in "abc"] == [
        "succeeded",
        "cancelled",
        "succeeded",
    ]


async def test_trio_tasks_keep_apart(daemon: Daemon, client: Client) -> None:
    """Concurrent trio tasks log each to its own execution, and a nursery's tasks to the one around it."""
    runs: dict[str, str] = {}

    async def work(name: str) -> None:
        with client.execution(name) as run:
            runs[name] = run.execution_id
            async with trio.open_nursery() as inner:
                for number in range(5):
                    inner.start_soon(say, f"{name} {number}")

    async def say(text: str) -> None:
        await trio.lowlevel.checkpoint()
        client.log(text)

    async with trio.open_nursery() as nursery:
        for name in "ab":
            nursery.start_soon(work, name)

    assert await trio.to_thread.run_sync(client.flush)
    for name, execution_id in runs.items():
        said = messages(daemon, execution_id=execution_id)
        assert sorted(said) == [f"{name} {number}" for number in range(5)]
        assert inspect(daemon, execution_id)["status"] == "succeeded"


def test_module_functions_share_one_client(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    """`flightlog.execution`, `log`, `emit`, `flush` and `close` use one client for the process."""
    flightlog.configure(daemon.runtime_dir, flush_lines=10)
    with flightlog.execution("main", goal="g") as run:
        flightlog.log("hello", "WARN")
        flightlog.emit({"type": "shop.sold"})

    assert flightlog.flush()
    assert flightlog.statistics().acked == 4
    assert flightlog.close()
    assert [event["type"] for event in events(daemon)] == [
        "execution.started",
        "log",
        "shop.sold",
        "execution.ended",
    ]
    assert messages(daemon, execution_id=run.execution_id) == ["hello"]
    flightlog.configure()
