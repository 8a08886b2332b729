"""The read models' references are enforced by SQLite on the connection that writes."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from flightlogd.store.database import open_writer
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer

INSERT = (
    "insert into agent (execution_id, agent_id, added_seq, announced, agent_type, status,"
    " input_tokens, output_tokens, cost_usd, created_at, updated_at)"
    " values (?, ?, 9, 1, 'claude', ?, 0, 0, 0, 1, 1)"
)


@pytest.fixture
def writer(daemon: Daemon, tmp_path: Path) -> Iterator[apsw.Connection]:
    """Give the connection that the daemon writes with, on a copy of the database of a run with an agent."""
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(event("execution.started", "e"), event("agent.added", "e", agent_id="a"))
    assert replies[-1]["ack"]["lines"] == 2
    daemon.terminate()
    copy = tmp_path / "copy.db"
    copy.write_bytes(daemon.database.read_bytes())
    db = open_writer(copy)
    try:
        yield db
    finally:
        db.close()


@pytest.mark.covers("S3.7")
@pytest.mark.parametrize(
    ("execution_id", "agent_id", "status"),
    [("nobody", "b", "active"), ("e", "b", "asleep"), ("e", "a", "active")],
    ids=["no such execution", "no such status", "there already"],
)
def test_what_cannot_be_is_rejected(
    writer: apsw.Connection, execution_id: str, agent_id: str, status: str
) -> None:
    """The read models take no agent of an unknown execution, none twice, and no unknown status."""
    with pytest.raises(apsw.ConstraintError):
        writer.execute(INSERT, (execution_id, agent_id, status))


@pytest.mark.covers("S3.7")
def test_what_is_referred_to_stays(writer: apsw.Connection) -> None:
    """The sums of an execution cannot go while its agents are there, and no row refers to nothing."""
    writer.execute(INSERT, ("e", "b", "active"))

    with pytest.raises(apsw.ConstraintError):
        writer.execute("delete from agent_execution where execution_id = 'e'")
    assert writer.execute("pragma foreign_key_check").fetchall() == []
