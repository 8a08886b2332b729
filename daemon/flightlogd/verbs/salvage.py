"""`flightlogd salvage`: what can be read of a damaged log, for another daemon to take in."""

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

import apsw

from flightlogd.config import Config
from flightlogd.errors import StartError
from flightlogd.salvage import Salvage, open_damaged, salvage
from flightlogd.store.database import DATABASE, is_storage_error
from flightlogd.verbs.exits import DONE, FOUND_SOMETHING


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code; the log is left as it is."""
    database = Path(config.state_dir) / DATABASE
    if not database.exists():
        raise StartError(f"{database}: no such file", "name the daemon's --state-dir")
    target = Path(arguments.target).absolute()
    if target.exists():
        raise StartError(f"{target}: is there already", "name a file that is not")
    os.umask(0o077)  # what was recorded is nobody else's
    partial = target.with_name(f"{target.name}.part")
    done = Salvage()
    try:
        with open_damaged(database, target.parent) as db, partial.open("wb") as file:
            db.execute("begin")
            file.writelines(salvage(db, config.machine, done))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(target)
    except (apsw.Error, OSError) as error:
        with suppress(FileNotFoundError):
            partial.unlink()
        if isinstance(error, apsw.Error):
            if not is_storage_error(error) and not isinstance(error, apsw.SQLError):
                raise
            raise StartError(f"{database}: {error}", "nothing of it can be read; restore a backup") from None
        hint = "name a place with room for it, and for a copy of the log, where you may write"
        raise StartError(f"{target}: {error.strerror}", hint) from None
    for first_seq, last_seq in done.damaged:
        print(f"{first_seq} to {last_seq}: damaged")
    if not done.head_known:
        print("where the log ended is damaged: nobody knows whether its end is here")
    lost = sum(last_seq - first_seq + 1 for first_seq, last_seq in done.damaged)
    print(f"{arguments.target}: {done.events:,} events, {lost:,} positions lost")
    print("`flightlog import events` tells them to another daemon", file=sys.stderr)
    return FOUND_SOMETHING if lost or not done.head_known else DONE
