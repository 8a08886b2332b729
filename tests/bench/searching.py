"""Search: what is found among a million lines and how fast, and what feeding the index costs who writes."""

import json
import time
from collections import defaultdict

from bench.asking import Asker
from bench.contest import Contest
from bench.contestant import WAIT_S
from bench.figures import median, megabytes, millis, percentile, rate, spread
from bench.ours import Flightlog
from bench.workload import BATCH_LINES, EXECUTIONS, START_TIME, batches, lines

LINES = 1_000_000
QUICK_LINES = 50_000
NEEDLES = 100
NEWEST = 50
GOAL_S = 0.050
COMMON_BEGINNING = "a beginning in every line"
"""All that begins so is put together first, so this grows with the log; it is shown, and has no goal."""
CONNECTIONS = 16


def search(contest: Contest) -> None:
    """A rare word, common words, words of one execution; then writing with and without an index."""
    _find(contest)
    _write(contest)


def _find(contest: Contest) -> None:
    count = QUICK_LINES if contest.quick else LINES
    needle = b'{"type":"log","execution_id":"%s","time":%d,"message":"needle%d in the hay"}\n'
    for number in range(NEEDLES):
        name = EXECUTIONS[number % len(EXECUTIONS)].encode()
        made = batches(count // NEEDLES // BATCH_LINES * BATCH_LINES)
        contest.ours.bulk([[needle % (name, START_TIME, number)], *made])
    with Asker(contest.ours) as asker:
        status, head = _status(asker)
    behind = head - status["position"]
    caught_up_s = _catch_up(contest.ours)
    with Asker(contest.ours) as asker:
        status, _ = _status(asker)
        questions = {
            "a rare word": (b'{"search":{"text":"needle%d"}}\n', 1),
            f"a word of every line, newest {NEWEST}": (b'{"search":{"text":"cc"}}\n', NEWEST),
            "two words": (b'{"search":{"text":"module_%03d wall"}}\n', NEWEST),
            "two words of every line": (b'{"search":{"text":"cc app"}}\n', NEWEST),
            "a rare beginning": (b'{"search":{"text":"need*"}}\n', NEWEST),
            COMMON_BEGINNING: (b'{"search":{"text":"c*"}}\n', NEWEST),
            "a word of every line, in one execution": (
                b'{"search":{"text":"cc","execution_id":"bench-%02d-0192f0c1a2b3"}}\n',
                NEWEST,
            ),
        }
        took: dict[str, list[float]] = defaultdict(list)
        for turn in range(30 if contest.quick else 300):
            for name_, (question, expected) in questions.items():
                asked = question % (turn * 7 % len(EXECUTIONS)) if b"%" in question else question
                seconds, found, last = asker.ask(asked)
                assert found == expected, (asked, last)
                took[name_].append(seconds)
    contest.report.table(
        f"search: {head:,} positions; caught up with the last {behind:,} in {caught_up_s:.2f} s"
        f" ({rate(behind / caught_up_s)}), index of {megabytes(status['index_bytes'])}",
        ["", "p50", "p99", "longest"],
        [
            [name_, millis(median(values)), millis(percentile(values, 0.99)), millis(max(values))]
            for name_, values in took.items()
        ],
    )
    del took[COMMON_BEGINNING]
    worst = max(percentile(values, 0.99) for values in took.values())
    contest.report.goal("search: p99 of words under 50 ms", millis(worst), met=worst < GOAL_S)


def _catch_up(daemon: Flightlog) -> float:
    """Return how many seconds it took until all that is in the log was in the index."""
    began = time.perf_counter()
    with Asker(daemon) as asker:
        _, head = _status(asker)
        question = b'{"search":{"text":"none","min_seq":%d,"wait_ms":%d}}\n' % (head, WAIT_S * 1000)
        assert asker.ask(question)[2].startswith(b'{"end"')
    return time.perf_counter() - began


def _status(asker: Asker) -> tuple[dict[str, int], int]:
    """Return what status says of the index, and where the log ends."""
    status = json.loads(asker.ask_all(b'{"status":{}}\n')[0])["status"]
    return status["search"], status["head_seq"]


def _write(contest: Contest) -> None:
    """Bulk and single acks, in turns, of a daemon with an index and one without."""
    bulk_count, single_count = (20_000, 1_600) if contest.quick else (200_000, 16_000)
    base = contest.ours.daemon.state_dir.parent
    for name in ("with", "without"):
        (base / name).mkdir()
    with_it, without = Flightlog(base / "with"), Flightlog(base / "without", search="false")
    rates: dict[str, dict[str, list[float]]] = {"bulk": defaultdict(list), "single": defaultdict(list)}
    waits: dict[str, list[float]] = defaultdict(list)
    try:
        for turn in range(contest.rounds * 2):
            order = [("with", with_it), ("without", without)]
            for name, daemon in order if turn % 2 else reversed(order):
                rates["bulk"][name].append(daemon.bulk(batches(bulk_count)))
                speed, took = daemon.single(lines(single_count), CONNECTIONS)
                rates["single"][name].append(speed)
                waits[name] += took
                # What is left to index must not be done while the other one is measured.
                _catch_up(with_it)
    finally:
        with_it.close()
        without.close()
    contest.report.table(
        "an index: writing with and without it",
        ["", "bulk", "lowest .. highest", "single", "single p50", "single p99"],
        [
            [
                f"{name} it",
                rate(median(rates["bulk"][name])),
                spread(rates["bulk"][name]),
                rate(median(rates["single"][name])),
                millis(percentile(waits[name], 0.50)),
                millis(percentile(waits[name], 0.99)),
            ]
            for name in ("with", "without")
        ],
    )
    for what, values in rates.items():
        cost = 1 - median([one / other for one, other in zip(values["with"], values["without"], strict=True)])
        contest.report.goal(
            f"an index costs {what} writing less than 5 %", f"{cost * 100:.1f} %", met=cost < 0.05
        )
