"""`flightlogd backup`: a copy of the log, beside a running daemon or with none."""

import argparse
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from flightlog_schemas.wire.control import Progress
from flightlogd.backup import back_up
from flightlogd.config import Config
from flightlogd.errors import StartError
from flightlogd.store.database import DATABASE
from flightlogd.store.schema import check_database, lock_state_dir
from flightlogd.verbs.ask import NoDaemonError, absolute, clear_progress, draw_progress, held
from flightlogd.verbs.exits import DONE


def run(config: Config, arguments: argparse.Namespace) -> int:
    """Carry out the verb and return its exit code."""
    state_dir = Path(config.state_dir)
    database = state_dir / DATABASE
    if not database.exists():
        raise StartError(f"{database}: no such file", "name the daemon's --state-dir")
    check_database(database)
    os.umask(0o077)  # what was recorded is nobody else's
    drawn = sys.stderr.isatty()

    def say(done: int, total: int) -> None:
        if drawn:
            draw_progress(Progress(step="copy", done=done, total=total))

    holding: AbstractContextManager[object]
    try:
        holding = held(config, absolute(getattr(arguments, "state_dir", None)))
    except NoDaemonError:
        lock_state_dir(state_dir)  # until we end
        holding = nullcontext()
    try:
        with holding:
            seq = back_up(database, Path(arguments.target).absolute(), say)
    finally:
        if drawn:
            clear_progress()
    print(f"{arguments.target}: {seq:,} positions")
    return DONE
