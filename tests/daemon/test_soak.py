"""Mixed load for a while: emitters, a follower, questions, retention, a kill -9 now and then.

`make soak` runs it for ten minutes and prints latencies over time; SOAK_S says how many seconds.
"""

import itertools
import os
import random
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import event, log
from support.peers import IngestPeer, LinePeer, QueryPeer

SOAK_S = float(os.environ.get("SOAK_S", "20"))
KILL_EVERY_S = max(6.0, SOAK_S / 12)
EMITTERS = 3
PART_LINES = 50
MIB = 1024 * 1024


class Soak:
    """What runs beside each other, and what it has seen."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.over = threading.Event()
        self.sent = [0] * EMITTERS
        self.acks_s: list[float] = []
        self.answers_s: list[float] = []
        self.followed: list[tuple[int, int]] = []
        self.faults: list[BaseException] = []

    def run(self, *works: "threading.Thread") -> None:
        """Start threads."""
        for work in works:
            work.start()

    def thread(self, work: object, *arguments: object) -> threading.Thread:
        """Return a thread that does something again and again, whatever becomes of the daemon."""

        def again() -> None:
            while not self.over.is_set():
                try:
                    work(*arguments)  # type: ignore[operator]  # any of the methods below
                except (OSError, AssertionError) as error:
                    if (
                        self.daemon.running
                        and isinstance(error, AssertionError)
                        and "closed" not in str(error)
                    ):
                        self.faults.append(error)
                        return
                    self.over.wait(0.05)

        return threading.Thread(target=again)

    def emit(self, number: int) -> None:
        """Be a named producer: what was not acked is sent again after a break."""
        with IngestPeer(self.daemon.ingest_socket) as peer:
            acked = peer.hello(f"p{number}", line=self.sent[number] + 1)["ready"]["acked"]
            self.sent[number] = max(self.sent[number], acked)
            while not self.over.is_set():
                first = self.sent[number] + 1
                began = time.monotonic()
                peer.send_lines(*(self.line(number, line) for line in range(first, first + PART_LINES)))
                peer.until_ack(first + PART_LINES - 1)
                self.acks_s.append(time.monotonic() - began)
                self.sent[number] += PART_LINES
                self.over.wait(0.01)

    @staticmethod
    def line(number: int, line: int) -> bytes:
        """Return a producer's line: executions of 100 lines with a task; some lines are for debugging."""
        execution_id = f"e{number}-{line // 100}"
        match line % 100:
            case 0:
                return event("execution.started", execution_id, project="/soak")
            case 1:
                return event("task.started", execution_id, task_id="t")
            case 98:
                return event(
                    "task.ended", execution_id, task_id="t", span_id=f"{line:016x}", outcome="failed"
                )
            case 99:
                return event("execution.ended", execution_id, outcome="succeeded")
            case rest:
                return log(execution_id, f"line {line}", level="DEBUG" if rest % 5 == 0 else "INFO")

    def follow(self) -> None:
        """Be a follower that goes on after the last one it had."""
        after = self.followed[-1][1] if self.followed else 0
        with QueryPeer(self.daemon.query_socket, 5) as reader:
            reader.start("tail", after=after)
            while not self.over.is_set():
                answer = reader.next()
                if answer is None:
                    return
                hole = answer.get("pruned")
                first, last = (
                    (hole["first_seq"], hole["last_seq"]) if hole else (answer["seq"], answer["seq"])
                )
                self.followed.append((first, last))

    def ask(self, dice: random.Random) -> None:
        """Ask anything."""
        with QueryPeer(self.daemon.query_socket) as reader:
            while not self.over.is_set():
                questions: list[tuple[str, dict[str, object]]] = [
                    ("executions", {"limit": 50}),
                    ("logs", {"execution_id": f"e0-{dice.randrange(1 + self.sent[0] // 100)}"}),
                    ("stats", {}),
                    ("audit", {"last": 20}),
                    ("tasks", {"task_id": "t", "limit": 20}),
                    ("status", {}),
                ]
                verb, said = dice.choice(questions)
                began = time.monotonic()
                error = reader.ask(verb, **said).error
                self.answers_s.append(time.monotonic() - began)
                assert error is None or error["code"] in ("not_found", "ambiguous"), error
                self.over.wait(0.01)

    def govern(self) -> None:
        """Take the lines for debugging of what has ended."""
        with LinePeer(self.daemon.control_socket) as peer:
            peer.send(b'{"retention":{"older_than_us":0,"level":["DEBUG"]}}\n')
            peer.half_close()
            peer.rest()
        self.over.wait(2)


def resident_bytes(daemon: Daemon) -> int:
    """Return how much of a daemon is resident (proc(5))."""
    return int(Path(f"/proc/{daemon.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def percentiles(values: list[float]) -> str:
    """Return p50 and p99 in milliseconds."""
    ranked = sorted(values) or [0.0]
    return " ".join(f"{1000 * ranked[int(len(ranked) * share)]:.1f}" for share in (0.5, 0.99))


@pytest.mark.slow
@pytest.mark.covers("D1", "D3", "D4", "D7", "D8", "D10")
def test_soak(daemon_factory: DaemonFactory, capsys: pytest.CaptureFixture[str]) -> None:
    """After mixed load and kills all that was acked is there once, in order; nothing grew without bound."""
    daemon = daemon_factory(checkpoint_bytes=4 * MIB, wal_limit_bytes=32 * MIB)
    soak = Soak(daemon)
    threads = [soak.thread(soak.emit, number) for number in range(EMITTERS)]
    threads += [soak.thread(soak.follow), soak.thread(soak.govern)]
    threads += [soak.thread(soak.ask, random.Random(seed)) for seed in range(2)]
    soak.run(*threads)
    began = time.monotonic()
    resident: list[list[int]] = [[]]
    largest_wal, most_threads = 0, 0
    try:
        for turn in itertools.count(1):
            while time.monotonic() - began < turn * KILL_EVERY_S and not soak.faults:
                soak.over.wait(0.5)
                resident[-1].append(resident_bytes(daemon))
                most_threads = max(most_threads, len(list(Path(f"/proc/{daemon.pid}/task").iterdir())))
                with suppress(FileNotFoundError):
                    wal = daemon.database.with_name(f"{daemon.database.name}-wal")
                    largest_wal = max(largest_wal, wal.stat().st_size)
            with capsys.disabled():
                if "SOAK_S" in os.environ:
                    sys.stdout.write(
                        f"\n{time.monotonic() - began:5.0f} s: ack p50 p99 {percentiles(soak.acks_s)} ms,"
                        f" answer {percentiles(soak.answers_s)} ms, resident {resident[-1][-1] // MIB} MiB,"
                        f" {sum(soak.sent):,} lines"
                    )
            if time.monotonic() - began >= SOAK_S or soak.faults:
                break
            soak.acks_s.clear()
            soak.answers_s.clear()
            daemon.kill()
            daemon.start()
            resident.append([])
    finally:
        soak.over.set()
        for thread in threads:
            thread.join(60)
    assert soak.faults == []
    with QueryPeer(daemon.query_socket) as reader:
        lines: dict[str, list[int]] = {}
        for row in reader.ask("tail", after=0, follow=False).lines:
            if "event" in row and row["event"].get("level") != "DEBUG":
                lines.setdefault(row["producer"], []).append(row["line"])
    daemon.terminate()
    where = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    verified = run_flightlogd("verify", *where)
    compared = run_flightlogd("rebuild", "--check", *where)

    assert (verified.returncode, compared.returncode) == (0, 0), verified.stderr + compared.stdout
    for number, sent in enumerate(soak.sent):
        kept = [line for line in lines[f"p{number}"] if line <= sent]
        expected = [line for line in range(1, sent + 1) if b"DEBUG" not in Soak.line(number, line)]
        assert kept == expected
    ends = [last for _, last in soak.followed]
    assert [first for first, _ in soak.followed] == [1, *(end + 1 for end in ends[:-1])]
    assert largest_wal < 64 * MIB
    assert most_threads < 24
    for run in resident:
        assert max(run) < 256 * MIB
        # What is cached is cached in the first half; after that it stays as it is.
        assert max(run) - max(run[: len(run) // 2 + 1]) < 48 * MIB
