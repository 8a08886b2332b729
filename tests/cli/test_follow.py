"""Following over everything that happens meanwhile: restarts, bursts, readers that go away."""

import json

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import block, event, log
from support.peers import IngestPeer, QueryPeer

T = 1_794_990_400_000_000


def burst(first: int, count: int, **fields: object) -> bytes:
    """Return log lines numbered from `first` on, all of one moment."""
    return block(*(log("e", f"{number}", time=T, **fields) for number in range(first, first + count)))


@pytest.mark.covers("S1.10", "D7")
@pytest.mark.parametrize("verb", [("logs", "e", "-f"), ("tail", "--execution", "e", "--after", "0")])
def test_following_survives_restarts_of_the_daemon(
    flightlog: Cli, daemon: Daemon, verb: tuple[str, ...]
) -> None:
    """Killed and started again under load, the daemon costs a follower two lines on stderr, and no line."""
    total, turns = 0, 3
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(burst(0, 1))
        peer.until_ack(1)
    with flightlog.running(*verb, "--json", "--level", "WARN", "--exclude", "nothing(at)?all") as following:
        seen: list[str] = []
        for _ in range(turns):
            with IngestPeer(daemon.ingest_socket) as peer:
                peer.send(burst(total, 700, level="WARN"))
                seen += [text(following.line()) for _ in range(100)]
                peer.until_ack(700)
            total += 700
            daemon.kill()
            daemon.start()
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(log("e", "last", level="WARN"), event("execution.ended", "e", outcome="succeeded"))
        while not seen or seen[-1] != "last":
            seen.append(text(following.line()))
        if verb[0] == "tail":
            following.interrupt()
        done = following.end()

    assert seen == [*(str(number) for number in range(total)), "last"]
    assert done.code == (130 if verb[0] == "tail" else 0)
    away = [
        f"flightlog {verb[0]}: flightlogd went away, waiting for it",
        f"flightlog {verb[0]}: flightlogd is back",
    ]
    # A follower whose own reader is slow may sleep through a restart.
    told = done.err.splitlines()
    assert told == away * (len(told) // 2)
    assert 1 <= len(told) // 2 <= turns


def text(line: str) -> str:
    """Return the message of a line of JSON, of either verb."""
    told = json.loads(line)
    return str(told["event"]["message"] if "event" in told else told["message"])


@pytest.mark.covers("S1.10")
def test_waiting_survives_a_restart_of_the_daemon(flightlog: Cli, daemon: Daemon) -> None:
    """`wait` asks again when the daemon is back, and its timeout counts on while it is away."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "e"))
    with flightlog.running("wait", "e") as waiting:
        with QueryPeer(daemon.query_socket) as reader:
            while reader.ask("status").one("status")["connections"]["query"] < 2:
                reader.ask("status", min_seq=1 << 40, wait_ms=50)
        daemon.kill()
        daemon.start()
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(event("execution.ended", "e", outcome="succeeded"))
        done = waiting.end()
    assert (done.code, done.out) == (0, "succeeded\n")

    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "f"))
    with flightlog.running("wait", "f", "--timeout", "2s") as waiting:
        with QueryPeer(daemon.query_socket) as reader:
            while reader.ask("status").one("status")["connections"]["query"] < 2:
                reader.ask("status", min_seq=1 << 40, wait_ms=50)
        daemon.kill()
        done = waiting.end()
    assert done.code == 1
    assert done.err.splitlines()[-1] == "flightlog wait: flightlogd did not come back in time"


@pytest.mark.covers("S1.10")
def test_a_burst_is_followed_to_its_last_line(flightlog: Cli, daemon: Daemon) -> None:
    """Bursts of 5,000 lines of equal and late times to a slow reader: all there, once, and exit code 0."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(event("execution.started", "e", time=T))
        peer.until_ack(1)
        with flightlog.running("logs", "e", "-f", "--json", "--source", "s") as following:
            for turn in range(3):
                peer.send(burst(turn * 5_000, 5_000, source="s"))
            peer.send_lines(event("execution.ended", "e", outcome="succeeded", time=T - 1))
            slow = [following.line() for _ in range(50)]
            done = following.end()

    assert done.code == 0
    assert [text(line) for line in [*slow, *done.lines]] == [str(number) for number in range(15_000)]


@pytest.mark.parametrize("number", [1, 0])
def test_a_closed_pipe_ends_a_follower_at_once(flightlog: Cli, daemon: Daemon, number: int) -> None:
    """A reader that goes away ends a follower quietly, though nothing more is written to it."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "e"), log("e", "x"))
    with flightlog.running("tail", "--execution", "e", "-n", str(number)) as tail:
        if number:
            tail.line()
        assert tail.process.stdout is not None
        tail.process.stdout.close()
        assert tail.process.wait(60) == 0
        assert tail.process.stderr is not None
        assert tail.process.stderr.read() == b""


@pytest.mark.covers("S1.8")
def test_the_log_of_a_task_is_followed_over_its_runs(flightlog: Cli, daemon: Daemon) -> None:
    """`logs --task` shows the lines of all runs of a task with their execution, and goes on with new ones."""
    with IngestPeer(daemon.ingest_socket) as peer:
        for run in ("r1", "r2"):
            peer.send_lines(event("task.started", run, task_id="t"), log(run, f"in {run}", task_id="t"))
            peer.send_lines(log(run, "of no task"))
        peer.until_ack(6)
        with flightlog.running("logs", "--task", "t", "-f", "-g", "in r") as following:
            assert [following.line().split()[2:] for _ in range(2)] == [
                ["r1", "[t]", "in", "r1"],
                ["r2", "[t]", "in", "r2"],
            ]
            peer.send_lines(event("task.started", "r3", task_id="t"), log("r3", "in r3", task_id="t"))
            assert following.line().split()[2:] == ["r3", "[t]", "in", "r3"]
            following.interrupt()
            assert following.end().code == 130
    unknown = flightlog("logs", "--task", "nobody")
    assert unknown.code == 1
    assert unknown.err.startswith("flightlog logs: no execution has announced a task nobody\n")


@pytest.mark.covers("S1.8", "S1.3")
def test_who_follows_a_task_sees_how_it_ended(flightlog: Cli, daemon: Daemon) -> None:
    """Its line is shown at once however its id is spelt, and so is what ended with its execution."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(event("task.started", "e", task_id="tä/1"))
        peer.until_ack(1)
        with flightlog.running("logs", "--task", "tä/1", "-f") as following:
            assert following.line().endswith("[tä/1] task started")
            peer.send(b'{"type":"log","execution_id":"e","task_id":"t\\u00e4\\/1","message":"spelt"}\n')
            assert following.line().endswith("[tä/1] spelt")
            peer.send_lines(event("execution.ended", "e", outcome="failed"))
            assert "task cancelled" in following.line()


@pytest.mark.covers("S3.3", "S1.10")
def test_events_are_followed_to_the_end(flightlog: Cli, daemon: Daemon) -> None:
    """`events -f` shows what is there and what comes, each once, over a restart, to the execution's end."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "e"), *(event("task.started", "e", task_id="t") for _ in "ab"))
    with flightlog.running("events", "e", "-f") as following:
        seen = [following.line() for _ in range(3)]
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(log("e", "no event"), event("execution.waiting", "e", reason="for it"))
        seen.append(following.line())
        daemon.kill()
        daemon.start()
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(event("execution.resumed", "e"), event("execution.ended", "e", outcome="succeeded"))
        done = following.end()
    assert done.code == 0, done
    rows = [line.split("\t") for line in seen + done.lines]
    assert [row[2] for row in rows] == [
        "execution.started",
        "task.started",
        "task.started",
        "execution.waiting",
        "execution.resumed",
        "execution.ended",
    ]
    assert rows[3][3:] == ["running", "waiting", "for it"]
    assert rows == flightlog.ok("events", "e").rows


@pytest.mark.covers("S3.3")
def test_events_that_are_followed_are_chosen(flightlog: Cli, daemon: Daemon) -> None:
    """Types and -n narrow what is followed; what is over ends it at once, what is unknown is exit code 1."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "e"), event("task.started", "e", task_id="t"))
    with flightlog.running("events", "e", "-f", "--type", "task.", "-n", "0", "--json") as following:
        with QueryPeer(daemon.query_socket) as reader:
            while reader.ask("status").one("status")["followers"] != 1:
                pass
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(
                event("task.ended", "e", task_id="t", outcome="succeeded"),
                event("execution.ended", "e", outcome="failed"),
            )
        done = following.end()
    assert [json.loads(line)["type"] for line in done.lines] == ["task.ended"]
    assert len(flightlog.ok("events", "e", "-f", "--logs").rows) == 4
    assert flightlog("events", "nobody", "-f").code == 1
