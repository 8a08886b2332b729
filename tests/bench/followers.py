"""What many connections cost who writes: a hundred followers with filters, a thousand that do nothing."""

import select
import time
from collections import defaultdict
from contextlib import ExitStack

from bench.contest import Contest
from bench.contestant import WAIT_S
from bench.figures import median, millis, percentile, rate
from bench.ours import Acks, Flightlog
from bench.workload import EXECUTIONS, lines
from bench.writing import CONNECTIONS

RATE_PER_S = 5_000
_BATCH = 25
FOLLOWERS = 100
IDLE = 1_000
COST_GOAL = 0.20
IDLE_GOAL = 0.05


def followers(contest: Contest) -> None:
    """5,000 events a second with and without a hundred followers, each with a filter of its own."""
    count = RATE_PER_S * (1 if contest.quick else 4)
    rates: dict[str, list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    work: dict[str, list[float]] = defaultdict(list)
    for _ in range(contest.rounds):
        for followed in (False, True):
            name = f"{FOLLOWERS} followers" if followed else "nobody follows"
            with ExitStack() as stack:
                if followed:
                    _follow(contest.ours, stack)
                before = contest.ours.processor_s()
                speed, took = steady(contest.ours, count)
                work[name].append((contest.ours.processor_s() - before) / count)
            rates[name].append(speed)
            waits[name] += took
    contest.report.table(
        f"followers: {count:,} events offered at {RATE_PER_S:,}/s, {_BATCH} at a time",
        ["", "taken", "p50 to the ack", "p99", "processor time an event"],
        [
            [
                name,
                rate(median(values)),
                millis(median(waits[name])),
                millis(percentile(waits[name], 0.99)),
                f"{median(work[name]) * 1e6:.0f} us",
            ]
            for name, values in rates.items()
        ],
    )
    alone, among = (median(values) for values in rates.values())
    cost = 1 - among / alone
    contest.report.goal(
        f"followers: {FOLLOWERS} with filters cost {RATE_PER_S:,} events/s less than 20 %",
        f"{cost * 100:.1f} %",
        met=cost < COST_GOAL,
    )


def idle(contest: Contest) -> None:
    """Lone events over 16 connections while a thousand others say nothing."""
    count = 1_600 if contest.quick else 16_000
    rates: dict[str, list[float]] = defaultdict(list)
    for turn in range(contest.rounds * 2):
        # Alternately first, so that neither has the fuller page cache every time.
        for crowded in (turn % 2 == 0, turn % 2 == 1):
            with ExitStack() as stack:
                for _ in range(IDLE // 2 if crowded else 0):
                    stack.enter_context(contest.ours.producer())
                    stack.enter_context(contest.ours.reader())
                speed, _ = contest.ours.single(lines(count), CONNECTIONS)
            rates["with" if crowded else "without"].append(speed)
    cost = median([1 - one / other for one, other in zip(rates["with"], rates["without"], strict=True)])
    contest.report.table(
        f"idle: {CONNECTIONS} connections write, {IDLE:,} others say nothing",
        ["", "median"],
        [[f"{name} them", rate(median(values))] for name, values in rates.items()],
    )
    contest.report.goal(
        f"idle: {IDLE:,} connections cost nothing", f"{cost * 100:.1f} %", met=cost < IDLE_GOAL
    )


def _follow(ours: Flightlog, stack: ExitStack) -> None:
    """Begin a hundred follows: by execution, level, source and text; some see much, most little."""
    filters = [
        *(b'"execution_id":"%s"' % name.encode() for name in EXECUTIONS),
        *(b'"grep":"module_%03d"' % number for number in range(FOLLOWERS - len(EXECUTIONS))),
    ]
    for text in filters:
        reader = stack.enter_context(ours.reader())
        reader.sendall(b'{"tail":{"type":["log"],%s}}\n' % text)
        # Nobody reads slowly here: what they are sent fits the buffers of their sockets.


def steady(ours: Flightlog, count: int) -> tuple[float, list[float]]:
    """Send at an even rate; return the rate at which it was acked, and how long each part waited."""
    made = lines(count)
    acks = Acks()
    waits: list[float] = []
    sent_at: list[float] = []
    with ours.producer() as sock:
        began = time.perf_counter()
        acked = 0
        while acked < count:
            now = time.perf_counter()
            due = began + len(sent_at) * _BATCH / RATE_PER_S
            if len(sent_at) * _BATCH < count and now >= due:
                first = len(sent_at) * _BATCH
                sent_at.append(now)
                sock.sendall(b"".join(made[first : first + _BATCH]))
                continue
            pause = max(0.0, due - now) if len(sent_at) * _BATCH < count else WAIT_S
            if select.select([sock], [], [], pause)[0]:
                acked = acks(sock.recv(65536))
                now = time.perf_counter()
                waits += [now - at for at in sent_at[len(waits) : acked // _BATCH]]
        return count / (time.perf_counter() - began), waits
