"""No event is ever changed: triggers forbid it, and the stored bytes prove it."""

import hashlib
from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest

from flightlogd import batch, seal
from flightlogd.lines import split_lines
from flightlogd.store.database import open_reader
from support.daemon import Daemon, run_flightlogd
from support.lines import block, event, log, logs
from support.peers import IngestPeer, QueryPeer


@pytest.fixture(scope="module")
def stopped(shared_daemon: Daemon) -> Daemon:
    """Give a daemon that stored a few batches and stopped."""
    daemon = shared_daemon
    for number in range(3):
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.hello(f"p{number}")
            peer.settle(event("execution.started", "e"), *logs("e", 5), b"bad", log("f", "ü"))
    assert daemon.terminate() == 0
    return daemon


@pytest.fixture
def db(stopped: Daemon) -> Iterator[apsw.Connection]:
    """Give a connection that may write to its database."""
    connection = apsw.Connection(str(stopped.database))
    yield connection
    connection.close()


FORBIDDEN = {
    "update": "update event_batch set lines = x'5b5d'",
    "update of a column": "update event_batch set received = received + 1 where first_seq = 1",
    "delete": "delete from event_batch where first_seq = 1",
    "replace": "replace into event_batch select * from event_batch where first_seq = 1",
    "insert below the head": (
        "insert into event_batch select 0, 0, received, spans, digest, chain, codec, lines"
        " from event_batch where first_seq = 1"
    ),
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_the_database_itself_forbids_change(db: apsw.Connection, what: str) -> None:
    """Whoever opens the database cannot change, remove, replace or insert a batch below the head."""
    before = db.execute("select * from event_batch").fetchall()

    with pytest.raises(apsw.ConstraintError, match="the event log is"):
        db.execute(FORBIDDEN[what])

    assert db.execute("select * from event_batch").fetchall() == before


def test_stored_bytes_are_the_bytes_that_came(db: apsw.Connection) -> None:
    """Lines are stored as they came, sealed by a digest, and chained from the first batch to the head."""
    chain, next_seq, last_received = seal.GENESIS, 1, 0
    found: list[bytes] = []
    for row in db.execute(
        "select first_seq, last_seq, received, spans, digest, chain, codec, lines from event_batch order by 1"
    ):
        first_seq, last_seq, received, spans, digest, stored_chain, codec, lines = row
        chain = seal.extend_chain(
            chain, first_seq=first_seq, last_seq=last_seq, received=received, spans=spans, digest=digest
        )
        assert (first_seq, codec, chain) == (next_seq, 0, stored_chain)
        assert digest == hashlib.sha256(lines).digest()
        assert received >= last_received
        held = split_lines(lines)
        assert len(held) == last_seq - first_seq + 1 == sum(span.count for span in batch.decode_spans(spans))
        found += held
        next_seq, last_received = last_seq + 1, received

    assert db.execute("select seq, chain from log_head").get == (next_seq - 1, chain)
    sent = [event("execution.started", "e"), *logs("e", 5), log("f", "ü")] * 3
    assert [line for line in found if b'"daemon.' not in line] == sent


def test_the_event_view_shows_one_row_an_event(stopped: Daemon) -> None:
    """The view `event` has a row for each event, with its position, producer, line, type and bytes."""
    with closing(open_reader(stopped.database)) as db:
        rows = db.execute("select seq, producer, line, type, execution_id from event order by seq").fetchall()

    assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
    assert [row[1:] for row in rows if row[1] == "p1"] == [
        ("p1", 1, "execution.started", "e"),
        *(("p1", line, "log", "e") for line in range(2, 7)),
        ("p1", 8, "log", "f"),
    ]

    done = run_flightlogd("sql", "select count(*) from event", "--state-dir", str(stopped.state_dir))
    assert (done.returncode, done.stdout.strip()) == (0, str(len(rows))), done.stderr


def test_the_sql_shell_cannot_write(daemon: Daemon) -> None:
    """`flightlogd sql` reads beside a running daemon and cannot write; what it cannot run is exit code 2."""
    where = ("--state-dir", str(daemon.state_dir))

    read = run_flightlogd("sql", "select type from event", *where)
    written = run_flightlogd("sql", "delete from execution_batch", *where)
    piped = run_flightlogd("sql", *where, stdin=b"select seq from log_head;\n")
    bad = [
        run_flightlogd("sql", *where, stdin=b"select nothing;\nselect 'later';\n"),
        run_flightlogd("sql", *where, stdin=b"select 1"),
        run_flightlogd("sql", ".nothing", *where),
    ]

    assert (read.returncode, read.stdout) == (0, "daemon.started\n"), read.stderr
    assert written.returncode == 2
    assert "readonly" in written.stderr.replace("-", "").lower()
    assert (piped.returncode, piped.stdout.strip()) == (0, "1"), piped.stderr
    for done in bad:
        assert (done.returncode, done.stdout) == (2, ""), done
        assert "Traceback" not in done.stderr


def test_lines_are_answered_verbatim(daemon: Daemon) -> None:
    """A tail shows each event with the very bytes that were sent."""
    odd = b'{ "type":"my.own" ,"b":1.50,  "a":"\\u00e4"}'
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.send(block(odd))
        peer.until_ack(1)
        reader.start("tail", after=1, follow=False)
        line = reader.next_line()

    assert line is not None
    assert line.endswith(b'"event":' + odd + b"}")
