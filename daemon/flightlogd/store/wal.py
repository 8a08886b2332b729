"""What a write-ahead log holds behind the place where SQLite stops reading it.

SQLite reads it up to the first frame whose checksum is wrong, and takes that for the place where the machine
stopped (sqlite.org/fileformat.html). What was committed and synced behind a damaged frame is lost so in
silence. The frames themselves say whether there is such: those of one generation bear the same salt.
"""

import shutil
import struct
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import apsw

from flightlogd.store.database import open_reader

_HEADER: Final = struct.Struct(">IIII8s")
"""Magic number, version, page size, number of checkpoints, salt; two checksums follow."""
_HEADER_BYTES: Final = 32
_FRAME: Final = struct.Struct(">II8s")
"""Page, size of the database after a commit (0: the frame ends none), salt; two checksums follow."""
_FRAME_BYTES: Final = 24
_MAGIC: Final = (0x377F0682, 0x377F0683)


def unread_commits(database: Path) -> str | None:
    """Return what of a database's write-ahead log is damaged, None where nothing says so.

    A machine that lost its power may leave frames in another order than they were written, of a commit that
    was never acked: so what is found is a suspicion.

    Args:
        database: The file, which nobody has open.
    """
    wal = database.with_name(f"{database.name}-wal")
    if not wal.exists() or not wal.stat().st_size:
        return None
    with wal.open("rb") as file:
        head = file.read(_HEADER_BYTES)
        if len(head) < _HEADER_BYTES or _HEADER.unpack_from(head)[0] not in _MAGIC:
            return "it begins with what is no write-ahead log"
        _, _, page_size, _, salt = _HEADER.unpack_from(head)
        read = _frames_read(database)
        commits = 0
        place = _HEADER_BYTES + read * (_FRAME_BYTES + page_size)
        while True:
            file.seek(place)
            frame = file.read(_FRAME.size)
            if len(frame) < _FRAME.size:
                break
            _, committed, found = _FRAME.unpack(frame)
            commits += found == salt and committed > 0
            place += _FRAME_BYTES + page_size
    return f"{commits} commits behind frame {read} cannot be read" if commits else None


def _frames_read(database: Path) -> int:
    with closing(open_reader(database)) as db:
        db.execute("select 1 from sqlite_schema").fetchall()
        return max(0, db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0])


def keep_wal(database: Path) -> Path | None:
    """Copy the write-ahead log to where nothing overwrites it; return where, None where there is no room."""
    kept = _kept(database)
    with suppress(OSError):
        shutil.copyfile(database.with_name(f"{database.name}-wal"), kept)
        return kept
    kept.unlink(missing_ok=True)
    return None


def kept_wal(database: Path) -> Path | None:
    """Return the damaged write-ahead log that was kept, None where there is none, or no more."""
    kept = _kept(database)
    return kept if kept.exists() else None


def _kept(database: Path) -> Path:
    return database.with_name(f"{database.name}-wal.damaged")
