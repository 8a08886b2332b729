"""A rebuild beside live tables: commits go on between its slices, and it may be killed anywhere."""

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import apsw
import pytest

from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, LinePeer, QueryPeer
from support.rebuild import rebuild, stopped, tell

EXECUTIONS = 3000
CHECKPOINT_BYTES = 1024 * 1024

DAMAGE = (
    "delete from execution where execution_id like 'run-1%'",
    "update execution set status = 'running', finished_at = null where status = 'succeeded'",
    "delete from audit where seq % 2",
    "insert into audit select seq, place + 100, time, execution_id, task_id, event_type, null, null, null,"
    " uid, pid, null from audit where seq % 3 = 0",
    """update audit_state set state = '{"status":"running","announced":true}'""",
    "delete from audit_agent",
    "update audit_task set state = 'pending', inferred = 1",
    "update execution_log set error = error + 1",
    "delete from agent_execution where execution_id not like 'run-2%'",
    "update agent set status = 'failed', cost_usd = 7 where agent_id = 'lead'",
    "delete from agent where agent_id = 'helper'",
    "update task set name = 'x'",
    "delete from task_execution",
    "update task_count set attempts = attempts + 1",
    "delete from task_duration",
    "update artifact set created_at = 1",
    "insert into artifact select seq + 1000000000, execution_id, artifact_id, null, path, artifact_type,"
    " null, null, null, null, 2 from artifact",
)
"""Rows missing, made up and changed in every table, tens of thousands of them."""


def story(name: str) -> list[bytes]:
    """Return the lines of an execution that leaves rows in every table."""
    return [
        event("execution.started", name, name="n"),
        log(name, "a line"),
        event("task.started", name, task_id="t"),
        event("agent.added", name, agent_id="lead"),
        event("agent.added", name, agent_id="helper", parent_agent_id="lead"),
        event("agent.usage", name, agent_id="helper", input_tokens=3, cost_usd=0.25),
        event("artifact.added", name, path=f"{name}.md", agent_id="helper"),
        event("execution.ended", name, outcome="succeeded"),
    ]


@pytest.fixture
def long_log(daemon: Daemon) -> Daemon:
    """Give a daemon whose read models are long enough that mending them takes many slices."""
    tell(daemon, *(line for number in range(EXECUTIONS) for line in story(f"run-{number}")))
    return daemon


def tamper(daemon: Daemon, *more: str) -> dict[str, int]:
    """Damage every table and return how many rows of each a check finds wrong."""
    with stopped(daemon) as db:
        for statement in (*DAMAGE, *more):
            db.execute(statement)
    code, found = rebuild(daemon, "--check")
    assert code == 1
    return {table: sum(counts) for table, counts in found.items()}


class Governor(LinePeer):
    """Asks for a rebuild over control.sock, and hears how far it is."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(daemon.control_socket)
        self.send(json.dumps({"rebuild": {"progress": True}}).encode() + b"\n")

    def until_mending(self, rows: int = 1) -> int:
        """Return how many rows are put right, as soon as these are."""
        while True:
            answer = self.next()
            assert answer is not None
            assert "progress" in answer, answer
            progress = answer["progress"]
            if progress["step"] == "mend" and progress["done"] >= rows:
                return int(progress["done"])

    def differences(self) -> dict[str, int]:
        """Read to the end of the answer and return how many rows of each table were wrong."""
        found: dict[str, int] = {}
        while (answer := self.next()) is not None and "end" not in answer:
            assert "error" not in answer, answer
            if "difference" in answer:
                one = answer["difference"]
                found[one["table"]] = one["missing"] + one["extra"] + one["changed"]
        return found


class Bystander:
    """A producer that sends lines one by one and waits for each ack, until it is told to stop.

    Half of its lines go to executions that were tampered with, so that live rows go wrong while they are
    mended: what the log calls a second ending is a first one to a damaged state.
    """

    def __init__(self, daemon: Daemon) -> None:
        self.acked = 0
        self._daemon = daemon
        self._stop = threading.Event()

    def run(self) -> None:
        """Send and wait, again and again."""
        with IngestPeer(self._daemon.ingest_socket) as peer:
            number = 0
            while not self._stop.is_set():
                lines = [
                    event("execution.ended", f"run-{number % EXECUTIONS}", outcome="failed"),
                    event("agent.added", f"run-{-number % EXECUTIONS}", agent_id="lead"),
                    *story(f"late-{number}"),
                ]
                peer.send_lines(*lines)
                peer.until_ack(self.acked + len(lines))
                self.acked += len(lines)
                number += 37

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Run beside the block."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()


@pytest.mark.slow
@pytest.mark.covers("P4", "D8")
def test_commits_go_on_between_slices(long_log: Daemon) -> None:
    """Tens of thousands of rows are put right under a writer that is acked all the while."""
    # Rows that stand in another's place: what is unique about a task's attempt is not its key.
    wrong = tamper(long_log, "update task set seq = seq + 1000000000 where execution_id like 'run-2%'")
    assert sum(wrong.values()) > 30_000
    bystander = Bystander(long_log)
    with bystander.at_work(), Governor(long_log) as governor:
        governor.until_mending()
        acked_early = bystander.acked
        governor.until_mending(sum(wrong.values()) * 3 // 4)
        acked_late = bystander.acked
        found = governor.differences()

    assert acked_late - acked_early > 100
    assert found.keys() == wrong.keys()
    assert sum(found.values()) >= sum(wrong.values()) * 3 // 4
    assert rebuild(long_log, "--check") == (0, {})
    with QueryPeer(long_log.query_socket) as reader:
        status = reader.ask("status").one("status")
    assert [row["lag"] for row in status["projections"]] == [0] * len(status["projections"])
    assert not (long_log.state_dir / "rebuild.db").exists()


@pytest.mark.slow
@pytest.mark.covers("P4")
def test_the_wal_stays_small(long_log: Daemon) -> None:
    """However much a rebuild changes, the WAL is copied into the database on the way."""
    wrong = tamper(long_log)
    long_log.config["checkpoint_bytes"] = CHECKPOINT_BYTES
    long_log.restart()

    _, found = rebuild(long_log)

    assert sum(sum(counts) for counts in found.values()) == sum(wrong.values())
    with QueryPeer(long_log.query_socket) as reader:
        assert reader.ask("status").one("status")["wal_bytes"] < 12 * CHECKPOINT_BYTES


@pytest.mark.slow
@pytest.mark.covers("D8")
def test_many_differences_with_no_daemon(long_log: Daemon) -> None:
    """Without a daemon the same is done on the file; what a check counts is what is put right."""
    wrong = tamper(long_log)
    long_log.terminate()

    checked = rebuild(long_log, "--check")
    mended = rebuild(long_log)

    assert {table: sum(counts) for table, counts in checked[1].items()} == wrong
    assert mended == (0, checked[1])
    assert rebuild(long_log, "--check") == (0, {})


def break_audit(daemon: Daemon) -> None:
    """Have the audit trail's read model stop at one event, and take away the cause, with no restart."""
    with contextlib.closing(apsw.Connection(str(daemon.database))) as db:
        db.execute("pragma busy_timeout = 5000")
        db.execute(
            "create trigger fault before insert on audit begin select raise(abort, 'made to fail'); end"
        )
        tell(daemon, event("audit.recorded", action="A"))
        db.execute("drop trigger fault")
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("audit").error is not None


@pytest.mark.slow
@pytest.mark.covers("P4")
def test_a_stopped_read_model_is_mended_beside_a_running_one(long_log: Daemon) -> None:
    """One that stopped gets all that it missed, under a writer, and answers again; the others go on."""
    tamper(long_log)
    break_audit(long_log)
    bystander = Bystander(long_log)
    with bystander.at_work(), Governor(long_log) as governor:
        governor.until_mending(1000)
        with QueryPeer(long_log.query_socket) as reader:
            assert reader.ask("inspect", execution_id="late-0").error is None
            assert (reader.ask("audit", execution_id="late-0").error or {})["code"] == "projection_broken"
        assert "audit" in governor.differences()

    with QueryPeer(long_log.query_socket) as reader:
        entries = reader.ask("audit", execution_id="late-0").all("audit")
        assert [entry["to_state"] for entry in entries if entry["event_type"] == "COMPLETED"] == ["succeeded"]
    assert rebuild(long_log, "--check") == (0, {})


@pytest.mark.slow
@pytest.mark.covers("P4")
@pytest.mark.parametrize("broken", [False, True], ids=["running", "stopped"])
def test_killed_in_the_middle(long_log: Daemon, broken: bool) -> None:
    """A daemon killed while it mends keeps what was put right; a read model half mended is made anew."""
    wrong = tamper(long_log)
    if broken:
        break_audit(long_log)
    with Governor(long_log) as governor:
        # All of the first table, and some of the audit trail.
        governor.until_mending(wrong["execution"] + wrong["audit"] // 4)
        long_log.kill()
    long_log.start()

    _, left = rebuild(long_log, "--check")
    assert 0 < sum(sum(counts) for counts in left.values()) < sum(wrong.values())
    assert broken == (not left.keys() & {"audit", "audit_state", "audit_agent"})
    assert rebuild(long_log) == (0, left)
    assert rebuild(long_log, "--check") == (0, {})


@pytest.mark.slow
@pytest.mark.covers("P4")
def test_given_up_in_the_middle(long_log: Daemon) -> None:
    """A rebuild whose operator leaves ends there; the daemon goes on, and another rebuild does the rest."""
    wrong = tamper(long_log)
    with Governor(long_log) as governor:
        governor.until_mending()
    tell(long_log, *story("after"))

    code, found = rebuild(long_log)

    assert code == 0
    assert 0 < sum(sum(counts) for counts in found.values()) < sum(wrong.values())
    assert rebuild(long_log, "--check") == (0, {})
    tell(long_log, *story("still"))
    assert rebuild(long_log, "--check") == (0, {})
    assert not (long_log.state_dir / "rebuild.db").exists()


@pytest.mark.slow
@pytest.mark.covers("P4")
def test_stopped_in_the_middle(long_log: Daemon) -> None:
    """SIGTERM does not wait for a rebuild to end; what is left to do shows after the next start."""
    tamper(long_log)
    with Governor(long_log) as governor:
        governor.until_mending()
        assert long_log.terminate() == 0
    long_log.start()

    code, left = rebuild(long_log, "--check")
    assert code == 1
    assert rebuild(long_log) == (0, left)
    assert rebuild(long_log, "--check") == (0, {})
