"""What is wrong with a set-up, and what to do about it: each finding has a cause and a remedy."""

import grp
import os
import pwd
import shutil
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal

import msgspec
from msgspec import Struct

from flightlog import paths
from flightlog.clock import now_us
from flightlog.daemon import Daemon
from flightlog.dial import dial
from flightlog.errors import DaemonAway, FlightlogError
from flightlog.waiting import waiting_spools
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.answers import DaemonStatus
from flightlog_schemas.times import duration_text
from flightlog_schemas.wire.query import StatusRequest

_DIAL_S: Final = 2.0
_LAST_WORD_BYTES: Final = 4096
_CLOCK_US: Final = 1_000_000
"""A clock that is behind by less is nobody's trouble."""
_PROBE_BYTES: Final = 4096
_ROOM_BYTES: Final = 1_000_000_000
_ROOM_SHARE: Final = 0.05
_STILL_US: Final = 600_000_000
"""A relay moves within seconds; one of cron now and then."""
_WAL_BYTES: Final = 512 * 1024 * 1024

Level = Literal["ok", "warn", "bad"]


class Finding(Struct, kw_only=True):
    """What was looked at, how it is, and what to do where it is not well.

    Attributes:
        level: `ok`, `warn` (works, but look at it), `bad` (does not work).
        about: What was looked at.
        text: How it is.
        remedy: What to do; None where all is well.
    """

    level: Level
    about: str
    text: str
    remedy: str | None = None


class _Refusal(Struct):
    reason: str
    hint: str | None = None


class _LastWord(Struct):
    """A line of a daemon, of which only an error matters here."""

    error: _Refusal | None = None


_decode_last_word = msgspec.json.Decoder(_LastWord).decode


def examine(runtime_dir: str | None = None) -> Iterator[Finding]:
    """Yield what is found, from the sockets inwards.

    Args:
        runtime_dir: Where the sockets are said to be; None looks where every program looks.
    """
    directory = paths.runtime_dir(runtime_dir)
    yield from _sockets(directory)
    yield from _spools()
    try:
        with Daemon(runtime_dir).examine() as daemon:
            status = daemon.one(StatusRequest(), DaemonStatus)
    except DaemonAway as error:
        yield Finding(level="bad", about="daemon", text=error.reason, remedy=error.hint)
        return
    except FlightlogError as error:
        yield Finding(level="bad", about="daemon", text=error.reason, remedy=error.hint)
        return
    yield from _daemon(status)
    yield from _storage(status)
    yield from _read_models(status)
    yield from _peers(status)
    yield from _rates(status)
    yield from _cursors(status)
    yield from _relays(status)


def _sockets(directory: Path) -> Iterator[Finding]:
    for path, does in ((paths.ingest_socket(directory), "write"), (paths.query_socket(directory), "read")):
        yield _socket(path, does)


def _socket(path: Path, does: str) -> Finding:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return Finding(
            level="bad",
            about=path.name,
            text=f"there is no {path}",
            remedy="start flightlogd, or name its directory with --runtime-dir or $FLIGHTLOG_RUNTIME_DIR",
        )
    except OSError as error:
        return Finding(
            level="bad", about=path.name, text=f"{path}: {error.strerror}", remedy="look at its directory"
        )
    if not stat.S_ISSOCK(found.st_mode):
        return Finding(
            level="bad",
            about=path.name,
            text=f"{path} is no socket",
            remedy="move it away, restart flightlogd",
        )
    try:
        with dial(path, _DIAL_S) as peer:
            last_word = _last_word(peer)
    except DaemonAway as error:
        cause = error.__cause__
        if isinstance(cause, PermissionError):
            group = _group(found.st_gid)
            return Finding(
                level="bad",
                about=path.name,
                text=f"{_user()} may not {does}: {path} is for {_owner(found.st_uid)} and the group {group}",
                remedy=f"usermod -aG {group} {_user()}, and log in again",
            )
        if isinstance(cause, ConnectionRefusedError):
            return Finding(
                level="bad",
                about=path.name,
                text=f"{path} is left over: nobody listens there",
                remedy="start flightlogd, it replaces the socket; its log says why it ended",
            )
        return Finding(level="bad", about=path.name, text=error.reason, remedy=error.hint)
    if last_word is None:
        return Finding(
            level="warn",
            about=path.name,
            text=f"{path} accepts and says nothing: may {_user()} {does}?",
            remedy="look at what is found of the daemon",
        )
    if last_word.error is not None:
        refusal = last_word.error
        return Finding(level="bad", about=path.name, text=f"{path}: {refusal.reason}", remedy=refusal.hint)
    return Finding(level="ok", about=path.name, text=f"{path} accepts: {_user()} may {does}")


def _last_word(peer: socket.socket) -> _LastWord | None:
    """Return what the daemon says to one who has nothing to say; None where it is silent.

    Whom it lets in gets no error: the connection is closed at both ends, and nothing was written or asked.
    """
    try:
        peer.shutdown(socket.SHUT_WR)
        return _decode_last_word(peer.recv(_LAST_WORD_BYTES).partition(b"\n")[0] or b"{}")
    except TimeoutError:
        return None
    except (OSError, ValueError):  # whatever it said, it was no refusal
        return _LastWord()


def _spools() -> Iterator[Finding]:
    directory = paths.spool_dir(True)
    trouble = None if directory is None else _trouble_with(directory)
    if trouble is not None:
        yield Finding(
            level="bad",
            about="spool",
            text=f"{_user()} cannot spool in {directory}: {trouble}",
            remedy="make it a directory of yours, or name another one with $FLIGHTLOG_SPOOL_DIR;"
            " until then what is said without a daemon is lost when its program ends",
        )
        return
    found = [] if directory is None else waiting_spools(directory)
    lines = sum(spool.lines or 0 for spool in found)
    unreadable = sum(spool.state == "unreadable" for spool in found)
    if unreadable:
        yield Finding(
            level="warn",
            about="spool",
            text=f"{unreadable} files in {directory} cannot be read",
            remedy="flightlog spool list says why; what can be read is delivered all the same",
        )
    if lines:
        yield Finding(
            level="warn",
            about="spool",
            text=f"{lines:,} lines wait in {directory}",
            remedy="any program that uses flightlog delivers them; flightlog spool deliver does so now",
        )
    elif not unreadable:
        yield Finding(level="ok", about="spool", text="nothing waits on disk")


def _trouble_with(directory: Path) -> str | None:
    """Return why nobody can write in a directory, or make it; None where that works."""
    try:
        if directory.exists():
            with TemporaryFile(dir=directory, buffering=0) as file:
                file.write(bytes(_PROBE_BYTES))  # on a full disk a file can be made, and nothing written
                return None
        parent = next(parent for parent in directory.parents if parent.exists())
        if not parent.is_dir():
            return f"{parent} is no directory"
        return None if os.access(parent, os.W_OK | os.X_OK) else f"{parent} may not be written"
    except OSError as error:
        return error.strerror or str(error)


def _daemon(status: DaemonStatus) -> Iterator[Finding]:
    well = status.state == "ok"
    yield Finding(
        level="ok" if well else "bad",
        about="daemon",
        text=f"flightlogd {status.version}, process {status.pid}: {status.state}"
        + ("" if status.state_reason is None else f", {status.state_reason}"),
        remedy=None if well else "it goes on by itself once that is mended; nothing that was acked is lost",
    )
    if status.schema_version != SCHEMA_VERSION:
        yield Finding(
            level="warn",
            about="version",
            text=f"the daemon speaks schema {status.schema_version}, this program {SCHEMA_VERSION}",
            remedy="install the same version of flightlog on both sides",
        )
    if status.clock_behind_us > _CLOCK_US:
        yield Finding(
            level="warn",
            about="clock",
            text=f"the clock was set back: it is {duration_text(status.clock_behind_us)} behind the log",
            remedy="look at the time service; until it has caught up, events share one time of receipt",
        )


def _storage(status: DaemonStatus) -> Iterator[Finding]:
    with suppress(OSError):
        usage = shutil.disk_usage(status.state_dir)
        little = usage.free < _ROOM_BYTES or usage.free < _ROOM_SHARE * usage.total
        yield Finding(
            level="warn" if little else "ok",
            about="disk",
            text=f"{usage.free / 1e9:,.1f} GB are free where {status.state_dir} is",
            remedy="flightlogd retention --dry-run shows what could go; or give it more room"
            if little
            else None,
        )
        if not status.reserve_bytes and status.state != "storage_full":
            yield Finding(
                level="warn",
                about="reserve",
                text="nothing is kept aside for a full disk: reserve_bytes is 0, or there was no room",
                remedy="make room; without it retention may find none to work with",
            )
    if status.wal_bytes > _WAL_BYTES:
        yield Finding(
            level="warn",
            about="wal",
            text=f"the write-ahead log has {status.wal_bytes / 1e6:,.0f} MB",
            remedy="a reader outside of the daemon keeps it from shrinking: a shell that is open?",
        )
    if status.damaged_wal is not None:
        yield Finding(
            level="warn",
            about="wal",
            text="a write-ahead log was damaged at a start: what was committed behind the damage may be gone",
            remedy="flightlogd verify --heads-from compares the heads that the daemon has noted in its log;"
            f" then move {status.damaged_wal} away",
        )
    kept = status.retention
    if kept is not None and kept.limit_bytes is not None and kept.used_bytes > kept.limit_bytes:
        yield Finding(
            level="warn",
            about="retention",
            text=f"{kept.used_bytes / 1e9:,.1f} GB of retention_bytes {kept.limit_bytes / 1e9:,.1f} GB",
            remedy="what is left is not for retention_bytes to take: lower audit_retention_days",
        )


def _read_models(status: DaemonStatus) -> Iterator[Finding]:
    stopped = [model for model in status.projections if model.broken_at is not None]
    for model in stopped:
        yield Finding(
            level="bad",
            about=model.name,
            text=f"this read model stopped at {model.broken_at}: {model.error}",
            remedy="flightlogd rebuild; if it stops there again it is a bug: the log itself is whole",
        )
    if not stopped:
        yield Finding(
            level="ok", about="models", text=f"{len(status.projections)} read models are up to date"
        )
    if status.search.state == "failing":
        yield Finding(
            level="warn",
            about="search",
            text=f"the index of words fails: {status.search.reason}",
            remedy="it is tried again by itself; all else works",
        )


def _peers(status: DaemonStatus) -> Iterator[Finding]:
    if status.refused:
        yield Finding(
            level="warn",
            about="refused",
            text=f"{status.refused:,} lines were refused for how they were written",
            remedy="flightlogd sql 'select * from refused' shows them, and why",
        )
    if status.line_gaps:
        yield Finding(
            level="warn",
            about="gaps",
            text=f"{status.line_gaps:,} times a producer went on behind lines that never came",
            remedy="flightlog logs EXEC --check says what is missing of an execution",
        )


def _cursors(status: DaemonStatus) -> Iterator[Finding]:
    for cursor in status.late_cursors:
        yield Finding(
            level="warn",
            about="cursor",
            text=f"cursor {cursor.name} of uid {cursor.uid} is {cursor.lag:,} events behind, for"
            f" {duration_text(cursor.lag_us)}",
            remedy="does its reader run? flightlog cursor remove forgets it; cursor_lag_warn_seqs and"
            " cursor_lag_warn_s say what is too far",
        )


def _relays(status: DaemonStatus) -> Iterator[Finding]:
    told = {(cursor.uid, cursor.name) for cursor in status.late_cursors}
    for relay in status.relays:
        still_us = now_us() - relay.moved_at
        if min(still_us, relay.lag_us) > _STILL_US and (relay.uid, relay.name) not in told:
            yield Finding(
                level="warn",
                about="relay",
                text=f"the relay to {relay.target} has not moved for {duration_text(still_us)}:"
                f" {relay.lag:,} events are not there",
                remedy="does flightlog relay run, and what does it say? systemctl status flightlog-relay;"
                f" one that is gone for ever: flightlog cursor remove {relay.name}",
            )


def _rates(status: DaemonStatus) -> Iterator[Finding]:
    for user in status.users:
        if user.limited_since is not None or user.suppressed:
            held = "is over a rate" if user.limited_since is not None else "was over a rate"
            lost = f", {user.suppressed:,} log lines were shed" if user.suppressed else ""
            yield Finding(
                level="warn",
                about="rate",
                text=f"uid {user.uid} {held}: {user.lines_per_s:,.0f} lines a second{lost}",
                remedy="what fills the log there? Else user_lines_per_s and user_rules give it more",
            )


def _user() -> str:
    with suppress(KeyError):
        return pwd.getpwuid(os.geteuid()).pw_name
    return str(os.geteuid())


def _owner(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return str(uid)


def _group(gid: int) -> str:
    with suppress(KeyError):
        return grp.getgrgid(gid).gr_name
    return str(gid)
