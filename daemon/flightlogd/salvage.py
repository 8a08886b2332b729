"""What can be read of a damaged log, as lines that another daemon takes in: the way out where no backup is.

    {"origin":{"log_id":"...","host":"..."}}
    {"seq":1,"received":...,"uid":...,"pid":...,"producer":"...","line":1,"event":{...}}
    {"pruned":{"first_seq":7,"last_seq":9,"reason":"damaged"}}

It needs the rows of the log and the dictionaries of those that are compressed, and nothing else: no read
model, no index, no producers. Only rows that are as they were sealed are told. A damaged first page, where
the schema is, is replaced in a copy: the log's table has the same place in every database of ours.
"""

import shutil
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import apsw
import msgspec
from msgspec import Struct, field

from flightlog_schemas.wire.reply import Pruned
from flightlogd.batch import Span, decode_spans, origin_of
from flightlogd.lines import GONE, split_lines
from flightlogd.queries.event import event_line
from flightlogd.recorded import DAEMON_PRODUCER
from flightlogd.seal import GENESIS, digest_lines, extend_chain
from flightlogd.store.damage import UNREADABLE, next_readable
from flightlogd.store.database import is_damage, open_reader, open_writer
from flightlogd.store.eventlog import read_head
from flightlogd.store.packed import LINES
from flightlogd.store.schema import migrate
from flightlogd.store.tombstones import Tombstone, holes_between, last_digest

_DAMAGED: Final = "damaged"
_GOVERNED: Final = "retention"
_NEEDED: Final = "'event_batch', 'log_head', 'tombstone', 'cold_dictionary'"
_PAGE_COUNT_AT: Final = 28
"""Where the first page says how many there are (sqlite.org/fileformat.html)."""

_encode = msgspec.json.encode


class _Type(Struct):
    type: str


_type_of = msgspec.json.Decoder(_Type).decode


class Salvage(Struct):
    """What came of it.

    Attributes:
        events: How many were told.
        damaged: Positions from and to that are lost.
        head_known: Whether the log still says where it ends; if not, its end may be missing.
    """

    events: int = 0
    damaged: list[tuple[int, int]] = field(default_factory=list)
    head_known: bool = True


@contextmanager
def open_damaged(database: Path, scratch: Path) -> Iterator[apsw.Connection]:
    """Open a database for `salvage`; where its first page is damaged, a copy with another one.

    Args:
        database: The file; it is left as it is.
        scratch: Directory with room for a copy.

    Raises:
        apsw.Error: it cannot be read even so.
    """
    try:
        with closing(open_reader(database)) as db:
            db.execute("select 1 from event_batch, log_head limit 0")
            yield db
            return
    except apsw.Error as error:
        # Without its table the file is another one, or its schema is damaged.
        if not is_damage(error) and not isinstance(error, apsw.SQLError):
            raise
    with TemporaryDirectory(dir=scratch, prefix=".salvage-") as directory:
        copy, fresh = Path(directory, "copy.db"), Path(directory, "fresh.db")
        with closing(open_writer(fresh)) as db:
            migrate(db, fresh)
            # What is left of the schema is in the first page alone.
            db.execute("pragma writable_schema = on")
            db.execute(f"delete from sqlite_schema where tbl_name not in ({_NEEDED}) or type = 'trigger'")
            db.execute("pragma writable_schema = reset")
            page_size = int(db.pragma("page_size"))
        shutil.copyfile(database, copy)
        wal = database.with_name(f"{database.name}-wal")
        if wal.exists():
            shutil.copyfile(wal, copy.with_name(f"{copy.name}-wal"))
        with copy.open("r+b") as file, fresh.open("rb") as intact:
            first = bytearray(intact.read(page_size))
            pages = copy.stat().st_size // page_size
            first[_PAGE_COUNT_AT : _PAGE_COUNT_AT + 4] = pages.to_bytes(4, "big")
            file.write(first)
        with closing(open_reader(copy)) as db:
            yield db


def salvage(db: apsw.Connection, machine: str, done: Salvage) -> Iterator[bytes]:
    """Yield the lines of all that can be read, with their newlines, in the order of the log.

    Args:
        db: A connection from `open_damaged`.
        machine: What the machine is called that recorded it.
        done: Is filled meanwhile.

    Raises:
        apsw.Error: not even the beginning can be read.
    """
    try:
        head = read_head(db)
        log_id, end = head.log_id, head.seq
    except (*UNREADABLE, ValueError, TypeError):
        log_id, end = "salvaged", 0
        done.head_known = False
    teller = _Teller(log_id, machine, done)
    governed = _governed(db, end)
    chain: bytes | None = GENESIS
    reached = 0
    for first_seq, last_seq, received, spans, digest, row_chain, blob in _rows(db):
        if first_seq > reached + 1:
            chain = yield from _hole(teller, governed, reached + 1, first_seq - 1)
        header = {"first_seq": first_seq, "last_seq": last_seq, "received": received, "spans": spans}
        sealed = chain is None or extend_chain(chain, **header, digest=digest) == row_chain
        found = digest_lines(blob)
        if sealed and (found == digest or found == _governed_digest(db, first_seq)):
            yield from teller.row(first_seq, received, decode_spans(spans), split_lines(blob))
        else:
            yield from teller.hole(first_seq, last_seq, _DAMAGED)
        chain, reached = row_chain, last_seq
    if reached < end:
        yield from _hole(teller, governed, reached + 1, end)


def _rows(db: apsw.Connection) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of the log that can be read."""
    reached = 0
    while True:
        try:
            for row in db.execute(
                f"select first_seq, last_seq, received, spans, digest, chain, {LINES} from event_batch"
                " where first_seq > ? order by first_seq",
                (reached,),
            ):
                yield row
                reached = row[0]
        except UNREADABLE:
            try:
                found = next_readable(db, reached)
            except UNREADABLE:
                return
            if found is None:
                return
            reached = found - 1
        else:
            return


def _hole(
    teller: "_Teller", governed: list[Tombstone], first_seq: int, last_seq: int
) -> Generator[bytes, None, bytes | None]:
    """Tell of positions without a row; the chain behind them is returned, where governance kept it."""
    chain = None
    position = first_seq
    while governed and governed[0].first_seq <= last_seq:
        hole = governed.pop(0)
        if hole.first_seq > position:
            yield from teller.hole(position, hole.first_seq - 1, _DAMAGED)
        yield from teller.hole(hole.first_seq, hole.last_seq, hole.cause)
        position = hole.last_seq + 1
        chain = hole.chain
    if position <= last_seq:
        yield from teller.hole(position, last_seq, _DAMAGED)
        chain = None
    return chain


def _governed(db: apsw.Connection, end: int) -> list[Tombstone]:
    try:
        return list(holes_between(db, 0, end))
    except (*UNREADABLE, apsw.SQLError):
        return []


def _governed_digest(db: apsw.Connection, first_seq: int) -> bytes | None:
    try:
        return last_digest(db, first_seq)
    except (*UNREADABLE, apsw.SQLError):
        return None


class _Teller:
    """Tells rows as `flightlog export` does, what came by an import as the log that had it first would."""

    def __init__(self, log_id: str, machine: str, done: Salvage) -> None:
        self._log = (log_id, machine)
        self._said: tuple[str, str] | None = None
        self._done = done

    def hole(self, first_seq: int, last_seq: int, reason: str) -> Iterator[bytes]:
        if reason == _DAMAGED:
            self._done.damaged.append((first_seq, last_seq))
        yield from self._of(self._log)
        yield _encode({"pruned": Pruned(first_seq=first_seq, last_seq=last_seq, reason=reason)}) + b"\n"

    def row(self, first_seq: int, received: int, spans: list[Span], lines: list[bytes]) -> Iterator[bytes]:
        gone: list[int] = []
        for span in spans:
            for index in range(span.index, span.index + span.count):
                line = lines[index]
                if line == GONE:
                    gone.append(first_seq + index)
                    continue
                if gone:
                    yield from self.hole(gone[0], gone[-1], _GOVERNED)
                    gone.clear()
                if span.producer != DAEMON_PRODUCER or not _type_of(line).type.startswith("daemon."):
                    self._done.events += 1
                    yield from self._event(first_seq, received, span, index, line)
        if gone:
            yield from self.hole(gone[0], gone[-1], _GOVERNED)

    def _event(self, first_seq: int, received: int, span: Span, index: int, line: bytes) -> Iterator[bytes]:
        origin = origin_of(span)
        if origin is not None:
            place = origin.after(index - span.index)
            yield from self._of((place.log_id, place.host))
            name = span.producer.removeprefix(f"~{place.log_id}/")
            there = Span(index, name, span.first_line + index - span.index, 1, span.uid, span.pid)
            yield event_line(place.seq - index, place.received, there, index, line)
        else:
            yield from self._of(self._log)
            yield event_line(first_seq, received, span, index, line)

    def _of(self, log: tuple[str, str]) -> Iterator[bytes]:
        if log != self._said:
            self._said = log
            yield _encode({"origin": {"log_id": log[0], "host": log[1]}}) + b"\n"
