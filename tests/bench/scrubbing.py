"""Personal data: what its rules cost bulk writing and the program that emits, where they are in force."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import closing

from bench.contest import Contest
from bench.emitting import call_costs
from bench.figures import median, rate, spread
from bench.ours import Flightlog
from bench.workload import BATCH_LINES, batches

_KINDS: dict[str, Callable[[bytes], bytes]] = {
    "clean lines": lambda line: line,
    "an address in each": lambda line: line.replace(b"-O2 -Wall", b"10.1.2.3:80"),
}
"""What becomes of a line of the usual workload."""


def scrubbing(contest: Contest) -> None:
    """Bulk and `run.log()` with all rules and without, turn by turn."""
    directory = contest.ours.daemon.state_dir.parent / "scrubbed"
    directory.mkdir()
    count = 20_000 if contest.quick else 200_000
    rates: dict[tuple[str, bool], list[float]] = defaultdict(list)
    calls: dict[bool, list[float]] = defaultdict(list)
    with closing(Flightlog(directory, scrub_rules="all")) as scrubbed:
        for turn in range(contest.rounds):
            for kind, change in _KINDS.items():
                # Where each line is looked at closely, a tenth says as much.
                here = batches(count if kind == "clean lines" else max(count // 10, BATCH_LINES))
                changed = [[change(line) for line in batch] for batch in here]
                for on in (turn % 2 == 0, turn % 2 == 1):
                    rates[kind, on].append((scrubbed if on else contest.ours).bulk(changed))
            for on in (turn % 2 == 0, turn % 2 == 1):
                calls[on] += call_costs(contest, **({"FLIGHTLOG_SCRUB": "all"} if on else {}))
    contest.report.table(
        "personal data: bulk with all rules and without",
        ["", "with", "lowest .. highest", "without", "lowest .. highest", "cost of a line"],
        [
            [
                kind,
                rate(median(rates[kind, True])),
                spread(rates[kind, True]),
                rate(median(rates[kind, False])),
                spread(rates[kind, False]),
                f"{(1 / median(rates[kind, True]) - 1 / median(rates[kind, False])) * 1e6:.2f} us",
            ]
            for kind in _KINDS
        ],
    )
    contest.report.table(
        "personal data: run.log() of a clean line, in the caller's thread",
        ["", "median"],
        [[name, f"{median(calls[on]) * 1e6:.2f} us"] for name, on in (("all rules", True), ("none", False))],
    )
