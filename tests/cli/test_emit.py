"""`flightlog emit`: lines of any number, each judged on its own."""

import json
import subprocess
from pathlib import Path

import pytest

from cli.runner import COMMAND, Cli
from support.daemon import Daemon
from support.lines import block, event, log, logs
from support.programs import messages


def emit_file(flightlog: Cli, path: Path) -> subprocess.CompletedProcess[bytes]:
    """Emit a file in an address space that its content would not fit into."""
    limit = 400 * 1024 * 1024
    return subprocess.run(
        ["prlimit", f"--as={limit}", *COMMAND, "emit", str(path)],
        capture_output=True,
        env=flightlog.environment(),
        timeout=120,
        check=False,
    )


@pytest.mark.covers("D1", "D3")
def test_lines_are_stored_in_order(flightlog: Cli, daemon: Daemon) -> None:
    """All lines of stdin are stored, in order, and a summary says how many."""
    done = flightlog("emit", stdin=block(*logs("e", 5_000)))

    assert done == (0, "", "flightlog emit: 5,000 stored\n")
    assert messages(daemon, execution_id="e") == [f"line {number}" for number in range(1, 5_001)]


def test_a_file_is_as_good_as_stdin(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """Lines come from a file, the last one also without its newline; `-` is stdin."""
    path = home / "events.jsonl"
    path.write_bytes(b"\n".join([log("e", "one"), log("e", "two")]))

    assert flightlog("emit", str(path)).err == "flightlog emit: 2 stored\n"
    assert flightlog("emit", "-", stdin=log("e", "three")).code == 0
    assert messages(daemon, execution_id="e") == ["one", "two", "three"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(flightlog: Cli, daemon: Daemon, home: Path) -> None:
    """What other programs put before the first line (RFC 8259, 8.1) is passed over, there alone."""
    mark = b"\xef\xbb\xbf"
    done = flightlog("emit", stdin=block(mark + log("e", "one"), mark + log("e", "two")))

    assert done.code == 3
    assert "line 2 refused, invalid" in done.err
    assert flightlog("emit", stdin=mark).err == "flightlog emit: 0 stored\n"
    assert flightlog.ok("import", "journal", "-", stdin=mark).out.startswith("0 entries")
    for name, text in (("a.jsonl", log("f", "three") + b"\n"), ("b.json", b"[" + log("f", "four") + b"]")):
        (home / name).write_bytes(mark + text)
        flightlog.ok("backfill", str(home / name))
    assert messages(daemon, execution_id="e") == ["one"]
    assert messages(daemon, execution_id="f") == ["three", "four"]


@pytest.mark.covers("D5")
def test_refused_lines_are_reported_where_they_stand(flightlog: Cli, daemon: Daemon) -> None:
    """A bad line is named by its number in the file, blank lines counted; its neighbours are stored."""
    lines = [
        log("e", "first"),
        b"",
        b"   ",
        b"not json",
        log("e", "second"),
        b'{"hello":{"protocol":1,"producer":"x"}}',
        b'{"type":"task.imagined"}',
        log("e", "third"),
        b"\r",
        b'{"type":"log","execution_id":"e"}',
    ]
    done = flightlog("emit", stdin=block(*lines))

    assert done.code == 3
    said = done.err.splitlines()
    refused = {line.split(":")[1].strip() for line in said[:-1]}
    assert refused == {
        "line 4 refused, invalid",
        "line 6 refused, invalid",
        "line 7 refused, unknown_type",
        "line 10 refused, invalid",
    }
    assert said[-1] == "flightlog emit: 3 stored, 4 refused"
    assert messages(daemon, execution_id="e") == ["first", "second", "third"]


@pytest.mark.covers("D4")
def test_lines_with_a_key_are_stored_once(flightlog: Cli) -> None:
    """Emitting the same keyed lines again adds nothing and says so."""
    lines = block(*(event("deploy.done", "e", id=f"key-{number}") for number in range(3)))

    assert flightlog("emit", stdin=lines).err == "flightlog emit: 3 stored\n"
    again = flightlog("emit", stdin=lines)
    assert (again.code, again.err) == (0, "flightlog emit: 0 stored, 3 known already\n")


def test_a_line_that_nobody_could_hold_is_refused_here(flightlog: Cli, daemon: Daemon) -> None:
    """Lines over the daemon's limit are refused, whatever their length, and those after them stored."""
    lines = block(
        log("e", "before"),
        log("e", "x" * (2 * 1024 * 1024)),
        log("e", "x" * (40 * 1024 * 1024)),
        log("e", "after"),
    )
    done = flightlog("emit", stdin=lines)

    assert done.code == 3
    refused = sorted(line for line in done.err.splitlines() if "refused, too_long" in line)
    assert [line.split(" refused")[0] for line in refused] == [
        "flightlog emit: line 2",
        "flightlog emit: line 3",
    ]
    assert messages(daemon, execution_id="e") == ["before", "after"]


@pytest.mark.slow
@pytest.mark.covers("D10")
def test_any_size_in_constant_memory(flightlog: Cli, home: Path) -> None:
    """A file larger than the memory it may use is stored all the same."""
    path = home / "large.jsonl"
    line = log("big", "x" * 900) + b"\n"
    count = 500_000
    with path.open("wb") as file:
        for _ in range(count // 1000):
            file.write(line * 1000)
    assert path.stat().st_size > 400 * 1024 * 1024
    done = emit_file(flightlog, path)

    assert (done.returncode, done.stderr.decode()) == (0, "flightlog emit: 500,000 stored\n")


def test_a_file_that_is_not_there_is_a_failure(flightlog: Cli) -> None:
    """A file that cannot be read is named, with exit code 2."""
    done = flightlog("emit", "/nowhere/events.jsonl")

    assert (done.code, done.err) == (2, "flightlog emit: /nowhere/events.jsonl: No such file or directory\n")


def test_nothing_to_emit_is_fine(flightlog: Cli) -> None:
    """An empty input stores nothing and is no error."""
    assert flightlog("emit").err == "flightlog emit: 0 stored\n"


def test_slow_lines_are_stored_as_they_come(flightlog: Cli) -> None:
    """A line that comes through a pipe that stays open is stored without waiting for more."""
    with (
        flightlog.running("tail", "--after", "0", "-o", "cat", "--type", "log") as tail,
        flightlog.running("emit") as running,
    ):
        for word in ("one", "two"):
            running.send(json.dumps({"type": "log", "execution_id": "slow", "message": word}) + "\n")
            assert tail.line() == word
        assert running.end().err == "flightlog emit: 2 stored\n"


def test_very_many_refused_lines_are_counted(flightlog: Cli) -> None:
    """The first hundred refused lines are named, the rest is in the summary."""
    done = flightlog("emit", stdin=block(*[b"{"] * 150, *[b'{"hello":1}'] * 50))

    told = done.err.splitlines()
    assert (done.code, len(told)) == (3, 102)
    assert told[-2:] == [
        "flightlog emit: more follow; they are only counted",
        "flightlog emit: 0 stored, 200 refused",
    ]
