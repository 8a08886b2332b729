"""Connections to flightlog.db and their pragmas, each with its reason."""

import errno
import os
from pathlib import Path
from typing import Final

import apsw

from flightlogd.errors import StartError, StorageFault
from flightlogd.store.packed import teach

DATABASE: Final = "flightlog.db"

DAMAGE_HINT: Final = "`flightlogd verify` names what is damaged; docs/storage.md says what can be done"
"""What an operator is told where the file is not what was written."""

SALVAGE_HINT: Final = (
    "restore a backup, or see what `flightlogd salvage FILE` gets out of it; the file was left as it is"
)
"""What an operator is told where it cannot be opened."""

_BUSY_TIMEOUT_MS: Final = 5000
"""Only the short reads of a shell or a backup can be in the way."""

_INTERRUPTED_MS: Final = 100
"""Longest wait of commits for readers that were interrupted."""

_SQLITE_FLOOR: Final = (3, 53, 0)
"""Earlier versions may corrupt a WAL that two connections reset at once (sqlite.org/wal.html)."""

_DAMAGE_ERRORS: Final = (apsw.CorruptError, apsw.NotADBError)

_FAILING_ERRORS: Final = (
    apsw.IOError,
    apsw.NoMemError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ProtocolError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
)

_STORAGE_ERRORS: Final = (apsw.FullError, *_FAILING_ERRORS, *_DAMAGE_ERRORS, apsw.InterruptError)
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
    # A statement for each number of rows, up to some, in each of a few tables (see `rows`).
    db = apsw.Connection(str(path), statementcachesize=256)
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
    db.execute(f"pragma busy_timeout = {_BUSY_TIMEOUT_MS}")
    # What is deleted is overwritten: a secret that left the log is in no free page (sqlite.org/pragma.html).
    db.execute("pragma secure_delete = on")
    # 16 MiB: the upper pages of all trees stay, and the daemon stays small.
    db.execute("pragma cache_size = -16384")
    db.execute("pragma temp_store = memory")
    teach(db)
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
    db.execute(f"pragma busy_timeout = {_BUSY_TIMEOUT_MS}")
    # Batches are large and read once; the operating system's cache holds them.
    db.execute("pragma cache_size = -2048")
    db.execute("pragma temp_store = memory")
    teach(db)
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


def is_damage(error: BaseException) -> bool:
    """Say whether an error means that the file is not what SQLite has written."""
    return isinstance(error, _DAMAGE_ERRORS)


def is_outcome_unknown(error: BaseException) -> bool:
    """Say whether nobody knows what is on disk after an error.

    After a failed fsync the kernel may have dropped the pages and called them clean: trying again proves
    nothing.
    """
    return getattr(error, "extendedresult", 0) in (apsw.SQLITE_IOERR_FSYNC, apsw.SQLITE_IOERR_DIR_FSYNC)


def storage_fault(error: apsw.Error, db: apsw.Connection | None = None) -> StorageFault | None:
    """Return the fault that a storage error is, or None when its outcome is unknown or it is none.

    One whose outcome is unknown is not waited out: the process ends, and recovery reads what is there.

    Args:
        error: What went wrong.
        db: The connection on which it did; it knows of limits that SQLite takes for a failing disk.
    """
    if db is not None and getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_WRITE:
        if db.system_errno == errno.EDQUOT:
            hint = "free space within the quota of the daemon's user, or raise it"
            return StorageFault("storage_full", os.strerror(errno.EDQUOT), hint, by_quota=True)
        if db.system_errno == errno.EFBIG:
            hint = "raise LimitFSIZE= of the daemon's unit (ulimit -f)"
            return StorageFault("storage_full", os.strerror(errno.EFBIG), hint)
    if isinstance(error, apsw.FullError):
        return StorageFault("storage_full", _said(error), "free disk space, or raise database_limit_bytes")
    if is_outcome_unknown(error):
        return None
    if is_damage(error):
        return StorageFault("storage_failing", _said(error), DAMAGE_HINT)
    if isinstance(error, _FAILING_ERRORS):
        return StorageFault("storage_failing", _said(error), "look at the disk's health: dmesg, smartctl")
    return None


def restart_wal(db: apsw.Connection) -> tuple[int, int]:
    """Copy the WAL into the database, to begin it anew; return its pages, and how many were copied.

    Readers are waited for as long as one that was interrupted needs to end. A shell may hold a snapshot for
    hours: commits do not wait for that.

    Raises:
        apsw.BusyError: a reader is still in the way.
    """
    db.execute(f"pragma busy_timeout = {_INTERRUPTED_MS}")
    try:
        return db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_RESTART)
    finally:
        db.execute(f"pragma busy_timeout = {_BUSY_TIMEOUT_MS}")


def cut_wal(db: apsw.Connection) -> bool:
    """Copy the WAL into the database and give its space back; False where a reader is in the way.

    Readers are not waited for: commits come first.
    """
    db.execute("pragma busy_timeout = 0")
    try:
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        return False
    finally:
        db.execute(f"pragma busy_timeout = {_BUSY_TIMEOUT_MS}")
    return True


def sync_wal(path: Path) -> None:
    """Have what is in the write-ahead log of a database on disk, where it cannot be copied into it.

    Raises:
        OSError: nobody knows what is on disk.
    """
    with path.with_name(f"{path.name}-wal").open("rb") as file:
        os.fsync(file.fileno())


def _said(error: apsw.Error) -> str:
    return str(error) or type(error).__name__
