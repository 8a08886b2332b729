"""Relay and collect over one nats-server: how fast a backlog goes through, how late what comes is there."""

import json
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench.contest import Contest
from bench.figures import median, millis, percentile, rate
from support.daemon import Daemon, clean_environment
from support.nats import NatsServer
from support.peers import IngestPeer, QueryPeer

BACKLOG = 200_000
QUICK_BACKLOG = 20_000
RATE = 5_000
STEP_S = 0.01
SECONDS = 10
QUICK_SECONDS = 2
GOAL_LAG_S = 1.0


def fleet(contest: Contest) -> None:
    """A backlog through relay, stream and collector; then 5,000 events a second."""
    base = contest.ours.daemon.state_dir.parent
    count = QUICK_BACKLOG if contest.quick else BACKLOG
    rates: dict[str, list[float]] = {"relay alone": [], "collect alone": [], "both, end to end": []}
    lags: list[list[float]] = []
    for turn in range(contest.rounds):
        with ExitStack() as stack:
            home = base / f"fleet-{turn}"
            nats = stack.enter_context(NatsServer(home / "nats")).start()
            origin, centre, other = (
                stack.enter_context(Daemon(home / name / "state", home / name / "run")).start()
                for name in ("a", "c", "d")
            )
            _fill(origin, count)
            rates["relay alone"].append(count / _once(origin, "relay", "--to", nats.url))
            rates["collect alone"].append(count / _once(centre, "collect", "--from", nats.url))
            with _running(other, "collect", "--from", nats.url, "--stream", "both"):
                began = time.perf_counter()
                _once(origin, "relay", "--to", nats.url, "--stream", "both", "--after", "0")
                _until_head(other, count)
                rates["both, end to end"].append(count / (time.perf_counter() - began))
                with _running(origin, "relay", "--to", nats.url, "--stream", "both"):
                    lags.append(_lags(origin, other, QUICK_SECONDS if contest.quick else SECONDS))
    contest.report.table(
        f"fleet: {count:,} log lines through one nats-server, from the start of the program",
        ["", "events"],
        [[name, rate(median(values))] for name, values in rates.items()],
    )
    p50, p99 = (median([percentile(lag, share) for lag in lags]) for share in (0.5, 0.99))
    contest.report.table(
        f"fleet: {RATE:,} events/s, from when each was due until a tail of the centre has it",
        ["", "lag"],
        [["p50", millis(p50)], ["p99", millis(p99)], ["most", millis(max(map(max, lags)))]],
    )
    contest.report.goal("fleet: 99 % within a second at 5,000 events/s", millis(p99), met=p99 < GOAL_LAG_S)


def _fill(daemon: Daemon, count: int) -> None:
    with IngestPeer(daemon.ingest_socket) as peer:
        sender = threading.Thread(target=lambda: deque(map(peer.send, _blocks(count)), maxlen=0))
        sender.start()
        while peer.next()["ack"]["lines"] < count:  # type: ignore[index]  # it does not close first
            pass
        sender.join()


def _blocks(count: int) -> Iterator[bytes]:
    for first in range(0, count, 500):
        lines = (_line(f"line {number} of some work that is done") for number in range(first, first + 500))
        yield b"".join(lines)


def _line(message: str) -> bytes:
    return json.dumps({"type": "log", "execution_id": "load", "message": message}).encode() + b"\n"


def _lags(origin: Daemon, centre: Daemon, seconds: int) -> list[float]:
    """Return how many seconds after it was due each event came out of the centre."""
    step = int(RATE * STEP_S)
    steps = int(seconds / STEP_S)
    began = time.monotonic() + 2.0  # the relay is there by then

    def send() -> None:
        with IngestPeer(origin.ingest_socket) as peer:
            drained = threading.Thread(target=peer.rest)
            drained.start()
            for number in range(steps):
                due = began + number * STEP_S
                time.sleep(max(0.0, due - time.monotonic()))
                peer.send(_line(f"due {due}") * step)
            peer.half_close()
            drained.join()

    found: list[float] = []
    with QueryPeer(centre.query_socket) as reader:
        reader.start("tail", follow=True, grep='"due ')
        sender = threading.Thread(target=send)
        sender.start()
        for row in reader.events():
            found.append(time.monotonic() - float(row["event"]["message"].partition(" ")[2]))
            if len(found) == step * steps:
                break
        sender.join()
    return found


def _until_head(daemon: Daemon, count: int) -> None:
    with QueryPeer(daemon.query_socket) as reader:
        while reader.ask("status").one("status")["head_seq"] < count:
            time.sleep(0.01)


def _once(daemon: Daemon, *arguments: str) -> float:
    """Return how many seconds a verb takes for what is there."""
    began = time.perf_counter()
    subprocess.run(
        _command(*arguments, "--once"),
        env=_environment(daemon),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


@contextmanager
def _running(daemon: Daemon, *arguments: str) -> Iterator[None]:
    with subprocess.Popen(
        _command(*arguments), env=_environment(daemon), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
        finally:
            process.kill()


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-P", "-m", "flightlog", *arguments]


def _environment(daemon: Daemon) -> dict[str, str]:
    return clean_environment(FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir))
