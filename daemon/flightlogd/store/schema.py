"""Schema versions: migrate an older database step by step, refuse a newer one, keep others out."""

import fcntl
import os
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path
from typing import Final
from uuid import uuid4

import apsw

from flightlogd.errors import StartError
from flightlogd.seal import GENESIS
from flightlogd.store.database import SALVAGE_HINT, begin, commit, rollback

APPLICATION_ID: Final = 0x666C6F67
"""`flog`, in the file's header: another program's database is not taken for ours."""


def migrations() -> list[tuple[int, str]]:
    """Return (version, SQL) of each step, in order; the versions are 1, 2, 3, ..."""
    folder = resources.files("flightlogd.store.migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps = [(int(name[:4]), folder.joinpath(name).read_text("utf-8")) for name in names]
    assert [version for version, _ in steps] == list(range(1, len(steps) + 1)), names
    return steps


def schema_version() -> int:
    """Return the version that this program writes."""
    return migrations()[-1][0]


def check_database(path: Path) -> None:
    """Refuse a database that this program must not touch, without touching it.

    Raises:
        StartError: it belongs to another program, cannot be read, or is newer than this program.
    """
    if not path.exists():
        return
    try:
        try:
            found, application, empty = _header(path, apsw.SQLITE_OPEN_READONLY)
        except apsw.ReadOnlyError:
            # Ended while the file was made, or a restored one became one with a write-ahead log: what was
            # begun is undone by opening it, which cannot be done without writing.
            found, application, empty = _header(path, apsw.SQLITE_OPEN_READWRITE)
    except apsw.Error as error:
        raise StartError(f"{path}: {error}", SALVAGE_HINT) from None
    if not empty and application != APPLICATION_ID:
        raise StartError(f"{path}: not a database of flightlog", "name another --state-dir")
    if found > schema_version():
        raise StartError(
            f"{path}: schema version {found}, this flightlogd knows up to {schema_version()}",
            "install a newer flightlog, or restore the backup that its upgrade left beside the file",
        )


def _header(path: Path, flags: int) -> tuple[int, int, bool]:
    """Return the schema version, whose the file is, and whether there is nothing in it."""
    with closing(apsw.Connection(str(path), flags=flags)) as db:
        found, application = int(db.pragma("user_version")), int(db.pragma("application_id"))
        return found, application, found == 0 and db.execute("select count(*) from sqlite_schema").get == 0


def check_wal(path: Path) -> None:
    """Refuse a write-ahead log that is not this database's: SQLite would write it over what is there.

    It is another log's, or an older one of this log, when what the database says with it is not what it says
    without, or less. To be called with the state directory locked.

    Raises:
        StartError: so it is; both files are left as they are.
    """
    wal = path.with_name(f"{path.name}-wal")
    if not wal.exists() or wal.stat().st_size == 0:
        return
    without = _identity(f"{path.absolute().as_uri()}?immutable=1")
    within = _identity(f"{path.absolute().as_uri()}?mode=ro")
    if without is None or within is None:
        return
    if within[0] != without[0] or within[1] < without[1]:
        raise StartError(
            f"{wal}: the write-ahead log of another log, or of an earlier state of this one",
            f"move it away: the log then ends at position {without[1]}; or restore a backup",
        )


def _identity(uri: str) -> tuple[str, int] | None:
    """Return which log a file is of and where it ends, None where it does not say."""
    try:
        db = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            return db.execute("select log_id, seq from log_head").fetchone()
        finally:
            db.close()
    except apsw.Error:
        return None  # opening it for good says what is wrong


def migrate(db: apsw.Connection, path: Path) -> int:
    """Bring the database to this program's version, each step in a transaction of its own.

    A database with something in it is copied to `NAME.vN.bak` first; the way back is that copy.

    Args:
        db: The writer's connection.
        path: The database file, which `check_database` let pass.

    Returns:
        The version that was found (0: a new file).
    """
    found = int(db.pragma("user_version"))
    steps = migrations()
    if 0 < found < steps[-1][0]:
        _back_up(db, path.with_name(f"{path.name}.v{found}.bak"))
    for version, sql in steps[found:]:
        begin(db)
        try:
            db.execute(sql)
            if version == 1:
                db.execute(f"pragma application_id = {APPLICATION_ID}")
                db.execute("insert into log_head values (1, ?, 0, ?, 0)", (uuid4().hex, GENESIS))
            db.execute(f"pragma user_version = {version}")
            commit(db)
        except BaseException:
            rollback(db)
            raise
    return found


def _back_up(db: apsw.Connection, target: Path) -> None:
    """Copy the database whole; a copy that an interrupted upgrade left is replaced only by a whole one."""
    partial = target.with_suffix(".part")
    partial.unlink(missing_ok=True)
    db.execute("vacuum into ?", (str(partial),))
    partial.rename(target)


def lock_state_dir(state_dir: Path) -> int:
    """Take the state directory for this process and return the lock's descriptor; it goes with the process.

    Raises:
        StartError: the directory cannot be made or written, or another daemon has it.
    """
    try:
        state_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(state_dir / "flightlogd.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise StartError(
            f"{state_dir}: {error.strerror}", "run as a user who may write there, or name another --state-dir"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StartError(
            f"{state_dir}: another flightlogd (pid {owner}) has this state directory",
            "stop that one, or name another --state-dir; verbs ask it where --runtime-dir is its own",
        ) from None
    with suppress(OSError):  # on a full disk nobody is told who has it
        os.truncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
