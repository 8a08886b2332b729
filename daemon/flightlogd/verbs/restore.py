"""`flightlogd restore`: a backup in the log's place."""

import argparse
import os
import shutil
from pathlib import Path

from flightlogd.clock import system_clock
from flightlogd.config import Config
from flightlogd.errors import StartError
from flightlogd.store.database import DATABASE
from flightlogd.store.schema import check_database, lock_state_dir
from flightlogd.verbs.exits import DONE

_BESIDE = ("", "-wal", "-shm")
"""What makes up a database: a write-ahead log of another one would be taken for its own."""


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code; what was there is kept under another name."""
    source = Path(arguments.source)
    if not source.is_file():
        raise StartError(f"{source}: no such file", "name what `flightlogd backup` wrote")
    check_database(source)
    state_dir = Path(config.state_dir)
    lock_state_dir(state_dir)  # until we end: no daemon starts meanwhile
    os.umask(0o027)
    database = state_dir / DATABASE
    partial = state_dir / f"{DATABASE}.restoring"
    try:
        shutil.copyfile(source, partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        owner = state_dir.stat()
        os.chown(partial, owner.st_uid, owner.st_gid)
        kept = f"{DATABASE}.{system_clock()}.replaced"
        found = [end for end in _BESIDE if database.with_name(f"{DATABASE}{end}").exists()]
        for end in found:
            database.with_name(f"{DATABASE}{end}").rename(state_dir / f"{kept}{end}")
        partial.rename(database)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StartError(f"{error.filename}: {error.strerror}", "nothing was replaced") from None
    print(f"{database}: restored" + (f"; what was there is {kept}" if found else ""))
    return DONE
