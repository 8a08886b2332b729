"""`flightlog backfill` interrupted: a second run completes it and doubles nothing."""

import json
import signal
from pathlib import Path

import pytest

from cli.runner import Cli
from cli.test_backfill import result, write
from support.daemon import Daemon
from support.programs import events

COUNT = 3_000


def results(home: Path, count: int) -> Path:
    """Write that many results as lines."""
    return write(home / "results.jsonl", *(result(f"task-{number}") for number in range(count)))


@pytest.mark.covers("S2.8")
@pytest.mark.parametrize("by", ["its kill", "Ctrl-C", "the daemon's kill"])
def test_an_interrupted_run_is_completed_by_the_next(
    flightlog: Cli, daemon: Daemon, home: Path, by: str
) -> None:
    """Whatever ends a run in the middle, the next one adds what is missing, and each task is there once."""
    path = results(home, COUNT)
    lines = path.read_text().splitlines(keepends=True)
    with (
        flightlog.running("tail", "--after", "0", "-o", "json", "--type", "task.ended") as tail,
        flightlog.running("backfill", "-") as run,
    ):
        run.send("".join(lines[: COUNT // 2]))
        assert "task.ended" in tail.line()
        if by == "the daemon's kill":
            daemon.kill()
            daemon.start()
        elif by == "Ctrl-C":
            run.interrupt()
        else:
            run.process.send_signal(signal.SIGKILL)
        done = run.end()
    assert done.code == {"its kill": -signal.SIGKILL, "Ctrl-C": 130, "the daemon's kill": 2}[by], done
    second = flightlog.ok("backfill", str(path), "--json").json["tasks"]
    third = flightlog.ok("backfill", str(path), "--json").json["tasks"]

    assert second["added"] + second["skipped"] == COUNT
    assert 0 < second["skipped"] < COUNT
    assert (third["added"], third["skipped"]) == (0, COUNT)
    assert len(events(daemon, type=["task.ended"])) == COUNT
    [execution] = flightlog.ok("list", "--json").json
    assert execution["status"] == "succeeded"


@pytest.mark.slow
@pytest.mark.covers("S2.8")
def test_many_results_are_stored(flightlog: Cli, home: Path) -> None:
    """20,000 result files are stored, each once, and read again without being added."""
    count = 20_000
    directory = home / "many"
    directory.mkdir()
    for number in range(count):
        (directory / f"{number}.json").write_text(json.dumps(result(f"task-{number}")))
    first = flightlog.ok("backfill", str(directory))
    again = flightlog.ok("backfill", str(directory))

    assert first.out == "20,000 tasks: 20,000 added, 0 skipped, 0 failed\n"
    assert again.out == "20,000 tasks: 0 added, 20,000 skipped, 0 failed\n"
