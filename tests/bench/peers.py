"""flightlog beside what people would use instead: the same lines, the same durability, in one table."""

import os
import select
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.chart import Bar, Panel, draw
from bench.contest import Contest
from bench.contestant import WAIT_S, Following, Log
from bench.figures import median, millis, percentile
from bench.workload import EXECUTIONS, batches, lines
from bench.writing import bulk_rates, single_rates

TAIL_RATE_PER_S = 500
_SHORT = {"plain write + fdatasync": "plain write"}


def peers(contest: Contest) -> None:
    """Bulk, single, tail, the last lines of an execution, disk: everyone in turns."""
    logs: list[Log] = [contest.ours, *contest.others]
    for log in logs:
        print(f"  {log.name}: {log.settings}")
    bulk = bulk_rates(contest)
    single, waits = single_rates(contest)
    size = {log.name: _disk(contest, log) for log in logs}
    tail: dict[str, list[float]] = defaultdict(list)
    recent: dict[str, list[float]] = defaultdict(list)
    for _ in range(contest.rounds):
        for log in logs:
            tail[log.name] += tail_delays(log, 100 if contest.quick else 1000)
            recent[log.name] += _recent(log, 20 if contest.quick else 200)
    plain = contest.disk.name
    rows: list[tuple[str, dict[str, float], Callable[[float], str], bool]] = [
        ("bulk, events/s", {name: median(values) for name, values in bulk.items()}, _rate, True),
        ("single, 16 connections, events/s", {n: median(v) for n, v in single.items()}, _rate, True),
        ("single, p99", {n: percentile(v, 0.99) for n, v in waits.items() if n != plain}, millis, False),
        ("tail, p50", {name: median(values) for name, values in tail.items()}, millis, False),
        ("tail, p99", {name: percentile(v, 0.99) for name, v in tail.items()}, millis, False),
        ("last 100 lines of one of 50", {n: median(v) for n, v in recent.items()}, millis, False),
        ("disk, bytes an event", size, _count, False),
    ]
    names = [contest.ours.name, *(other.name for other in contest.others), plain]
    contest.report.table(
        f"beside others: medians of {contest.rounds} rounds in turns (write-ahead logs apart on disk)",
        ["", *names],
        [[what, *(write(of[name]) if name in of else "" for name in names)] for what, of, write, _ in rows],
    )
    contest.report.table(
        "their spread, lowest to highest, events/s",
        ["", *names],
        [
            [what, *(f"{min(of[name]):,.0f} to {max(of[name]):,.0f}" for name in names)]
            for what, of in (("bulk", bulk), ("single", single))
        ],
    )
    if contest.chart is not None:
        _write_chart(contest.chart, names, rows)


def tail_delays(log: Log, count: int) -> list[float]:
    """Return how long after its sending the follower had each line, seconds, at 500 lines a second."""
    delays: list[float] = []
    with log.following() as following:
        sent_at: list[float] = []
        began = time.perf_counter()
        for number, line in enumerate(lines(count)):
            while (pause := began + number / TAIL_RATE_PER_S - time.perf_counter()) > 0:
                _hear(following, pause, sent_at, delays)
            sent_at.append(time.perf_counter())
            following.sock.sendall(following.encode(line))
        while len(delays) < count:
            if not _hear(following, WAIT_S, sent_at, delays):
                raise RuntimeError(f"{log.name}: the follower saw {len(delays)} of {count} lines")
    return delays


def _hear(following: Following, wait_s: float, sent_at: Sequence[float], delays: list[float]) -> bool:
    """Wait that long for news, take it, and return whether there was any."""
    ready = select.select([following.follower.sock, following.sock], [], [], wait_s)[0]
    if following.follower.sock in ready:
        came = following.follower.take()
        now = time.perf_counter()
        delays += [now - at for at in sent_at[len(delays) : len(delays) + came]]
    if following.sock in ready:
        following.sock.recv(65536)
    return bool(ready)


def _recent(log: Log, count: int) -> list[float]:
    """Return how long each question for the last 100 lines of an execution took, seconds."""
    took = []
    with log.asking() as ask:
        for turn in range(count):
            execution_id = EXECUTIONS[turn * 7 % len(EXECUTIONS)].encode()
            began = time.perf_counter()
            came = ask(execution_id)
            took.append(time.perf_counter() - began)
            assert came == 100, f"{log.name}: {came} lines of {execution_id!r}"
    return took


def _disk(contest: Contest, log: Log) -> float:
    """Store many lines; return the bytes on disk that each took."""
    count = 20_000 if contest.quick else 1_000_000
    before = disk_size(log.files)
    for _ in range(count // 20_000):
        log.bulk(batches(20_000))
    return (disk_size(log.files) - before) / count


def disk_size(directory: Path) -> int:
    """Return the bytes of what is kept, without write-ahead logs (their size is bounded) and search."""
    size = 0
    for parent, _, names in os.walk(directory):
        if Path(parent).name != "pg_wal":
            kept = [name for name in names if not name.endswith(("-wal", "-shm", "search.db"))]
            size += sum((Path(parent) / name).stat().st_blocks * 512 for name in kept)
    return size


def _write_chart(
    path: Path,
    names: Sequence[str],
    rows: Sequence[tuple[str, dict[str, float], Callable[[float], str], bool]],
) -> None:
    panels = [
        Panel(
            f"{what} ({'more' if more else 'less'} is better)",
            [
                Bar(
                    _SHORT.get(name, name.partition(",")[0]),
                    of[name],
                    write(of[name]),
                    {names[0]: "ours", names[-1]: "floor"}.get(name, ""),
                )
                for name in names
                if name in of
            ],
        )
        for what, of, write, more in rows
        if what != "tail, p99"
    ]
    note = "Each event synced to disk before its ack; one machine with 2 cores, all in turns, medians."
    path.write_text(draw(panels, note))
    print(f"\nchart: {path}")


def _rate(value: float) -> str:
    return f"{value:,.0f}/s"


def _count(value: float) -> str:
    return f"{value:,.0f}"
