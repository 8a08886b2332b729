"""Keys of events: each is stored once for ever.

Keys are digests, so those of one commit belong all over the table: each would touch a page of its own. New
ones therefore go to a small table beside it, and are moved many at a time, which touches each page once for
all of them.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import apsw

from flightlogd.store.database import begin, commit, rollback
from flightlogd.store.rows import insert_rows, select_rows

MERGE_KEYS: Final = 20_000
"""Recent keys above which they are merged; some 130 pages, which a commit may touch all of."""


class Keys:
    """Keys of some events of one user: looked for all at once, taken in their order, written by `save`.

    Args:
        db: The writer's connection, in its transaction: nobody else takes keys meanwhile.
        uid: The user.
        keys: Those that may be taken.
    """

    def __init__(self, db: apsw.Connection, uid: int, keys: Iterable[str]) -> None:
        self._db = db
        self._uid = uid
        self._digests = {key: _digest(key.encode()) for key in keys}
        self._known: dict[bytes, tuple[int, bytes]] = {}
        self._taken: dict[bytes, tuple[int, bytes]] = {}
        wanted = [(uid, key_digest) for key_digest in self._digests.values()]
        for table in ("event_key", "event_key_recent"):
            sql = f"select key_digest, seq, line_digest from {table} where (uid, key_digest)"
            for key_digest, seq, line_digest in select_rows(db, sql, wanted):
                self._known[key_digest] = (seq, line_digest)

    def take(self, key: str, seq: int, line: bytes) -> tuple[int, bool] | None:
        """Take a key for the event at `seq`.

        Returns:
            None when it is taken now; else (seq, same) of the event that has it, where `same` says whether
            that event's line has the same bytes.
        """
        key_digest, line_digest = self._digests[key], _digest(line)
        found = self._known.get(key_digest) or self._taken.get(key_digest)
        if found is None:
            self._taken[key_digest] = (seq, line_digest)
            return None
        return found[0], found[1] == line_digest

    def release(self, key: str) -> None:
        """Give back a key that was taken for an event which is not stored after all."""
        del self._taken[self._digests[key]]

    def save(self) -> int:
        """Write which keys were taken, and return how many."""
        rows = [(self._uid, digest, seq, line) for digest, (seq, line) in sorted(self._taken.items())]
        insert_rows(self._db, "event_key_recent", rows)
        return len(rows)


def find_key(db: apsw.Connection, uid: int, key: str) -> int | None:
    """Return the position of the event that had a user's key, None where none did."""
    for table in ("event_key_recent", "event_key"):
        found = db.execute(
            f"select seq from {table} where uid = ? and key_digest = ?", (uid, _digest(key.encode()))
        ).get
        if found is not None:
            return int(found)
    return None


def unmerged_keys(db: apsw.Connection) -> int:
    """Return how many recent keys wait to be merged."""
    return int(db.execute("select count(*) from event_key_recent").get)


def merge_keys(db: apsw.Connection) -> None:
    """Move the recent keys to their place, in a transaction of its own.

    Raises:
        apsw.Error: it was rolled back; they are where they were.
    """
    begin(db)
    try:
        db.execute("insert into event_key select * from event_key_recent order by uid, key_digest")
        db.execute("delete from event_key_recent")
        commit(db)
    except BaseException:
        rollback(db)
        raise


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()[:16]
