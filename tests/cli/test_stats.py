"""`flightlog stats` and `task watch`: how attempts went, and how they go."""

import json

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event
from support.rebuild import tell

T = 1_790_000_000_000_000
DAY_US = 86_400_000_000


def attempt(number: int, task_id: str, outcome: str, **fields: object) -> list[bytes]:
    """Return an attempt that took as many milliseconds as its number; all that fail do so alike."""
    what = {"task_id": task_id, "span_id": f"{number:016x}"}
    at = T + number % 3 * DAY_US
    error = {"type": "OSError", "message": f"disk {number}", "stack": 'File "/a/b.py", line 1, in f'}
    said = {"error": error} if outcome == "failed" else {}
    return [
        event("task.started", "e", time=at, **what, **fields),
        event("task.ended", "e", time=at + 1000 * number, outcome=outcome, **what, **said),
    ]


@pytest.fixture
def told(daemon: Daemon) -> Daemon:
    """Give a daemon with ten attempts at two tasks, three of which failed, and one that runs."""
    tell(daemon, event("execution.started", "e", project="/p", time=T))
    for number in range(1, 11):
        name = "load" if number > 6 else "get"
        tell(daemon, *attempt(number, name, "failed" if number % 3 == 0 else "succeeded", slug=name[0]))
    tell(daemon, event("task.started", "e", task_id="load", span_id="f" * 16))
    return daemon


@pytest.mark.covers("S2.7")
def test_stats_for_programs(flightlog: Cli, told: Daemon) -> None:
    """Piped, a line for all and one for each task; JSON has everything, times as elsewhere."""
    assert flightlog.ok("stats").rows == [
        ["-", "10", "70.0%", "0", "5ms", "10ms", "10ms"],
        ["get", "6", "66.7%", "0", "3ms", "6ms", "6ms"],
        ["load", "4", "75.0%", "0", "8ms", "10ms", "10ms"],
    ]
    whole = flightlog.ok("stats", "load", "--json").json
    assert (whole["attempts"], whole["open"], whole["by_status"]) == (
        4,
        {"running": 1},
        {"succeeded": 3, "failed": 1},
    )
    assert whole["failures"][0]["finished_at"] == "2026-09-21T14:13:20.009000Z"
    [pattern] = whole["patterns"]
    assert (pattern["count"], pattern["task_ids"]) == (1, ["load"])
    assert pattern["first_at"] == "2026-09-21T14:13:20.003000Z"
    assert pattern["example"]["error"]["message"] == "disk 9"


@pytest.mark.covers("S2.7")
def test_stats_are_narrowed(flightlog: Cli, told: Daemon) -> None:
    """By slug, project, provenance, status and days; a slug beside a task is a usage error."""

    def count(*arguments: str) -> int:
        return int(flightlog.ok("stats", *arguments).rows[0][1])

    assert count("--slug", "l") == 4
    assert count("--project", "/p") == 10
    assert count("--project", "/q") == 0
    assert count("--provenance", "backfill") == 0
    assert count("--status", "failed") == 3
    assert count("--since", "2026-09-22T23:00:00Z") == 7
    assert count("--since", "2026-09-22", "--until", "2026-09-22T01:00:00Z") == 4
    assert len(flightlog.ok("stats", "-n", "1").rows) == 2
    assert flightlog("stats", "get", "--slug", "l").code == 3


@pytest.mark.covers("S2.7")
def test_stats_for_people(flightlog: Cli, told: Daemon) -> None:
    """On a terminal a page: what it comes to, tasks, what failed last, what failed alike."""
    page = flightlog.on_terminal("stats", columns=120, NO_COLOR="1")
    first, *lines = page.splitlines()

    assert first == "10 attempts 7 succeeded, 3 failed"
    assert lines[:3] == [
        "success   70.0%",
        "took      min 1ms, avg 6ms, p50 5ms, p95 10ms, max 10ms",
        "open      1 running",
    ]
    heads = [line.split()[0] for line in lines if line.split()[:1] and line.split()[0].isupper()]
    assert heads == ["TASK", "ENDED", "COUNT"]
    assert [line for line in lines if line.startswith("Failed")] == ["Failed last", "Failed alike"]
    assert "OSError: disk 3" in page
    assert "no attempts match" in flightlog.on_terminal("stats", "nothing", NO_COLOR="1")


@pytest.mark.covers("S2.10")
def test_watching_attempts_end(flightlog: Cli, daemon: Daemon) -> None:
    """Each end is a line when it happens; a new failure is marked; the daemon may go away and return."""
    with flightlog.running("task", "watch", "--after", "0") as watcher:
        tell(daemon, *attempt(2, "get", "succeeded"))
        assert watcher.line() == "2026-09-23T14:13:20.002000Z succeeded get 2ms"
        tell(daemon, *attempt(3, "get", "failed"))
        assert watcher.line().endswith("failed    get 3ms OSError: disk 3 [new]")
        daemon.terminate()
        daemon.start()
        tell(daemon, *attempt(6, "get", "failed"))
        assert watcher.line().endswith("failed    get 6ms OSError: disk 6")
        watcher.interrupt()
        assert watcher.end().code == 130
    with flightlog.running("task", "watch", "--after", "0", "--novel", "--json") as watcher:
        novel = json.loads(watcher.line())
        assert (novel["span_id"], novel["novel"]) == (f"{3:016x}", True)
        assert novel["finished_at"] == "2026-09-21T14:13:20.003000Z"
    with flightlog.running("task", "watch", "--after", "0", "--failed", "--task", "get") as watcher:
        assert "disk 3" in watcher.line()
        assert "disk 6" in watcher.line()
