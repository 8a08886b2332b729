"""A database that an earlier version made: brought up to date step by step, with a way back."""

import gzip
import json
from pathlib import Path

import apsw
import pytest

from flightlogd.store.database import open_reader
from flightlogd.store.schema import schema_version
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import event
from support.peers import IngestPeer, QueryPeer

DATA = Path(__file__).parents[1] / "data"
"""`schema-N.db.gz`: what the version of flightlog with that schema left after an orderly stop."""


def lay_out(daemon: Daemon, version: int) -> bytes:
    """Put an old database in a daemon's place and return its bytes."""
    content = gzip.decompress((DATA / f"schema-{version}.db.gz").read_bytes())
    daemon.state_dir.mkdir()
    daemon.database.write_bytes(content)
    return content


def log_of(database: Path) -> list[tuple[object, ...]]:
    """Return all rows of the log, without what a daemon wrote when it started or stopped."""
    db = open_reader(database)
    try:
        return db.execute("select seq, producer, line, event from event order by seq").fetchall()
    finally:
        db.close()


@pytest.mark.covers("S0.8")
@pytest.mark.parametrize("version", range(1, schema_version()))
def test_an_old_database_is_brought_up_to_date(daemon_factory: DaemonFactory, version: int) -> None:
    """An old file keeps every event, gives today's answers, goes on, and leaves a backup of itself."""
    daemon = daemon_factory(start=False)
    lay_out(daemon, version)
    before = log_of(daemon.database)
    daemon.start()

    with QueryPeer(daemon.query_socket) as reader, IngestPeer(daemon.ingest_socket) as peer:
        found = {one["execution_id"]: one for one in reader.ask("executions", limit=100).all("execution")}
        assert {
            name: found[name]["status"] for name in ("build-1", "kern-1", "run-1", "lost-1", "todo-1")
        } == {
            "build-1": "succeeded",
            "kern-1": "succeeded",  # it stood in its last phase, which means that now
            "run-1": "waiting",
            "lost-1": "lost",
            "todo-1": "pending",
        }
        assert found["build-1"]["counts"] == {"files": 7, "symbols": 1}
        assert (found["kern-1"]["phase"], found["kern-1"]["complexity"]) == ("c", 4)
        assert reader.ask("logs", execution_id="many-07", limit=1000).all("log")[-1]["message"] == "line 2987"
        # Keys and producers outlive the upgrade: what was stored once is not stored again.
        assert peer.hello("old-2", 3006)["ready"]["acked"] == 3005
        once = event("log", "kern-1", time=1_790_000_000_000_021, message="once", id="key-1")
        assert peer.settle(once)[0]["duplicate"]["same"] is True
    assert log_of(daemon.database)[: len(before)] == before
    checked = run_flightlogd(
        "rebuild",
        "--check",
        "--json",
        "--state-dir",
        str(daemon.state_dir),
        "--runtime-dir",
        str(daemon.runtime_dir),
    )
    assert (checked.returncode, [json.loads(line) for line in checked.stdout.splitlines()]) == (0, [])

    backup = daemon.database.with_name(f"{daemon.database.name}.v{version}.bak")
    assert log_of(backup) == before


@pytest.mark.covers("S0.8")
def test_the_way_back_is_the_backup(daemon_factory: DaemonFactory) -> None:
    """The backup that an upgrade leaves is the old database: whole, of its version, ready to start from."""
    daemon = daemon_factory(start=False)
    lay_out(daemon, 1)
    before = log_of(daemon.database)
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event("execution.started", "after-the-upgrade"))
    daemon.terminate()
    backup = daemon.database.with_name(f"{daemon.database.name}.v1.bak")
    db = apsw.Connection(str(backup), flags=apsw.SQLITE_OPEN_READONLY)
    assert (db.pragma("user_version"), db.pragma("integrity_check")) == (1, "ok")
    db.close()

    backup.replace(daemon.database)
    assert log_of(daemon.database) == before
    daemon.start()
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("executions", limit=100, name="build").all("execution")
        assert reader.ask("inspect", execution_id="after-the-upgrade").error is not None
