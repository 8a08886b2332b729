"""`flightlog import`: sessions of agents, what another daemon recorded, the journal, CloudEvents."""  # noqa: N999  # as the verb

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from flightlog.cli.busy import BusyNotice
from flightlog.cli.import_cloudevents import ABOUT as ABOUT_CLOUD_EVENTS
from flightlog.cli.import_cloudevents import import_cloudevents
from flightlog.cli.import_journal import import_journal
from flightlog.cli.import_log import import_log
from flightlog.cli.options import TIME
from flightlog.cli.progress import Advance, progress, unseen
from flightlog.cli.verb import Session, json_option, verb
from flightlog.clock import now_us
from flightlog.encode import encode_line
from flightlog.errors import EXIT_FAILURE, UsageError
from flightlog.importing.exported import ABOUT
from flightlog.importing.journalctl import Choice
from flightlog.importing.ship import Item, Settled, Shipment
from flightlog.importing.transcript import (
    Format,
    NoTranscriptError,
    Transcript,
    format_named,
    format_names,
)
from flightlog.paths import ingest_socket

EVENTS: Final = "events"
JOURNAL: Final = "journal"
CLOUD_EVENTS: Final = "cloudevents"


@verb(
    "import",
    "flightlog import claude-code ~/.claude/projects",
    "flightlog import codex ~/.codex/sessions --dry-run",
    "flightlog import events log.jsonl",
    "flightlog import journal --unit nginx --since 1d",
    "flightlog import journal --follow --cursor-file journal.cursor",
    "flightlog import cloudevents -",
    "flightlog import --list",
)
@click.argument("format_name", metavar="[FORMAT]", required=False)
@click.argument("paths", metavar="[PATH...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("-u", "--unit", "units", multiple=True, metavar="UNIT", help="journal: of this unit, too.")
@click.option(
    "-t",
    "--identifier",
    "identifiers",
    multiple=True,
    metavar="NAME",
    help="journal: of this identifier, too.",
)
@click.option("-S", "--since", type=TIME, help="journal: written at or after: 5m, 2h, 1d, today, RFC 3339.")
@click.option("-f", "--follow", is_flag=True, help="journal: go on with what comes.")
@click.option(
    "--cursor-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="journal: go on after the entry that FILE names, and keep there how far this came.",
)
@click.option("--list", "as_list", is_flag=True, help="Show the formats.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing; needs no daemon.")
@json_option
def command(
    session: Session,
    format_name: str | None,
    paths: tuple[Path, ...],
    units: tuple[str, ...],
    identifiers: tuple[str, ...],
    since: int | None,
    follow: bool,
    cursor_file: Path | None,
    as_list: bool,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Record sessions of agents from their transcripts, what `flightlog export` wrote, or systemd's journal.

    Each session becomes an execution: its tool calls are tasks, its sub-agents agents, the files it wrote
    artifacts, with the tokens it used. PATH is a file or a directory. What is in the log already is skipped,
    so a transcript that has grown adds its new records; a session that was silent for an hour is taken as
    ended. FORMAT `events` takes exports (a file, a directory, or - for stdin): events as they were stored,
    with who said them, where and when; root and the user that runs the daemon may do that. FORMAT `journal`
    takes the entries that `journalctl` shows this user, or files that `journalctl -o json` wrote: each run of
    a unit becomes an execution. FORMAT `cloudevents` takes CloudEvents as JSON lines. Exit code 2 if a file
    is no transcript, or a line is none of an export or a journal, or no CloudEvent.
    """
    if as_list:
        _show_formats(session, as_json=as_json)
        return 0
    if format_name is None:
        raise UsageError("give a format and a path", "flightlog import --list")
    if format_name not in (EVENTS, JOURNAL, CLOUD_EVENTS, *format_names()):
        raise UsageError(f"no such format: {format_name}", "flightlog import --list")
    choice = Choice(units=units, identifiers=identifiers, since=since, follow=follow)
    if (choice != Choice() or cursor_file is not None) and (format_name != JOURNAL or paths):
        raise UsageError(
            "--unit, --identifier, --since, --follow and --cursor-file choose from this machine's journal",
            "flightlog import journal --unit nginx",
        )
    if format_name == JOURNAL:
        return import_journal(session, paths, choice, cursor_file, dry_run=dry_run, as_json=as_json)
    if not paths:
        raise UsageError("give a path, too", f"flightlog import {format_name} PATH")
    if format_name == EVENTS:
        return import_log(session, paths, dry_run=dry_run, as_json=as_json)
    if format_name == CLOUD_EVENTS:
        return import_cloudevents(session, paths, dry_run=dry_run, as_json=as_json)
    run = _Run(session, format_named(format_name))
    with progress("import", None) as run.advance:
        items = run.items(paths)
        if dry_run:
            for item in items:
                run.settled(Settled(item, 1, 0, []))
        else:
            Shipment(run.settled).send(
                ingest_socket(session.daemon.directory), items, BusyNotice(session.say)
            )
    output = session.output()
    if as_json:
        output.json(run.summary() | {"dry_run": dry_run})
    else:
        output.line(run.sentence(dry_run=dry_run))
    return EXIT_FAILURE if run.failed else 0


def _show_formats(session: Session, *, as_json: bool) -> None:
    formats = {name: format_named(name).ABOUT for name in format_names()} | {
        EVENTS: ABOUT,
        JOURNAL: "systemd's journal, or what `journalctl -o json` wrote",
        CLOUD_EVENTS: ABOUT_CLOUD_EVENTS,
    }
    output = session.output()
    if as_json:
        output.json([{"name": name, "about": about} for name, about in formats.items()])
        return
    for name, about in formats.items():
        output.line(f"{name}\t{about}")


class _Counts(Struct):
    added: int = 0
    skipped: int = 0


class _Run:
    """What has become of every session so far."""

    def __init__(self, session: Session, chosen: Format) -> None:
        self.failed = 0
        self.advance: Advance = unseen
        self._session = session
        self._format = chosen
        self._sessions: dict[str, _Counts] = {}

    def items(self, paths: tuple[Path, ...]) -> Iterator[Item]:
        """Yield the events of all transcripts, each an item of its own."""
        for path in paths:
            for found in self._format.find(path):
                if isinstance(found, NoTranscriptError):
                    self._fail(str(found))
                else:
                    yield from self._events(found)

    def _events(self, transcript: Transcript) -> Iterator[Item]:
        where = str(transcript.path)
        self._sessions.setdefault(transcript.session_id, _Counts())
        try:
            for event in self._format.read(transcript, now_us()):
                line = encode_line(event)
                if line is None:
                    self._fail(f"{where}: a record holds what JSON cannot say")
                else:
                    yield Item(where, transcript.session_id, [line], len(line))
        except OSError as error:
            self._fail(f"{where}: {error.strerror or error}")

    def settled(self, settled: Settled) -> None:
        """Count an event."""
        self.advance(settled.item.size_bytes)
        counts = self._sessions[settled.item.kind]
        counts.added += settled.added
        counts.skipped += settled.skipped
        for reason in settled.refused:
            self._fail(f"{settled.item.where}: {reason}")

    def _fail(self, what: str) -> None:
        self.failed += 1
        self._session.say(what)

    def summary(self) -> dict[str, object]:
        """Return all counts."""
        sessions = self._sessions.values()
        return {
            "sessions": {
                "total": len(sessions),
                "added": sum(counts.added > 0 and not counts.skipped for counts in sessions),
                "grown": sum(counts.added > 0 and counts.skipped > 0 for counts in sessions),
                "skipped": sum(not counts.added for counts in sessions),
            },
            "events": {
                "added": sum(counts.added for counts in sessions),
                "skipped": sum(counts.skipped for counts in sessions),
            },
            "failed": self.failed,
        }

    def sentence(self, *, dry_run: bool) -> str:
        """Return all counts for a person."""
        summary = self.summary()
        sessions, events = summary["sessions"], summary["events"]
        assert isinstance(sessions, dict)
        assert isinstance(events, dict)
        total = f"{sessions['total']:,} session{'' if sessions['total'] == 1 else 's'}"
        failed = f"; {self.failed:,} failed" if self.failed else ""
        if dry_run:
            return f"{total}: {events['added']:,} events would be sent{failed}"
        became = ", ".join(f"{sessions[name]:,} {name}" for name in ("added", "grown", "skipped"))
        told = ", ".join(f"{count:,} {name}" for name, count in events.items())
        return f"{total}: {became}; events: {told}{failed}"
