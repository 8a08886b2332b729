"""Log lines counted by execution and level; the lines themselves stay in the log."""

from collections.abc import Sequence
from typing import Final

import apsw

from flightlogd.projections.quiet import Quiet
from flightlogd.recorded import Recorded
from flightlogd.store.rows import insert_rows

NAME: Final = "log"
VERSION: Final = 2
TABLES: Final = {"execution_log": ("execution_id",)}
TOTALS: Final = None
SCHEMA: Final = """
CREATE TABLE execution_log (
    execution_id TEXT    PRIMARY KEY,
    trace        INTEGER NOT NULL,
    debug        INTEGER NOT NULL,
    info         INTEGER NOT NULL,
    warn         INTEGER NOT NULL,
    error        INTEGER NOT NULL,
    fatal        INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


def apply(db: apsw.Connection, recorded: Recorded) -> None:
    """Nothing: state events are no log lines."""


def apply_all(db: apsw.Connection, singles: Sequence[Recorded]) -> None:
    """Nothing."""


def apply_quiet(db: apsw.Connection, quiet: Sequence[Quiet]) -> None:
    """Add to the counters."""
    insert_rows(
        db,
        "execution_log",
        [(entry.execution_id, *entry.levels, entry.last_seq) for entry in quiet],
        "on conflict (execution_id) do update set trace = trace + excluded.trace,"
        " debug = debug + excluded.debug, info = info + excluded.info, warn = warn + excluded.warn,"
        " error = error + excluded.error,"
        " fatal = fatal + excluded.fatal, last_seq = max(last_seq, excluded.last_seq)",
    )
