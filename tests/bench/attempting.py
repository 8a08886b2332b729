"""Attempts at tasks: what it costs to record them, and what questions cost among a million."""

import random
import time
from collections.abc import Callable, Iterator

from bench.asking import Asker
from bench.contest import Contest
from bench.figures import median, millis, percentile, rate
from bench.workload import BATCH_LINES, START_TIME

ATTEMPTS = 1_000_000
QUICK_ATTEMPTS = 20_000
TASKS = 200
DAYS = 90
PROJECTS = 20
STACKS = 50
FAILED_SHARE = 0.05
PER_EXECUTION = 50
LISTED = 20
LIST_GOAL_S = 0.005
STATS_GOAL_S = 0.020

_CHUNK = 20_000
"""Attempts made and sent at once: all of them would be large in memory."""
_STARTED = (
    b'{"type":"task.started","execution_id":"%s","task_id":"task-%03d","slug":"slug-%02d","span_id":"%016x",'
    b'"trace_id":"%032x","time":%d}\n'
)
_ENDED = b'{"type":"task.ended","execution_id":"%s","task_id":"task-%03d","span_id":"%016x","time":%d,%s}\n'
_SUCCEEDED = b'"outcome":"succeeded"'
_FAILED = b'"outcome":"failed","error":{"type":"OSError","message":"attempt %d","stack":"in f%d"}'


def attempts(contest: Contest) -> None:
    """A million attempts at 200 tasks over 90 days: lists, traces, failures, statistics."""
    count = QUICK_ATTEMPTS if contest.quick else ATTEMPTS
    took_s = _record(contest, count)
    questions: dict[str, tuple[Callable[[int], bytes], int | None, float]] = {
        f"task list -n {LISTED}": (_asks(b'{"tasks":{"limit":20}}'), LISTED, LIST_GOAL_S),
        "task list --task": (_asks(b'{"tasks":{"limit":20,"task_id":"task-%03d"}}'), LISTED, LIST_GOAL_S),
        "task list --slug": (_asks(b'{"tasks":{"limit":20,"slug":"slug-%02d"}}', 40), LISTED, LIST_GOAL_S),
        "task trace": (
            lambda turn: b'{"tasks":{"oldest_first":true,"trace_id":"%032x"}}\n' % (turn * 7919 % count + 1),
            1,
            LIST_GOAL_S,
        ),
        "task failed": (_asks(b'{"tasks":{"limit":20,"status":"failed"}}'), LISTED, LIST_GOAL_S),
        "task failed --task": (
            _asks(b'{"tasks":{"limit":5,"status":"failed","task_id":"task-%03d"}}'),
            None,
            LIST_GOAL_S,
        ),
        "stats": (_asks(b'{"stats":{}}'), 1, STATS_GOAL_S),
        "stats TASK": (_asks(b'{"stats":{"task_id":"task-%03d"}}'), 1, STATS_GOAL_S),
        "stats --project": (_asks(b'{"stats":{"project":"/srv/%02d"}}', PROJECTS), 1, STATS_GOAL_S),
        "stats --since, 40 days": (
            lambda _: b'{"stats":{"since":%d}}\n' % (START_TIME + (DAYS - 40) * 86_400_000_000),
            1,
            STATS_GOAL_S,
        ),
    }
    waits: dict[str, list[float]] = {name: [] for name in questions}
    with Asker(contest.ours) as asker:
        for turn in range(50 if contest.quick else 300):
            for name, (request, expected, _) in questions.items():
                seconds, found, last = asker.ask(request(turn))
                assert found == expected or (expected is None and found), (name, found, last)
                waits[name].append(seconds)
    contest.report.table(
        f"attempts: {count:,} at {TASKS} tasks over {DAYS} days, {rate(2 * count / took_s)} events recorded",
        ["", "p50", "p99", "longest"],
        [
            [name, millis(median(values)), millis(percentile(values, 0.99)), millis(max(values))]
            for name, values in waits.items()
        ],
    )
    for name, (_, _, goal_s) in questions.items():
        p99 = percentile(waits[name], 0.99)
        contest.report.goal(
            f"attempts: {name}, p99 under {goal_s * 1000:.0f} ms", millis(p99), met=p99 < goal_s
        )


def _asks(request: bytes, numbers: int = TASKS) -> Callable[[int], bytes]:
    """Return what makes a request, of one of so many tasks, slugs or projects where it names one."""
    line = request + b"\n"
    return (lambda turn: line % (turn % numbers)) if b"%" in request else (lambda _: line)


def _record(contest: Contest, count: int) -> float:
    """Record that many attempts in bulk, and return the seconds it took."""
    dice = random.Random(1)
    took_s = 0.0
    for first in range(0, count, _CHUNK):
        made = [
            line
            for number in range(first, min(first + _CHUNK, count))
            for line in _lines(number, count, dice)
        ]
        batches = [made[start : start + BATCH_LINES] for start in range(0, len(made), BATCH_LINES)]
        began = time.perf_counter()
        contest.ours.bulk(batches)
        took_s += time.perf_counter() - began
    return took_s


def _lines(number: int, count: int, dice: random.Random) -> Iterator[bytes]:
    """Yield the lines of one attempt; the first of an execution begins with that one's."""
    execution_number = number // PER_EXECUTION
    name = b"attempts-%06d" % execution_number
    at = START_TIME + number * DAYS * 86_400_000_000 // count
    if number % PER_EXECUTION == 0:
        yield b'{"type":"execution.started","execution_id":"%s","time":%d,"project":"/srv/%02d"}\n' % (
            name,
            at,
            execution_number % PROJECTS,
        )
    task = dice.randrange(TASKS)
    yield _STARTED % (name, task, task % 40, number + 1, number + 1, at)
    ending = _FAILED % (number, dice.randrange(STACKS)) if dice.random() < FAILED_SHARE else _SUCCEEDED
    yield _ENDED % (name, task, number + 1, at + int(dice.lognormvariate(13, 1.5)), ending)
