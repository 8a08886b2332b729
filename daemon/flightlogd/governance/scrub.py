"""A secret that was found late, out of everything that the daemon keeps.

In lines of the log it is masked, in whatever spelling; read models are computed again from them; the index of
words is made anew, refused lines are masked, backups beside the database that hold it are deleted, and the
write-ahead log is cut. Ids are left: another id would be another execution. What is deleted is overwritten
(`secure_delete`), so that no free page holds it either.
"""

import pwd
from collections.abc import Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Final

import apsw
import trio

from flightlog_schemas.masking import Values, mask_line
from flightlog_schemas.masking.lines import mask_bytes
from flightlog_schemas.masking.values import LEAST_CHARS
from flightlog_schemas.wire.control import Progress, Rebuild, Scrubbed
from flightlogd.batch import Batch
from flightlogd.governance.compression import expand
from flightlogd.governance.rewrite import Row, rewrite
from flightlogd.governance.slices import TURN_S, Say, apply, seal
from flightlogd.hub import Hub
from flightlogd.interpreter import short_turns
from flightlogd.rebuild_live import run_rebuild
from flightlogd.store.cold import dictionaries
from flightlogd.store.database import DATABASE, begin, commit, cut_wal, open_reader, rollback
from flightlogd.store.eventlog import read_batches, read_head
from flightlogd.store.packed import LINES
from flightlogd.store.tombstones import Rewrite
from flightlogd.voice import Voice

_STEP_BATCHES: Final = 64
"""Rows looked at in one read; most hold nothing."""
_STEP_CHANGES: Final = 4

_NAMED_IDS: Final = 20

_CUT_TIMEOUT_S: Final = 10.0
_CUT_AGAIN_S: Final = 0.05

_CHUNK_BYTES: Final = 4 * 1024 * 1024
_OVERLAP_BYTES: Final = 512 * 1024
"""More than the longest spelling of the longest value."""

_SYSTEM_SPOOL: Final = "/var/lib/flightlog-spool"
_USER_SPOOL: Final = ".local/state/flightlog-spool"
"""Where clients spool unless told otherwise."""


def nothing_secret(_name: str) -> bool:
    """Only the value is looked for; what is secret by its name was masked when it came."""
    return False


class Look:
    """Where a value is in the log.

    Args:
        value: The value.

    Raises:
        ValueError: it is too short, or too long.
    """

    def __init__(self, value: str) -> None:
        self.values = Values()
        self.values.add(value)
        self.position = 0
        self.done = Scrubbed(dry_run=True)

    def step(self, db: apsw.Connection) -> list[Rewrite]:
        """Look at the next rows and return those that are to change; `position` is at the head at the end."""
        head = read_head(db).seq
        found: list[Rewrite] = []
        for looked_at, batch in enumerate(read_batches(db, self.position, head), 1):
            change = self._look(batch)
            self.position = batch.last_seq
            if change is not None:
                found.append(change)
            if len(found) >= _STEP_CHANGES or looked_at >= _STEP_BATCHES:
                return found
        self.position = max(self.position, head)
        return found

    def _look(self, batch: Batch) -> Rewrite | None:
        suspects = [
            index
            for index, line in enumerate(batch.lines)
            if self.values.may_hold(line.decode("utf-8", "surrogateescape"))
        ]
        lines: list[bytes | None] = (
            [None if event is None else line for line, event in zip(batch.lines, batch.events, strict=True)]
            if suspects
            else []
        )
        changed = 0
        for index in suspects:
            line = batch.lines[index]
            masked = mask_line(line, self.values.mask, nothing_secret)
            if masked != line:
                lines[index] = masked
                changed += 1
            if mask_bytes(masked, self.values.mask) != masked:
                self._is_in_id(batch, index)
        if not changed:
            return None
        self.done.lines += changed
        row = Row(batch.first_seq, batch.received, batch.lines, batch.events)
        smaller = sum(map(len, batch.lines)) - sum(len(line or b"null") for line in lines)
        return rewrite(row, lines, [], changed, smaller)

    def _is_in_id(self, batch: Batch, index: int) -> None:
        self.done.ids += 1
        event = batch.events[index]
        name = None if event is None else event.execution_id
        named = self.done.id_executions
        if name is not None and name not in named and len(named) < _NAMED_IDS:
            named.append(name)


async def scrub(hub: Hub, voice: Voice, value: str, *, by: str, dry_run: bool, say: Say) -> Scrubbed:
    """Mask a value in all that the daemon keeps.

    Args:
        hub: The daemon.
        voice: Says in the log what was done, without the value.
        value: What is secret.
        by: On whose word.
        dry_run: Only count.
        say: Told how far it is.

    Raises:
        ValueError: a value that cannot be looked for.
        QuestionError: a read model has stopped.
        apsw.Error: storage fails; what is done so far stays done.
    """
    look = Look(value)
    done = look.done
    done.dry_run = dry_run
    state_dir = Path(hub.config.state_dir)
    done.spools = await trio.to_thread.run_sync(_spools, await hub.readers.run(_uids))
    with short_turns(TURN_S):
        while look.position < hub.head.seq:
            changes = await hub.readers.run(look.step)
            if not dry_run:
                await apply(hub, "scrub", changes)
            await say(Progress(step="scrub", done=look.position, total=hub.head.seq))
        if dry_run:
            done.refused = len(await hub.readers.run(partial(_refused, values=look.values)))
            done.backups = await trio.to_thread.run_sync(_backups, state_dir, look.values)
            return done
        parts = _parts(value)
        if found := [
            codec
            for codec, content in (await hub.readers.run(dictionaries)).items()
            if any(part in content for part in parts) or mask_bytes(content, look.values.mask) != content
        ]:
            await expand(hub, found)
        done.refused = await hub.writer.do(partial(_scrub_refused, values=look.values), ahead=True)
        differences = await run_rebuild(hub, Rebuild(), say)
        done.rows = sum(one.missing + one.extra + one.changed for one in differences)
    detail = {"by": by, "refused": done.refused, "rows": done.rows}
    await seal(hub, voice, "scrub", detail)
    if done.lines:
        done.search_renewed = await hub.search.renew("text was scrubbed from the log")
    done.backups = await trio.to_thread.run_sync(_backups, state_dir, look.values)
    for name in done.backups:
        await trio.to_thread.run_sync(partial((state_dir / name).unlink, missing_ok=True))
    done.wal_cut = await _cut_wal(hub)
    return done


def _parts(value: str) -> list[bytes]:
    """Return the parts of a value that are long enough to tell: a dictionary has pieces of lines."""
    data = value.encode()
    return [data[start : start + LEAST_CHARS] for start in range(len(data) - LEAST_CHARS + 1)]


def _refused(db: apsw.Connection, values: Values) -> list[tuple[int, str, bytes]]:
    """Return refused lines that hold the value, masked: (id, reason, bytes)."""
    found = []
    for refused_id, reason, content in db.execute("select refused_id, reason, bytes from refused"):
        masked = mask_bytes(content, values.mask), values.mask(reason)
        if masked != (content, reason):
            found.append((int(refused_id), masked[1], masked[0]))
    return found


def _scrub_refused(db: apsw.Connection, values: Values) -> int:
    found = _refused(db, values)
    begin(db)
    try:
        db.executemany("update refused set reason = ?2, bytes = ?3 where refused_id = ?1", found)
        commit(db)
    except BaseException:
        rollback(db)
        raise
    return len(found)


def _backups(state_dir: Path, values: Values) -> list[str]:
    """Return the names of files beside the database that hold the value: copies made before an upgrade."""
    return sorted(path.name for path in state_dir.glob(f"{DATABASE}.*") if _holds(path, values))


def _holds(path: Path, values: Values) -> bool:
    with path.open("rb") as file:
        before = b""
        while chunk := file.read(_CHUNK_BYTES):
            data = before + chunk
            if mask_bytes(data, values.mask) != data:
                return True
            before = data[-_OVERLAP_BYTES:]
    with closing(open_reader(path)) as db:
        try:
            return any(
                mask_bytes(lines, values.mask) != lines
                for (lines,) in db.execute(f"select {LINES} from event_batch where codec > 0")
            )
        except apsw.Error:
            return False  # no copy of a log, or of one before there was compression


async def _cut_wal(hub: Hub) -> bool:
    """Empty the write-ahead log; readers under way are interrupted. False when they stay in the way."""
    with trio.move_on_after(_CUT_TIMEOUT_S):
        while not await hub.writer.do(cut_wal, ahead=True):
            hub.readers.interrupt()
            await trio.sleep(_CUT_AGAIN_S)
        return True
    return False


def _uids(db: apsw.Connection) -> list[int]:
    return [int(row[0]) for row in db.execute("select distinct uid from producer order by uid")]


def _spools(uids: Sequence[int]) -> list[str]:
    """Return where clients of these users keep what they could not deliver."""
    found = [_SYSTEM_SPOOL]
    for uid in uids:
        with suppress(KeyError):
            found.append(str(Path(pwd.getpwuid(uid).pw_dir, _USER_SPOOL)))
    return [path for path in found if _may_hold(Path(path))]


def _may_hold(place: Path) -> bool:
    """Say whether there is anything in a directory, or may be where we cannot look."""
    try:
        return any(place.iterdir())
    except PermissionError:
        return True
    except OSError:
        return False
