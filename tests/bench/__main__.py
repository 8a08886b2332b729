"""`python -m bench [PART ...] [--quick]`: measure, print tables, say which goals are met."""

import argparse
import os
import platform
from pathlib import Path

from bench import (
    attempting,
    backfilling,
    emitting,
    followers,
    growth,
    hostile,
    many,
    masking,
    peers,
    planning,
    reading,
    relaying,
    scrubbing,
    searching,
    waiting,
    writing,
)
from bench.contest import contest
from bench.figures import megabytes

PARTS = {
    "peers": peers.peers,
    "bulk": writing.bulk,
    "single": writing.single,
    "tail": reading.tail,
    "follower": writing.idle_follower,
    "followers": followers.followers,
    "idle": followers.idle,
    "read": reading.read,
    "logs": reading.logs,
    "emit": emitting.emit,
    "waits": waiting.waits,
    "masking": masking.masking,
    "scrubbing": scrubbing.scrubbing,
    "many": many.many,
    "hostile": hostile.hostile,
    "attempts": attempting.attempts,
    "search": searching.search,
    "backfill": backfilling.backfill,
    "plan": planning.planning,
    "growth": growth.growth,
    "fleet": relaying.fleet,
}
MEMORY_LIMIT_BYTES = 100_000_000


def main() -> None:
    """Run the parts that were asked for. The exit code says nothing of speed."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"any of {' '.join(PARTS)} (default: all)")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: to see that it works, not how fast"
    )
    parser.add_argument("--rounds", type=int, help="how often each takes its turn (default 5, quick 2)")
    parser.add_argument("--alone", action="store_true", help="without the others")
    parser.add_argument("--chart", type=Path, help="draw what `peers` measures to this file, as SVG")
    parser.add_argument(
        "--dir", type=Path, default=Path("/var/tmp"), help="a directory on the disk to measure"
    )
    chosen = parser.parse_args()
    unknown = set(chosen.parts) - PARTS.keys()
    if unknown:
        parser.error(f"no such part: {' '.join(sorted(unknown))}")
    rounds = chosen.rounds or (2 if chosen.quick else 5)
    print(
        f"flightlog benchmark: Python {platform.python_version()}, {os.cpu_count()} CPUs, "
        f"{platform.release()}, {rounds} rounds, files in {chosen.dir}"
    )
    with contest(
        chosen.dir, rounds=rounds, quick=chosen.quick, alone=chosen.alone, chart=chosen.chart
    ) as running:
        peaks = {"at rest": running.ours.peak_memory_bytes()}
        for part in chosen.parts or PARTS:
            PARTS[part](running)
            peaks[f"after {part}"] = peak = running.ours.peak_memory_bytes()
        running.report.table(
            "memory: the most that the daemon held resident",
            ["", "peak"],
            [[when, megabytes(size)] for when, size in peaks.items()],
        )
        running.report.goal(
            "memory: the daemon under 100 MB throughout", megabytes(peak), met=peak < MEMORY_LIMIT_BYTES
        )
        running.report.summary()


if __name__ == "__main__":
    main()
