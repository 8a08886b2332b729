"""The index of the log: where an execution's lines are, before and after its rows were merged."""

from pathlib import Path
from typing import Any

import apsw

from support.daemon import DaemonFactory
from support.lines import event, log
from support.peers import IngestPeer, QueryPeer

EXECUTIONS = [f"e{number}" for number in range(7)]
ROUNDS = 150


def test_lines_are_found_while_the_index_is_merged(daemon_factory: DaemonFactory) -> None:
    """Events are complete and in order from either end, whichever table knows where they are."""
    daemon = daemon_factory(checkpoint_bytes=256 * 1024)
    sent: dict[str, list[str]] = {name: [] for name in EXECUTIONS}
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        lines = 0
        for number in range(ROUNDS):
            several = [event("execution.counted", EXECUTIONS[number % 7], counts={"n": 1})]
            for name in EXECUTIONS:
                sent[name].append(f"{name} {number}")
                several.append(log(name, sent[name][-1]))
            peer.send_lines(*several)
            lines += len(several)
            peer.until_ack(lines)
            name = EXECUTIONS[number % 7]
            last = reader.ask("logs", execution_id=name, last=3).all("log")
            assert [line["message"] for line in last] == sent[name][-3:]
        for name in EXECUTIONS:
            found = reader.ask("logs", execution_id=name, limit=1000).all("log")
            assert [line["message"] for line in found] == sent[name]
            counted = [number for number in range(ROUNDS) if EXECUTIONS[number % 7] == name]
            assert len(reader.ask("events", execution_id=name, limit=1000).lines) == len(counted)
    daemon.kill()
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        # The position of its last state event, looked for in both tables.
        [row] = _rows(daemon.database, "select state_seq from execution where execution_id = 'e0'")
        replies = peer.settle(event("execution.changed", "e0", labels={"a": "b"}, expect_seq=row[0]))
        assert [list(reply) for reply in replies] == [["ack"]]
    [(merged, recent, total)] = _rows(
        daemon.database,
        "select (select count(*) from execution_batch), (select count(*) from execution_batch_recent),"
        " (select count(*) from (select execution_id, first_seq from execution_batch union"
        " select execution_id, first_seq from execution_batch_recent))",
    )
    assert merged > 0
    assert recent > 0
    assert merged + recent == total


def _rows(database: Path, sql: str) -> list[tuple[Any, ...]]:
    db = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()
