"""Named cursors that are too far behind: said once in the log, and in `status` until they have caught up."""

from typing import Final

import apsw
import structlog
import trio

from flightlog_schemas.answers import LateCursor
from flightlogd.clock import system_clock
from flightlogd.config import Config
from flightlogd.errors import QuestionError
from flightlogd.hub import Hub
from flightlogd.queries.event import position_since
from flightlogd.store.cursors import cursors_below
from flightlogd.store.eventlog import read_head, received_after

logger = structlog.get_logger(__name__)

_EVERY_S: Final = 2.0
_LIMIT: Final = 100
"""How many are told of: where there are more, the first say enough."""


async def watch_cursors(hub: Hub) -> None:
    """Warn of cursors that fall behind, once each, and say when they have caught up."""
    late: set[tuple[int, str]] = set()
    while True:
        try:
            found = await hub.readers.run(lambda db: late_cursors(db, hub.config, system_clock()))
        except (QuestionError, apsw.Error) as error:
            logger.warning("cannot look at cursors, trying again", reason=str(error))
        else:
            now_late = {(cursor.uid, cursor.name) for cursor in found}
            for cursor in found:
                if (cursor.uid, cursor.name) not in late:
                    logger.warning(
                        "a cursor is behind",
                        cursor=cursor.name,
                        uid=cursor.uid,
                        seq=cursor.seq,
                        lag=cursor.lag,
                        lag_us=cursor.lag_us,
                    )
            for uid, name in late - now_late:
                logger.info("a cursor has caught up, or was removed", cursor=name, uid=uid)
            late = now_late
        await trio.sleep(_EVERY_S)


def late_cursors(db: apsw.Connection, config: Config, now: int) -> list[LateCursor]:
    """Return the hindmost of the cursors that are further behind than the settings allow.

    Args:
        db: A connection that reads.
        config: How far that is.
        now: The time, microseconds since the epoch.
    """
    head = read_head(db).seq
    allowed = 0
    if config.cursor_lag_warn_seqs:
        allowed = head - config.cursor_lag_warn_seqs
    if config.cursor_lag_warn_s:
        allowed = max(allowed, position_since(db, now - config.cursor_lag_warn_s * 1_000_000))
    found = []
    for cursor in cursors_below(db, allowed, _LIMIT):
        since = received_after(db, cursor.seq)
        found.append(
            LateCursor(
                name=cursor.name,
                uid=cursor.uid,
                seq=cursor.seq,
                lag=head - cursor.seq,
                lag_us=0 if since is None else max(0, now - since),
            )
        )
    return found
