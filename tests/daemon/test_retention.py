"""Retention through the real daemon: what goes, what stays, what is left to tell of it."""

import json
import os
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import event, log, logs
from support.peers import IngestPeer, QueryPeer


def govern(daemon: Daemon, verb: str, *options: str, code: int = 0) -> Any:
    """Run an operator's verb against a daemon's directories and return what it printed as JSON."""
    done = run_flightlogd(
        verb,
        *options,
        "--json",
        "--state-dir",
        str(daemon.state_dir),
        "--runtime-dir",
        str(daemon.runtime_dir),
    )
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout else []


def record(
    daemon: Daemon, execution_id: str, *messages: bytes, end: str | None = "succeeded", **facts: Any
) -> None:
    """Record an execution with some lines."""
    with IngestPeer(daemon.ingest_socket) as peer:
        lines = [event("execution.started", execution_id, **facts), *messages]
        if end:
            lines.append(event("execution.ended", execution_id, outcome=end))
        peer.settle(*lines)


def ask(daemon: Daemon, verb: str, **arguments: object) -> Any:
    """Ask one question."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask(verb, **arguments)


def messages(daemon: Daemon, execution_id: str) -> list[str]:
    """Return what an execution's programs logged."""
    lines = ask(daemon, "logs", execution_id=execution_id).all("log")
    return [line["message"] for line in lines if line["source"] != "daemon"]


def is_rebuilt_equal(daemon: Daemon) -> bool:
    """Say whether read models computed anew are those that are there."""
    return govern(daemon, "rebuild", "--check") == []


@pytest.mark.covers("S1.7", "D6", "D8")
def test_old_lines_go_and_all_else_stays(daemon: Daemon) -> None:
    """Log lines of ended executions go; what ran, how it ended, counters and running executions stay."""
    lines = logs("old", 3000)
    record(daemon, "old", *lines, name="nightly")
    record(daemon, "busy", *logs("busy", 10), end=None)
    before = ask(daemon, "inspect", execution_id="old", audit=True).lines

    shown = govern(daemon, "retention", "--older-than", "0s", "--dry-run")
    assert (shown["dry_run"], shown["lines"], messages(daemon, "old")[0]) == (True, 3000, "line 1")
    done = govern(daemon, "retention", "--older-than", "0s")

    assert (done["lines"], done["executions"]) == (3000, 0)
    assert done["shares"] == [
        {
            "level": "INFO",
            "status": "succeeded",
            "project": None,
            "lines": 3000,
            "bytes": sum(map(len, lines)),
        }
    ]
    assert messages(daemon, "old") == []
    assert len(messages(daemon, "busy")) == 10
    after = ask(daemon, "inspect", execution_id="old", audit=True).lines
    assert after == before
    assert after[0]["execution"]["log_count"] == 3000
    assert is_rebuilt_equal(daemon)
    assert govern(daemon, "verify")["damage"] == []
    assert govern(daemon, "retention", "--older-than", "0s")["lines"] == 0


@pytest.mark.covers("S1.7", "S1.6")
def test_rules_look_at_level_status_and_project(daemon: Daemon) -> None:
    """A pass with conditions takes what fits all of them and nothing else."""
    for name, project, end in (("a", "/p", "succeeded"), ("b", "/p", "failed"), ("c", "/q", "succeeded")):
        lines = [log(name, f"{name} {level}", level=level) for level in ("DEBUG", "INFO", "ERROR")]
        record(daemon, name, *lines, project=project, end=end)

    done = govern(
        daemon,
        "retention",
        "--older-than",
        "0s",
        "--level",
        "debug,9",
        "--status",
        "succeeded",
        "--project",
        "/p",
    )

    assert done["lines"] == 2
    assert messages(daemon, "a") == ["a ERROR"]
    assert messages(daemon, "b") == ["b DEBUG", "b INFO", "b ERROR"]
    assert messages(daemon, "c") == ["c DEBUG", "c INFO", "c ERROR"]
    # Lines that stayed are found by the index: by level, and from the end.
    [found] = ask(daemon, "logs", execution_id="a", level=[17], last=1).all("log")[-1:]
    assert found["message"] == "a ERROR"
    acts = [entry for entry in ask(daemon, "audit").all("audit") if entry["event_type"] == "PRUNED"]
    assert [(act["detail"]["lines"], act["detail"]["by"]) for act in acts] == [(2, f"uid {os.getuid()}")]
    assert is_rebuilt_equal(daemon)


DAY_US = 86_400_000_000


@pytest.mark.covers("S1.7", "D6", "D8")
def test_settings_apply_at_the_start(daemon_factory: DaemonFactory) -> None:
    """At its start a daemon removes what is over its time: lines first, whole executions later."""
    daemon = daemon_factory(start=False, retention_rules="level=ERROR keep=60d; project=/keep keep=forever")
    daemon.clock_shift_us = -400 * DAY_US
    daemon.start()
    record(daemon, "ancient", *logs("ancient", 50))
    record(daemon, "open", *logs("open", 50), end=None)
    daemon.terminate()
    daemon.clock_shift_us = -40 * DAY_US
    daemon.start()
    record(daemon, "old", *logs("old", 100), log("old", "bad", level="ERROR"))
    record(daemon, "kept", *logs("kept", 5), project="/keep")
    daemon.terminate()
    daemon.clock_shift_us = 0
    daemon.start()
    record(daemon, "new", *logs("new", 100))
    daemon.wait_for_entry("retention", where=lambda entry: entry["executions"] == 1)

    names = {one["execution_id"] for one in ask(daemon, "executions", limit=100).all("execution")}
    assert names == {"open", "old", "kept", "new"}
    assert (messages(daemon, "old"), len(messages(daemon, "new"))) == (["bad"], 100)
    assert (len(messages(daemon, "open")), len(messages(daemon, "kept"))) == (50, 5)
    assert ask(daemon, "logs", execution_id="ancient").error["code"] == "not_found"
    assert is_rebuilt_equal(daemon)
    assert govern(daemon, "verify")["damage"] == []
    # A later life of the same id is a new one, and the past stays forgotten.
    record(daemon, "ancient", *logs("ancient", 3))
    assert ask(daemon, "inspect", execution_id="ancient").one("execution")["log_count"] == 3
    assert is_rebuilt_equal(daemon)
    daemon.kill()
    daemon.start()
    assert is_rebuilt_equal(daemon)
