"""The index of words: behind the writer, made anew whatever happens to it, never in the way of the log."""

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import log, logs
from support.peers import IngestPeer, QueryPeer
from support.searching import messages, search, search_status, tell

MADE_ANEW = "search index is made anew"


def index_of(daemon: Daemon) -> Path:
    """Return the file of a daemon's index."""
    return daemon.state_dir / "search.db"


def end_in_good_order(daemon: Daemon) -> None:
    """Stop a daemon with SIGTERM."""
    assert daemon.terminate() == 0


@pytest.mark.covers("D1")
@pytest.mark.parametrize("end", [end_in_good_order, Daemon.kill], ids=["stopped", "killed"])
def test_it_outlives_the_daemon(daemon: Daemon, end: Callable[[Daemon], None]) -> None:
    """After a restart or a kill -9 the index goes on where it was, and has what came just before."""
    tell(daemon, log("e", "early word"))
    assert messages(daemon, "word") == ["early word"]
    before = index_of(daemon).stat().st_ino
    tell(daemon, *logs("e", 3000), log("e", "late word"))
    end(daemon)
    daemon.start()

    assert messages(daemon, "word") == ["late word", "early word"]
    assert index_of(daemon).stat().st_ino == before


def delete(index: Path) -> None:
    """Delete the index, and leave its WAL behind where there is one."""
    index.unlink()


def write_garbage(index: Path) -> None:
    """Replace the index by what is no database."""
    index.write_bytes(b"not a database, but long enough to be taken for one\n" * 1000)


def truncate(index: Path) -> None:
    """Cut the index off in the middle."""
    index.write_bytes(index.read_bytes()[: index.stat().st_size // 2])


def empty(index: Path) -> None:
    """Leave an empty file."""
    index.write_bytes(b"")


def other_program(index: Path) -> None:
    """Replace the index by a database of somebody else."""
    index.unlink()
    db = apsw.Connection(str(index))
    db.execute("create table t (x)")
    db.close()


def other_log(index: Path) -> None:
    """Make it say that it is of another log."""
    db = apsw.Connection(str(index))
    db.execute("update indexed set log_id = 'another'")
    db.close()


def other_history(index: Path) -> None:
    """Make it say that a row of the log had another chain, as before a backup was restored."""
    db = apsw.Connection(str(index))
    db.execute("update indexed set chain = x'00'")
    db.close()


def ahead_of_the_log(index: Path) -> None:
    """Make it further than the log, as after a backup was restored."""
    db = apsw.Connection(str(index))
    db.execute("update indexed set position = position + 1000")
    db.close()


def older_version(index: Path) -> None:
    """Make it of another version."""
    db = apsw.Connection(str(index))
    db.execute("pragma user_version = 0")
    db.close()


def lost_blocks(index: Path) -> None:
    """Damage the index of the words inside."""
    db = apsw.Connection(str(index))
    db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 0)
    db.execute("update line_data set block = x'0102030405' where id > 1")
    db.close()


@pytest.mark.parametrize(
    "damage",
    [
        delete,
        write_garbage,
        truncate,
        empty,
        other_program,
        other_log,
        other_history,
        ahead_of_the_log,
        older_version,
        lost_blocks,
    ],
)
def test_it_is_made_anew(daemon: Daemon, damage: Callable[[Path], None]) -> None:
    """A missing, damaged or foreign index is replaced by one of this log as it is, by itself."""
    tell(daemon, log("e", "disk full"), *logs("e", 500))
    assert messages(daemon, "disk") == ["disk full"]
    daemon.terminate()
    damage(index_of(daemon))
    daemon.start()
    tell(daemon, log("e", "disk again"))

    if damage is lost_blocks:
        # Only a look at these words can tell.
        search(daemon, "disk")
        daemon.wait_for_entry(MADE_ANEW)
    assert messages(daemon, "disk") == ["disk again", "disk full"]
    assert search_status(daemon)["state"] == "ok"


def test_failing_does_not_stop_the_log(daemon_factory: DaemonFactory) -> None:
    """An index that cannot be opened shows in `status`; lines are acked and read; it recovers by itself."""
    daemon = daemon_factory(start=False, retry_ms=50)
    index_of(daemon).mkdir(parents=True)
    (index_of(daemon) / "in the way").touch()
    daemon.start()
    daemon.wait_for_entry("search index failing")
    tell(daemon, log("e", "word"))
    with QueryPeer(daemon.query_socket) as reader:
        status = reader.ask("status").one("status")
        refused = reader.ask("search", text="word").error
        kept = reader.ask("logs", execution_id="e").all("log")
    shutil.rmtree(index_of(daemon))

    assert (status["state"], status["search"]["state"]) == ("degraded", "failing")
    assert "search" in status["state_reason"]
    assert refused is not None
    assert (refused["code"], bool(refused["hint"])) == ("search_unavailable", True)
    assert [line["message"] for line in kept] == ["word"]
    wait_until_ok(daemon)
    assert messages(daemon, "word") == ["word"]


def wait_until_ok(daemon: Daemon) -> None:
    """Return when the index works again; it tries a few times a second."""
    with QueryPeer(daemon.query_socket) as reader:
        while (answer := reader.ask("search", text="x", min_seq=1, wait_ms=30_000)).error is not None:
            assert answer.error["code"] == "search_unavailable", answer.error


def test_off(daemon_factory: DaemonFactory) -> None:
    """With `search = false` there is no index, and a search says how to get one."""
    daemon = daemon_factory(search="false")
    tell(daemon, log("e", "word"))
    with QueryPeer(daemon.query_socket) as reader:
        error = reader.ask("search", text="word").error

    assert error is not None
    assert error["code"] == "search_unavailable"
    assert "search = true" in error["hint"]
    assert search_status(daemon) == {
        "state": "off",
        "reason": None,
        "position": 0,
        "lag": 0,
        "lag_us": 0,
        "index_bytes": 0,
    }
    assert not index_of(daemon).exists()


def test_lag_in_status(daemon: Daemon) -> None:
    """`status` says how far the index is, and `end` of a search how many positions it lacks."""
    head = tell(daemon, log("e", "word"))
    answer = search(daemon, "word")
    status = search_status(daemon)

    assert answer.end == {"count": 1, "seq": head}
    assert (status["state"], status["position"], status["lag"], status["lag_us"]) == ("ok", head, 0, 0)
    assert status["index_bytes"] > 0


def test_a_position_that_does_not_come(daemon: Daemon) -> None:
    """A search that waits for a position in vain says so, as every question does."""
    with QueryPeer(daemon.query_socket) as reader:
        error = reader.ask("search", text="x", min_seq=1000, wait_ms=10).error

    assert error is not None
    assert error["code"] == "timed_out"


def test_it_keeps_up_with_a_producer_that_never_pauses(daemon: Daemon) -> None:
    """While lines come without a pause they are indexed all the same, soon after."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.hello("p")
        sent = 0
        while reader.ask("status").one("status")["search"]["position"] < 2:
            peer.send_lines(*logs("e", 20, sent))
            sent += 20
            peer.until_ack(sent)
        found = reader.ask("search", text='"line 0"', execution_id="e")

    assert [line["message"] for line in found.all("log")] == ["line 0"]


def test_stopping_while_it_is_far_behind(daemon: Daemon) -> None:
    """A daemon that has much to index stops at once all the same, and goes on after."""
    daemon.terminate()
    index_of(daemon).unlink()
    daemon.start()
    for number in range(10):
        tell(daemon, *logs(f"e{number}", 2000))
    daemon.signal(signal.SIGTERM)
    assert daemon.wait(timeout_s=10) == 0
    daemon.start()

    assert len(search(daemon, '"line 2000"').all("log")) == 10
