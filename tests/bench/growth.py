"""What a growing log costs: the same work at sizes up to 30 million events; then a kill and a start."""

import time
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.asking import Asker
from bench.contest import Contest
from bench.figures import median, megabytes, millis, percentile, rate
from bench.ours import Flightlog
from bench.peers import disk_size, tail_delays
from bench.workload import START_TIME, batches, lines
from bench.writing import CONNECTIONS

SIZES = (0, 1_000_000, 10_000_000, 30_000_000)
QUICK_SIZES = (0, 20_000, 60_000)
EXECUTION_EVENTS = 1_000
"""Six of these are of the execution and its two tasks, the others log lines."""
PROJECTS = 100
_BLOCK = 20
"""Executions made at once: what of it is in memory."""

_STARTED = b'{"type":"execution.started","execution_id":"%s","time":%d,"name":"growing","project":"/p/%d"}\n'
_ENDED = b'{"type":"execution.ended","execution_id":"%s","time":%d,"outcome":"succeeded"}\n'
_TASK = b'"execution_id":"%s","time":%d,"task_id":"t%d","span_id":"%016x"'
_LINE = (
    b'{"type":"log","execution_id":"%s","time":%d,"source":"exec:make","message":'
    b'"[%08d] cc -O2 -Wall -Wextra -c -o build/module.o src/app/module.c","fields":{"stream":"stdout"}}\n'
)


def growth(contest: Contest) -> None:
    """The same work on a log of each size, then how long it takes to start on the largest after a kill."""
    sizes = QUICK_SIZES if contest.quick else SIZES
    columns: dict[str, list[str]] = defaultdict(list)
    with (
        TemporaryDirectory(prefix="flg-", dir=contest.base) as directory,
        closing(Flightlog(Path(directory))) as ours,
    ):
        for recorded, size in zip((0, *sizes), sizes, strict=False):
            took_s = _grow(ours, recorded, size)
            grown = rate((size - recorded) / took_s) if size > recorded else ""
            columns["recorded at"].append(grown)
            for what, value in _measure(contest, ours, size).items():
                columns[what].append(value)
        ours.daemon.kill()
        began = time.perf_counter()
        ours.daemon.start()
        started_s = time.perf_counter() - began
    contest.report.table(
        f"growth: executions of {EXECUTION_EVENTS:,} events with two tasks each",
        ["", *(f"{size:,} events" for size in sizes)],
        [[what, *values] for what, values in columns.items()],
    )
    contest.report.goal(
        f"growth: ready within 1 s of a start after kill -9 with {sizes[-1]:,} events",
        millis(started_s),
        met=started_s < 1,
    )


def _grow(ours: Flightlog, recorded: int, wanted: int) -> float:
    """Record executions until there are so many events; return the seconds that it took."""
    first, last = recorded // EXECUTION_EVENTS, wanted // EXECUTION_EVENTS
    took_s = 0.0
    for start in range(first, last, _BLOCK):
        block = [_execution(number) for number in range(start, min(start + _BLOCK, last))]
        took_s += len(block) * EXECUTION_EVENTS / ours.bulk(block)
    return took_s


def _execution(number: int) -> list[bytes]:
    """Return the lines of one execution."""
    name, began = _name(number), START_TIME + number * EXECUTION_EVENTS
    made = [_STARTED % (name, began, number % PROJECTS)]
    for task in range(2):
        about = _TASK % (name, began + task, task, number * 2 + task + 1)
        made.append(b'{"type":"task.started",%s}\n' % about)
        made += [_LINE % (name, began + task, at) for at in range(EXECUTION_EVENTS // 2 - 3)]
        made.append(b'{"type":"task.ended","outcome":"succeeded",%s}\n' % about)
    made += [_LINE % (name, began + 2, at) for at in range(2)]
    return [*made, _ENDED % (name, began + EXECUTION_EVENTS)]


def _name(number: int) -> bytes:
    return b"grow-%08d" % number


def _measure(contest: Contest, ours: Flightlog, size: int) -> dict[str, str]:
    """Return what writing, following and asking cost now, each a median, and what it holds."""
    bulk: list[float] = []
    single: list[float] = []
    waits: list[float] = []
    for _ in range(contest.rounds):
        bulk.append(ours.bulk(batches(20_000 if contest.quick else 100_000)))
        speed, took = ours.single(lines(320 if contest.quick else 8_000), CONNECTIONS)
        single.append(speed)
        waits += took
    delays = tail_delays(ours, 100 if contest.quick else 2_000)
    found = {
        "bulk": rate(median(bulk)),
        "single, 16 connections": rate(median(single)),
        "single, p99": millis(percentile(waits, 0.99)),
        "tail, p50": millis(median(delays)),
    }
    found |= _asked(contest, ours, size // EXECUTION_EVENTS)
    found["memory"] = megabytes(ours.memory_bytes())
    found["disk"] = megabytes(disk_size(ours.files))
    return found


def _asked(contest: Contest, ours: Flightlog, executions: int) -> dict[str, str]:
    """Return how long questions take, p50 and p99."""
    questions = {
        "list -n 50": b'{"executions":{"limit":50}}\n',
        "current": b'{"executions":{"status":["running","waiting"],"project":"PROJECT","limit":1}}\n',
        "logs -n 100": b'{"logs":{"execution_id":"EXEC","last":100}}\n',
        "inspect": b'{"inspect":{"execution_id":"EXEC","tasks":true}}\n',
        "stats": b'{"stats":{}}\n',
    }
    found = {}
    with Asker(ours) as asker:
        for what, question in questions.items():
            took = []
            for turn in range(20 if contest.quick else 200):
                name, project = _name(turn * 7919 % max(1, executions)), b"/p/%d" % (turn % PROJECTS)
                request = question.replace(b"EXEC", name).replace(b"PROJECT", project)
                seconds, _, last = asker.ask(request)
                assert last.startswith(b'{"end"') or not executions, last
                took.append(seconds)
            found[what] = f"{millis(median(took))} ({millis(percentile(took, 0.99))})"
    return found
