"""Who takes part in a run, and the rounds in which all take turns."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.contestant import Contestant, Log, SkippedError
from bench.disk import Disk
from bench.nats_jetstream import NatsJetStream
from bench.ours import Flightlog
from bench.postgres import PostgreSQL
from bench.redis_streams import RedisStreams
from bench.report import Report


@dataclass
class Contest:
    """One run of the benchmark.

    Attributes:
        base: A directory on the disk that is measured.
        report: Where tables and goals go.
        disk: The bare disk.
        ours: flightlog.
        others: What we compare with, as far as it is here.
        rounds: How often each takes its turn.
        quick: Small sizes, to see that it works.
        chart: The file to draw a chart to, if any.
    """

    base: Path
    report: Report
    disk: Disk
    ours: Flightlog
    others: list[Log]
    rounds: int
    quick: bool
    chart: Path | None

    @property
    def all(self) -> list[Contestant]:
        """Everyone, the bare disk first."""
        return [self.disk, self.ours, *self.others]


@contextmanager
def contest(base: Path, *, rounds: int, quick: bool, alone: bool, chart: Path | None) -> Iterator[Contest]:
    """Start everyone in a directory below `base`; stop them and remove it at the end.

    Args:
        base: A directory on the disk that is to be measured, with a short path.
        rounds: How often each takes its turn.
        quick: Small sizes.
        chart: The file to draw a chart to, if any.
        alone: Leave the others out.
    """
    report = Report()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="flb-", dir=base)))
        disk, ours = Disk(directory), Flightlog(directory)
        stack.callback(ours.close)
        others: list[Log] = []
        for kind in () if alone else (RedisStreams, NatsJetStream, PostgreSQL):
            try:
                other = kind(directory)
            except SkippedError as reason:
                report.skip(kind.name, str(reason))
            else:
                stack.callback(other.close)
                others.append(other)
        yield Contest(base, report, disk, ours, others, rounds, quick, chart)
