"""`--cursor NAME`: go on where the last run was, with what was surely written."""

import json
import random
import signal

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import block, event, log, logs
from support.peers import IngestPeer, QueryPeer

BEGIN = ("--execution", "e", "-o", "cat", "--after", "0")


def settle(daemon: Daemon, *lines: bytes) -> None:
    """Store lines."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(*lines)


def position(daemon: Daemon, name: str) -> int | None:
    """Return where a cursor is."""
    with QueryPeer(daemon.query_socket) as reader:
        found = reader.ask("cursors", name=name).all("cursor")
    return found[0]["seq"] if found else None


@pytest.mark.covers("P3")
def test_a_run_goes_on_after_the_one_before(flightlog: Cli, daemon: Daemon) -> None:
    """Each run shows what came since; the first one begins as without a cursor, and --after sets it back."""
    settle(daemon, *logs("e", 12))
    tail = ("tail", "--no-follow", "-o", "cat", "--cursor", "c")

    assert flightlog.ok(*tail).lines == [f"line {number}" for number in range(3, 13)]
    assert flightlog.ok(*tail).lines == []
    settle(daemon, *logs("e", 20, start=13))
    assert flightlog.ok(*tail, "-n", "1").lines == [f"line {number}" for number in range(13, 33)]
    assert flightlog.ok(*tail, "--after", "31").lines == ["line 31", "line 32"]
    assert flightlog.ok(*tail, "--after", "0", "-n", "1").lines == ["line 32"]
    assert flightlog.ok(*tail).lines == []


@pytest.mark.covers("P3")
def test_lines_left_out_count_as_read(flightlog: Cli, daemon: Daemon) -> None:
    """What a pattern leaves out is not looked at again, by the daemon's word or by ours."""
    settle(daemon, *logs("e", 9))
    for name, pattern in (("plain", "line 3"), ("regex", "line [34]")):
        flightlog.ok("tail", "--no-follow", "--cursor", name, "-g", pattern)
        assert position(daemon, name) == 10


@pytest.mark.covers("P3")
def test_the_log_of_an_execution_is_resumed(flightlog: Cli, daemon: Daemon) -> None:
    """`logs --cursor` shows each line of an execution once, and says when there is nothing new."""
    settle(daemon, event("execution.started", "e"), *logs("e", 2))
    arguments = ("logs", "e", "--json", "--cursor", "c")

    assert [json.loads(line)["message"] for line in flightlog.ok(*arguments).lines] == [
        "execution started",
        "line 1",
        "line 2",
    ]
    assert flightlog(*arguments) == (0, "", "flightlog logs: nothing new\n")
    settle(daemon, *logs("e", 1, start=3))
    assert [json.loads(line)["message"] for line in flightlog.ok(*arguments).lines] == ["line 3"]


@pytest.mark.covers("P3")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_clean_stop_shows_each_line_once(flightlog: Cli, daemon: Daemon, number: signal.Signals) -> None:
    """Stopped by a signal amid a burst, again and again, a reader's runs together show each line once."""
    dice = random.Random(5)
    seen: list[str] = []
    total = 0
    with IngestPeer(daemon.ingest_socket) as peer:
        for turn in range(6):
            begin = BEGIN if turn == 0 else BEGIN[:-2]
            with flightlog.running("tail", *begin, "--cursor", "c") as tail:
                peer.send(block(*(log("e", f"{n}") for n in range(total, total + 400))))
                total += 400
                seen += [tail.line() for _ in range(dice.randrange(1, 300))]
                tail.process.send_signal(number)
                done = tail.end()
                seen += done.out.splitlines()
            assert done.code == (130 if number == signal.SIGINT else -number)
            assert done.err == ""
    seen += flightlog.ok("tail", *BEGIN[:-2], "--no-follow", "--cursor", "c").lines

    assert seen == [f"{n}" for n in range(total)]


@pytest.mark.covers("P3")
def test_a_killed_reader_loses_no_line(flightlog: Cli, daemon: Daemon) -> None:
    """Killed at random and resumed, a reader sees every line at least once, in order but for repetitions."""
    dice = random.Random(11)
    seen: list[str] = []
    total = 0
    with QueryPeer(daemon.query_socket) as reader:
        reader.ask("cursor", name="c", seq=0)
    with IngestPeer(daemon.ingest_socket) as peer:
        for _ in range(5):
            with flightlog.running("tail", *BEGIN[:-2], "--cursor", "c") as tail:
                peer.send(block(*(log("e", f"{n}") for n in range(total, total + 400))))
                total += 400
                seen += [tail.line() for _ in range(dice.randrange(1, 300))]
                tail.process.kill()
                tail.process.wait()
    seen += flightlog.ok("tail", *BEGIN[:-2], "--no-follow", "--cursor", "c").lines

    assert set(seen) >= {f"{n}" for n in range(total)}
    assert seen[-1] == f"{total - 1}"


@pytest.mark.covers("P3")
def test_a_reader_of_the_pipe_that_goes_away_moves_nothing(flightlog: Cli, daemon: Daemon) -> None:
    """Of what was in the pipe when its reader went away nobody knows what it read: it is shown again."""
    settle(daemon, *logs("e", 20_000))
    with flightlog.running("tail", *BEGIN, "--no-follow", "--cursor", "c") as tail:
        assert tail.line() == "line 1"
        assert tail.process.stdout is not None
        tail.process.stdout.close()
        assert tail.process.wait(60) == 0
    assert position(daemon, "c") is None


@pytest.mark.covers("P3")
def test_a_cursor_moves_while_nothing_comes(flightlog: Cli, daemon: Daemon) -> None:
    """What was shown is confirmed within about a second, though no further line comes."""
    settle(daemon, *logs("e", 3))
    with flightlog.running("tail", *BEGIN, "--cursor", "c") as tail, QueryPeer(daemon.query_socket) as reader:
        assert [tail.line() for _ in range(3)] == ["line 1", "line 2", "line 3"]
        while not (found := reader.ask("cursors").all("cursor")):
            reader.ask("status", min_seq=1 << 40, wait_ms=100)
        assert found[0]["seq"] >= 4


@pytest.mark.covers("P3")
def test_cursors_are_listed_and_removed(flightlog: Cli, daemon: Daemon) -> None:
    """`cursor list` shows position and lag, `cursor remove` forgets; `status` counts."""
    settle(daemon, *logs("e", 3))
    flightlog.ok("tail", *BEGIN, "--no-follow", "--cursor", "c")
    settle(daemon, *logs("e", 2))
    (row,) = flightlog.ok("cursor", "list").rows
    (found,) = flightlog.ok("cursor", "list", "--json").json

    assert row[:3] == ["c", "4", "2"]
    assert (found["name"], found["seq"], found["lag"]) == ("c", 4, 2)
    assert found["moved_at"] == row[3]
    assert "cursors\t1, the hindmost 2 events behind" in flightlog.ok("status").lines
    assert flightlog.ok("cursor", "remove", "c").out == ""
    assert flightlog("cursor", "remove", "c").code == 1
    assert flightlog.ok("cursor", "list").out == ""


@pytest.mark.parametrize("verb", ["tail", "logs"])
def test_a_cursor_has_one_direction(flightlog: Cli, verb: str) -> None:
    """Newest first nothing can be resumed: a usage error."""
    done = flightlog(verb, "--reverse", "--cursor", "c", *(["e"] if verb == "logs" else []))

    assert done.code == 3
    assert "--cursor" in done.err


@pytest.mark.covers("P3", "S1.10")
@pytest.mark.parametrize(
    "verb",
    [
        ("tail", "--after", "0", "-g", "needle"),
        ("logs", "e", "-f", "-g", "needle"),
        ("logs", "e", "-f", "-g", "nee+dle", "--level", "ERROR"),
        ("logs", "--task", "t", "-f"),
    ],
)
def test_a_follower_that_sees_nothing_moves_its_cursor(
    flightlog: Cli, daemon: Daemon, verb: tuple[str, ...]
) -> None:
    """While nothing matches, in this execution or in others, a follower's cursor goes on with the log."""
    settle(daemon, event("task.started", "e", task_id="t"), *logs("e", 9))
    count = 11  # the daemon's own first line, too
    with flightlog.running(*verb, "--cursor", "c") as following:
        with QueryPeer(daemon.query_socket) as reader:
            for execution in ("e", "other", "e"):
                settle(daemon, *logs(execution, 10))
                count += 10
                while (position(daemon, "c") or 0) < count:
                    reader.ask("executions", min_seq=2**40, wait_ms=50)  # the daemon waits for us
            settle(daemon, log("e", "needle", level="ERROR", task_id="t"))
            while not following.line().endswith("needle"):
                pass
        following.interrupt()
        assert following.end().code == 130

    assert position(daemon, "c") == count + 1


@pytest.mark.covers("P3")
def test_a_cursor_waits_for_what_is_not_written(flightlog: Cli, daemon: Daemon) -> None:
    """With a reader that does not read, a cursor stays before what has not gone into the pipe."""
    settle(daemon, event("execution.started", "e"), *logs("e", 20_000))
    with flightlog.running("logs", "e", "-f", "--cursor", "c") as following:
        seen = sum(bool(following.line()) for _ in range(3))
        with QueryPeer(daemon.query_socket) as reader:
            settle(daemon, *logs("other", 10))
            for _ in range(4):
                reader.ask("executions", min_seq=2**40, wait_ms=500)
        moved = position(daemon, "c") or 0
        following.interrupt()
        seen += following.end().out.count("\n")  # of the last one there may be a part
    end = position(daemon, "c")

    assert moved < 20_002
    # Position 1 is the daemon's own.
    assert end == 1 + seen < 20_002
