"""What governance takes out of the log is not found any more, and is not in the index."""

from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import pytest

from flightlogd.lines import join_lines, split_lines
from support.daemon import Daemon, DaemonFactory
from support.govern import govern, record
from support.lines import log
from support.peers import QueryPeer
from support.searching import messages, search, search_status, tell


@contextmanager
def governing(daemon: Daemon) -> Iterator[apsw.Connection]:
    """Stop a daemon, give its database in a transaction of governance, and start it again."""
    daemon.terminate()
    db = apsw.Connection(str(daemon.database))
    db.execute("begin immediate; insert into governance values (1)")
    yield db
    db.execute("delete from governance; commit")
    db.close()
    daemon.start()


def bury(db: apsw.Connection, first_seq: int, last_seq: int, cause: str) -> None:
    """Note that something was taken from a range."""
    db.execute(
        "insert into tombstone (first_seq, last_seq, lines, bytes, cause, digest, pruned_at)"
        " values (?, ?, 1, 1, ?, x'00', 1)",
        (first_seq, last_seq, cause),
    )


def change(db: apsw.Connection, seq: int, line: bytes, cause: str | None) -> None:
    """Put another line in the place of one, with a tombstone or, for a moment, without."""
    [(first_seq, last_seq, blob)] = db.execute(
        "select first_seq, last_seq, lines from event_batch where first_seq <= ? and last_seq >= ?",
        (seq, seq),
    )
    lines = split_lines(blob)
    lines[seq - first_seq] = line
    db.execute("update event_batch set lines = ? where first_seq = ?", (join_lines(lines), first_seq))
    if cause is not None:
        bury(db, first_seq, last_seq, cause)


def indexed(daemon: Daemon) -> set[int]:
    """Return the positions that are in the index."""
    db = apsw.Connection(str(daemon.state_dir / "search.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return {seq for (seq,) in db.execute("select id from line_docsize")}
    finally:
        db.close()


def test_dropped_lines(daemon: Daemon) -> None:
    """A line that retention dropped is taken out of the index; its neighbours stay."""
    last = tell(daemon, log("e", "word one"), log("e", "word two"), log("e", "word three"))
    assert len(messages(daemon, "word")) == 3
    with governing(daemon) as db:
        change(db, last - 1, b"null", "retention")

    assert messages(daemon, "word") == ["word three", "word one"]
    assert {last, last - 1, last - 2} & indexed(daemon) == {last, last - 2}


def test_a_line_that_goes_while_it_is_looked_for(daemon: Daemon) -> None:
    """A hit whose line has just left the log is passed over."""
    last = tell(daemon, log("e", "word one"), log("e", "word two"))
    assert len(messages(daemon, "word")) == 2
    with governing(daemon) as db:
        change(db, last, b"null", None)

    assert messages(daemon, "word") == ["word one"]
    assert last in indexed(daemon)


def test_deleted_batches(daemon: Daemon) -> None:
    """Whole batches, thousands of lines, are taken out of the index, and pages go on over the hole."""
    first = tell(daemon, log("e", "word first"))
    last = first
    for _ in range(5):
        last = tell(daemon, *(log("e", "word gone") for _ in range(2000)))
    end = tell(daemon, log("e", "word last"))
    assert len(messages(daemon, "word", limit=1000)) == 1000
    with governing(daemon) as db:
        db.execute("delete from event_batch where first_seq between ? and ?", (first + 1, last))
        bury(db, first + 1, last, "retention")
    tell(daemon, log("e", "another"))

    assert messages(daemon, "word") == ["word last", "word first"]
    assert not indexed(daemon) & set(range(first + 1, last + 1))
    assert {first, end} <= indexed(daemon)


def test_many_tombstones(daemon: Daemon) -> None:
    """More tombstones than are looked at in one step are all followed before newer lines are indexed."""
    seqs = [tell(daemon, log("e", f"word {number}")) for number in range(150)]
    assert len(messages(daemon, "word", limit=1000)) == 150
    with governing(daemon) as db:
        for seq in seqs[:140]:
            change(db, seq, b"null", "retention")
    tell(daemon, log("e", "word new"))

    assert messages(daemon, "word") == ["word new", *(f"word {number}" for number in range(149, 139, -1))]
    assert not indexed(daemon) & set(seqs[:140])


def test_tombstones_from_before_the_index(daemon_factory: DaemonFactory) -> None:
    """An index that is made after lines were taken has what is there, and is made once."""
    daemon = daemon_factory()
    last = tell(daemon, log("e", "word secret"), log("e", "word two"))
    with governing(daemon) as db:
        change(db, last - 1, log("e", "word masked"), "scrub")
    (daemon.state_dir / "search.db").unlink()
    daemon.restart()

    assert messages(daemon, "word") == ["word two", "word masked"]
    assert not [entry for entry in daemon.entries if entry["event"] == "search index is made anew"]


def with_text(daemon: Daemon, text: str) -> list[str]:
    """Return the names of the index's files that hold a text."""
    files = [file for file in daemon.state_dir.iterdir() if file.name.startswith("search.db")]
    assert files
    return [file.name for file in files if text.encode() in file.read_bytes()]


@pytest.mark.parametrize("count", [1, 2000])
def test_scrubbed_text(daemon: Daemon, count: int) -> None:
    """After a scrub the index is made anew, so that no byte of what was scrubbed is left in its files."""
    secret = "hunter2secret"
    last = tell(daemon, log("e", f"word {secret}"), *(log("e", f"line {number}") for number in range(count)))
    assert messages(daemon, secret) == [f"word {secret}"]
    assert with_text(daemon, secret)
    with governing(daemon) as db:
        change(db, last - count, log("e", "word ***"), "scrub")
    daemon.wait_for_entry("search index is made anew")

    assert messages(daemon, "word") == ["word ***"]
    assert messages(daemon, secret) == []
    assert search_status(daemon)["state"] == "ok"
    assert not with_text(daemon, secret)


def test_an_index_that_is_made_anew_while_asked(daemon: Daemon) -> None:
    """A question on the way while the index is made anew is answered, or told to try again; never wrongly."""
    last = tell(daemon, *(log("e", f"word {number}") for number in range(1000)))
    assert len(messages(daemon, "word", limit=1000)) == 1000
    with governing(daemon) as db:
        change(db, last, log("e", "word masked"), "scrub")
    with QueryPeer(daemon.query_socket) as reader:
        for _ in range(20):
            answer = reader.ask("search", text="masked")
            if answer.error is not None:
                assert answer.error["code"] == "search_unavailable", answer
            else:
                assert [line["message"] for line in answer.all("log")] in ([], ["word masked"])

    assert search(daemon, "masked").error is None


@pytest.mark.covers("S1.7")
def test_retention_and_search(daemon: Daemon) -> None:
    """What a pass of retention takes away is not found a moment later, and not in the index."""
    record(daemon, "old", *(log("old", f"word {number}") for number in range(3000)))
    record(daemon, "busy", log("busy", "word stays"), end=None)
    assert len(messages(daemon, "word", limit=1000)) == 1000

    assert govern(daemon, "retention", "--older-than", "0s")["lines"] == 3000

    assert messages(daemon, "word") == ["word stays"]
    assert len(indexed(daemon)) < 20
