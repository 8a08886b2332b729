"""`flightlog backfill`: tasks and events of the past, from files."""

from pathlib import Path
from typing import Final

import click

from flightlog.cli.busy import BusyNotice
from flightlog.cli.progress import Advance, progress, unseen
from flightlog.cli.text import cut
from flightlog.cli.verb import Session, json_option, verb
from flightlog.errors import EXIT_FAILURE, UsageError
from flightlog.importing.backfill import EVENT, EXECUTION, TASK, Backfill
from flightlog.importing.ship import Settled, Shipment, Tally
from flightlog.importing.sources import size_of
from flightlog.paths import ingest_socket

_REASON_LIMIT_CHARS: Final = 500
_SHOWN_LIMIT: Final = 100
"""Most failures that are named one by one."""


@verb(
    "backfill",
    "flightlog backfill results/",
    "flightlog backfill --dry-run results/2025-*.json",
    "zcat events.jsonl.gz | flightlog backfill -",
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing; needs no daemon.")
@json_option
def command(session: Session, paths: tuple[Path, ...], dry_run: bool, as_json: bool) -> int:
    """Record tasks and events that happened before.

    PATH is a file, a directory (all *.json, *.jsonl and *.ndjson in it), or - for stdin. A record with a
    `type` is an event line; every other one is a task's result: task_id, started_at, completed_at, success,
    and task_name, response, error, metadata. What is in the log already is skipped, so this can be run
    again, also after it was interrupted. A bad record is reported and the rest goes on; exit code 2 if any
    was bad.
    """
    if len(paths) > 1 and Path("-") in paths:
        raise UsageError("- stands alone: stdin or files, not both", "flightlog backfill --help")
    run = _Run(session)
    stdin = paths == (Path("-"),)
    with progress("backfill", None if stdin else size_of(paths)) as run.advance:
        items = Backfill(run.fail).items(paths)
        if dry_run:
            for item in items:
                run.settled(Settled(item, len(item.lines), 0, []))
        else:
            Shipment(run.settled).send(
                ingest_socket(session.daemon.directory), items, BusyNotice(session.say)
            )
    output = session.output()
    tallies = {name: tally for name, tally in run.tallies.items() if tally.total}
    if as_json:
        output.json({f"{name}s": tally.shown() for name, tally in run.tallies.items()} | {"dry_run": dry_run})
    else:
        for name, tally in (tallies or {TASK: Tally()}).items():
            output.line(_sentence(name, tally, dry_run=dry_run))
    return EXIT_FAILURE if any(tally.failed for tally in tallies.values()) else 0


class _Run:
    """What has become of everything so far."""

    def __init__(self, session: Session) -> None:
        self.tallies = {TASK: Tally(), EVENT: Tally()}
        self.advance: Advance = unseen
        self._session = session
        self._said = 0

    def settled(self, settled: Settled) -> None:
        """Count an item."""
        item = settled.item
        self.advance(item.size_bytes)
        if settled.refused:
            self.fail(TASK if item.kind == EXECUTION else item.kind, item.where, settled.refused[0])
        elif item.kind != EXECUTION:
            tally = self.tallies[item.kind]
            if settled.added:
                tally.added += 1
            else:
                tally.skipped += 1

    def fail(self, kind: str, where: str, reason: str) -> None:
        """Count and name a record that could not be told."""
        self.tallies[kind].failed += 1
        self._said += 1
        if self._said <= _SHOWN_LIMIT:
            self._session.say(f"{where}: {cut(reason, _REASON_LIMIT_CHARS)}")
        elif self._said == _SHOWN_LIMIT + 1:
            self._session.say("more failed; they are only counted")


def _sentence(name: str, tally: Tally, *, dry_run: bool) -> str:
    parts = [f"{tally.added:,} {'would be sent' if dry_run else 'added'}"]
    if not dry_run:
        parts.append(f"{tally.skipped:,} skipped")
    parts.append(f"{tally.failed:,} failed")
    return f"{tally.total:,} {name}{'' if tally.total == 1 else 's'}: {', '.join(parts)}"
