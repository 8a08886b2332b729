"""What `inspect` and `task` show of attempts at tasks."""

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer

T = 1_790_000_000_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ONE, TWO = "00f067aa0ba902b7", "00f067aa0ba902b8"
LONG = "x" * 300


def at(seconds: str) -> str:
    """Return a time of the minute that T is in."""
    return f"2026-09-21T14:13:{seconds}Z"


@pytest.fixture
def told(daemon: Daemon) -> Daemon:
    """Give a daemon with an execution of two tasks, one tried twice, and a task elsewhere that runs."""
    extract = {"task_id": "extract", "trace_id": TRACE}
    lines = (
        event("execution.started", "etl-1", name="etl", time=T),
        event(
            "task.started", "etl-1", **extract, span_id=ONE, time=T, name="get", inputs={"path": "/x", "n": 1}
        ),
        event(
            "task.ended",
            "etl-1",
            **extract,
            span_id=ONE,
            time=T + 2_000_000,
            outcome="failed",
            error={"type": "OSError", "message": "disk went away"},
        ),
        event("task.started", "etl-1", **extract, span_id=TWO, time=T + 3_000_000, attempt=2, retry_of=ONE),
        event(
            "task.ended",
            "etl-1",
            **extract,
            span_id=TWO,
            time=T + 4_500_000,
            outcome="succeeded",
            outputs={"rows": 12, "note": LONG},
        ),
        event("task.started", "etl-1", task_id="clean", time=T + 1_000_000, task_type="shell"),
        event("task.ended", "etl-1", task_id="clean", time=T + 5_000_000, outcome="succeeded"),
        event("task.started", "other", task_id="load", slug="l", provenance="backfill"),
    )
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(*lines)[-1]["ack"]["lines"] == len(lines)
    return daemon


@pytest.mark.covers("S1.11")
def test_inspect_lists_tasks(flightlog: Cli, told: Daemon) -> None:
    """`inspect` has a row for each attempt, and everything of it in JSON."""
    rows = flightlog.ok("inspect", "etl-1").rows
    tasks = rows[rows.index([""]) + 1 :]
    assert tasks == [
        ["extract", "-", "failed", "1", "2s", at("20.000000"), at("22.000000")],
        ["extract", "-", "succeeded", "2", "1.5s", at("23.000000"), at("24.500000")],
        ["clean", "shell", "succeeded", "1", "4s", at("21.000000"), at("25.000000")],
    ]
    whole = flightlog.ok("inspect", "etl-1", "--json").json["tasks"]
    assert [task["attempt"] for task in whole] == [1, 2, 1]
    assert whole[0]["error"] == {
        "type": "OSError",
        "message": "disk went away",
        "stack": None,
        "stack_hash": None,
    }
    assert whole[1]["retry_of"] == ONE
    assert whole[1]["outputs"]["note"] == LONG
    assert whole[0]["started_at"] == at("20.000000")


@pytest.mark.covers("S1.11")
def test_inspect_shows_what_went_in_and_out(flightlog: Cli, told: Daemon) -> None:
    """`--show-inputs` names each value; long ones are cut, and whole with `--no-truncate`."""
    rows = flightlog.ok("inspect", "etl-1", "--show-inputs").rows
    assert [row for row in rows if len(row) == 4] == [
        ["extract", "1", "inputs.path", "/x"],
        ["extract", "1", "inputs.n", "1"],
        ["extract", "1", "error.message", "disk went away"],
        ["extract", "1", "error.type", "OSError"],
        ["extract", "2", "outputs.rows", "12"],
        ["extract", "2", "outputs.note", "x" * 199 + "…"],
    ]
    whole = flightlog.ok("inspect", "etl-1", "--show-inputs", "--no-truncate").rows
    assert ["extract", "2", "outputs.note", LONG] in whole


@pytest.mark.covers("S1.11")
def test_inspect_draws_a_timeline(flightlog: Cli, told: Daemon) -> None:
    """`--timeline` draws the attempts on one axis, each with how it fared and how long it took."""
    lines = flightlog.ok("inspect", "etl-1", "--timeline").lines
    picture = lines[[line.split()[:1] for line in lines].index(["TASK"]) :]
    assert [(line.split()[0], *line.split()[-2:]) for line in picture[2:-2]] == [
        ("extract", "✗", "2s"),
        ("retry", "✓", "1.5s"),
        ("clean", "✓", "4s"),
    ]
    assert picture[0].split()[1:] == ["0s", "1s", "2s", "3s", "4s"]
    assert picture[1].endswith("max 2")
    assert picture[-1].startswith("5s for 7.5s of work, at most 2 at once, ")


@pytest.mark.covers("S2.6")
def test_tasks_over_all_executions(flightlog: Cli, told: Daemon) -> None:
    """`task list` filters, `task trace` has the attempts in order, `task failed` says what went wrong."""
    assert [row[:3] for row in flightlog.ok("task", "list").rows] == [
        ["load", "running", "1"],
        ["clean", "succeeded", "1"],
        ["extract", "succeeded", "2"],
        ["extract", "failed", "1"],
    ]
    assert flightlog.ok("task", "list", "--task", "extract", "-n", "1").rows == [
        ["extract", "succeeded", "2", "1.5s", at("23.000000"), "-"]
    ]
    for filters in ("--execution other", "--slug l", "--provenance backfill", "--status running"):
        assert [row[0] for row in flightlog.ok("task", "list", *filters.split()).rows] == ["load"], filters
    assert flightlog.ok("task", "list", "--since", "0s").rows == []
    assert [row[2] for row in flightlog.ok("task", "trace", TRACE).rows] == ["1", "2"]
    assert [task["span_id"] for task in flightlog.ok("task", "trace", TRACE, "--json").json] == [ONE, TWO]
    assert flightlog.ok("task", "failed").rows == [
        ["extract", "failed", "1", "2s", at("20.000000"), "get", "OSError: disk went away"]
    ]
    assert flightlog.ok("task", "failed", "--task", "clean").rows == []


def test_what_is_wrong_with_a_question(flightlog: Cli, told: Daemon) -> None:
    """An unknown trace or execution is exit code 1; a bad trace, a bad status and no verb are 3."""
    assert flightlog("task", "trace", "0" * 32).code == 1
    assert flightlog("task", "trace", "0" * 32, "--json").code == 1
    assert flightlog("task", "trace", "nonsense").code == 3
    assert flightlog("task", "list", "--status", "partial").code == 3
    assert flightlog("task", "list", "--execution", "none").code == 1
    assert flightlog("task").code == 3
