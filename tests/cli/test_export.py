"""`flightlog export` and `flightlog import events`: there and back, nothing changed and nothing twice."""

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cli.runner import COMMAND, TIMEOUT_S, Cli
from flightlog_schemas.elsewhere import split_mark
from support.daemon import Daemon, DaemonFactory
from support.govern import govern, is_whole, record
from support.lines import event, log, logs
from support.peers import IngestPeer

Json = dict[str, Any]
UNTIMED = {"time", "started_at", "created_at", "duration_us"}
"""What tells when an event was received, where it has no time of its own."""

OLD_US = 1_600_000_000_000_000


@pytest.fixture
def other(daemon_factory: DaemonFactory) -> Cli:
    """Give the command line of a second daemon, which is empty."""
    return Cli(daemon_factory(name="other").runtime_dir)


def tell(daemon: Daemon, producer: str, *lines: bytes) -> None:
    """Send lines as a producer that has a name."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello(producer)
        peer.settle(*lines)


def fill(daemon: Daemon) -> None:
    """Record some of everything: several producers, keys, odd bytes, a refusal, a user's own type."""
    tell(
        daemon,
        "p1",
        event("execution.started", "a", name="a", project="/srv/a", time=OLD_US, id="start-a"),
        *logs("a", 300),
        event("task.started", "a", task_id="t", time=OLD_US + 1),
        b'  {"type":"log", "execution_id":"a","message":"odd \\u00e9 \xc3\xa9", "time": 1600000000000002 } ',
        b'{"type":"nonsense.',
        event("execution.changed", "a", goal="g", expect_seq=302),
        event("mine.own", "a", what=[1, 2]),
    )
    tell(daemon, 'p"2\\', event("execution.started", "b", name="b", project="/srv/b"), *logs("b", 20))
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(log("b", "by nobody"), event("plan.requested", project="/srv/b"))
    record(daemon, "c", *logs("c", 5), project="/srv/a", name="c", time=OLD_US + 9)


def exported(path: Path) -> list[Json]:
    """Return an export's lines."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


@pytest.mark.covers("P12")
def test_there_and_back(daemon: Daemon, flightlog: Cli, other: Cli, home: Path) -> None:
    """An empty daemon that is told an export has the same events and answers, and exports the same."""
    fill(daemon)
    first, second = home / "first.jsonl", home / "second.jsonl"
    assert flightlog.ok("export", "-o", str(first)).out == ""
    done = other.ok("import", "events", str(first), "--json").json
    count = sum("event" in line for line in exported(first))
    assert done["events"] == {"added": count, "skipped": 0, "failed": 0}
    other.ok("export", "-o", str(second))
    assert second.read_bytes() == first.read_bytes()

    for question in (("inspect", "b"), ("inspect", "a"), ("task", "list", "--execution", "a")):
        ours, theirs = (without_positions(one.ok(*question, "--json").json) for one in (flightlog, other))
        assert ours == theirs, question
    ours, theirs = ([line[27:] for line in one.ok("logs", "a").lines] for one in (flightlog, other))
    assert ours == theirs
    rows = [line for line in exported(first) if "event" in line]
    assert {row["producer"] for row in rows} >= {"p1", 'p"2\\'}
    assert {row["uid"] for row in rows} == {os.getuid()}


def without_positions(answer: Any) -> Any:
    """Return an answer without what differs from log to log: positions, marks, what had no time."""
    if isinstance(answer, list):
        return [without_positions(one) for one in answer]
    if isinstance(answer, dict):
        left = {"seq", "first_seq", "last_seq", "state_seq", "provenance"} | UNTIMED
        return {name: without_positions(value) for name, value in answer.items() if name not in left}
    return split_mark(answer)[0] if isinstance(answer, str) else answer


@pytest.mark.covers("P12", "D4")
def test_a_second_import_adds_nothing(daemon: Daemon, flightlog: Cli, other: Cli, home: Path) -> None:
    """Parts and wholes in any order end as each event once; what comes home to its own log is known there."""
    fill(daemon)
    part, whole = home / "part.jsonl", home / "whole.jsonl"
    flightlog.ok("export", "--execution", "b", "-o", str(part))
    flightlog.ok("export", "-o", str(whole))
    of_b = sum("event" in line for line in exported(part))
    total = sum("event" in line for line in exported(whole))
    assert 0 < of_b < total

    def told(cli: Cli, path: Path) -> tuple[int, int]:
        events = cli.ok("import", "events", str(path), "--json").json["events"]
        return events["added"], events["skipped"]

    assert told(other, part) == (of_b, 0)
    assert told(other, part) == (0, of_b)
    assert told(other, whole) == (total - of_b, of_b)
    assert told(other, whole) == (0, total)
    assert told(flightlog, whole) == (0, total)
    assert is_whole(daemon)


@pytest.mark.covers("P12", "D4")
def test_what_comes_home_is_known_after_a_restart(daemon: Daemon, flightlog: Cli, home: Path) -> None:
    """Lines of peers that gave no name, which the daemon forgets, are known by their positions."""
    with IngestPeer(daemon.ingest_socket) as one, IngestPeer(daemon.ingest_socket) as two:
        for number in range(3):
            one.send_lines(log("a", f"one {number}"))
            one.until_ack(number + 1)
            two.send_lines(log("a", f"two {number}"))
            two.until_ack(number + 1)
    whole = home / "whole.jsonl"
    flightlog.ok("export", "-o", str(whole))
    for _ in range(2):
        daemon.restart()
        flightlog.ok("start", "--name", "x")  # a commit, which forgets
        done = flightlog.ok("import", "events", str(whole), "--json").json["events"]
        assert done == {"added": 0, "skipped": 6, "failed": 0}


@pytest.mark.covers("P12")
def test_what_is_exported(daemon: Daemon, flightlog: Cli, home: Path) -> None:
    """Whole executions are chosen as `list` does it; nothing that fits is exit code 1, and no file."""
    fill(daemon)

    def ids(*options: str) -> list[str]:
        rows = map(json.loads, flightlog.ok("export", *options).lines)
        return list(dict.fromkeys(row["event"].get("execution_id") for row in rows if "event" in row))

    assert ids("--project", "/srv/a") == ["a", "c"]
    assert ids("--name", "b", "--since", "1d") == ["b"]
    assert ids("--execution", "c") == ["c"]
    assert set(ids()) == {"a", "b", "c", None}
    target = home / "none.jsonl"
    assert flightlog("export", "--name", "nobody", "-o", str(target)).code == 1
    assert flightlog("export", "--execution", "nobody", "-o", str(target)).code == 1
    assert list(home.glob("*none*")) == []


@pytest.mark.covers("P12")
def test_a_file_is_whole_or_not_there(daemon: Daemon, flightlog: Cli, alone: Cli, home: Path) -> None:
    """What is there is kept without --force, and when the export fails."""
    fill(daemon)
    target = home / "log.jsonl"
    target.write_text("precious")
    assert flightlog("export", "-o", str(target)).code == 3
    assert alone("export", "-o", str(target), "--force").code == 2
    assert target.read_text() == "precious"
    told = flightlog.ok("export", "-o", str(target), "--force", "--json").json
    assert told == {
        "file": str(target),
        "events": sum("event" in line for line in exported(target)),
        "pruned": 0,
        "size_bytes": target.stat().st_size,
    }
    assert flightlog("export", "-o", str(home / "no" / "where")).code == 2
    assert flightlog("export", "--json").code == 3
    assert flightlog("export", "--execution", "a", "--name", "a").code == 3


def exporting(flightlog: Cli, redirected: str) -> subprocess.CompletedProcess[bytes]:
    """Run `flightlog export` in a shell with options and redirections."""
    return subprocess.run(
        ["bash", "-c", f'"$@" export {redirected}', "bash", *COMMAND],
        capture_output=True,
        env=flightlog.environment(),
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.covers("P12")
def test_a_link_stays_a_link(daemon: Daemon, flightlog: Cli, home: Path) -> None:
    """The file behind a link is written, also where there is none yet; one that is there needs --force."""
    fill(daemon)
    link, file = home / "link", home / "elsewhere.jsonl"
    link.symlink_to(file.name)
    flightlog.ok("export", "-o", str(link))
    whole = file.read_bytes()
    file.write_text("precious")
    assert flightlog("export", "-o", str(link)).code == 3
    assert file.read_text() == "precious"
    flightlog.ok("export", "-o", str(link), "--force")
    assert (link.is_symlink(), file.read_bytes()) == (True, whole)
    (home / "loop").symlink_to("loop")
    assert flightlog("export", "-o", str(home / "loop"), "--force").code == 2
    assert (home / "loop").is_symlink()


@pytest.mark.covers("P12")
def test_what_is_no_file_is_written_as_it_is(daemon: Daemon, flightlog: Cli, home: Path) -> None:
    """A FIFO gets the lines and stays; stdout goes by `-` and by its name, too."""
    fill(daemon)
    whole = flightlog.ok("export").out
    fifo = home / "fifo"
    os.mkfifo(fifo)
    process = flightlog.start("export", "--force", "-o", str(fifo))
    assert fifo.read_text() == whole
    assert process.wait(TIMEOUT_S) == 0
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    appended = home / "appended"
    appended.write_text("before\n")
    for redirected in ("-o -", "-o /dev/stdout", f"-o /dev/stdout --force >>{appended}"):
        done = exporting(flightlog, redirected)
        assert done.returncode == 0, done
        assert (done.stdout or appended.read_bytes().removeprefix(b"before\n")).decode() == whole
    for redirected in ("-o /dev/full", ">/dev/full"):
        done = exporting(flightlog, redirected)
        assert (done.returncode, b"No space left" in done.stderr) == (2, True)
        assert b"event" not in done.stderr


@pytest.mark.covers("P12", "D5")
def test_stdout_that_takes_nothing(daemon: Daemon, flightlog: Cli, home: Path) -> None:
    """A closed stdout is exit code 2 and the reason, unless a file is named; a reader that left is quiet."""
    record(daemon, "a", *logs("a", 5000))
    closed = exporting(flightlog, ">&-")
    assert (closed.returncode, b"stdout is closed" in closed.stderr) == (2, True)
    assert exporting(flightlog, f"-o {home}/log.jsonl >&-").returncode == 0
    left = exporting(flightlog, "| head -n1; exit ${PIPESTATUS[0]}")
    assert (left.returncode, left.stderr, left.stdout.count(b"\n")) == (0, b"", 1)


@pytest.mark.covers("P12", "D5")
def test_holes_are_told(daemon_factory: DaemonFactory, home: Path) -> None:
    """What governance took shows in an export and its summary, and in that of the import."""
    source = daemon_factory(retention_days=0)
    record(source, "old", *logs("old", 50), time=OLD_US)
    source.terminate()
    source.config["retention_rules"] = "status=succeeded keep=0d"
    source.start()
    govern(source, "retention")
    target = home / "log.jsonl"
    told = Cli(source.runtime_dir).ok("export", "-o", str(target), "--json").json
    assert told["pruned"] == 50
    assert [line["pruned"]["reason"] for line in exported(target) if "pruned" in line]
    other = Cli(daemon_factory(name="other").runtime_dir)
    assert other.ok("import", "events", str(target), "--json").json["pruned"] == 50


@pytest.mark.covers("P12")
def test_bad_lines_are_named(flightlog: Cli, home: Path) -> None:
    """A line that is none of an export is named, the others are told, and the exit code is 2."""
    origin = '{"origin":{"log_id":"far","host":"h"}}\n'
    row = '{"seq":%d,"received":5,"uid":1,"pid":2,"producer":"p","line":%d,"event":%s}\n'
    good = '{"type":"log","execution_id":"e","message":"m"}'
    path = home / "log.jsonl"
    path.write_text(
        row % (1, 1, good)
        + origin
        + row % (1, 1, good)
        + "{"
        + "\n"
        + row % (2, 2, '{"type":"log"}')
        + good
        + "\n"
        + row % (-1, 3, good)
        + row % (3, 3, '{"type":"daemon.stopped","reason":"r"}')
        + (row % (4, 4, good))[:-20]
    )
    dry = flightlog("import", "events", str(path), "--dry-run", "--json")
    done = flightlog("import", "events", str(path), "--json")
    assert (dry.code, done.code) == (2, 2)
    assert done.json["events"] == {"added": 1, "skipped": 0, "failed": 7}
    for number in (1, 4, 5, 6, 7, 9):
        assert f"log.jsonl:{number}: " in done.err
    assert "reserved" in done.err
    assert flightlog("import", "events", str(home / "absent")).code == 2
    pathless = flightlog("import", "events")
    assert (pathless.code, "give a path, too" in pathless.err) == (3, True)


@pytest.mark.covers("S4.6")
def test_an_imported_plan_keeps_its_time(daemon: Daemon, other: Cli, tmp_path: Path) -> None:
    """A plan that another daemon built is listed there with the time at which it was built."""
    here = Cli(daemon.runtime_dir)
    here.ok("task", "declare", "a", "--project", str(tmp_path))
    built = here.ok("plan", "build", "--project", str(tmp_path), "--json").json["plan"]["created_at"]
    here.ok("export", "-o", str(tmp_path / "all.jsonl"))

    other.ok("import", "events", str(tmp_path / "all.jsonl"))

    (found,) = other.ok("plan", "list", "--project", str(tmp_path), "--json").json
    assert found["created_at"] == built
