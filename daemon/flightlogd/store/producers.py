"""Who sent what: producers and their lines, gaps, refused lines, keys."""

from collections.abc import Iterable

import apsw
from msgspec import Struct

from flightlog_schemas.codec import RefusalError
from flightlog_schemas.wire.ingest import Refused
from flightlogd.elsewhere import GIVEN_PREFIX
from flightlogd.peer import Peer
from flightlogd.store.rows import insert_rows


class Progress(Struct):
    """How far one producer is after a commit."""

    producer: str
    peer: Peer
    line: int
    last_seq: int
    bye_lines: int | None = None


def find_producer(db: apsw.Connection, producer: str) -> tuple[int, int] | None:
    """Return (uid, settled lines) of a producer, or None for one never seen."""
    row = db.execute("select uid, line from producer where producer = ?", (producer,)).fetchone()
    return None if row is None else (row[0], row[1])


def settled_line(db: apsw.Connection, producer: str) -> int:
    """Return the number of a producer's last settled line, 0 of one never seen."""
    found = find_producer(db, producer)
    return 0 if found is None else found[1]


def save_progress(db: apsw.Connection, progress: Iterable[Progress], received: int) -> None:
    """Move producers' settled lines on. A bye is forgotten when more lines follow it."""
    insert_rows(
        db,
        "producer",
        [
            (
                made.producer,
                made.peer.uid,
                made.peer.pid,
                made.line,
                made.last_seq,
                made.bye_lines,
                received,
                received,
            )
            for made in progress
        ],
        "on conflict (producer) do update set"
        " pid = excluded.pid, line = max(line, excluded.line), last_seq = excluded.last_seq,"
        " bye_lines = excluded.bye_lines, last_seen = excluded.last_seen",
    )


def nameless(db: apsw.Connection) -> list[str]:
    """Return the producers that gave no name of their own, and spoke to this daemon."""
    return [
        row[0]
        for row in db.execute(
            "select producer from producer where producer > ?1 and producer < ?1 || char(0x10ffff)"
            " and not instr(producer, '/')",
            (GIVEN_PREFIX,),
        )
    ]


def forget_nameless(db: apsw.Connection, departed: Iterable[str]) -> None:
    """Forget of producers that cannot come back what nothing refers to: their lines know them without.

    Of one that left something out, or said goodbye, it is kept as long as something of it was stored.
    """
    for producer in departed:
        row = db.execute(
            "select line - coalesce(sum(last_line - first_line + 1), 0), bye_lines is null and cause is null"
            " from producer left join line_gap using (producer) where producer = ? group by producer",
            (producer,),
        ).fetchone()
        if row is not None and (row[0] == 0 or row[1]):
            db.execute("delete from line_gap where producer = ?", (producer,))
            db.execute("delete from producer where producer = ?", (producer,))


def record_gap(
    db: apsw.Connection, producer: str, first_line: int, last_line: int, cause: str, received: int
) -> None:
    """Record lines that have a number and no position, growing the gap before them where they touch."""
    db.execute(
        "update line_gap set last_line = ?1 where producer = ?2 and last_line = ?3 and cause = ?4"
        " and first_line = (select max(first_line) from line_gap where producer = ?2)",
        (last_line, producer, first_line - 1, cause),
    )
    if db.changes() == 0:
        db.execute(
            "insert into line_gap values (?, ?, ?, ?, ?)", (producer, first_line, last_line, cause, received)
        )


def fill_gaps(db: apsw.Connection, producer: str, first_line: int, last_line: int) -> list[tuple[int, int]]:
    """Take lines that were missing off the gaps, and return which (first, last) of a range that were."""
    gaps: list[tuple[int, int]] = db.execute(
        "select first_line, last_line from line_gap where producer = ?1 and cause = 'missing'"
        " and last_line >= ?2 and first_line between ("
        "   select coalesce(max(first_line), 0) from line_gap where producer = ?1 and first_line <= ?2"
        " ) and ?3 order by first_line",
        (producer, first_line, last_line),
    ).fetchall()  # type: ignore[assignment]  # what the columns hold
    filled: list[tuple[int, int]] = []
    for first, last in gaps:
        since, until = max(first, first_line), min(last, last_line)
        filled.append((since, until))
        if last > until:
            db.execute(
                "insert into line_gap select producer, ?3, last_line, cause, received from line_gap"
                " where producer = ?1 and first_line = ?2",
                (producer, first, until + 1),
            )
        if since > first:
            db.execute(
                "update line_gap set last_line = ?3 where producer = ?1 and first_line = ?2",
                (producer, first, since - 1),
            )
        else:
            db.execute("delete from line_gap where producer = ? and first_line = ?", (producer, first))
    return filled


def record_refused(
    db: apsw.Connection,
    producer: str,
    peer: Peer,
    line: int,
    refusal: RefusalError,
    content: bytes,
    received: int,
) -> None:
    """Keep a refused line's beginning and the reason."""
    db.execute(
        "insert into refused (producer, line, uid, pid, received, code, reason, bytes)"
        " values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing",
        (producer, line, peer.uid, peer.pid, received, refusal.code, refusal.reason, content),
    )


def trim_refused(db: apsw.Connection, limit_rows: int) -> None:
    """Forget the bytes of the oldest refused lines; their gaps stay."""
    db.execute(
        "delete from refused where refused_id <= (select max(refused_id) from refused) - ?", (limit_rows,)
    )


def find_refused(db: apsw.Connection, producer: str, first_line: int, last_line: int) -> list[Refused]:
    """Return the refusals of a producer's lines in a range, so that a resent line gets its answer again."""
    return [
        Refused(line=line, code=code, reason=reason)
        for line, code, reason in db.execute(
            "select line, code, reason from refused where producer = ? and line between ? and ?"
            " order by line",
            (producer, first_line, last_line),
        )
    ]
