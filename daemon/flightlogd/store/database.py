"""Connections to flightlog.db and their pragmas, each with its reason."""

from pathlib import Path
from typing import Final

import apsw

from flightlogd.errors import StartError, StorageFault

DATABASE: Final = "flightlog.db"

_SQLITE_FLOOR: Final = (3, 53, 0)
"""Earlier versions may corrupt a WAL that two connections reset at once (sqlite.org/wal.html)."""

_STORAGE_ERRORS: Final = (
    apsw.FullError,
    apsw.IOError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.InterruptError,
)
"""Faults of the environment: they abort the transaction and are nobody's bug."""


def check_sqlite() -> None:
    """Refuse a SQLite that can damage the log.

    Raises:
        StartError: it is older than 3.53.
    """
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < _SQLITE_FLOOR:
        raise StartError(f"SQLite {apsw.sqlite_lib_version()} is too old", "install apsw 3.53.1 or newer")


def open_writer(path: Path | str, *, limit_bytes: int = 0) -> apsw.Connection:
    """Open the one connection that writes.

    Args:
        path: The database file; made where there is none.
        limit_bytes: Largest size of the file; 0 leaves it to the disk.
    """
    db = apsw.Connection(str(path))
    # Fewer, larger writes for batches; small commits stay small (measured: 4 KiB and 16 KiB are slower).
    db.execute("pragma page_size = 8192")
    # Before the first table: space that governance frees can then go back to the file system in small steps.
    db.execute("pragma auto_vacuum = incremental")
    db.execute("pragma journal_mode = wal")
    # Every COMMIT is fsynced: an ack means on disk.
    db.execute("pragma synchronous = full")
    # The writer checkpoints by itself, after acking.
    db.execute("pragma wal_autocheckpoint = 0")
    db.execute("pragma foreign_keys = on")
    # Only the short reads of a shell or a backup can be in the way.
    db.execute("pragma busy_timeout = 5000")
    # What is deleted is overwritten: a secret that left the log is in no free page (sqlite.org/pragma.html).
    db.execute("pragma secure_delete = on")
    # 16 MiB: the upper pages of all trees stay, and the daemon stays small.
    db.execute("pragma cache_size = -16384")
    db.execute("pragma temp_store = memory")
    set_limit(db, limit_bytes)
    return db


def set_limit(db: apsw.Connection, limit_bytes: int) -> None:
    """Bound the database file; SQLite then answers SQLITE_FULL as a full disk would. 0 lifts the bound."""
    page_size = db.pragma("page_size")
    pages = (
        limit_bytes // page_size if limit_bytes else 2**32 - 2
    )  # SQLite's own limit (sqlite.org/limits.html)
    db.execute(f"pragma max_page_count = {max(pages, 1)}")


def open_reader(path: Path | str) -> apsw.Connection:
    """Open a read-only connection for questions."""
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    db.execute("pragma busy_timeout = 5000")
    # Batches are large and read once; the operating system's cache holds them.
    db.execute("pragma cache_size = -2048")
    db.execute("pragma temp_store = memory")
    return db


def begin(db: apsw.Connection) -> None:
    """Begin a write transaction at once, so that none fails half way for want of the lock."""
    db.execute("begin immediate")


def commit(db: apsw.Connection) -> None:
    """Commit by a statement: leaving `with db` would hold the GIL through the fsync."""
    db.execute("commit")


def rollback(db: apsw.Connection) -> None:
    """Undo what is open; SQLite has done so already after some errors."""
    if db.in_transaction:
        db.execute("rollback")


def is_storage_error(error: BaseException) -> bool:
    """Say whether an error is the environment's: the transaction failed, no code and no data is wrong."""
    return isinstance(error, _STORAGE_ERRORS)


def storage_fault(error: apsw.Error) -> StorageFault | None:
    """Return the fault that a storage error is, or None when its outcome is unknown or it is none.

    After a failed fsync nobody knows what is on disk (the kernel may have dropped the pages), so that one
    is not waited out: the process ends, and recovery reads what is there.
    """
    if isinstance(error, apsw.FullError):
        return StorageFault("storage_full", str(error), "free disk space, or raise database_limit_bytes")
    if getattr(error, "extendedresult", 0) in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC):
        return None
    if isinstance(error, apsw.IOError | apsw.NoMemError | apsw.BusyError | apsw.LockedError):
        return StorageFault("storage_failing", str(error), "look at the disk's health: dmesg, smartctl")
    return None
