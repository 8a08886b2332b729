"""Many executions with agents: what lists and looks at one of them cost when the tables are large."""

import time
from collections.abc import Callable, Iterator

from bench.asking import Asker
from bench.contest import Contest
from bench.figures import median, millis, percentile, rate
from bench.workload import BATCH_LINES, START_TIME

EXECUTIONS = 100_000
QUICK_EXECUTIONS = 2_000
AGENTS = 10
PROJECTS = 200
ACTIVE_IN = 20
"""One execution of so many is active still; the others have succeeded."""
LISTED = 50
P99_GOAL_S = 0.005

_CHUNK = 1_000
"""Executions made and sent at once: a million lines would be large in memory."""
_CURRENT = b'{"executions":{"status":["pending","running","waiting"],"project":"%s","limit":1}}\n'
_INSPECT = b'{"inspect":{"execution_id":"%s","agents":true}}\n'
_STARTED = b'{"type":"execution.started","execution_id":"%s","time":%d,"name":"many","project":"%s"}\n'
_ADDED = b'{"type":"agent.added","execution_id":"%s","time":%d,"agent_id":"agent-%d","name":"worker"}\n'
_ENDED = b'{"type":"execution.ended","execution_id":"%s","time":%d,"outcome":"succeeded"}\n'


def many(contest: Contest) -> None:
    """100,000 executions with agents: the newest 50, the current one of a project, one with its agents."""
    count = QUICK_EXECUTIONS if contest.quick else EXECUTIONS
    events, took_s = _record(contest, count)
    questions: dict[str, tuple[Callable[[int], bytes], int]] = {
        f"list -n {LISTED}": (lambda _: b'{"executions":{"limit":%d}}\n' % LISTED, LISTED),
        "current": (lambda turn: _CURRENT % _project(turn * ACTIVE_IN % count), 1),
        "inspect with agents": (lambda turn: _INSPECT % _name(turn * 7919 % count), 1 + AGENTS),
    }
    waits: dict[str, list[float]] = {name: [] for name in questions}
    with Asker(contest.ours) as asker:
        for turn in range(100 if contest.quick else 1_000):
            for name, (request, expected) in questions.items():
                seconds, found, last = asker.ask(request(turn))
                assert found == expected, last
                waits[name].append(seconds)
    contest.report.table(
        f"many: {count:,} executions of {AGENTS} agents in {PROJECTS} projects,"
        f" {events:,} events recorded at {rate(events / took_s)}",
        ["", "p50", "p99", "longest"],
        [
            [name, millis(median(values)), millis(percentile(values, 0.99)), millis(max(values))]
            for name, values in waits.items()
        ],
    )
    for name, values in waits.items():
        p99 = percentile(values, 0.99)
        contest.report.goal(f"many: {name}, p99 under 5 ms", millis(p99), met=p99 < P99_GOAL_S)


def _record(contest: Contest, count: int) -> tuple[int, float]:
    """Record that many executions in bulk; return how many events these were, and the seconds it took."""
    events, began = 0, time.perf_counter()
    for first in range(0, count, _CHUNK):
        made = [line for number in range(first, min(first + _CHUNK, count)) for line in _lines(number)]
        contest.ours.bulk([made[start : start + BATCH_LINES] for start in range(0, len(made), BATCH_LINES)])
        events += len(made)
    return events, time.perf_counter() - began


def _lines(number: int) -> Iterator[bytes]:
    """Yield the lines of one execution: its start, its agents, and its end if it is not active still."""
    name, at = _name(number), START_TIME + number * 1_000
    yield _STARTED % (name, at, _project(number))
    for agent in range(AGENTS):
        yield _ADDED % (name, at + agent, agent)
    if number % ACTIVE_IN:
        yield _ENDED % (name, at + 900)


def _name(number: int) -> bytes:
    return b"many-%06d-0192f0c1a2b3" % number


def _project(number: int) -> bytes:
    # Active are the multiples of ACTIVE_IN: each project has one of these in turn.
    return b"/srv/project-%03d" % (number // ACTIVE_IN % PROJECTS)
