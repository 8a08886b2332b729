"""The daemon is killed again and again under a writer in full flow; what it acked is there, once."""

import contextlib
import json
import random
import threading

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import block, event, log
from support.peers import IngestPeer, Json, QueryPeer

EXECUTIONS = 20
BLOCK_LINES = 250


def line(number: int) -> bytes:
    """Return the producer's line of that number: log lines, now and then a state, a key, a long one."""
    name = f"run-{number % EXECUTIONS}"
    if number <= EXECUTIONS:
        return event("execution.started", name, name="n", time=1_790_000_000_000_000 + number)
    if number % 97 == 0:
        return event("execution.counted", name, counts={"files": 1}, time=1_790_000_000_000_000 + number)
    if number % 41 == 0:
        return log(name, f"line {number}", id=f"key-{number}")
    return log(
        name, f"line {number}" + " and more" * (number % 13), level=("INFO", "WARN", "DEBUG")[number % 3]
    )


class Writer:
    """A producer that sends as fast as it can until its connection breaks.

    Attributes:
        acked: The highest line that any ack or ready ever named.
        sent: The highest line that was ever put on a socket.
        moved: Released by each ack that names a higher line than all before.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.acked = 0
        self.sent = 0
        self.moved = threading.Semaphore(0)

    def run(self, on_ready: threading.Event) -> None:
        """Connect, resume after what is acked, and send; return when the connection is gone."""
        with IngestPeer(self._daemon.ingest_socket) as peer:
            acked = peer.hello("bulk", self.acked + 1)["ready"]["acked"]
            assert acked >= self.acked, f"{self.acked} was acked and {acked} is known after the kill"
            assert acked <= self.sent
            self.acked = acked
            # Also lines that are settled: they must not be stored twice.
            first = max(1, acked - BLOCK_LINES)
            peer.close()
        with IngestPeer(self._daemon.ingest_socket) as peer:
            peer.hello("bulk", first)
            acks = threading.Thread(target=self._read_acks, args=(peer,), daemon=True)
            acks.start()
            on_ready.set()
            with contextlib.suppress(OSError):
                while True:
                    self.sent = max(self.sent, first + BLOCK_LINES - 1)
                    peer.send(block(*map(line, range(first, first + BLOCK_LINES))))
                    first += BLOCK_LINES
            acks.join()

    def _read_acks(self, peer: IngestPeer) -> None:
        """Note acks up to the end of the stream, also those that came after the last send."""
        with contextlib.suppress(OSError, AssertionError):  # a kill may cut a reply in two
            while (reply := peer.next()) is not None:
                assert "refused" not in reply, reply
                if "ack" in reply and reply["ack"]["lines"] > self.acked:
                    self.acked = reply["ack"]["lines"]
                    self.moved.release()


def rounds_of_kill(daemon: Daemon, rounds: int) -> Writer:
    """Start the daemon and kill it under the writer, that many times, each time at another moment."""
    dice = random.Random(rounds)
    writer = Writer(daemon)
    for _ in range(rounds):
        daemon.start()
        ready = threading.Event()
        writer.moved = threading.Semaphore(0)
        running = threading.Thread(target=writer.run, args=(ready,), daemon=True)
        running.start()
        assert ready.wait(30), daemon.stderr
        # Anywhere from the first block to some dozens of commits later, however slow the machine is.
        for _ in range(dice.choice((0, 1, 1, 2, 6, 20))):
            assert writer.moved.acquire(timeout=30), daemon.stderr
        moment = threading.Timer(0.003 * dice.random(), daemon.process.kill)
        moment.start()
        running.join(30)
        assert not running.is_alive()
        daemon.kill()
    return writer


def check_log(daemon: Daemon, writer: Writer) -> list[Json]:
    """Assert that every acked line is there exactly once and in order, and that positions have no gap."""
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False).lines
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    own = [row for row in rows if row["producer"] == "bulk"]
    assert [row["line"] for row in own] == list(range(1, len(own) + 1))
    assert writer.acked <= len(own) <= writer.sent
    for row in own:
        expected = line(row["line"])
        assert row["event"] == json.loads(expected), row
    return own


def check_read_models(daemon: Daemon) -> None:
    """Assert that what is in the read models is what a rebuild from the log would put there."""
    where = ["--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir)]
    done = run_flightlogd("rebuild", "--check", *where)
    assert (done.returncode, done.stdout) == (0, "read models are what the log says\n"), done.stderr


def killed_under_a_writer(daemon: Daemon, rounds: int) -> None:
    """Kill it that often under a writer, then assert all that was promised."""
    writer = rounds_of_kill(daemon, rounds)
    assert writer.sent > writer.acked > 20 * rounds, "the kills did not hit a writer in full flow"
    daemon.start()
    own = check_log(daemon, writer)
    check_read_models(daemon)
    counted = sum(row["event"]["type"] == "log" for row in own)
    with QueryPeer(daemon.query_socket) as reader:
        executions = reader.ask("executions", limit=1000).all("execution")
    assert sum(execution["log_count"] for execution in executions) == counted > 0
    daemon.terminate()
    check_read_models(daemon)


@pytest.mark.covers("D1", "D3", "D4", "D8")
def test_a_few_kills(daemon_factory: DaemonFactory) -> None:
    """Killed while it writes, the daemon comes back with every acked line once, and true read models."""
    killed_under_a_writer(daemon_factory(start=False), 5)


@pytest.mark.covers("D1", "D3", "D4", "D8")
@pytest.mark.slow
def test_a_hundred_kills(daemon_factory: DaemonFactory) -> None:
    """The same after 100 kills at random moments, with checkpoints so often that they are hit as well."""
    killed_under_a_writer(daemon_factory(start=False, checkpoint_bytes=256 * 1024), 100)
