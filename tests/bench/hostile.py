"""What a good client feels of a thousand hostile connections, of another user where root runs this."""

import time
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
TURNS = 2_000
QUICK_TURNS = 100
TIMES_GOAL = 3.0
_PATIENCE_S = 300.0


def hostile(contest: Contest) -> None:
    """Latencies of lone lines and of questions, alone and among the crowd."""
    count, turns = (QUICK_CONNECTIONS, QUICK_TURNS) if contest.quick else (CONNECTIONS, TURNS)
    # Sockets have short paths, so not in the directory that was named.
    with TemporaryDirectory(prefix="fl-", dir="/tmp") as directory:
        home = Path(directory)
        with Daemon(
            home / "state",
            home / "run",
            ingest_mode="0666",
            query_mode="0666",
            user_connection_limit=count,
        ) as daemon:
            daemon.start()
            alone = _waits(daemon, turns)
            with hostile_crowd(daemon, count):
                among = _waits(daemon, turns)
    rows = [
        [f"{what}, {where}", millis(median(waits)), millis(percentile(waits, 0.99)), millis(max(waits))]
        for where, measured in (("alone", alone), ("among them", among))
        for what, waits in measured.items()
    ]
    contest.report.table(f"hostile: {count:,} connections that do harm", ["", "p50", "p99", "longest"], rows)
    for what in alone:
        times = percentile(among[what], 0.99) / percentile(alone[what], 0.99)
        contest.report.goal(
            f"hostile: {what}, p99 within 3 times of what it is alone",
            f"{times:.1f} times",
            met=times <= TIMES_GOAL,
        )


def _waits(daemon: Daemon, turns: int) -> dict[str, list[float]]:
    """Return how long each line waited for its ack, and each question for its answer."""
    waits: dict[str, list[float]] = {"line to ack": [], "question to answer": []}
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
            waits["line to ack"].append(acked - began)
            waits["question to answer"].append(time.perf_counter() - acked)
    return waits
