"""The database's file is not what was written: what can be started starts, and says what is wrong."""

from contextlib import closing

import apsw
import pytest

from cli.runner import Cli
from support.daemon import Daemon, DaemonFactory, StartFailedError, run_flightlogd
from support.govern import ask, govern, is_whole, messages, record
from support.lines import event, log, logs
from support.peers import IngestPeer, QueryPeer
from support.searching import search

PAGE_BYTES = 8192


def pages_of(daemon: Daemon, name: str) -> list[int]:
    """Return the leaf and overflow pages of a table of a stopped daemon, in the order of its keys."""
    with closing(apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)) as db:
        rows = db.execute(
            "select pageno from dbstat where name = ? and pagetype <> 'internal' order by path", (name,)
        )
        return [row[0] for row in rows]


def garble(daemon: Daemon, page: int, at: int = 0, count: int = PAGE_BYTES) -> None:
    """Overwrite a page, or a part of it."""
    with daemon.database.open("r+b") as file:
        file.seek((page - 1) * PAGE_BYTES + at)
        file.write(b"\xa5" * count)


def recorded(daemon: Daemon) -> None:
    """Record some executions, and stop."""
    for name in "abcdef":
        record(daemon, name, *logs(name, 2000), event("task.started", name, task_id="t"), name=name)
    daemon.terminate()


@pytest.mark.covers("D6", "S0.8")
@pytest.mark.parametrize("whole_page", [True, False])
def test_a_damaged_range_of_the_log(daemon: Daemon, whole_page: bool) -> None:
    """The rest is read and appended to; what needs the range is answered with it, and `verify` names it."""
    recorded(daemon)
    pages = pages_of(daemon, "event_batch")
    garble(daemon, pages[len(pages) // 2], *(() if whole_page else (4000, 1)))
    verdict = govern(daemon, "verify", code=1)
    assert verdict["damage"]
    first, last = verdict["damage"][0]["first_seq"], verdict["damage"][-1]["last_seq"]
    assert 1 < first <= last < verdict["seq"]

    daemon.start()
    assert messages(daemon, "a") == [f"line {number}" for number in range(1, 2001)]
    assert messages(daemon, "f") == [f"line {number}" for number in range(1, 2001)]
    record(daemon, "later", *logs("later", 100))
    assert len(messages(daemon, "later")) == 100
    behind = ask(daemon, "tail", after=last, follow=False)
    assert behind.error is None
    if whole_page:
        answer = ask(daemon, "tail", after=first - 1, follow=False)
        assert answer.error is not None
        assert (answer.error["code"], f"positions {first} to" in answer.error["reason"]) == ("damaged", True)
    assert daemon.restart().running
    found = govern(daemon, "verify", code=1)["damage"]
    assert (found[0]["first_seq"], found[-1]["last_seq"]) == (first, last)


@pytest.mark.covers("D8")
@pytest.mark.parametrize("name", ["execution", "audit_type", "task", "audit"])
def test_a_damaged_read_model(daemon: Daemon, name: str) -> None:
    """It stops alone, or is found by a rebuild, which makes it anew; the log goes on all the while."""
    recorded(daemon)
    with closing(apsw.Connection(str(daemon.database))) as db:
        [(page,)] = db.execute("select min(pageno) from dbstat where name = ?", (name,))
    garble(daemon, page)
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        lines = [event("execution.started", f"n{n}", name="n") for n in range(20)]
        lines += [event("task.started", "n1", task_id="t")]
        assert peer.settle(*lines)[-1]["ack"]["lines"] == 21
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("tail", after=0, follow=False, limit=5).error is None
    govern(daemon, "rebuild")
    assert ask(daemon, "status").one("status")["state"] == "ok"
    assert is_whole(daemon)
    daemon.restart()
    assert is_whole(daemon)
    record(daemon, "later", *logs("later", 100))
    assert len(messages(daemon, "later")) == 100


@pytest.mark.covers("D5", "S0.8")
@pytest.mark.parametrize("name", ["line_gap", "refused", "cursor"])
def test_a_damaged_table_beside_the_log(daemon: Daemon, name: str) -> None:
    """`status` tells what it can, and that something is damaged; the log is read."""
    recorded(daemon)
    with closing(apsw.Connection(str(daemon.database))) as db:
        page = db.execute("select rootpage from sqlite_schema where name = ?", (name,)).get
    garble(daemon, page)
    daemon.start()
    found = ask(daemon, "status").one("status")
    assert (found["state"], "malformed" in found["state_reason"]) == ("storage_failing", True)
    assert found["head_seq"] > 12_000
    assert len(messages(daemon, "f")) == 2000


@pytest.mark.covers("S0.8")
@pytest.mark.parametrize("name", ["producer", "projection", "log_head"])
def test_a_damaged_table_that_a_start_needs(daemon: Daemon, name: str) -> None:
    """Without it no daemon starts; it says what else can be done."""
    recorded(daemon)
    with closing(apsw.Connection(str(daemon.database))) as db:
        page = db.execute("select rootpage from sqlite_schema where name = ?", (name,)).get
    garble(daemon, page)
    with pytest.raises(StartFailedError) as caught:
        daemon.start()
    assert caught.value.returncode == 2
    assert "flightlogd salvage" in caught.value.stderr
    assert "Traceback" not in caught.value.stderr


@pytest.mark.covers("S0.8")
@pytest.mark.parametrize("damage", ["header", "schema", "cut"])
def test_what_cannot_be_opened_is_left_alone(daemon: Daemon, damage: str) -> None:
    """A damaged header or schema, or a file that was cut: refused, with what to do, and untouched."""
    recorded(daemon)
    if damage == "cut":
        with daemon.database.open("r+b") as file:
            file.truncate(PAGE_BYTES * 3)
    else:
        garble(daemon, 1, *((0, 16) if damage == "header" else (100, 2000)))
    before = daemon.database.read_bytes()
    with pytest.raises(StartFailedError) as caught:
        daemon.start()
    assert caught.value.returncode == 2
    assert "hint: " in caught.value.stderr
    assert "Traceback" not in caught.value.stderr
    assert daemon.database.read_bytes() == before
    done = run_flightlogd("verify", "--state-dir", str(daemon.state_dir))
    assert (done.returncode, "hint: " in done.stderr) == (2, True)


@pytest.mark.covers("S0.8")
@pytest.mark.parametrize("of", ["another", "an earlier state"])
def test_a_write_ahead_log_of_something_else(daemon: Daemon, daemon_factory: DaemonFactory, of: str) -> None:
    """A write-ahead log that was put beside the database is refused, and both are left alone."""
    other = daemon_factory(name="other") if of == "another" else daemon
    record(other, "theirs", *logs("theirs", 10))
    other.kill()
    strange = other.database.with_name("flightlog.db-wal").read_bytes()
    assert len(strange) > PAGE_BYTES
    if other is daemon:
        daemon.start()
    record(daemon, "ours", *logs("ours", 500))
    assert daemon.terminate() == 0
    wal = daemon.database.with_name("flightlog.db-wal")
    wal.write_bytes(strange)
    before = daemon.database.read_bytes()
    with pytest.raises(StartFailedError) as caught:
        daemon.start()
    assert "move it away" in caught.value.stderr
    assert (daemon.database.read_bytes(), wal.read_bytes()) == (before, strange)
    wal.unlink()
    daemon.start()
    assert len(messages(daemon, "ours")) == 500
    assert is_whole(daemon)


@pytest.mark.parametrize("damage", [b"garbage" * 5000, b""])
def test_a_write_ahead_log_that_is_garbage(daemon: Daemon, damage: bytes) -> None:
    """What is no write-ahead log is none to SQLite: the log is what the database holds."""
    recorded(daemon)
    daemon.database.with_name("flightlog.db-wal").write_bytes(damage)
    daemon.start()
    assert len(messages(daemon, "f")) == 2000
    assert is_whole(daemon)


@pytest.mark.covers("D1", "S0.8")
@pytest.mark.parametrize("damage", ["nothing", "a frame", "the beginning"])
def test_a_write_ahead_log_that_is_damaged(daemon: Daemon, damage: str) -> None:
    """What SQLite would pass over in silence is said at the start, kept, and told as long as it is there."""
    with IngestPeer(daemon.ingest_socket) as peer:
        for number in range(1, 21):
            peer.send_lines(*logs("e", 50))
            peer.until_ack(50 * number)
    daemon.kill()
    wal = daemon.database.with_name("flightlog.db-wal")
    content = bytearray(wal.read_bytes())
    if damage != "nothing":
        content[0 if damage == "the beginning" else len(content) // 2] ^= 1
        wal.write_bytes(content)
    daemon.start()
    said = [entry for entry in daemon.entries if "write-ahead log is damaged" in entry["event"]]
    kept = wal.with_name("flightlog.db-wal.damaged")
    assert len(said) == kept.exists() == (damage != "nothing")
    if said:
        assert kept.read_bytes() == content
        assert said[0]["kept"] == str(kept)
        daemon.terminate()
        daemon.start()
    flightlog = Cli(daemon.runtime_dir)
    told = [flightlog.ok("status").out, flightlog("doctor").out]
    assert [str(kept) in text for text in told] == [kept.exists()] * 2
    kept.unlink(missing_ok=True)
    assert flightlog.ok("status", "--json").json["damaged_wal"] is None
    assert is_whole(daemon)


@pytest.mark.covers("D5")
@pytest.mark.parametrize("damage", [b"garbage" * 1000, b"", None])
def test_a_damaged_index_of_words_is_made_anew(daemon: Daemon, damage: bytes | None) -> None:
    """Whatever becomes of search.db, it is made anew."""
    recorded(daemon)
    path = daemon.state_dir / "search.db"
    if damage is None:
        content = bytearray(path.read_bytes())
        content[PAGE_BYTES:-PAGE_BYTES:7] = b"\xa5" * len(content[PAGE_BYTES:-PAGE_BYTES:7])
        path.write_bytes(content)
    else:
        path.write_bytes(damage)
    daemon.start()
    record(daemon, "later", log("later", "needle"))
    for _ in range(100):
        found = search(daemon, "needle")
        if found.error is None and found.lines:
            break
    assert len(found.lines) == 1
    assert is_whole(daemon)
