"""The log of one execution, and its audit trail."""

import pytest

from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer, Json, QueryPeer

T = 1_790_000_000_000_000


@pytest.fixture
def told(daemon: Daemon) -> Daemon:
    """Give a daemon that was told of two interleaved executions."""
    with IngestPeer(daemon.ingest_socket) as peer:
        lines = [event("execution.started", "e", time=T, name="n")]
        for number in range(20):
            lines.append(
                log(
                    "e",
                    f"line {number}",
                    time=T + number,
                    level=("DEBUG", "info", "Warning", 17)[number % 4],
                    source=("exec:make", "app")[number % 2],
                    task_id=f"t{number % 3}",
                    fields={"n": number},
                )
            )
            lines.append(log("f", "somebody else's"))
        lines.append(log("e", "strange", level="loud", time=T + 20))
        lines.append(event("execution.ended", "e", outcome="failed", reason="it broke", time=T + 21))
        assert peer.settle(*lines)[-1]["ack"]["lines"] == len(lines)
    return daemon


def messages(daemon: Daemon, **request: object) -> list[str]:
    """Return the messages of the answer to `logs` of the execution `e`."""
    with QueryPeer(daemon.query_socket) as reader:
        return [line["message"] for line in reader.ask("logs", execution_id="e", **request).all("log")]


@pytest.mark.covers("S1.8")
def test_filters(told: Daemon) -> None:
    """Lines are chosen by level, source, task, time and text, alone and together, oldest first."""
    numbered = [f"line {number}" for number in range(20)]
    ended = "execution failed: it broke"

    assert messages(told) == ["execution started: n", *numbered, "strange", ended]
    assert messages(told, source="app") == numbered[1::2]
    assert messages(told, task_id="t2") == numbered[2::3]
    assert messages(told, level=[13]) == numbered[2::4]
    assert messages(told, level=[5, 17]) == [
        *(text for number, text in enumerate(numbered) if number % 4 in (0, 3)),
        ended,
    ]
    assert messages(told, since=T + 5, until=T + 8) == numbered[5:8]
    assert messages(told, grep="1", exclude=["12", "15"]) == [
        text for text in numbered if "1" in text and text not in ("line 12", "line 15")
    ]
    assert messages(told, source="app", level=[17], task_id="t0") == ["line 3", "line 15"]
    assert messages(told, grep="nowhere") == []


@pytest.mark.covers("S1.8")
def test_ends_and_pages(told: Daemon) -> None:
    """The last lines, the first lines, and page after page come without a gap."""
    assert messages(told, last=2) == ["strange", "execution failed: it broke"]
    assert messages(told, last=2, source="app") == ["line 17", "line 19"]
    assert messages(told, last=0) == []
    assert messages(told, limit=3) == ["execution started: n", "line 0", "line 1"]
    with QueryPeer(told.query_socket) as reader:
        seen: list[str] = []
        after = 0
        while True:
            answer = reader.ask("logs", execution_id="e", after=after, limit=4)
            seen += [line["message"] for line in answer.all("log")]
            assert answer.end is not None
            if not answer.end.get("truncated"):
                break
            after = answer.end["next"]

    assert seen == messages(told)


@pytest.mark.covers("S1.1")
def test_a_line_has_what_was_said_of_it(told: Daemon) -> None:
    """A line shows all that was said of it; a level that is none is INFO and is kept in fields."""
    with QueryPeer(told.query_socket) as reader:
        lines = reader.ask("logs", execution_id="e").all("log")

    assert lines[3] == {
        "seq": lines[3]["seq"],
        "time": T + 2,
        "execution_id": "e",
        "task_id": "t2",
        "agent_id": None,
        "level": "WARN",
        "source": "exec:make",
        "message": "line 2",
        "fields": {"n": 2},
        "scrubbed": False,
    }
    assert (lines[-2]["level"], lines[-2]["fields"]) == ("INFO", {"level": "loud"})
    assert (lines[-1]["level"], lines[-1]["source"]) == ("ERROR", "daemon")


@pytest.mark.covers("S1.10")
def test_following_ends_with_the_execution(daemon: Daemon) -> None:
    """A follower sees what exists, then live lines, also late stamps, up to the execution's end."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.send_lines(event("execution.started", "e", time=T), *(log("e", f"{n}") for n in range(50)))
        peer.until_ack(51)
        reader.start("logs", execution_id="e", follow=True)
        shown: list[Json] = []
        for n in range(50, 2_000):
            peer.send_lines(log("f", "noise"), log("e", f"{n}", time=T - n))
            if n % 500 == 0:
                while not shown or shown[-1]["message"] != str(n):
                    line = reader.next()
                    assert line is not None
                    shown.append(line["log"])
        peer.send_lines(event("execution.ended", "e", outcome="succeeded"), log("e", "too late"))
        rest = reader.answers()

    assert rest.end is not None
    said = [line["message"] for line in shown + rest.all("log")]
    assert said[:2001] == ["execution started", *(str(n) for n in range(2_000))]
    assert said[2001].startswith("execution succeeded")


@pytest.mark.covers("S1.6")
def test_the_audit_trail(daemon: Daemon) -> None:
    """Every change of state leaves an entry with both states, the reason and, by the kernel, who."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.settle(
            event("execution.created", "e", time=T, name="n", phases=["plan", "x", "do", "y"]),
            event("execution.started", "e", time=T + 1),
            event("execution.waiting", "e", reason="a lock", time=T + 2),
            event("execution.resumed", "e", time=T + 3),
            event("execution.advanced", "e", to_phase="do", skipped=["x"], time=T + 4),
            event("audit.recorded", "e", action="EXPORTED", target="file", reason="asked", time=T + 5),
            event("producer.dropped", "e", count=3, reason="full", time=T + 6),
            event("execution.ended", "e", outcome="cancelled", reason="enough", time=T + 7),
        )
        trail = reader.ask("audit", execution_id="e").all("audit")
        whole = reader.ask("audit").all("audit")

    shown = [
        (entry["event_type"], entry["from_state"], entry["to_state"], entry["reason"]) for entry in trail
    ]
    assert shown == [
        ("CREATED", None, "pending", None),
        ("STARTED", "pending", "running", None),
        ("STATE_CHANGE", "running", "waiting", "a lock"),
        ("STATE_CHANGE", "waiting", "running", None),
        ("PHASE_SKIP", "plan", "do", None),
        ("EXPORTED", None, None, "asked"),
        ("DROPPED", None, None, "full"),
        ("CANCELLED", "running", "cancelled", "enough"),
    ]
    assert [entry["time"] for entry in trail] == [T + n for n in range(8)]
    assert {entry["uid"] for entry in trail} == {trail[0]["uid"]}
    assert trail[-1]["detail"]["by_uid"] == trail[-1]["uid"]
    assert trail[-1]["detail"]["duration_us"] == 6
    assert whole[0]["event_type"] == "DAEMON_STARTED"
    assert whole[1:] == trail


def test_events_of_one_execution(told: Daemon) -> None:
    """`events` shows the recorded events of one execution, log lines only when asked for, page by page."""
    with QueryPeer(told.query_socket) as reader:
        quiet = reader.ask("events", execution_id="e").lines
        every = reader.ask("events", execution_id="e", logs=True, limit=5)
        only = reader.ask("events", execution_id="e", type=["execution.ended"]).lines
        assert every.end is not None
        rest = reader.ask("events", execution_id="e", logs=True, after=every.end["next"]).lines

    assert [row["event"]["type"] for row in quiet] == ["execution.started", "execution.ended"]
    assert len(every.lines) == 5
    assert len(rest) == 18
    assert [row["event"]["outcome"] for row in only] == ["failed"]


def test_levels_that_are_none(told: Daemon) -> None:
    """A level number that is none is an invalid question."""
    with QueryPeer(told.query_socket) as reader:
        for level in (0, 25, -1):
            for verb, rest in (("logs", {"execution_id": "e"}), ("tail", {"after": 0, "follow": False})):
                error = reader.ask(verb, level=[level], **rest).error
                assert error is not None, (verb, level)
                assert error["code"] == "invalid"
