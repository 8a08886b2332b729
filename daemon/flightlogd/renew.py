"""Read models whose tables are damaged: their tables are made anew, empty, for a rebuild to fill."""

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import structlog

from flightlogd.project import create_tables, is_damaged, read_positions, stop_damaged
from flightlogd.projections import Projection
from flightlogd.store.damage import damaged_tables, lose_table
from flightlogd.store.database import begin, commit, is_damage, open_reader, rollback

logger = structlog.get_logger(__name__)


def find_damaged(database: Path, projections: Sequence[Projection]) -> list[Projection]:
    """Return which of them have stopped for damage, or have a table that is not what SQLite wrote.

    This reads all of their tables.
    """
    with closing(open_reader(database)) as db:
        known = read_positions(db)
        return [
            projection
            for projection in projections
            if is_damaged(known[projection.NAME]) or damaged_tables(db, projection.TABLES)
        ]


def renew(db: apsw.Connection, projections: Sequence[Projection], unfinished_version: int) -> None:
    """Make the tables of some projections anew; until they are filled these count as stopped.

    Args:
        db: The writer's connection.
        projections: Which.
        unfinished_version: Has the next start fill them, if it comes first.
    """

    def leave(name: str) -> None:
        stop_damaged(db, name, 0, "its tables are made anew")
        db.execute("update projection set version = ? where name = ?", (unfinished_version, name))

    for projection in projections:
        make_anew(db, projection, leave)


def make_anew(
    db: apsw.Connection, projection: Projection, leave: Callable[[str], None] = lambda _name: None
) -> None:
    """Make a projection's tables anew, in a transaction of its own, also where they cannot be dropped.

    Args:
        db: The writer's connection.
        projection: Which.
        leave: Called with its name in that transaction, at the end.
    """
    db.execute("pragma foreign_keys = off")
    try:
        for lost in (False, True):
            begin(db)
            try:
                if lost:
                    logger.warning("damaged tables are made anew", projection=projection.NAME)
                    for table in projection.TABLES:
                        lose_table(db, table)
                create_tables(db, projection)
                leave(projection.NAME)
                commit(db)
            except BaseException as error:
                rollback(db)
                # After damage SQLite writes nothing more in that transaction.
                if lost or not is_damage(error):
                    raise
            else:
                return
    finally:
        db.execute("pragma foreign_keys = on")
