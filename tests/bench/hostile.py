"""What a good client feels of a thousand hostile connections, of another user where root runs this.

The crowd and whoever serves it take the processor's time, too. How much of what is felt that is, is measured
beside a second daemon that has the crowd: there the client's own has nothing to do with it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.contest import Contest
from bench.figures import median, millis, percentile
from support.crowds import hostile_crowd
from support.daemon import Daemon
from support.lines import log
from support.peers import IngestPeer, QueryPeer

CONNECTIONS = 1_000
QUICK_CONNECTIONS = 100
TURNS = 500
QUICK_TURNS = 50
TIMES_GOAL = 3.0
_BESIDE = "beside another daemon's crowd"
_AMONG = "among them"
_PATIENCE_S = 300.0

Waits = dict[str, list[float]]
"""Seconds, by what was waited for."""


def hostile(contest: Contest) -> None:
    """Latencies of lone lines and of questions: alone, beside another daemon's crowd, among the crowd."""
    count, turns = (QUICK_CONNECTIONS, QUICK_TURNS) if contest.quick else (CONNECTIONS, TURNS)
    with _daemon(count) as daemon, _daemon(count) as neighbour:
        measured: dict[str, Waits] = {"alone": {}, _BESIDE: {}, _AMONG: {}}
        for _ in range(contest.rounds):
            _wait(daemon, turns, measured["alone"])
            with hostile_crowd(neighbour, count):
                _wait(daemon, turns, measured[_BESIDE])
            with hostile_crowd(daemon, count):
                _wait(daemon, turns, measured[_AMONG])
    rows = [
        [f"{what}, {where}", millis(median(waits)), millis(percentile(waits, 0.99)), millis(max(waits))]
        for where, both in measured.items()
        for what, waits in both.items()
    ]
    contest.report.table(f"hostile: {count:,} connections that do harm", ["", "p50", "p99", "longest"], rows)
    for what, waits in measured[_AMONG].items():
        p99 = percentile(waits, 0.99)
        of_alone, of_beside = (p99 / percentile(measured[than][what], 0.99) for than in ("alone", _BESIDE))
        contest.report.goal(
            f"hostile: {what}, p99 within 3 times of what it is alone",
            f"{of_alone:.1f} times; {of_beside:.1f} times of that {_BESIDE}",
            met=of_alone <= TIMES_GOAL,
        )


@contextmanager
def _daemon(connections: int) -> Iterator[Daemon]:
    # Sockets have short paths, so not in the directory that was named.
    with TemporaryDirectory(prefix="fl-", dir="/tmp") as directory:
        home = Path(directory)
        with Daemon(
            home / "state",
            home / "run",
            ingest_mode="0666",
            query_mode="0666",
            user_connection_limit=connections,
        ) as daemon:
            daemon.start()
            yield daemon


def _wait(daemon: Daemon, turns: int, waits: Waits) -> None:
    """Add how long each line waited for its ack, and each question for its answer."""
    with (
        IngestPeer(daemon.ingest_socket, _PATIENCE_S) as peer,
        QueryPeer(daemon.query_socket, _PATIENCE_S) as reader,
    ):
        for number in range(1, turns + 1):
            began = time.perf_counter()
            peer.send_lines(log("good", "m"))
            peer.until_ack(number)
            acked = time.perf_counter()
            assert reader.ask("logs", execution_id="good", last=5).error is None
            waits.setdefault("line to ack", []).append(acked - began)
            waits.setdefault("question to answer", []).append(time.perf_counter() - acked)
