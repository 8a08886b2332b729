"""A damaged log without a backup: what can be read of it goes on in another daemon."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from cli.runner import Cli
from support.daemon import HOST, Daemon, DaemonFactory, run_flightlogd
from support.govern import govern, record
from support.lines import event, logs

PAGE_BYTES = 8192


def salvage(daemon: Daemon, target: Path, code: int) -> list[str]:
    """Salvage a log and return what was printed."""
    done = run_flightlogd("salvage", str(target), "--state-dir", str(daemon.state_dir))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), (done.stdout, done.stderr)
    return done.stdout.splitlines()


def fill(daemon: Daemon) -> None:
    """Record some executions."""
    for name in "abcdef":
        record(daemon, name, *logs(name, 2000), event("task.started", name, task_id="t"), name=name)


def pages_of(daemon: Daemon, name: str) -> list[int]:
    """Return the pages of a table of a stopped daemon that hold rows, in the order of its keys."""
    with closing(apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        rows = db.execute(
            "select pageno from dbstat where name = ? and pagetype <> 'internal' order by path", (name,)
        )
        return [row[0] for row in rows]


def garble(daemon: Daemon, page: int, at: int = 0, count: int = PAGE_BYTES) -> None:
    """Overwrite a page, or a part of it."""
    with daemon.database.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES + at)
        file.write(b"\xa5" * count)


@pytest.fixture
def other(daemon_factory: DaemonFactory) -> Cli:
    """Give the command line of a second daemon, which is empty."""
    return Cli(daemon_factory(name="other").runtime_dir)


@pytest.mark.covers("P12", "D5")
def test_what_is_whole(daemon: Daemon, flightlog: Cli, other: Cli, home: Path) -> None:
    """Of a log that is not damaged it is what an export is, also of what was imported or governed."""
    fill(daemon)
    flightlog.ok("export", "-o", str(home / "first.jsonl"))
    other.ok("import", "events", str(home / "first.jsonl"))
    govern(daemon, "retention", "--older-than", "0s", "--level", "INFO")
    record(daemon, "later", *logs("later", 10))
    for name, cli, runtime in (("here", flightlog, daemon), ("there", other, None)):
        exported, salvaged = home / f"{name}.exported", home / f"{name}.salvaged"
        cli.ok("export", "-o", str(exported))
        state = daemon.state_dir if runtime else home / "other" / "state"
        done = run_flightlogd("salvage", str(salvaged), "--state-dir", str(state), FLIGHTLOG_HOST_NAME=HOST)
        assert done.returncode == 0, done.stderr
        assert salvaged.read_bytes() == exported.read_bytes()


@pytest.mark.covers("D6", "S0.8", "P12")
@pytest.mark.slow
@pytest.mark.parametrize("damage", ["header", "schema", "cut", "rows", "byte", "producer", "log_head"])
def test_what_is_damaged(daemon: Daemon, other: Cli, home: Path, damage: str) -> None:
    """All that can be read and is as it was sealed is told; the rest is named by its positions."""
    fill(daemon)
    head = 6 * 2003 + 2
    daemon.terminate()
    size = daemon.database.stat().st_size
    rows = pages_of(daemon, "event_batch")
    match damage:
        case "header":
            garble(daemon, 1, 0, 16)
        case "schema":
            garble(daemon, 1, 100, 2000)
        case "cut":
            with daemon.database.open("r+b") as file:
                file.truncate(size // 2 // PAGE_BYTES * PAGE_BYTES)
        case "rows":
            garble(daemon, rows[len(rows) // 2])
        case "byte":
            garble(daemon, rows[len(rows) // 2], 4000, 1)
        case _:
            garble(daemon, pages_of(daemon, damage)[0])
    before = daemon.database.read_bytes()
    lossy = damage in ("cut", "rows", "byte", "log_head")
    *told, summary = salvage(daemon, home / "saved.jsonl", code=1 if lossy else 0)

    assert daemon.database.read_bytes() == before
    assert [path.name for path in home.glob(".salvage*")] + [path.name for path in home.glob("*.part")] == []
    assert len(told) == lossy
    if damage in ("cut", "rows", "byte"):
        first, last = map(int, told[0].split(":")[0].split(" to "))
        assert 1 <= first <= last <= head
        lost = last - first + 1
    else:
        lost = 0
    kept = other.ok("import", "events", str(home / "saved.jsonl"), "--json").json["events"]["added"]
    assert summary.endswith(f"{kept:,} events, {lost:,} positions lost")
    assert head - 2 - lost <= kept <= head
    whole = "a" if damage != "cut" else None
    if whole:
        assert len(other.ok("logs", whole).lines) >= 2000
