"""Writing: in bulk, one event at a time over many connections, and under a follower that reads nothing."""

from collections import defaultdict

from bench.contest import Contest
from bench.figures import median, millis, percentile, rate, spread
from bench.workload import BATCH_LINES, batches, lines

CONNECTIONS = 16


def bulk_rates(contest: Contest) -> dict[str, list[float]]:
    """Return lines a second of everyone and each round: 500 a batch, at most 20,000 unacked, all durable."""
    rates: dict[str, list[float]] = defaultdict(list)
    for _ in range(contest.rounds):
        for contestant in contest.all:
            rates[contestant.name].append(contestant.bulk(batches(_bulk_count(contest))))
    return rates


def bulk(contest: Contest) -> None:
    """One producer, batches of 500, at most 20,000 unacked, all of it acked and durable."""
    rates = bulk_rates(contest)
    plain = median(rates[contest.disk.name])
    contest.report.table(
        f"bulk: {_bulk_count(contest):,} lines of {len(lines(1)[0])} bytes, {BATCH_LINES} a batch, "
        "events acked on disk",
        ["", "median", "lowest .. highest", "of plain write"],
        [
            [name, rate(median(values)), spread(values), f"{median(values) / plain:.2f}"]
            for name, values in rates.items()
        ],
    )
    ours = median(rates[contest.ours.name])
    contest.report.goal(
        "bulk: at least 0.25 of plain write + fdatasync", f"{ours / plain:.2f}", met=ours / plain >= 0.25
    )
    for other in contest.others:
        theirs = median(rates[other.name])
        contest.report.goal(f"bulk: ahead of {other.name}", f"{ours / theirs:.2f} x", met=ours > theirs)


def single_rates(contest: Contest) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return events a second of everyone and each round, and each wait for an ack, in seconds."""
    count = 1_600 if contest.quick else 16_000
    rates: dict[str, list[float]] = defaultdict(list)
    waits: dict[str, list[float]] = defaultdict(list)
    for _ in range(contest.rounds):
        for contestant in contest.all:
            # The loop on the bare disk is alone and syncs for each line: a tenth says as much.
            here = lines(count // 10 if contestant is contest.disk else count)
            speed, took = contestant.single(here, CONNECTIONS)
            rates[contestant.name].append(speed)
            waits[contestant.name] += took
    return rates, waits


def single(contest: Contest) -> None:
    """16 connections, one event each, waiting for its durable ack before the next."""
    rates, waits = single_rates(contest)
    plain = median(rates[contest.disk.name])
    contest.report.table(
        f"single: {CONNECTIONS} connections, each waits for its ack (the plain loop is one, alone)",
        ["", "median", "lowest .. highest", "of plain loop", "p50", "p99"],
        [
            [
                name,
                rate(median(values)),
                spread(values),
                f"{median(values) / plain:.2f}",
                millis(percentile(waits[name], 0.50)),
                millis(percentile(waits[name], 0.99)),
            ]
            for name, values in rates.items()
        ],
    )
    ours, p99 = median(rates[contest.ours.name]), percentile(waits[contest.ours.name], 0.99)
    contest.report.goal(
        "single: at least 1.5 of the plain loop", f"{ours / plain:.2f}", met=ours / plain >= 1.5
    )
    contest.report.goal("single: p99 under 4 ms", millis(p99), met=p99 < 0.004)


def idle_follower(contest: Contest) -> None:
    """Bulk writing while a follower of the live log reads nothing at all."""
    count = 20_000 if contest.quick else 200_000
    rates: dict[str, list[float]] = defaultdict(list)
    for turn in range(contest.rounds * 2):
        # Alternately first, so that neither has the fuller page cache every time.
        for followed in (turn % 2 == 0, turn % 2 == 1):
            with contest.ours.reader() as sock:
                if followed:
                    sock.sendall(b'{"tail":{"after":0}}\n')
                rates["with" if followed else "without"].append(contest.ours.bulk(batches(count)))
    costs = [1 - one / other for one, other in zip(rates["with"], rates["without"], strict=True)]
    cost = median(costs)
    contest.report.table(
        "a follower that reads nothing: bulk beside it",
        ["", "median", "lowest .. highest"],
        [[name + " it", rate(median(values)), spread(values)] for name, values in rates.items()],
    )
    contest.report.goal(
        "a follower that reads nothing costs less than 5 %", f"{cost * 100:.1f} %", met=cost < 0.05
    )


def _bulk_count(contest: Contest) -> int:
    return 20_000 if contest.quick else 200_000
