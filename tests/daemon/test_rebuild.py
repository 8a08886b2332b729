"""Read models are a function of the log: a rebuild finds what differs and puts it right."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import apsw
import pytest

from flightlogd import app
from flightlogd import rebuild as daemon_rebuild
from flightlogd.config import Config
from flightlogd.errors import QuestionError
from flightlogd.projections import artifact
from flightlogd.projections.quiet import Quiet
from flightlogd.recorded import Recorded
from schemas.builders import EXAMPLES
from support.daemon import Daemon, clean_environment, run_flightlogd
from support.lines import event, log, logs
from support.peers import IngestPeer, QueryPeer
from support.rebuild import rebuild, stopped, tell


def test_a_rebuild_of_another_log_is_refused(daemon: Daemon, tmp_path: Path) -> None:
    """A state directory that is not the running daemon's is never answered for by that daemon."""
    where = ("--state-dir", str(tmp_path), "--runtime-dir", str(daemon.runtime_dir))

    done = run_flightlogd("rebuild", "--check", *where)

    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert "--runtime-dir" in done.stderr


@pytest.fixture
def busy(daemon: Daemon) -> Daemon:
    """Give a daemon with a few executions of every fate."""
    for number in range(12):
        name = f"run-{number}"
        tell(
            daemon,
            event("execution.started", name, name="n", phases=["a", "b", "c"]),
            *logs(name, number * 3),
            event("agent.added", name, agent_id="lead"),
            event("agent.added", name, agent_id="helper", parent_agent_id="lead"),
            event("agent.usage", name, agent_id="helper", input_tokens=5, cost_usd=0.1),
            event("artifact.added", name, path=f"{number}.md", agent_id="helper"),
            event("execution.advanced", name, to_phase="b"),
            event("execution.counted", name, counts={"files": number}),
            *([event("execution.ended", name, outcome="succeeded")] if number % 2 else []),
            *([event("execution.ended", name, outcome="failed")] if number % 3 else []),
            log(f"stray-{number}", "of nobody"),
        )
    return daemon


DAMAGE = (
    "update execution set status = 'lost', counts = '{}' where execution_id = 'run-1'",
    "delete from execution where execution_id in ('run-2', 'run-3')",
    "insert into execution (execution_id, status, announced, labels, counts, begun_at, first_seq, last_seq,"
    " state_seq) values ('ghost', 'running', 1, '{}', '{}', 1, 1, 1, 1)",
    "delete from audit where execution_id = 'run-1'",
    "update execution_log set info = info + 1 where execution_id = 'run-4'",
    "update audit_state set state = '{}' where execution_id = 'run-5'",
    "delete from audit_agent where agent_id = 'lead'",
    "delete from agent_execution where execution_id = 'run-6'",
    "update agent set cost_usd = 0 where execution_id = 'run-7'",
    "delete from agent where execution_id = 'run-8'",
    "update artifact set path = 'elsewhere' where execution_id = 'run-9'",
)
DIFFERENCES = {
    "execution": (2, 1, 1),
    "audit": (5, 0, 0),
    "audit_state": (0, 0, 1),
    "audit_agent": (12, 0, 0),
    "execution_log": (0, 0, 1),
    "agent_execution": (1, 0, 0),
    "agent": (2, 0, 1),
    "artifact": (0, 0, 1),
}
"""How each table differs then: missing, extra, changed."""


@pytest.mark.covers("D8")
@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
def test_a_rebuild_puts_right_what_differs(busy: Daemon, running: bool) -> None:
    """Rows that are missing, made up or changed are counted by a check and put right by a rebuild."""
    assert rebuild(busy, "--check") == (0, {})
    with stopped(busy) as db:
        before = {table: list(db.execute(f"select * from {table}")) for table in ("execution", "audit")}
        for statement in DAMAGE:
            db.execute(statement)
    if not running:
        busy.terminate()

    checked = rebuild(busy, "--check")
    again = rebuild(busy, "--check")
    mended = rebuild(busy)
    after = rebuild(busy, "--check")

    assert checked == (1, DIFFERENCES)
    assert again == checked
    assert mended == (0, DIFFERENCES)
    assert after == (0, {})
    if not running:
        busy.start()
    with stopped(busy) as db:
        assert list(db.execute("select * from execution")) == before["execution"]
        rows = list(db.execute("select * from audit where event_type not like 'DAEMON%'"))
    assert [row for row in rows if row[5] != "REBUILT"] == [
        row for row in before["audit"] if not row[5].startswith("DAEMON")
    ]


@pytest.mark.covers("D8")
def test_a_storm_of_everything(daemon: Daemon) -> None:
    """Events of all types in any order, from many producers at once, leave what a rebuild leaves."""
    dice = random.Random(11)
    types = [name for name in EXAMPLES if not name.startswith("daemon.")]
    weights = [8 if name.startswith("execution.") else 20 if name == "log" else 1 for name in types]
    peers = [IngestPeer(daemon.ingest_socket) for _ in range(4)]
    for _ in range(300):
        lines = []
        for name in dice.choices(types, weights, k=dice.randrange(1, 20)):
            fields = dict(EXAMPLES[name])
            if "execution_id" in fields or dice.random() < 0.2:
                fields["execution_id"] = f"run-{dice.randrange(12)}"
            if dice.random() < 0.7:
                fields["time"] = 1_790_000_000_000_000 + dice.randrange(10**9)
            if name == "execution.ended":
                fields["outcome"] = dice.choice(["succeeded", "partial", "failed", "cancelled", "timed_out"])
            lines.append(json.dumps({"type": name} | fields).encode())
        dice.choice(peers).send_lines(*lines)
    for peer in peers:
        replies = peer.settle()
        peer.close()
        assert not [reply for reply in replies if "refused" in reply]

    assert rebuild(daemon, "--check") == (0, {})
    with QueryPeer(daemon.query_socket) as reader:
        trail = reader.ask("audit", limit=1000).all("audit")
        shown = reader.ask("executions").all("execution")
    assert {"ANOMALY", "LOST", "PHASE_SKIP", "ADOPTED"} <= {entry["event_type"] for entry in trail}
    assert len(shown) == 12


@pytest.mark.covers("D8")
def test_one_read_model_alone(busy: Daemon) -> None:
    """A rebuild of one read model leaves the others as they are."""
    with stopped(busy) as db:
        for statement in DAMAGE:
            db.execute(statement)

    ours = {table: DIFFERENCES[table] for table in ("audit", "audit_state", "audit_agent")}
    assert rebuild(busy, "audit") == (0, ours)
    assert rebuild(busy, "--check")[1].keys() == DIFFERENCES.keys() - ours.keys()
    assert rebuild(busy, "nonsense")[0] == 3


@pytest.mark.covers("D8")
def test_a_read_model_of_another_version_is_made_anew(busy: Daemon) -> None:
    """A start that finds read models of another version computes them from the log, whatever they held."""
    with stopped(busy) as db:
        for statement in DAMAGE:
            db.execute(statement)
        db.execute("update projection set version = version + 1")

    assert rebuild(busy, "--check") == (0, {})


def test_a_rebuild_is_an_event(busy: Daemon) -> None:
    """A rebuild is told in the log, with what differed; a check is not."""
    rebuild(busy, "--check")
    rebuild(busy, "execution")
    with QueryPeer(busy.query_socket) as reader:
        reader.start("tail", last=1, type=["daemon.rebuilt"], limit=1)
        told = reader.answers().lines

    assert [row["event"]["projections"] for row in told] == [["execution"]]
    assert told[0]["event"]["differences"] == {}


@pytest.mark.covers("D8")
def test_a_rebuild_under_a_writer(daemon: Daemon) -> None:
    """A rebuild while events come in neither disturbs them nor finds a difference."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(event("execution.started", "e"), *logs("e", 20_000))
        peer.until_ack(100)
        assert rebuild(daemon) == (0, {})
        assert rebuild(daemon, "--check") == (0, {})
        peer.until_ack(20_001)
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("inspect", execution_id="e").one("execution")["log_count"] == 20_000


@pytest.mark.covers("P4")
def test_a_read_model_that_fails_stops_alone(daemon: Daemon) -> None:
    """One that fails is marked with its position and error; events are stored and acked, the others go on."""
    tell(daemon, event("execution.started", "e"))
    with stopped(daemon) as db:
        db.execute(
            "create trigger fault before insert on audit begin select raise(abort, 'made to fail'); end"
        )
    tell(daemon, event("execution.waiting", "e"), log("e", "m"))
    tell(daemon, event("execution.resumed", "e"))
    with QueryPeer(daemon.query_socket) as reader:
        status = reader.ask("status").one("status")
        refused = reader.ask("audit", execution_id="e").error
        shown = reader.ask("inspect", execution_id="e").one("execution")
    broken = {row["name"]: row for row in status["projections"]}

    assert (shown["status"], shown["log_count"]) == ("running", 1)
    assert refused is not None
    assert refused["code"] == "projection_broken"
    assert "made to fail" in refused["reason"]
    assert broken["audit"]["broken_at"] is not None
    assert broken["audit"]["lag"] > 0
    assert broken["execution"]["broken_at"] is None
    assert broken["execution"]["lag"] == 0

    with stopped(daemon) as db:
        stands = dict(db.execute("select name, position from projection where position is not null"))
        # It has what was committed before, and of that commit nothing; the others are level with the log.
        assert stands == {"audit": broken["audit"]["broken_at"] - 1}
        assert stands["audit"] == broken["audit"]["position"]
        db.execute("drop trigger fault")
    with QueryPeer(daemon.query_socket) as reader:
        trail = reader.ask("audit", execution_id="e").all("audit")
    assert [entry["event_type"] for entry in trail] == ["CREATED", "STARTED", "STATE_CHANGE", "STATE_CHANGE"]
    assert rebuild(daemon, "--check") == (0, {})


@pytest.mark.covers("P4")
def test_a_broken_read_model_is_mended_while_running(daemon: Daemon) -> None:
    """A rebuild brings a stopped read model back to the head without a restart."""
    with stopped(daemon) as db:
        db.execute(
            "create trigger fault before insert on audit when new.reason = 'fatal'"
            " begin select raise(abort, 'made to fail'); end"
        )
    tell(daemon, event("audit.recorded", action="A", reason="fatal"))
    tell(daemon, event("audit.recorded", action="B", reason="fine"))
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("audit").error is not None
    with stopped(daemon) as db:
        db.execute("drop trigger fault")
        db.execute("update projection set broken_at = 1, error = 'as if' where name = 'audit'")

    assert rebuild(daemon, "--check") == (0, {})
    tell(daemon, event("audit.recorded", action="C"))
    with QueryPeer(daemon.query_socket) as reader:
        assert [entry["event_type"] for entry in reader.ask("audit").all("audit")][-1] == "C"


def test_a_rebuild_that_must_not_stop_the_daemon(busy: Daemon) -> None:
    """`--shadow` works beside a running daemon and says so; without one it is refused."""
    where = ("--state-dir", str(busy.state_dir), "--runtime-dir", str(busy.runtime_dir))
    with stopped(busy) as db:
        db.execute("delete from artifact where execution_id in ('run-1', 'run-2')")

    mended = run_flightlogd("rebuild", "--shadow", *where)
    again = run_flightlogd("rebuild", "--shadow", *where)
    busy.terminate()
    refused = run_flightlogd("rebuild", "--shadow", *where)

    assert mended.stdout == (
        "artifact: 2 missing, 0 extra, 0 changed\n"
        "2 rows put right, beside the live tables, while the daemon ran\n"
    )
    assert again.stdout == "read models are what the log says\n"
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no daemon is running" in refused.stderr
    assert "hint: start it" in refused.stderr


def test_a_terminal_sees_how_far_it_is(busy: Daemon) -> None:
    """On a terminal a line on stderr is drawn over and wiped at the end; stdout is as without one."""
    terminal, stderr = os.openpty()
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flightlogd", "rebuild", "--runtime-dir", str(busy.runtime_dir)],
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=clean_environment(FLIGHTLOG_STATE_DIR=str(busy.state_dir)),
        cwd="/",
        check=True,
    )
    os.close(stderr)
    drawn = os.read(terminal, 65536).decode()
    os.close(terminal)

    assert done.stdout == b"read models are what the log says\n"
    first, *others = drawn.split("\r\033[K")
    assert first == ""
    assert others[0].split()[0] == "compare"
    assert others[-1] == ""
    assert "\n" not in drawn


class Faulty:
    """The artifact's read model with a bug: it fails at one path."""

    NAME = artifact.NAME
    VERSION = artifact.VERSION
    TABLES = artifact.TABLES
    TOTALS = artifact.TOTALS
    SCHEMA = artifact.SCHEMA
    apply_all = None

    def apply(self, db: apsw.Connection, recorded: Recorded) -> None:
        """Fail at the artifact of the third execution."""
        if getattr(recorded.event, "path", None) == "3.md":
            raise ValueError("made to fail")
        artifact.apply(db, recorded)

    def apply_quiet(self, db: apsw.Connection, quiet: Sequence[Quiet]) -> None:
        """Nothing, as the original."""


@pytest.mark.covers("P4")
def test_what_cannot_be_computed_is_not_put_right(busy: Daemon) -> None:
    """A rebuild of a read model that fails on the log says where and why, and leaves the rows alone."""
    busy.terminate()
    db = app.open_log(Config(state_dir=str(busy.state_dir), runtime_dir=str(busy.runtime_dir)))
    before = db.execute("select * from artifact order by seq").fetchall()
    scratch = daemon_rebuild.open_scratch(busy.state_dir, (Faulty(),))

    with pytest.raises(QuestionError) as caught:
        daemon_rebuild.rebuild_alone(db, scratch, check=False)
    scratch.close()
    after = db.execute("select * from artifact order by seq").fetchall()
    db.close()

    [failed_at] = [row[0] for row in before if row[4] == "3.md"]
    assert caught.value.code == "projection_broken"
    assert f"seq {failed_at}" in caught.value.reason
    assert "made to fail" in caught.value.reason
    assert after == before
