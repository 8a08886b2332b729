"""How far relays of this log are, and how late what came of others was: by what is kept anyway."""

from typing import Final

import apsw
from msgspec import Struct

from flightlog_schemas.passing import OriginStatus, RelayStatus
from flightlogd.store.cursors import cursors_named
from flightlogd.store.eventlog import read_head, received_after

_LIMIT: Final = 100
_RELAY: Final = "relay:"
"""What names of cursors begin with that relays keep."""


class Origins(Struct, frozen=True):
    """The other logs that are here: those whose lines came latest, how many there are, when any came last."""

    latest: list[OriginStatus]
    count: int
    collected_at: int | None


def relays(db: apsw.Connection, now: int) -> list[RelayStatus]:
    """Return how far relays are, the hindmost first.

    Args:
        db: A connection that reads.
        now: The time, microseconds since the epoch.
    """
    head = read_head(db).seq
    found = []
    for cursor in cursors_named(db, _RELAY, _LIMIT):
        since = received_after(db, cursor.seq)
        found.append(
            RelayStatus(
                target=cursor.name.removeprefix(_RELAY),
                name=cursor.name,
                uid=cursor.uid,
                seq=cursor.seq,
                lag=max(0, head - cursor.seq),
                lag_us=0 if since is None else max(0, now - since),
                moved_at=cursor.moved_at,
            )
        )
    return found


def origins(db: apsw.Connection) -> Origins:
    """Return how far other logs are here, those whose lines came latest first."""
    rows = db.execute(
        "select host, log_id, seq, last_at, received, max(0, received - last_at) as lag_us from origin"
        " where mark <> '' order by lag_us desc, host, mark limit ?",
        (_LIMIT,),
    )
    latest = [OriginStatus(**dict(zip(OriginStatus.__struct_fields__, row, strict=True))) for row in rows]
    [(count, collected_at)] = db.execute("select count(*), max(received) from origin where mark <> ''")
    return Origins(latest, count, collected_at)
