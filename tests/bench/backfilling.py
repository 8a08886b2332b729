"""Backfill: how fast result files become tasks, and how fast they are passed over the second time."""

import json
import subprocess
import sys
import time
from pathlib import Path

from bench.contest import Contest
from bench.figures import median, rate
from support.daemon import clean_environment

RESULTS = 60_000
QUICK_RESULTS = 2_000
GOAL_TASKS = 10_000
"""Tasks a second."""


def backfill(contest: Contest) -> None:
    """Result files, one for each task: new ones, then the same again."""
    count = QUICK_RESULTS if contest.quick else RESULTS
    base = contest.ours.daemon.state_dir.parent
    rates: dict[str, list[float]] = {"files, new": [], "files, known": [], "lines, new": []}
    for turn in range(contest.rounds):
        results = [_result(turn, number) for number in range(count)]
        directory = base / f"results-{turn}"
        directory.mkdir()
        for number, result in enumerate(results):
            (directory / f"{number:06d}.json").write_text(result)
        lines = base / f"results-{turn}.jsonl"
        lines.write_text("\n".join(_result(-1 - turn, number) for number in range(count)) + "\n")
        for name, path in (("files, new", directory), ("files, known", directory), ("lines, new", lines)):
            rates[name].append(count / _run(contest, path))
    contest.report.table(
        f"backfill: {count:,} results, an event each, from the start of the program to the last ack",
        ["", "tasks"],
        [[name, rate(median(values))] for name, values in rates.items()],
    )
    speed = median(rates["files, new"])
    contest.report.goal("backfill: over 10,000 tasks a second", rate(speed), met=speed > GOAL_TASKS)


def _run(contest: Contest, path: Path) -> float:
    """Return how many seconds a backfill takes."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-P", "-m", "flightlog", "backfill", str(path)],
        env=clean_environment(FLIGHTLOG_RUNTIME_DIR=str(contest.ours.daemon.runtime_dir)),
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def _result(turn: int, number: int) -> str:
    return json.dumps(
        {
            "task_id": f"task-{turn}-{number}",
            "task_name": "load",
            "started_at": f"2026-03-01T10:{number // 60 % 60:02d}:{number % 60:02d}+01:00",
            "completed_at": "2026-03-01T12:00:00+01:00",
            "success": number % 10 > 0,
            "response": {"rows": number, "file": "users.csv"},
            "error": None if number % 10 else "connection reset by peer",
            "metadata": {"slug": "csv.load", "region": "eu-west-1"},
        }
    )
