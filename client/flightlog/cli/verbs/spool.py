"""`flightlog spool`: what waits on disk for the daemon."""

import os
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from flightlog import paths
from flightlog.cli.output import Output, shown
from flightlog.cli.tables import Column
from flightlog.cli.text import bytes_text
from flightlog.cli.verb import Function, Session, family, json_option, verb
from flightlog.courier import Undelivered, deliver, spool_paths
from flightlog.errors import EXIT_FAILURE, DaemonAway
from flightlog.spool_file import SpoolFile, SpoolUnreadableError
from flightlog.waiting import Waiting, waiting_spools

_STYLES = {"waiting": "yellow", "in_use": None, "unreadable": "red"}

command = family(
    "spool",
    "What waits on disk because the daemon was away. A program delivers its own, and what dead ones of its"
    " user left; these verbs look, and deliver now.",
    "flightlog spool list",
    "flightlog spool deliver",
)


def _directory(function: Function) -> Function:
    return click.option(
        "--dir",
        "directory",
        metavar="DIR",
        help="Where spools are [default: $FLIGHTLOG_SPOOL_DIR, the user's, the system's].",
    )(function)


def _place(directory: str | None) -> Path:
    place = paths.spool_dir(directory or True)
    if place is None:
        raise click.UsageError("which directory? Neither $FLIGHTLOG_SPOOL_DIR nor $HOME says")
    return place


@command.member
@verb("list", "flightlog spool list --json")
@_directory
@json_option
def list_(session: Session, directory: str | None, as_json: bool) -> None:
    """List spools, oldest first: who has them, and how much waits there.

    in_use: its program lives, or somebody delivers it right now. waiting: its program is gone. unreadable:
    damaged, or of another format or user. Piped: tab-separated producer, state, lines, bytes, created,
    runtime directory, reason.
    """
    output = session.output()
    found = waiting_spools(_place(directory))
    if as_json:
        output.json_array(_json(spool) for spool in found)
    else:
        output.rows(_columns(output), found)


@command.member
@verb("deliver", "flightlog spool deliver", "flightlog spool deliver --dir /var/lib/flightlog-spool")
@_directory
def deliver_(session: Session, directory: str | None) -> int:
    """Deliver now what dead programs left, each to the daemon that it was meant for.

    With --runtime-dir, all of it to the daemon there. What a live program has is left to that. Each line is
    stored once, whatever was delivered before. Exit code 2 when something could not be delivered; it stays.
    """
    delivered = lines = refused = 0
    failures: list[str] = []
    hint: str | None = None
    for path in spool_paths(_place(directory)):
        try:
            spool = SpoolFile(path)
        except FileNotFoundError:
            continue
        except (OSError, SpoolUnreadableError) as error:
            failures.append(f"{path.name}: {error}")
            continue
        if not spool.owned or spool.gone:
            spool.close()
            continue
        if spool.header.uid != os.geteuid():
            failures.append(f"{path.name}: it belongs to user {spool.header.uid}, who has to deliver it")
            spool.close()
            continue
        try:
            refused += _deliver(spool, paths.runtime_dir(session.runtime_dir or spool.header.runtime_dir))
        except (DaemonAway, Undelivered) as error:
            failures.append(error.reason)
            hint = error.hint
        else:
            delivered += 1
            lines += spool.lines
    session.say(_summary(delivered, lines, refused))
    for failure in dict.fromkeys(failures):
        session.say(failure)
    if hint is not None:
        click.echo(f"hint: {hint}", err=True)
    return EXIT_FAILURE if failures else 0


def _deliver(spool: SpoolFile, runtime_dir: Path) -> int:
    """Deliver a spool, with a bar on a terminal; return how many of its lines were refused."""
    lines, first_line, refused = spool.lines, spool.header.line, 0
    label = spool.header.producer
    with click.progressbar(length=lines, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for step in deliver(spool, runtime_dir):
            bar.update(step.settled - first_line + 1 - bar.pos)
            refused = step.refused
    return refused


def _summary(delivered: int, lines: int, refused: int) -> str:
    if not delivered:
        return "nothing was delivered"
    spools = "1 spool" if delivered == 1 else f"{delivered:,} spools"
    told = f"{spools} delivered, {lines:,} lines"
    return f"{told}, {refused:,} of them refused" if refused else told


def _json(spool: Waiting) -> dict[str, Any]:
    return shown(msgspec.to_builtins(spool))


def _columns(output: Output) -> list[Column[Waiting]]:
    columns: list[Column[Waiting]] = [
        Column(head="PRODUCER", value=lambda spool: spool.producer or Path(spool.path).stem),
        Column(head="STATE", value=lambda spool: spool.state, style=lambda spool: _STYLES[spool.state]),
        Column(head="LINES", value=lambda spool: _number(spool.lines), right=True),
        Column(
            head="SIZE",
            value=lambda spool: str(spool.size_bytes),
            seen=lambda spool: bytes_text(spool.size_bytes),
            right=True,
        ),
        Column(
            head="CREATED",
            value=lambda spool: None if spool.created_at is None else output.time(spool.created_at),
        ),
        Column(head="FOR", value=lambda spool: spool.runtime_dir, wraps=True),
        Column(head="REASON", value=lambda spool: spool.reason, wraps=True),
    ]
    return columns


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
