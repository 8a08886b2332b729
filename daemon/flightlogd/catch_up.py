"""Before anything is accepted: every read model is brought to the head of the log.

There is nothing to do after an ordinary stop or crash, for read models move in the transaction of the log. A
new or changed projection is made anew, one that had stopped at an error goes on from there.
"""

import time
from typing import Final

import apsw
import structlog

from flightlogd.history import read_history
from flightlogd.project import Projector, is_damaged, mark_level, read_positions, stop_damaged
from flightlogd.projections import PROJECTIONS, Projection
from flightlogd.renew import make_anew
from flightlogd.store.damage import DamagedTableError
from flightlogd.store.database import begin, commit, is_damage, rollback
from flightlogd.store.eventlog import read_head

logger = structlog.get_logger(__name__)

_SLICE_EVENTS: Final = 20_000
"""Positions of one transaction: memory and WAL stay small."""

_REPORT_S: Final = 5.0
"""How often a long run says how far it is."""


def catch_up(db: apsw.Connection) -> None:
    """Bring every projection to the head: new ones, changed ones, and those that had stopped.

    Those that stand at the same position are fed together. One that fails (again) is marked broken there;
    where the log is damaged all that have to pass there are.

    Args:
        db: The writer's connection, outside a transaction.
    """
    head_seq = read_head(db).seq
    behind = [
        (position, projection)
        for position, projection in (
            (_prepare(db, projection, head_seq), projection) for projection in PROJECTIONS
        )
        if position < head_seq
    ]
    position = min((start for start, _ in behind), default=head_seq)
    if behind:
        names = [projection.NAME for _, projection in behind]
        logger.info("catching up", projections=names, position=position, head_seq=head_seq)
    broken: set[str] = set()
    reported = time.monotonic()
    while position < head_seq:
        together = [projection for start, projection in behind if start <= position]
        until = min([position + _SLICE_EVENTS, head_seq, *(start for start, _ in behind if start > position)])
        try:
            position = _feed(db, together, broken, position, until)
        except apsw.Error as error:
            if not is_damage(error):
                raise
            names = [projection.NAME for _, projection in behind]
            if isinstance(error, DamagedTableError):
                names = [error.name]
            _stop(db, names, position, error)
            behind = [(start, projection) for start, projection in behind if projection.NAME not in names]
            if not behind:
                break
            position = min(max(start, position) for start, projection in behind)
        db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if time.monotonic() - reported > _REPORT_S:
            reported = time.monotonic()
            logger.info("catching up", position=position, head_seq=head_seq)
    mark_level(db, head_seq)


def _stop(db: apsw.Connection, names: list[str], position: int, error: apsw.Error) -> None:
    """Mark read models broken that cannot be brought to the head, for the log on their way is damaged."""
    begin(db)
    try:
        for name in names:
            stop_damaged(db, name, position, error)
        commit(db)
    except BaseException:
        rollback(db)
        raise
    logger.error("read models cannot be computed", projections=names, reason=str(error))


def _prepare(db: apsw.Connection, projection: Projection, head_seq: int) -> int:
    """Make a projection's tables where they are missing or of another version; return where it stands."""
    known = read_positions(db).get(projection.NAME)
    if known is not None and known.version == projection.VERSION and known.broken_at is None:
        return head_seq if known.position is None else known.position
    if known is None or known.version != projection.VERSION or is_damaged(known):
        make_anew(db, projection)
    else:
        db.execute("update projection set broken_at = null, error = null where name = ?", (projection.NAME,))
    position = read_positions(db)[projection.NAME].position
    return head_seq if position is None else position


def _feed(
    db: apsw.Connection, projections: list[Projection], broken: set[str], position: int, until: int
) -> int:
    """Feed the batches in (position, until] in one transaction and return the position reached."""
    history = read_history(db, position, until)
    projector = Projector(projections, broken)
    begin(db)
    try:
        projector.replay(db, history)
        commit(db)
    except BaseException:
        rollback(db)
        raise
    broken |= projector.broken
    return history.reached
