"""Retention through the real daemon: what goes, what stays, what is left to tell of it."""

import os
import threading
import time

import apsw
import pytest

from flightlogd.governance.removal import forget_marked, mark_executions
from flightlogd.governance.slices import SLICE_S
from flightlogd.store.database import open_writer
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.govern import DAY_US, ask, govern, is_whole, messages, record
from support.lines import event, log, logs
from support.peers import IngestPeer, QueryPeer


@pytest.mark.covers("S1.7", "D6", "D8")
def test_old_lines_go_and_all_else_stays(daemon: Daemon) -> None:
    """Log lines of ended executions go; what ran, how it ended, counters and running executions stay."""
    lines = logs("old", 3000)
    record(daemon, "old", *lines, name="nightly")
    record(daemon, "busy", *logs("busy", 10), end=None)
    before = ask(daemon, "inspect", execution_id="old", audit=True).lines

    shown = govern(daemon, "retention", "--older-than", "0s", "--dry-run")
    assert (shown["dry_run"], shown["lines"], messages(daemon, "old")[0]) == (True, 3000, "line 1")
    done = govern(daemon, "retention", "--older-than", "0s")

    assert (done["lines"], done["executions"]) == (3000, 0)
    assert done["shares"] == [
        {
            "level": "INFO",
            "status": "succeeded",
            "project": None,
            "lines": 3000,
            "bytes": sum(map(len, lines)),
        }
    ]
    assert messages(daemon, "old") == []
    end = ask(daemon, "logs", execution_id="old").end
    assert end is not None
    assert end["pruned"] == 3000
    assert len(messages(daemon, "busy")) == 10
    after = ask(daemon, "inspect", execution_id="old", audit=True).lines
    assert after == before
    assert after[0]["execution"]["log_count"] == 3000
    assert is_whole(daemon)
    assert govern(daemon, "retention", "--older-than", "0s")["lines"] == 0


@pytest.mark.covers("S1.7", "S1.6")
def test_rules_look_at_level_status_and_project(daemon: Daemon) -> None:
    """A pass with conditions takes what fits all of them and nothing else."""
    for name, project, end in (("a", "/p", "succeeded"), ("b", "/p", "failed"), ("c", "/q", "succeeded")):
        lines = [log(name, f"{name} {level}", level=level) for level in ("DEBUG", "INFO", "ERROR")]
        record(daemon, name, *lines, project=project, end=end)

    done = govern(
        daemon,
        "retention",
        "--older-than",
        "0s",
        "--level",
        "debug,9",
        "--status",
        "succeeded",
        "--project",
        "/p",
    )

    assert done["lines"] == 2
    assert messages(daemon, "a") == ["a ERROR"]
    assert messages(daemon, "b") == ["b DEBUG", "b INFO", "b ERROR"]
    assert messages(daemon, "c") == ["c DEBUG", "c INFO", "c ERROR"]
    # Lines that stayed are found by the index: by level, and from the end.
    [found] = ask(daemon, "logs", execution_id="a", level=[17], last=1).all("log")[-1:]
    assert found["message"] == "a ERROR"
    acts = [entry for entry in ask(daemon, "audit").all("audit") if entry["event_type"] == "PRUNED"]
    assert [(act["detail"]["lines"], act["detail"]["by"]) for act in acts] == [(2, f"uid {os.getuid()}")]
    assert is_whole(daemon)


@pytest.mark.covers("S1.7", "D6", "D8")
def test_settings_apply_at_the_start(daemon_factory: DaemonFactory) -> None:
    """At its start a daemon removes what is over its time: lines first, whole executions later."""
    daemon = daemon_factory(start=False, retention_rules="level=ERROR keep=60d; project=/keep keep=forever")
    daemon.clock_shift_us = -400 * DAY_US
    daemon.start()
    record(daemon, "ancient", *logs("ancient", 50))
    record(daemon, "open", *logs("open", 50), end=None)
    daemon.terminate()
    daemon.clock_shift_us = -40 * DAY_US
    daemon.start()
    record(daemon, "old", *logs("old", 100), log("old", "bad", level="ERROR"))
    record(daemon, "kept", *logs("kept", 5), project="/keep")
    daemon.terminate()
    daemon.clock_shift_us = 0
    daemon.start()
    record(daemon, "new", *logs("new", 100))
    daemon.wait_for_entry("retention is done", where=lambda entry: entry["executions"] == 1)

    names = {one["execution_id"] for one in ask(daemon, "executions", limit=100).all("execution")}
    assert names == {"open", "old", "kept", "new"}
    assert (messages(daemon, "old"), len(messages(daemon, "new"))) == (["bad"], 100)
    assert (len(messages(daemon, "open")), len(messages(daemon, "kept"))) == (50, 5)
    gone = ask(daemon, "logs", execution_id="ancient").error
    assert gone is not None
    assert gone["code"] == "not_found"
    assert is_whole(daemon)
    # A later life of the same id is a new one, and the past stays forgotten.
    record(daemon, "ancient", *logs("ancient", 3))
    assert ask(daemon, "inspect", execution_id="ancient").one("execution")["log_count"] == 3
    assert is_whole(daemon)
    daemon.kill()
    daemon.start()
    assert is_whole(daemon)


@pytest.mark.covers("S1.7")
def test_size_takes_the_oldest_lines(daemon: Daemon) -> None:
    """Above retention_bytes the oldest lines of ended executions go, and the file becomes smaller."""
    for number in range(8):
        record(daemon, f"run-{number}", *logs(f"run-{number}", 20_000))
    record(daemon, "open", *logs("open", 1000), end=None)
    daemon.terminate()
    limit_bytes = daemon.database.stat().st_size // 2
    daemon.config["retention_bytes"] = limit_bytes
    daemon.start()
    done = daemon.wait_for_entry("retention is done")
    assert done["lines"] > 0

    kept = [len(messages(daemon, f"run-{number}")) for number in range(8)]
    assert kept == sorted(kept)
    assert (kept[0], kept[-1], len(messages(daemon, "open"))) == (0, 20_000, 1000)
    shown = govern(daemon, "retention", "--dry-run")
    assert (shown["lines"], shown["limit_bytes"]) == (0, limit_bytes)
    assert shown["used_bytes"] <= limit_bytes
    assert is_whole(daemon)
    daemon.terminate()
    assert daemon.database.stat().st_size <= limit_bytes


@pytest.mark.covers("S1.7", "P3")
def test_readers_learn_of_holes(daemon: Daemon) -> None:
    """A tail over what is gone says so, from where to where; live lines follow without a gap."""
    record(daemon, "old", *logs("old", 5000))
    record(daemon, "new", *logs("new", 5), end=None)
    govern(daemon, "retention", "--older-than", "0s")

    with QueryPeer(daemon.query_socket) as reader:
        told = reader.ask("tail", after=0, follow=False).lines
        of_old = reader.ask("tail", after=0, follow=False, execution_id="old").lines
        endings = reader.ask("tail", after=0, follow=False, type=["execution."]).lines
    seqs: list[int] = []
    for line in told:
        hole = line.get("pruned")
        seqs += range(hole["first_seq"], hole["last_seq"] + 1) if hole else [line["seq"]]
    assert seqs == list(range(1, seqs[-1] + 1))
    assert sum("pruned" in line for line in of_old) >= 1
    assert [line["event"]["type"] for line in of_old if "event" in line] == [
        "execution.started",
        "execution.ended",
    ]
    assert [line["event"]["type"] for line in endings] == [
        "execution.started",
        "execution.ended",
        "execution.started",
    ]


@pytest.mark.covers("S1.7", "D8")
def test_a_pass_that_is_killed_goes_on_later(daemon_factory: DaemonFactory) -> None:
    """Killed at any moment of a pass, a daemon has whole read models, and the next start finishes."""
    daemon = daemon_factory(start=False)
    daemon.clock_shift_us = -400 * DAY_US
    daemon.start()
    for number in range(6):
        record(daemon, f"run-{number}", *logs(f"run-{number}", 15_000))
    record(daemon, "open", *logs("open", 50), end=None)
    daemon.terminate()
    daemon.clock_shift_us = 0
    rows = total = len(_rows(daemon))
    for share in (0.9, 0.6, 0.3):
        daemon.start()
        _until_fewer(daemon, int(total * share))
        daemon.kill()
        rows = len(_rows(daemon))
    assert rows < total
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(log("open", "still here"))
    govern(daemon, "retention")

    assert {one["execution_id"] for one in ask(daemon, "executions").all("execution")} == {"open"}
    assert len(messages(daemon, "open")) == 51
    assert is_whole(daemon)
    assert govern(daemon, "verify")["unsealed"] == 0


def _rows(daemon: Daemon) -> list[int]:
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return [row[0] for row in db.execute("select first_seq from event_batch")]
    finally:
        db.close()


def _until_fewer(daemon: Daemon, count: int) -> None:
    """Return once the log has fewer rows than this, or the pass is done."""
    deadline = time.monotonic() + 30
    while len(_rows(daemon)) > count:
        assert time.monotonic() < deadline, daemon.stderr
        if any(entry["event"] == "retention is done" for entry in daemon.entries):
            return


def _old_tasks(daemon: Daemon, count: int) -> None:
    """Record an execution of many tasks and leave the daemon stopped, long after."""
    daemon.clock_shift_us = -400 * DAY_US
    daemon.start()
    tasks = [
        event(kind, "big", task_id=f"t{number}", **more)
        for number in range(count)
        for kind, more in (("task.started", {}), ("task.ended", {"outcome": "succeeded"}))
    ]
    record(daemon, "big", *tasks, log("big", "old"))
    daemon.terminate()
    daemon.clock_shift_us = 0


def _tasks(daemon: Daemon) -> int:
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return int(db.execute("select count(*) from task where execution_id = 'big'").get)
    finally:
        db.close()


@pytest.mark.covers("S1.7", "D8")
def test_an_execution_is_forgotten_bit_by_bit(daemon_factory: DaemonFactory) -> None:
    """Killed while it forgets one of many tasks a daemon goes on later, also where that begins anew."""
    daemon = daemon_factory(start=False)
    _old_tasks(daemon, 4000)
    daemon.start()
    while (left := _tasks(daemon)) == 4000:
        assert not any(entry["event"] == "retention is done" for entry in daemon.entries)
    daemon.kill()
    assert 0 < left < 4000
    daemon.start()
    record(daemon, "big", event("task.started", "big", task_id="t1"), log("big", "new"))
    govern(daemon, "retention")

    assert messages(daemon, "big") == ["new"]
    assert [task["task_id"] for task in ask(daemon, "tasks", execution_id="big").all("task")] == ["t1"]
    assert _tasks(daemon) == 1
    assert is_whole(daemon)


@pytest.mark.covers("S1.7")
def test_no_slice_keeps_the_writer_for_long(daemon_factory: DaemonFactory) -> None:
    """However many tasks an execution had, forgetting it takes milliseconds at a time."""
    daemon = daemon_factory(start=False)
    _old_tasks(daemon, 2000)
    db = open_writer(daemon.database)
    leaving: set[str] = set()
    times_s = []
    assert mark_executions(db, ["big"], 1 << 62, SLICE_S, leaving) == (1, 1)
    done = False
    while not done:
        began = time.thread_time()
        done = forget_marked(db, SLICE_S, leaving)
        times_s.append(time.thread_time() - began)
    db.close()

    assert (_tasks(daemon), leaving) == (0, set())
    assert len(times_s) > 5
    assert max(times_s) < 0.02


@pytest.mark.covers("S1.7")
def test_acks_go_on_during_a_pass(daemon: Daemon) -> None:
    """While a pass removes much, every line that comes is acked, and the pass takes nothing of it."""
    for number in range(4):
        record(daemon, f"run-{number}", *logs(f"run-{number}", 20_000))
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(event("execution.started", "live"))
        work = threading.Thread(target=govern, args=(daemon, "retention", "--older-than", "0s"))
        work.start()
        sent = 0
        while work.is_alive() or sent < 100:
            sent += 1
            peer.send_lines(log("live", f"line {sent}"))
            peer.until_ack(sent + 1)
        work.join()
    assert messages(daemon, "live") == [f"line {number}" for number in range(1, sent + 1)]
    assert messages(daemon, "run-0") == []
    assert is_whole(daemon)


@pytest.mark.covers("S1.7")
def test_with_no_daemon_it_is_done_in_place(daemon: Daemon) -> None:
    """With no daemon running the verb does the same; a setting that is wrong is an error at the start."""
    record(daemon, "old", *logs("old", 500))
    daemon.terminate()
    assert govern(daemon, "retention", "--older-than", "0s", "--dry-run")["lines"] == 500
    assert govern(daemon, "retention", "--older-than", "0s")["lines"] == 500
    daemon.start()
    [act] = [entry for entry in ask(daemon, "audit").all("audit") if entry["event_type"] == "PRUNED"]
    assert act["detail"]["by"] == "an operator, with no daemon running"
    assert messages(daemon, "old") == []
    assert is_whole(daemon)

    for variable, value, told in (
        ("FLIGHTLOG_RETENTION_DAYS", "-1", "retention_days"),
        ("FLIGHTLOG_RETENTION_DAYS", "soon", "retention_days"),
        ("FLIGHTLOG_RETENTION_RULES", "level=LOUD keep=1d", "no such level"),
        ("FLIGHTLOG_RETENTION_RULES", "level=INFO", "keep= is missing"),
        ("FLIGHTLOG_RETENTION_RULES", "colour=red keep=1d", "is not understood"),
        ("FLIGHTLOG_AUDIT_RETENTION_DAYS", "3", "less than retention_days"),
    ):
        refused = run_flightlogd("check-config", stdin=b"", **{variable: value})
        assert (refused.returncode, told in refused.stderr) == (3, True), refused.stderr
    wrong = run_flightlogd("retention", "--level", "INFO")
    assert (wrong.returncode, "--older-than" in wrong.stderr) == (3, True)


@pytest.mark.covers("S1.14")
def test_sizes_of_tables_are_tracked(daemon_factory: DaemonFactory) -> None:
    """Real bytes of each table are in the status after a pass, and a large one is warned of."""
    daemon = daemon_factory(start=False, table_warn_bytes=1_000_000)
    daemon.start()
    daemon.wait_for_entry("retention is done")
    record(daemon, "a", *logs("a", 20_000))
    daemon.terminate()
    daemon.start()
    warned = daemon.wait_for_entry("a table is large")
    status = ask(daemon, "status").one("status")

    assert (warned["table"], warned["level"]) == ("event_batch", "warning")
    assert 1_000_000 < warned["size_bytes"] == status["table_bytes"]["event_batch"]
    size_bytes = daemon.database.stat().st_size
    assert 0.9 * size_bytes < sum(status["table_bytes"].values()) <= size_bytes
    assert status["retention"]["lines"] == 0
    # Counted by SQLite itself, page by page.
    db = apsw.Connection(str(daemon.database), flags=apsw.SQLITE_OPEN_READONLY)
    [(pages,)] = db.execute("select sum(pgsize) from dbstat where name = 'event_batch' and aggregate = true")
    db.close()
    assert abs(pages - status["table_bytes"]["event_batch"]) < 0.05 * pages
