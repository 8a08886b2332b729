"""Masking: what the daemon's look at every line costs bulk writing, of clean lines and of others."""

from collections import defaultdict
from collections.abc import Callable
from contextlib import closing

from bench.contest import Contest
from bench.figures import median, rate, spread
from bench.ours import Flightlog
from bench.workload import BATCH_LINES, batches

_KINDS: dict[str, Callable[[bytes], bytes]] = {
    "clean lines": lambda line: line,
    "a harmless name": lambda line: line.replace(b'{"stream":"stdout"}', b'{"token_count":12345}'),
    "a secret in each": lambda line: line.replace(b"-O2 -Wall", b"password=x"),
}
"""What becomes of a line of the usual workload."""


def masking(contest: Contest) -> None:
    """Bulk with `mask_builtin` on and off, turn by turn."""
    directory = contest.ours.daemon.state_dir.parent / "unmasked"
    directory.mkdir()
    count = 20_000 if contest.quick else 200_000
    rates: dict[tuple[str, bool], list[float]] = defaultdict(list)
    with closing(Flightlog(directory, mask_builtin="false")) as unmasked:
        for turn in range(contest.rounds * 2):
            for kind, change in _KINDS.items():
                # Where each line is looked at closely, a tenth says as much.
                here = batches(count if kind == "clean lines" else max(count // 10, BATCH_LINES))
                changed = [[change(line) for line in batch] for batch in here]
                # Alternately first, so that neither has the fuller page cache every time.
                for masked in (turn % 2 == 0, turn % 2 == 1):
                    subject = contest.ours if masked else unmasked
                    rates[kind, masked].append(subject.bulk(changed))
    contest.report.table(
        "masking: bulk with it and without",
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
    clean = [
        1 - one / other
        for one, other in zip(rates["clean lines", True], rates["clean lines", False], strict=True)
    ]
    contest.report.goal(
        "masking clean lines costs bulk less than 40 %",
        f"{median(clean) * 100:.1f} %",
        met=median(clean) < 0.4,
    )
