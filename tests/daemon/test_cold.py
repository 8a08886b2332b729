"""Lines that are old are compressed when there is time: nobody notices but the disk."""

import random
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
import pytest

from flightlog_schemas.limits import INT64_MAX
from flightlogd.governance.compression import compress_rows
from flightlogd.lines import join_lines, split_lines
from flightlogd.store.cold import Row, add_dictionary, find_hot, freeze, stored, thaw
from flightlogd.store.database import open_reader, open_writer
from flightlogd.store.packed import LINES, open_dictionary, unpack
from flightlogd.store.tombstones import governing
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.govern import ask, govern, is_whole, messages, record
from support.lines import event, log, logs
from support.peers import IngestPeer, QueryPeer

DONE = "what is old is compressed"
SECRET = "correct-horse-battery-47"


def recorded(daemon: Daemon) -> None:
    """Record what there is of everything: long rows and short ones, of one execution and of many."""
    for name in ("a", "b", "c"):
        record(
            daemon,
            name,
            event("task.started", name, task_id="t"),
            *logs(name, 1500),
            event("task.ended", name, task_id="t", outcome="succeeded"),
            event("artifact.added", name, path="/srv/out.bin", size_bytes=7),
            event("my.own", name, note="n"),
            name="cold",
        )
    for number in range(50):
        with IngestPeer(daemon.ingest_socket) as peer:
            peer.settle(log(f"lone-{number % 5}", f"a lone line, number {number}"))


def grow_cold(daemon: Daemon) -> None:
    """Restart a daemon and return when all that it has is compressed."""
    daemon.terminate()
    daemon.config["compress_after_s"] = 0
    daemon.start()
    daemon.wait_for_entry(DONE)


def answers(daemon: Daemon, until: int) -> dict[str, Any]:
    """Return what readers are told of all that was recorded up to a position."""
    with QueryPeer(daemon.query_socket) as reader:
        tail = reader.ask("tail", after=0, follow=False).lines
        return {
            "tail": [line for line in tail if line["seq"] <= until],
            "filtered": reader.ask("tail", after=0, follow=False, execution_id="lone-3").lines,
            "logs": [reader.ask("logs", execution_id=name).lines for name in ("a", "lone-1")],
            "last": reader.ask("logs", execution_id="b", last=7).lines,
            "task": reader.ask("logs", task_id="t").lines,
            "events": reader.ask("events", execution_id="c").lines,
            "found": reader.ask("search", text="lone", min_seq=until).all("log"),
            "past": reader.ask("inspect", execution_id="c", as_of_seq=until // 2).lines,
        }


def shell(daemon: Daemon, statement: str) -> str:
    """Return what `flightlogd sql` prints."""
    done = run_flightlogd("sql", statement, "--state-dir", str(daemon.state_dir))
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.covers("P21", "D6", "D8")
def test_nobody_notices(daemon: Daemon) -> None:
    """Every reader is told the same before and after, the proof holds, and the file is much smaller."""
    recorded(daemon)
    until = ask(daemon, "status").one("status")["head_seq"]
    before = answers(daemon, until)
    view = f"select seq, uid, producer, line, type, execution_id, time, event from event where seq <= {until}"
    seen = shell(daemon, view)
    hot = ask(daemon, "status").one("status")["stored"]

    grow_cold(daemon)

    assert answers(daemon, until) == before
    assert shell(daemon, view) == seen
    cold = ask(daemon, "status").one("status")["stored"]
    assert (hot["cold_events"], hot["hot_events"] >= until) == (0, True)
    assert cold["cold_events"] >= until - 100
    assert cold["cold_bytes"] < hot["hot_bytes"] / 5
    assert shell(daemon, "pragma freelist_count").strip() == "0"
    assert is_whole(daemon)


@pytest.mark.covers("P21", "S1.7")
def test_governed_when_cold(daemon: Daemon) -> None:
    """Retention takes lines out of compressed rows as out of others, and what is left is compressed again."""
    recorded(daemon)
    grow_cold(daemon)

    taken = govern(daemon, "retention", "--older-than", "0s", "--level", "INFO")

    assert taken["lines"] >= 4500
    assert messages(daemon, "a") == []
    assert is_whole(daemon)
    record(daemon, "later", *logs("later", 3000))
    grow_cold(daemon)
    stored = ask(daemon, "status").one("status")["stored"]
    assert stored["hot_events"] < 10
    assert len(messages(daemon, "later")) == 3000
    assert is_whole(daemon)


@pytest.mark.covers("P21", "S1.12")
def test_a_secret_in_cold_rows(daemon: Daemon) -> None:
    """A scrub masks a value in compressed rows, and no dictionary keeps a part of it, nor does a backup."""
    record(daemon, "a", *(log("a", f"{number}: logged in with {SECRET}") for number in range(3000)))
    grow_cold(daemon)
    daemon.terminate()
    copy = daemon.state_dir / "flightlog.db.v9.bak"
    copy.write_bytes(daemon.database.read_bytes())
    daemon.start()

    done = govern(daemon, "scrub", "--value-from", "-", stdin=SECRET.encode())

    assert (done["lines"], done["backups"]) == (3000, [copy.name])
    assert set(messages(daemon, "a")) == {f"{number}: logged in with ********" for number in range(3000)}
    assert is_whole(daemon)
    with closing(open_reader(daemon.database)) as db:
        kept = [bytes(row[0]) for row in db.execute("select content from cold_dictionary")]
    parts = [SECRET[start : start + 6].encode() for start in range(len(SECRET) - 5)]
    assert kept
    assert not [part for content in kept for part in parts if part in content]


@pytest.mark.covers("P21", "D6")
@pytest.mark.parametrize("damage", ["row", "dictionary"])
def test_damaged_when_cold(daemon: Daemon, damage: str) -> None:
    """A damaged compressed row, or dictionary, is named by positions; the rest is read and appended to."""
    recorded(daemon)
    grow_cold(daemon)
    daemon.terminate()
    with closing(apsw.Connection(str(daemon.database))) as db:
        [(seq, last_seq)] = db.execute(
            "select first_seq, last_seq from event_batch where codec > 0 and first_seq > 2000 limit 1"
        )
        with db:
            db.execute("insert into governance values (1)")
            if damage == "row":
                db.execute("update event_batch set lines = substr(lines, 9) where first_seq = ?", (seq,))
            else:
                db.execute("delete from cold_dictionary")
            db.execute("delete from governance")
    daemon.start()

    record(daemon, "later", *logs("later", 100))
    assert len(messages(daemon, "later")) == 100
    found = govern(daemon, "verify", code=1)["damage"]
    if damage == "row":
        assert [(one["first_seq"], one["last_seq"]) for one in found] == [(seq, last_seq)]
        assert len(messages(daemon, "a")) == 1500
    answer = ask(daemon, "tail", after=seq - 1, follow=False)
    assert answer.error is not None
    assert (answer.error["code"], f"positions {seq} to" in answer.error["reason"]) == ("damaged", True)


@pytest.mark.slow
@pytest.mark.covers("P21", "D1")
def test_killed_while_compressing(daemon_factory: DaemonFactory) -> None:
    """A daemon that is killed in the midst of it goes on with it, and nothing is lost or stored twice."""
    daemon = daemon_factory()
    for name in "abcdefgh":
        record(
            daemon, name, *(log(name, f"{number} {random.Random(number).random()}") for number in range(4000))
        )
    until = ask(daemon, "status").one("status")["head_seq"]
    before = messages(daemon, "e")
    daemon.terminate()
    daemon.config["compress_after_s"] = 0
    kept = 0
    for _ in range(4):
        daemon.start()
        with QueryPeer(daemon.query_socket) as reader:
            while not kept < (now := reader.ask("status").one("status")["stored"]["cold_events"]):
                pass
        kept = now
        daemon.kill()
    daemon.start()
    daemon.wait_for_entry(DONE)

    assert ask(daemon, "status").one("status")["stored"]["cold_events"] >= until
    assert messages(daemon, "e") == before
    assert is_whole(daemon)


@pytest.mark.covers("P21", "D6")
def test_a_row_that_changed_meanwhile(daemon: Daemon) -> None:
    """A row is stored compressed only while its lines are those that were compressed."""
    recorded(daemon)
    daemon.terminate()
    with closing(open_writer(daemon.database)) as db:
        rows = find_hot(db, 0, INT64_MAX).rows
        packed = compress_rows(rows, b"", review=False)
        assert packed.dictionary is not None
        codec = add_dictionary(db, packed.dictionary, 1)
        (changed, as_it_was), (kept, small) = packed.rows[:2]
        with governing(db):
            thaw(db, Row(changed.first_seq, b"[null]"))
            freeze(db, codec, changed, as_it_was)
            freeze(db, codec, kept, small)
        found = f"select codec, {LINES} from event_batch where first_seq = ?"
        assert db.execute(found, (changed.first_seq,)).fetchall() == [(0, b"[null]")]
        assert db.execute(found, (kept.first_seq,)).fetchall() == [(codec, kept.lines)]


@pytest.mark.covers("P21")
def test_a_backup_of_cold_rows(daemon: Daemon, tmp_path: Path) -> None:
    """A backup has compressed rows as they are, and what it takes to read them."""
    recorded(daemon)
    grow_cold(daemon)
    copy = tmp_path / "copy.db"

    directories = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    done = run_flightlogd("backup", str(copy), *directories)

    assert done.returncode == 0, done.stderr
    with closing(open_reader(copy)) as there, closing(open_reader(daemon.database)) as here:
        rows = "select seq, event from event"
        copied = there.execute(rows).fetchall()
        assert len(copied) > 4500
        assert copied == here.execute(rows).fetchall()[: len(copied)]
        assert stored(there).cold_events == stored(here).cold_events


@pytest.mark.covers("P21", "P12")
def test_salvaged_when_cold(daemon: Daemon, tmp_path: Path) -> None:
    """All is read out of compressed rows even where the file's first page is damaged."""
    recorded(daemon)
    grow_cold(daemon)
    daemon.terminate()
    before, after = tmp_path / "before.jsonl", tmp_path / "after.jsonl"
    where = ("--state-dir", str(daemon.state_dir))
    assert run_flightlogd("salvage", str(before), *where).returncode == 0
    with daemon.database.open("r+b") as file:
        file.write(b"\xa5" * 8192)

    done = run_flightlogd("salvage", str(after), *where)

    assert done.returncode == 0, done.stderr
    assert after.read_bytes() == before.read_bytes()
    assert after.read_bytes().count(b"a lone line") == 50


def rows_of(kind: str, count: int = 40) -> list[Row]:
    """Return rows of two lines; what rows of one kind have in common is in each of them once."""
    rng = random.Random(kind)
    common = [rng.randbytes(75).hex().encode() for _ in range(2)]
    return [
        Row(number, join_lines([b'{"%b":"%d"}' % (text, rng.getrandbits(60)) for text in common]))
        for number in range(1, count + 1)
    ]


@pytest.mark.covers("P21")
def test_a_new_dictionary_where_it_pays() -> None:
    """Rows of another kind get a dictionary of their own, rows of the same kind do not."""
    first = compress_rows(rows_of("abcd"), b"", review=False)
    assert first.dictionary is not None
    same = compress_rows(rows_of("abcd", 80)[40:], first.dictionary, review=True)
    other = compress_rows(rows_of("wxyz"), first.dictionary, review=True)
    assert same.dictionary is None
    assert other.dictionary is not None
    row, packed = other.rows[0]
    assert len(split_lines(unpack(packed, open_dictionary(other.dictionary)))) == 2
    assert len(packed) < len(row.lines) / 2
