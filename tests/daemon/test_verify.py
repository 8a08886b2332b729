"""`flightlogd verify`: damage is named, and told from what governance took."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from support.daemon import Daemon, run_flightlogd
from support.govern import govern, record
from support.lines import logs

Damage = Callable[[apsw.Connection], None]


def flip_a_byte(db: apsw.Connection) -> None:
    """Change one line."""
    db.execute("update event_batch set lines = cast(replace(lines, 'line 700', 'line 70O') as blob)")


def remove_a_row(db: apsw.Connection) -> None:
    """Take a row away."""
    db.execute(
        "delete from event_batch where first_seq = (select first_seq from event_batch limit 1 offset 3)"
    )


def remove_the_end(db: apsw.Connection) -> None:
    """Take the last row away."""
    db.execute("delete from event_batch where first_seq = (select max(first_seq) from event_batch)")


def cut_and_seal_again(db: apsw.Connection) -> None:
    """Take the last row away and have the head say so."""
    remove_the_end(db)
    db.execute(
        "update log_head set (seq, chain, received) ="
        " (select last_seq, chain, received from event_batch order by first_seq desc limit 1)"
    )


def say_another_sent_it(db: apsw.Connection) -> None:
    """Change who sent a row."""
    db.execute("update event_batch set spans = replace(spans, ',', ', ') where first_seq > 500")


def garble_who_sent_it(db: apsw.Connection) -> None:
    """Have the spans of a row say nothing."""
    db.execute("update event_batch set spans = 'garbage' where first_seq = 1")


def exchange_two_rows(db: apsw.Connection) -> None:
    """Give two rows each other's lines, with their digests."""
    rows = db.execute(
        "select first_seq, lines, digest from event_batch where last_seq - first_seq > 900 limit 2"
    ).fetchall()
    (one, lines, digest), (other, other_lines, other_digest) = rows
    db.execute(
        "update event_batch set lines = ?, digest = ? where first_seq = ?", (other_lines, other_digest, one)
    )
    db.execute("update event_batch set lines = ?, digest = ? where first_seq = ?", (lines, digest, other))


def change_a_tombstone(db: apsw.Connection) -> None:
    """Have a tombstone tell of fewer lines."""
    db.execute("update tombstone set lines = lines - 1 where tombstone_id = 1")


def damaged(daemon: Daemon, damage: Damage) -> None:
    """Damage a stopped daemon's database past its triggers."""
    db = apsw.Connection(str(daemon.database))
    try:
        for (name,) in db.execute("select name from sqlite_schema where type = 'trigger'").fetchall():
            db.execute(f"drop trigger {name}")
        damage(db)
    finally:
        db.close()


@pytest.mark.covers("D6")
@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        remove_a_row,
        remove_the_end,
        say_another_sent_it,
        garble_who_sent_it,
        exchange_two_rows,
        change_a_tombstone,
    ],
)
def test_damage_is_named(daemon: Daemon, damage: Damage) -> None:
    """Whatever was done to the log past the daemon is found, and where; governance is no damage."""
    record(daemon, "old", *logs("old", 3000))
    govern(daemon, "retention", "--older-than", "0s")
    record(daemon, "new", *logs("new", 5000))
    daemon.terminate()
    whole = govern(daemon, "verify")
    assert (whole["damage"], whole["removed"] >= 3000) == ([], True)

    damaged(daemon, damage)
    assert govern(daemon, "verify", code=1)["damage"] != []


@pytest.mark.covers("D6")
def test_an_earlier_head_shows_more(daemon: Daemon) -> None:
    """A log that was cut and sealed again is whole to itself; an earlier head shows what is gone."""
    record(daemon, "a", *logs("a", 3000))
    daemon.terminate()
    before = govern(daemon, "verify")
    head = f"{before['seq']}:{before['chain']}"
    assert govern(daemon, "verify", "--head", head)["damage"] == []
    directory = ("--state-dir", str(daemon.state_dir))
    told = run_flightlogd("verify", "--head", head, *directory).stdout
    assert f"\nearlier head {before['seq']}: still there\n" in told

    damaged(daemon, cut_and_seal_again)
    assert govern(daemon, "verify")["damage"] == []
    assert govern(daemon, "verify", "--head", head, code=1)["damage"] != []


@pytest.mark.covers("D6")
def test_the_daemon_notes_its_heads(daemon: Daemon, tmp_path: Path) -> None:
    """The daemon's own log has the head at each start and stop and after each pass of retention."""
    record(daemon, "a", *logs("a", 3000))
    govern(daemon, "retention", "--older-than", "0s")
    record(daemon, "b", *logs("b", 3000))
    daemon.terminate()
    noted = tmp_path / "journal"
    noted.write_text(daemon.stderr)
    whole = govern(daemon, "verify", "--heads-from", str(noted))
    assert whole["damage"] == []
    assert f"{whole['seq']}:{whole['chain']}" in noted.read_text()

    damaged(daemon, cut_and_seal_again)
    assert govern(daemon, "verify", "--heads-from", str(noted), code=1)["damage"] != []
    noted.write_text("nothing")
    directory = ("--state-dir", str(daemon.state_dir))
    assert run_flightlogd("verify", "--heads-from", str(noted), *directory).returncode == 3
