"""Proof that the log is what was stored, less what governance took: the seal, read from end to end.

Each row's chain goes on from the row before, or from the tombstone of the rows that are gone. Its lines have
the digest that was sealed, or the one that its last tombstone gives. Tombstones are sealed themselves: by the
`daemon.pruned` events in the log.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

import apsw
import msgspec
from msgspec import Struct, field

from flightlogd.batch import decode_spans
from flightlogd.lines import GONE, split_lines
from flightlogd.seal import GENESIS, digest_lines, extend_chain
from flightlogd.store.damage import UNREADABLE, next_readable
from flightlogd.store.eventlog import read_head
from flightlogd.store.packed import LINES
from flightlogd.store.tombstones import Tombstone, holes_between, last_digest, sealing_of

_PRUNED: Final = b'"type":"daemon.pruned"'


class Damage(Struct):
    """Something that is not as it was stored, and that governance did not do; positions from and to."""

    first_seq: int
    last_seq: int
    what: str


class Verdict(Struct):
    """What a look at the whole log came to.

    Attributes:
        seq: The end of the log.
        chain: The chain there, hexadecimal.
        lines: Positions that were looked at.
        removed: Positions of them whose line governance took.
        masked: Lines that a scrub changed (one that several changed counts as often).
        damage: What is not as it should be.
        unsealed: Tombstones that no event tells of yet.
        unchecked: Earlier heads within what governance took whole: nothing there can be compared any more.
    """

    seq: int
    chain: str
    lines: int = 0
    removed: int = 0
    masked: int = 0
    damage: list[Damage] = field(default_factory=list)
    unsealed: int = 0
    unchecked: list[int] = field(default_factory=list)


def verify_log(db: apsw.Connection, earlier: Mapping[int, str] | None = None) -> Verdict:
    """Look at every row.

    Args:
        db: A connection in a transaction that sees one state of the log.
        earlier: Chains of earlier ends of the log by position, to be found again.
    """
    head = read_head(db)
    verdict = Verdict(seq=head.seq, chain=head.chain.hex())
    walk = _Walk(db, verdict, earlier or {})
    for row in _rows(db, walk):
        walk.row(row)
    walk.end(head.seq, head.chain)
    verdict.lines = head.seq
    return verdict


class _Row(Struct):
    first_seq: int
    last_seq: int
    received: int
    spans: str
    digest: bytes
    chain: bytes
    lines: bytes


def _rows(db: apsw.Connection, walk: "_Walk") -> Iterator["_Row"]:
    """Yield the rows that can be read; what cannot is told to the walk."""
    reached = 0
    while True:
        try:
            for row in db.execute(
                f"select first_seq, last_seq, received, spans, digest, chain, {LINES} from event_batch"
                " where first_seq > ? order by first_seq",
                (reached,),
            ):
                yield _Row(*row)
                reached = row[1]
        except UNREADABLE as error:
            found = next_readable(db, reached)
            walk.unreadable(found, str(error))
            if found is None:
                return
            reached = found - 1
        else:
            return


class _Walk:
    def __init__(self, db: apsw.Connection, verdict: Verdict, earlier: Mapping[int, str]) -> None:
        self._db = db
        self._verdict = verdict
        self._holes: deque[Tombstone] = deque(holes_between(db, 0, verdict.seq))
        self._next_seq = 1
        self._chain = GENESIS
        self._earlier = {seq: chain for seq, chain in earlier.items() if seq > 0}
        self._sealed_to = 0
        self._is_cut = False

    def unreadable(self, until: int | None, what: str) -> None:
        """Step over what cannot be read, up to a position, or to the end."""
        while self._holes and self._holes[0].first_seq == self._next_seq:
            self._reach_behind(self._holes.popleft())
        first_seq, self._next_seq = self._next_seq, until or self._verdict.seq + 1
        self._found(first_seq, self._next_seq - 1, f"rows cannot be read: {what}")
        self._is_cut = True

    def row(self, row: "_Row") -> None:
        self._step_over(row.first_seq)
        if self._is_cut:
            # What comes behind damage cannot be compared with what was there.
            self._is_cut = False
            self._look_at_lines(row)
            self._reach(row.last_seq, row.chain)
            return
        if row.first_seq < self._next_seq:
            self._found(row.first_seq, row.last_seq, "a row that overlaps the one before")
            return
        expected = extend_chain(
            self._chain,
            first_seq=row.first_seq,
            last_seq=row.last_seq,
            received=row.received,
            spans=row.spans,
            digest=row.digest,
        )
        if expected != row.chain:
            what = "the chain is broken: this row, or one before it, is another"
            self._found(row.first_seq, row.last_seq, what)
        self._look_at_lines(row)
        self._reach(row.last_seq, row.chain)

    def end(self, seq: int, chain: bytes) -> None:
        self._step_over(seq + 1)
        if self._next_seq != seq + 1 or (self._chain != chain and not self._is_cut):
            self._found(self._next_seq, seq, "the log ends elsewhere than its head says: rows are missing")
        for seq in sorted(self._earlier):
            self._found(seq, seq, "no row ends at that earlier head: the log was cut, or is another")
        unsealed = self._db.execute(
            "select count(*) from tombstone where tombstone_id > ?", (self._sealed_to,)
        )
        self._verdict.unsealed = int(unsealed.get)
        masked = self._db.execute("select sum(lines) from tombstone where cause = 'scrub'").get
        self._verdict.masked = int(masked or 0)

    def _step_over(self, seq: int) -> None:
        """Go on behind what governance deleted before a position."""
        while self._next_seq < seq:
            while self._holes and self._holes[0].last_seq < self._next_seq:
                self._holes.popleft()
            if not self._holes or self._holes[0].first_seq != self._next_seq:
                self._found(self._next_seq, seq - 1, "rows are missing, and no tombstone tells of them")
                self._next_seq = seq
                return
            self._reach_behind(self._holes.popleft())

    def _reach_behind(self, hole: Tombstone) -> None:
        assert hole.chain is not None
        self._verdict.removed += hole.last_seq - hole.first_seq + 1
        self._reach(hole.last_seq, hole.chain)
        for seq in [seq for seq in self._earlier if hole.first_seq <= seq < hole.last_seq]:
            del self._earlier[seq]
            self._verdict.unchecked.append(seq)

    def _look_at_lines(self, row: "_Row") -> None:
        found = digest_lines(row.lines)
        if found != row.digest and found != last_digest(self._db, row.first_seq):
            what = "lines are not what was stored, and no tombstone tells of a change"
            self._found(row.first_seq, row.last_seq, what)
            return
        lines = split_lines(row.lines)
        count = row.last_seq - row.first_seq + 1
        if len(lines) != count or _sent(row.spans) != count:
            self._found(row.first_seq, row.last_seq, f"{len(lines)} lines in the place of {count}")
        self._verdict.removed += lines.count(GONE)
        if _PRUNED in row.lines:
            for line in lines:
                if _PRUNED in line:
                    self._look_at_seal(row.first_seq, row.last_seq, line)

    def _look_at_seal(self, first_seq: int, last_seq: int, line: bytes) -> None:
        told: dict[str, Any] = (msgspec.json.decode(line).get("detail") or {}).get("tombstones") or {}
        if not told:
            return
        found = sealing_of(self._db, told["first"], told["last"])
        if found.hex() != told["sha256"]:
            what = f"tombstones {told['first']} to {told['last']} are not what was sealed here"
            self._found(first_seq, last_seq, what)
        self._sealed_to = max(self._sealed_to, told["last"])

    def _reach(self, seq: int, chain: bytes) -> None:
        self._next_seq, self._chain = seq + 1, chain
        known = self._earlier.pop(seq, None)
        if known is not None and known != chain.hex():
            self._found(1, seq, "the log up to that earlier head is another than it was then")

    def _found(self, first_seq: int, last_seq: int, what: str) -> None:
        self._verdict.damage.append(Damage(first_seq, max(first_seq, last_seq), what))


def _sent(spans: str) -> int | None:
    """Return how many lines were sent by the word of a row's spans, None where they cannot be read."""
    try:
        return sum(span.count for span in decode_spans(spans))
    except msgspec.DecodeError:
        return None
