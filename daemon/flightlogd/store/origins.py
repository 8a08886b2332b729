"""The logs whose lines are here: how much of each, and what their machines are called."""

from collections.abc import Iterable

import apsw
from msgspec import Struct

from flightlog_schemas.elsewhere import mark_of
from flightlogd.batch import Place
from flightlogd.store.rows import insert_rows


class Arrived(Struct):
    """What one commit stores of another log.

    Attributes:
        place: Where the last line received there was.
        events: How many lines.
        seq: The highest position there.
        first_at: When the first was received there, microseconds since the epoch.
    """

    place: Place
    events: int
    seq: int
    first_at: int


def name_here(db: apsw.Connection, log_id: str, host: str) -> None:
    """Note what this machine is called, in a transaction of its own; nothing is written that is known."""
    db.execute(
        "insert into origin values ('', ?1, ?2, 0, 0, 0, 0, 0) on conflict (mark) do update"
        " set log_id = excluded.log_id, host = excluded.host"
        " where (log_id, host) <> (excluded.log_id, excluded.host)",
        (log_id, host),
    )


def save_arrived(db: apsw.Connection, arrived: Iterable[Arrived], received: int) -> None:
    """Add up what came of other logs, in the commit that stores it."""
    insert_rows(
        db,
        "origin",
        [
            (
                mark_of(one.place.log_id),
                one.place.log_id,
                one.place.host,
                one.events,
                one.seq,
                one.first_at,
                one.place.received,
                received,
            )
            for one in arrived
        ],
        # An older part may come later: the name is that of the newest line.
        "on conflict (mark) do update set host = iif(excluded.last_at >= last_at, excluded.host, host),"
        " events = events + excluded.events, seq = max(seq, excluded.seq),"
        " first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at),"
        " received = excluded.received",
    )
