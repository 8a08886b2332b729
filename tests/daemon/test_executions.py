"""Executions as questions show them: their life, their lists, their counters."""

import pytest

from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, Json, QueryPeer

T = 1_790_000_000_000_000
"""A time in microseconds; events below say when they were."""


def tell(daemon: Daemon, *lines: bytes) -> None:
    """Send lines as one producer of its own and wait until all are acked; none may be refused."""
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(*lines)
    assert [reply for reply in replies if "refused" in reply] == []
    assert replies[-1]["ack"]["lines"] == len(lines)


def inspect(daemon: Daemon, execution_id: str) -> Json:
    """Return one execution."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("inspect", execution_id=execution_id).one("execution")


@pytest.mark.covers("S0.1", "S0.2", "S0.7")
def test_a_whole_life(daemon: Daemon) -> None:
    """An execution's record holds what its events said, its counters added up, and its duration."""
    tell(
        daemon,
        event(
            "execution.started",
            "build-7",
            time=T,
            name="build",
            tool="make",
            tool_version="4.3",
            args=["all", "-j2"],
            project="/srv/app",
            goal="a binary",
            labels={"branch": "main"},
            owner={"pid": 1, "start_time": 2, "boot_id": "b"},
            phases=["compile", "link", "ship"],
            complexity=2,
        ),
        event("execution.counted", "build-7", counts={"files": 3, "symbols": 10}, time=T + 1),
        event("execution.counted", "build-7", counts={"files": 4}, time=T + 2),
        event("execution.changed", "build-7", labels={"runner": "a"}, auto_advance=True, time=T + 3),
        event("execution.waiting", "build-7", reason="a lock", time=T + 4),
        event("execution.resumed", "build-7", time=T + 5),
        event("execution.advanced", "build-7", to_phase="link", time=T + 6),
        log("build-7", "m", level="warning"),
        event(
            "execution.ended",
            "build-7",
            outcome="failed",
            reason="exit status 2",
            exit_status=2,
            error={"message": "boom", "type": "Error"},
            counts={"files": 1},
            time=T + 5_000_000,
        ),
    )

    found = inspect(daemon, "build-7")

    shown = {name: found[name] for name in ("name", "tool", "tool_version", "args", "project", "goal")}
    assert shown == {
        "name": "build",
        "tool": "make",
        "tool_version": "4.3",
        "args": ["all", "-j2"],
        "project": "/srv/app",
        "goal": "a binary",
    }
    assert (found["status"], found["outcome_reason"], found["exit_status"]) == ("failed", "exit status 2", 2)
    assert found["error"] == {"message": "boom", "type": "Error"}
    assert found["counts"] == {"files": 8, "symbols": 10}
    assert found["labels"] == {"branch": "main", "runner": "a"}
    assert found["owner"] == {"pid": 1, "start_time": 2, "boot_id": "b"}
    assert (found["phase"], found["phases"], found["complexity"]) == (
        "link",
        ["compile", "link", "ship"],
        2,
    )
    assert (found["started_at"], found["finished_at"], found["duration_us"]) == (T, T + 5_000_000, 5_000_000)
    assert (found["log_count"], found["levels"]["WARN"]) == (1, 1)
    assert found["last_seq"] - found["first_seq"] == 8
    assert found["state_seq"] == found["last_seq"]


def test_the_measured_duration_counts(daemon: Daemon) -> None:
    """A duration measured by a monotonic clock is believed; one by wall clocks is never negative."""
    tell(
        daemon,
        event("execution.started", "measured", time=T),
        event("execution.ended", "measured", outcome="succeeded", time=T - 9, duration_us=1234),
        event("execution.started", "stepped", time=T),
        event("execution.ended", "stepped", outcome="succeeded", time=T - 9),
    )

    measured, stepped = inspect(daemon, "measured"), inspect(daemon, "stepped")

    assert measured["duration_us"] == 1234
    assert stepped["duration_us"] == 0
    assert stepped["finished_at"] >= stepped["started_at"]


@pytest.mark.covers("S0.3")
def test_the_first_record_and_the_first_ending_stand(daemon: Daemon) -> None:
    """A second start and a second ending are stored, change nothing, and show as anomalies."""
    tell(
        daemon,
        event("execution.started", "e", name="first"),
        event("execution.started", "e", name="second"),
        event("execution.ended", "e", outcome="succeeded"),
        event("execution.ended", "e", outcome="failed"),
        event("execution.waiting", "e"),
        event("execution.lost", "e", reason="guess"),
    )

    found = inspect(daemon, "e")
    with QueryPeer(daemon.query_socket) as reader:
        trail = reader.ask("audit", execution_id="e").all("audit")
        stored = reader.ask("events", execution_id="e").lines

    assert (found["name"], found["status"]) == ("first", "succeeded")
    assert [entry["event_type"] for entry in trail] == [
        "CREATED",
        "STARTED",
        "ANOMALY",
        "COMPLETED",
        "ANOMALY",
        "ANOMALY",
        "ANOMALY",
    ]
    assert len(stored) == 6


def test_lost_gives_way_to_the_owners_own_word(daemon: Daemon) -> None:
    """`lost` is an inference: an ending by the producer that ran it replaces it, a stranger's does not."""
    with IngestPeer(daemon.ingest_socket) as owner:
        owner.hello("owner")
        owner.send_lines(event("execution.started", "e"))
        owner.until_ack(1)
        tell(daemon, event("execution.lost", "e", reason="gone"))
        assert inspect(daemon, "e")["status"] == "lost"
        tell(daemon, event("execution.ended", "e", outcome="failed"))
        assert inspect(daemon, "e")["status"] == "lost"
        owner.send_lines(event("execution.ended", "e", outcome="succeeded"))
        owner.until_ack(2)
        assert inspect(daemon, "e")["status"] == "succeeded"


def test_an_execution_nobody_announced(daemon: Daemon) -> None:
    """Events of an execution never announced are kept under a placeholder, and its ending counts."""
    tell(
        daemon,
        log("e", "m"),
        event("artifact.added", "e", path="a"),
        event("execution.ended", "e", outcome="failed"),
    )

    found = inspect(daemon, "e")

    assert (found["status"], found["uid"], found["name"], found["log_count"]) == ("failed", None, None, 1)


@pytest.mark.parametrize("mention", [event("deploy.done", "first"), log("first", "m")])
def test_a_placeholder_stands_where_it_was_first_mentioned(daemon: Daemon, mention: bytes) -> None:
    """An execution that is only mentioned, by events without a time, is listed by when they were received."""
    tell(daemon, mention)
    tell(daemon, event("execution.started", "second"))

    assert names(daemon) == ["second", "first"]


def names(daemon: Daemon, **request: object) -> list[str]:
    """Return the ids of the executions that a question lists."""
    with QueryPeer(daemon.query_socket) as reader:
        return [found["execution_id"] for found in reader.ask("executions", **request).all("execution")]


@pytest.mark.covers("S0.6")
def test_lists(daemon: Daemon) -> None:
    """Lists are newest first, ties broken by position, filtered by status, project, name, parent, time."""
    tell(
        daemon,
        event("execution.started", "a", time=T + 1, project="/p", name="n"),
        event("execution.started", "b", time=T + 3, project="/p", name="m", parent_id="a"),
        event("execution.created", "c", time=T + 2, project="/q", name="n"),
        event("execution.started", "d", time=T + 3),
        event("execution.ended", "b", outcome="partial"),
    )

    assert names(daemon) == ["d", "b", "c", "a"]
    assert names(daemon, status=["partial"]) == ["b"]
    assert names(daemon, status=["pending", "running", "waiting"]) == ["d", "c", "a"]
    assert names(daemon, status=["pending", "partial"]) == ["b", "c"]
    assert names(daemon, project="/p") == ["b", "a"]
    assert names(daemon, project="/p", status=["running"]) == ["a"]
    assert names(daemon, name="n") == ["c", "a"]
    assert names(daemon, parent_id="a") == ["b"]
    assert names(daemon, since=T + 2, until=T + 3) == ["c"]
    assert names(daemon, limit=0) == []
    assert names(daemon, project="/none") == []


@pytest.mark.covers("S0.6")
def test_pages_of_a_list(daemon: Daemon) -> None:
    """A list is read page by page to its end, each execution once, also among equal times."""
    tell(
        daemon, *(event("execution.started", f"e{number:03}", time=T + number // 7) for number in range(100))
    )
    seen: list[str] = []
    before: object = None
    with QueryPeer(daemon.query_socket) as reader:
        while True:
            request = {"limit": 9} | ({"before": before} if before else {})
            answer = reader.ask("executions", **request)
            seen += [found["execution_id"] for found in answer.all("execution")]
            assert answer.end is not None
            if not answer.end.get("truncated"):
                break
            before = answer.end["next"]

    assert seen == [f"e{number:03}" for number in reversed(range(100))]


@pytest.mark.covers("S0.5")
def test_prefixes(daemon: Daemon) -> None:
    """An id can be cut short as long as it fits one execution; a whole id wins over longer ones."""
    tell(daemon, *(event("execution.started", name) for name in ("abc1", "abc2", "abc", "xyz")))
    with QueryPeer(daemon.query_socket) as reader:
        assert reader.ask("inspect", execution_id="x").one("execution")["execution_id"] == "xyz"
        assert reader.ask("inspect", execution_id="abc").one("execution")["execution_id"] == "abc"
        assert reader.ask("phase", execution_id="abc2").one("phase")["execution_id"] == "abc2"
        for verb in ("inspect", "phase", "logs", "events", "wait", "audit"):
            ambiguous = reader.ask(verb, execution_id="ab").error
            missing = reader.ask(verb, execution_id="nope").error
            assert ambiguous is not None, verb
            assert missing is not None, verb
            assert (ambiguous["code"], missing["code"]) == ("ambiguous", "not_found"), verb


@pytest.mark.covers("S3.3")
def test_phase(daemon: Daemon) -> None:
    """`phase` says where an execution stands in its chain, and what a step from there needs."""
    tell(
        daemon,
        event("execution.started", "e", phases=["plan", "do", "done"]),
        event("execution.advanced", "e", from_phase="plan", to_phase="do", reason="ready"),
        event("artifact.added", "e", path="/p/early", phase="plan"),
        event("artifact.added", "e", path="/p/late", phase="do"),
        event("agent.added", "e", agent_id="idle"),
        event("agent.added", "e", agent_id="busy"),
        event("agent.updated", "e", agent_id="idle", status="completed"),
        event("execution.started", "none"),
        event("execution.started", "simple", complexity=1),
    )
    with QueryPeer(daemon.query_socket) as reader:
        answer = reader.ask("phase", execution_id="e").one("phase")
        none = reader.ask("phase", execution_id="none").one("phase")
        simple = reader.ask("phase", execution_id="simple").one("phase")

    assert answer == {
        "execution_id": "e",
        "phase": "do",
        "phases": ["plan", "do", "done"],
        "status": "running",
        "complexity": None,
        "auto_advance": None,
        "force_full": None,
        "next_phase": "done",
        "skipped": [],
        "artifacts": 1,
        "active_agents": ["busy"],
        "state_seq": 8,
    }
    assert (none["phase"], none["next_phase"]) == (None, None)
    assert (simple["phase"], simple["phases"], simple["next_phase"]) == ("brainstorm", None, "planned")
    assert simple["skipped"] == ["brainstorm-reviewed", "strategized"]


@pytest.mark.covers("S3.1")
def test_the_last_phase_is_success(daemon: Daemon) -> None:
    """A step into the last phase ends the execution as succeeded; what comes later changes nothing."""
    tell(
        daemon,
        event("execution.started", "e", phases=["plan", "do"], time=T),
        event("execution.advanced", "e", to_phase="do", time=T + 5),
        event("execution.advanced", "e", to_phase="plan", time=T + 6),
        event("execution.ended", "e", outcome="failed", time=T + 7),
        event("execution.started", "odd", complexity=3),
        event("execution.advanced", "odd", to_phase="nowhere"),
    )
    found, odd = inspect(daemon, "e"), inspect(daemon, "odd")

    assert (found["status"], found["phase"], found["finished_at"], found["duration_us"]) == (
        "succeeded",
        "do",
        T + 5,
        5,
    )
    assert (odd["status"], odd["phase"]) == ("running", "nowhere")
    with QueryPeer(daemon.query_socket) as reader:
        types = [entry["event_type"] for entry in reader.ask("audit", execution_id="e").all("audit")]
        strange = [entry["event_type"] for entry in reader.ask("audit", execution_id="odd").all("audit")]
        stuck = reader.ask("phase", execution_id="odd").one("phase")
    assert types == ["CREATED", "STARTED", "PHASE_CHANGE", "COMPLETED", "ANOMALY", "ANOMALY"]
    assert strange == ["CREATED", "STARTED", "PHASE_CHANGE", "ANOMALY"]
    assert stuck["next_phase"] is None


def test_its_own_chain_wins(daemon: Daemon) -> None:
    """An execution that got the default chain first and comes with its own begins its own."""
    tell(
        daemon,
        event("execution.created", "e"),
        event("execution.changed", "e", complexity=2),
        event("execution.started", "e", phases=["plan", "do"]),
        event("execution.advanced", "early", to_phase="do"),
        event("execution.started", "early", phases=["plan", "do", "done"]),
    )

    assert (inspect(daemon, "e")["phase"], inspect(daemon, "early")["phase"]) == ("plan", "do")


BOOT = {"boot_id": "0f" * 16, "uptime_us": 50_000_000}


@pytest.mark.covers("S0.7")
@pytest.mark.parametrize(
    ("start", "end", "duration_us"),
    [
        pytest.param({}, {}, 0, id="a-clock-set-back-is-not-negative"),
        pytest.param({"clock": BOOT}, {"clock": BOOT | {"uptime_us": 50_000_700}}, 700, id="boot-clock"),
        pytest.param(
            {"clock": BOOT},
            {"clock": BOOT | {"uptime_us": 50_000_700}, "duration_us": 650},
            650,
            id="measured",
        ),
        pytest.param({"clock": BOOT}, {"clock": {"boot_id": "other", "uptime_us": 9}}, 0, id="another-boot"),
        pytest.param({"clock": BOOT}, {"clock": BOOT | {"uptime_us": 1}}, 0, id="nonsense"),
    ],
)
def test_durations_across_a_clock_step(
    daemon: Daemon, start: dict[str, object], end: dict[str, object], duration_us: int
) -> None:
    """A duration is what was measured, else by the clock of the boot, else by the time of day."""
    tell(
        daemon,
        event("execution.started", "e", time=T, **start),
        event("execution.ended", "e", time=T - 3_600_000_000, outcome="succeeded", **end),
    )

    assert inspect(daemon, "e")["duration_us"] == duration_us


def test_wait(daemon: Daemon) -> None:
    """`wait` answers when the execution ended or has the status, and says why when it never will."""
    tell(daemon, event("execution.started", "e"))
    with QueryPeer(daemon.query_socket) as one, QueryPeer(daemon.query_socket) as two:
        one.start("wait", execution_id="e")
        two.start("wait", execution_id="e", until="waiting")
        tell(daemon, event("execution.waiting", "e"))
        assert two.answers().one("execution")["status"] == "waiting"
        tell(daemon, log("e", "moves nothing"), event("execution.ended", "e", outcome="cancelled"))
        assert one.answers().one("execution")["status"] == "cancelled"
        for request, code in (
            ({"execution_id": "e", "until": "succeeded"}, "outcome"),
            ({"execution_id": "f"}, "not_found"),
        ):
            error = one.ask("wait", **request).error
            assert error is not None
            assert error["code"] == code
        tell(daemon, event("execution.started", "g"))
        error = one.ask("wait", execution_id="g", timeout_ms=20).error
        assert error is not None
        assert error["code"] == "timed_out"
        assert one.ask("wait", execution_id="e", timeout_ms=0).error is None


def test_status(daemon: Daemon) -> None:
    """`status` shows head, sizes, connections and how far each read model is."""
    tell(daemon, event("execution.started", "e"), log("e", "m"))
    with QueryPeer(daemon.query_socket) as reader:
        status = reader.ask("status").one("status")

    assert (status["state"], status["head_seq"], status["running"], status["pid"]) == ("ok", 3, 1, daemon.pid)
    assert status["connections"] == {"ingest": 0, "query": 1, "control": 0}
    assert status["state_dir"] == str(daemon.state_dir)
    assert status["runtime_dir"] == str(daemon.runtime_dir)
    assert {row["name"]: (row["position"], row["lag"]) for row in status["projections"]} == dict.fromkeys(
        ("execution", "audit", "log", "task", "agent", "artifact", "plan"), (3, 0)
    )
    assert status["memory_bytes"] > 1_000_000
    assert status["schema_version"] == 1
