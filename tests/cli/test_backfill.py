"""`flightlog backfill`: results and events of the past, once each, whatever stands between them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import block, event, log
from support.programs import events, messages

Json = dict[str, Any]
UID = os.getuid()


def result(task_id: str, **fields: object) -> Json:
    """Return one result as an engine writes it."""
    told: Json = {
        "task_id": task_id,
        "task_name": "load",
        "started_at": "2026-03-01T10:00:00+02:00",
        "completed_at": "2026-03-01T08:00:01.5Z",
        "success": True,
        "response": {"rows": 3},
        "error": None,
        "metadata": {"slug": "csv.load", "region": "eu"},
    }
    return told | fields


def write(path: Path, *records: object) -> Path:
    """Write one JSON document, or several as lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(json.dumps(record) for record in records) + "\n")
    return path


def tasks(flightlog: Cli, *arguments: str) -> list[Json]:
    """Return what `task list` says."""
    found: list[Json] = flightlog.ok("task", "list", "--json", "-n", "1000", *arguments).json
    return found


def counts(added: int, skipped: int = 0, failed: int = 0) -> Json:
    """Return a count as --json has it."""
    return {"total": added + skipped + failed, "added": added, "skipped": skipped, "failed": failed}


@pytest.mark.covers("S2.8")
def test_a_result_becomes_an_attempt(flightlog: Cli, home: Path) -> None:
    """A task has names, times, outcome, response, error and metadata of its result; times may be numbers."""
    write(home / "in/good.json", result("good"))
    write(
        home / "in/bad.json",
        result(
            "bad",
            started_at=1_772_352_000,
            completed_at=1_772_352_002_500,
            success=False,
            response=None,
            error={"message": "no such file", "type": "OSError", "stack": "File a.py"},
        ),
    )
    done = flightlog.ok("backfill", str(home / "in"))

    assert done.out == "2 tasks: 2 added, 0 skipped, 0 failed\n"
    bad, good = sorted(tasks(flightlog), key=lambda task: task["task_id"])
    assert (good["name"], good["slug"], good["status"]) == ("load", "csv.load", "succeeded")
    assert (good["started_at"], good["duration_us"]) == ("2026-03-01T08:00:00.000000Z", 1_500_000)
    assert (good["outputs"], good["provenance"]) == ({"rows": 3}, "backfill")
    assert (bad["status"], bad["started_at"], bad["duration_us"]) == (
        "failed",
        "2026-03-01T08:00:00.000000Z",
        2_500_000,
    )
    assert (bad["error"]["message"], bad["error"]["type"]) == ("no such file", "OSError")


@pytest.mark.covers("S2.8")
def test_results_of_a_day_are_one_execution(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Results are in an execution of their day, of their run, or of the execution that they name."""
    path = write(
        home / "results.jsonl",
        result("late", started_at="2026-03-01T09:00:00Z", completed_at="2026-03-01T09:30:00Z"),
        result("early", success=False, error="boom"),
        result("next", started_at="2026-03-02T00:00:00Z", completed_at="2026-03-02T00:00:01Z"),
        result("of-run", run_id=42),
        result("of-live", execution_id="live-1"),
    )
    flightlog.ok("emit", stdin=block(event("execution.started", "live-1")))
    flightlog.ok("backfill", str(path))

    found = {entry["execution_id"]: entry for entry in flightlog.ok("list", "--json").json}
    day = found[f"backfill-{UID}-2026-03-01"]
    assert (day["status"], day["outcome_reason"]) == ("partial", "1 of 2 tasks failed")
    assert (day["started_at"], day["finished_at"]) == (
        "2026-03-01T08:00:00.000000Z",
        "2026-03-01T09:30:00.000000Z",
    )
    assert found[f"backfill-{UID}-2026-03-02"]["status"] == "succeeded"
    assert found["backfill-42"]["status"] == "succeeded"
    assert found["live-1"]["status"] == "running"
    assert [entry["type"] for entry in events(daemon, execution_id="live-1")] == [
        "execution.started",
        "task.ended",
    ]
    assert flightlog.ok("audit", "--type", "ANOMALY").out == ""


def test_attempts_stay_linked(flightlog: Cli, home: Path) -> None:
    """Trace, span, attempt and what it retries are kept, beside the others or in the metadata."""
    trace, first, second = "a" * 32, "b" * 16, "c" * 16
    path = write(
        home / "chain.json",
        result("load", trace_id=trace, span_id=first, success=False, error="boom"),
        result("load", metadata={"trace_id": trace, "span_id": second, "attempt": 2, "retry_of": first}),
    )
    flightlog.ok("backfill", str(path))

    chain = flightlog.ok("task", "trace", trace, "--json").json
    assert [(task["span_id"], task["attempt"], task["retry_of"]) for task in chain] in (
        [(first, 1, None), (second, 2, first)],
        [(second, 2, first), (first, 1, None)],
    )


@pytest.mark.covers("S2.8", "D4")
def test_a_second_run_adds_nothing(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """What is known is skipped, also from another file; what is new beside it is added."""
    write(home / "a/results.json", [result("one"), result("two")])
    write(home / "a/events.jsonl", json.loads(log("e", "x", time=5)), json.loads(log("e", "x", time=5)))
    flightlog.ok("backfill", str(home / "a"))
    before = events(daemon)
    again = flightlog.ok("backfill", str(home / "a"))
    moved = write(home / "b/renamed.jsonl", result("two"), result("three"))
    third = flightlog.ok("backfill", str(moved), "--json").json

    assert again.out == "2 tasks: 0 added, 2 skipped, 0 failed\n2 events: 0 added, 2 skipped, 0 failed\n"
    assert third == {"tasks": counts(1, 1), "events": counts(0), "dry_run": False}
    assert events(daemon)[: len(before)] == before
    assert messages(daemon, execution_id="e") == ["x", "x"]
    assert sorted(task["task_id"] for task in tasks(flightlog)) == ["one", "three", "two"]


@pytest.mark.covers("S2.8")
def test_a_dry_run_writes_nothing(flightlog: Cli, daemon: Daemon, alone: Cli, home: Path) -> None:
    """With --dry-run all is read and checked, bad records are named, nothing is sent to any daemon."""
    path = write(home / "results.jsonl", result("one"), result("two", success="yes"))
    done = flightlog("backfill", "--dry-run", str(path))

    assert (done.code, done.out) == (2, "2 tasks: 1 would be sent, 1 failed\n")
    assert f"{path}:2: success: expected `bool`, got `str`" in done.err
    assert events(daemon) == []
    assert alone("backfill", "--dry-run", str(path)).out == done.out


BAD = {
    "no JSON object": "{half",
    "no JSON object: Expected": "17",
    "task_id: missing": {"started_at": 1, "completed_at": 2, "success": True},
    "completed_at: missing": {"task_id": "t", "started_at": 1, "success": True},
    "success: missing": {"task_id": "t", "started_at": 1, "completed_at": 2},
    "started_at: no time: 'noon'": result("t", started_at="noon"),
    "started_at: before 1970": result("t", started_at=-5),
    "started_at: expected": result("t", started_at=True),
    "is before started_at": result("t", completed_at="2025-01-01T00:00:00Z"),
    "task_id: an id is": result("white space"),
    "task_id: expected `str` of length <= 128": result("x" * 200),
    "span_id: expected": result("t", span_id="nope"),
    "attempt: expected": result("t", metadata={"attempt": 0}),
}


@pytest.mark.covers("S2.8")
def test_a_bad_file_does_not_stop_the_rest(flightlog: Cli, home: Path) -> None:
    """Each bad file is named with the reason and not stored, the others are; the exit code is 2."""
    directory = home / "in"
    directory.mkdir()
    for number, content in enumerate(BAD.values()):
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / f"{number:02d}.json").write_text(text)
        write(directory / f"{number:02d}-good.json", result(f"good-{number}"))
    (directory / "20.json").write_bytes(b'{"task_id":"\xff"}')
    done = flightlog("backfill", str(directory), str(home / "nowhere.json"))

    failed = len(BAD) + 2
    assert done.code == 2
    assert done.out == f"{len(BAD) + failed} tasks: {len(BAD)} added, 0 skipped, {failed} failed\n"
    for number, reason in enumerate(BAD):
        assert any(f"/{number:02d}.json: " in line and reason in line for line in done.err.splitlines()), (
            reason,
            done.err,
        )
    assert "20.json" in done.err
    assert "nowhere.json: No such file or directory" in done.err
    assert len(tasks(flightlog)) == len(BAD)


@pytest.mark.covers("S2.8")
def test_event_lines_are_taken_as_they_are(flightlog: Cli, daemon: Daemon) -> None:
    """A record with a type is an event: kept as it is, with a key; a bad one is named by its line."""
    lines = block(
        event("execution.started", "old-1", time=1_000_000, name="nightly"),
        log("old-1", "hello", time=1_000_001, extra={"kept": True}),
        b"",
        log("old-1", "mine", time=1_000_002, id="my-key"),
        event("execution.ended", "old-1"),
        event("execution.ended", "old-1", time=1_000_003, outcome="succeeded"),
    )
    done = flightlog("backfill", "-", stdin=lines)

    assert (done.code, done.out) == (2, "5 events: 4 added, 0 skipped, 1 failed\n")
    assert "-:5: invalid: execution.ended" in done.err
    stored = events(daemon, execution_id="old-1")
    assert [entry["type"] for entry in stored] == ["execution.started", "log", "log", "execution.ended"]
    assert {entry["provenance"] for entry in stored} == {"backfill"}
    assert (stored[1]["extra"], stored[2]["id"]) == ({"kept": True}, "my-key")
    assert flightlog("backfill", "-", stdin=lines).out == "5 events: 0 added, 4 skipped, 1 failed\n"


@pytest.mark.covers("S1.12")
def test_secrets_are_masked_before_they_are_sent(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Secrets in results and in event lines are masked."""
    path = write(
        home / "in.jsonl",
        result("one", response="password=hunter22", metadata={"inputs": {"api_key": "abcdefgh"}}),
        json.loads(log("e", "curl --token s3cr3t-value", time=7)),
    )
    flightlog.ok("backfill", str(path))

    stored = json.dumps(events(daemon))
    assert "hunter22" not in stored
    assert "abcdefgh" not in stored
    assert "s3cr3t-value" not in stored


def test_a_long_response_is_cut(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """A response that does not fit into a line is cut and says so; the task is stored."""
    flightlog.ok("backfill", str(write(home / "in.json", result("one", response="é" * 2_000_000))))

    [task] = tasks(flightlog)
    assert task["outputs"]["response"].endswith("more characters cut]")


def test_it_says_what_to_do_without_a_daemon(alone: Cli, home: Path) -> None:
    """Without a daemon nothing is kept for later: exit code 2, and a hint."""
    done = alone("backfill", str(write(home / "in.json", result("one"))))

    assert done.code == 2
    assert "hint: start flightlogd" in done.err
    assert alone("backfill", "-", "x.json").code == 3


def test_a_terminal_gets_a_bar(flightlog: Cli, home: Path) -> None:
    """On a terminal a bar moves on stderr while it runs, and the summary stays."""
    for number in range(50):
        write(home / f"in/{number}.json", result(f"t-{number}"))
    shown = flightlog.on_terminal("backfill", str(home / "in"))

    assert "━" in shown
    assert "50 tasks: 50 added, 0 skipped, 0 failed" in shown


def test_an_empty_document_is_named(flightlog: Cli, home: Path) -> None:
    """A JSON file without a document is told to be empty, and is exit code 2."""
    empty = home / "empty.json"
    empty.write_text(" \n")

    done = flightlog("backfill", str(empty))

    assert (done.code, f"{empty}: is empty" in done.err) == (2, True)
