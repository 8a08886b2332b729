"""Following the log over HTTP and a WebSocket: no gap and no double, over any number of restarts."""

from typing import Any

import pytest

from support.daemon import Daemon
from support.lines import event, log, logs
from support.searching import tell
from support.web import Web
from support.websocket import RefusedError, WebSocket


@pytest.mark.covers("P17")
def test_history_and_then_what_comes(shared_web: Web, shared_daemon: Daemon) -> None:
    """A stream from a position on tells what is there, then what comes, each event once and in order."""
    first = tell(shared_daemon, *logs("follow", 20)) - 20
    with shared_web.stream(after=first) as stream:
        head = stream.until("head")[-1]
        assert (head.id, head.data["seq"]) == (first, first)
        assert stream.seqs(20) == list(range(first + 1, first + 21))
        tell(shared_daemon, *logs("follow", 20, start=21))
        assert stream.seqs(20) == list(range(first + 21, first + 41))


@pytest.mark.covers("P17")
def test_parameters(shared_web: Web, shared_daemon: Daemon) -> None:
    """A stream is narrowed by execution, type, level, task, source and text, and may end at the head."""
    tell(
        shared_daemon,
        event("execution.started", "narrow"),
        log("narrow", "one", level="WARN", source="s", task_id="t"),
        log("narrow", "two"),
    )
    for params, count in (
        ({}, 3),
        ({"type": "log"}, 2),
        ({"type": "log,execution.started"}, 3),
        ({"type": ["execution.", "task."]}, 1),
        ({"level": "WARN+"}, 1),
        ({"task": "t"}, 1),
        ({"source": "s"}, 1),
        ({"grep": "two"}, 1),
        ({"exclude": "two", "type": "log"}, 1),
        ({"last": 2}, 2),
    ):
        asked: dict[str, Any] = {"execution_id": "narrow", "follow": "false", "after": 0} | params
        if "last" in params:
            del asked["after"]
        with shared_web.stream(**asked) as stream:
            told = [one for one in stream.until("end") if one.event == "tail"]
        assert len(told) == count, params


@pytest.mark.covers("P17")
def test_resume_after_an_event(shared_web: Web, shared_daemon: Daemon) -> None:
    """A browser that lost its connection goes on behind the last event that it has."""
    last = tell(shared_daemon, *logs("resume", 30))
    with shared_web.stream(after=last - 30) as stream:
        seen = stream.seqs(11)
    with shared_web.stream(last_event_id=seen[-1], after=0, last=1) as stream:
        seen += stream.seqs(19)
    assert seen == list(range(last - 29, last + 1))
    for wrong in ("-1", "x", "9" * 30):
        answer = shared_web.get("/api/stream", headers={"last-event-id": wrong})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid")


@pytest.mark.covers("P17", "D7")
@pytest.mark.slow
def test_a_daemon_that_goes_and_comes_back(web: Web, daemon: Daemon) -> None:
    """Over a daemon that stops or is killed, a stream says so and goes on without gap or double."""
    first = tell(daemon, *logs("run", 10))
    with web.stream(after=first - 10, type="log") as stream, WebSocket(web, "/api/ws?type=log") as socket:
        seen = stream.seqs(10)
        socket.until("head")
        for end in (daemon.terminate, daemon.kill):
            tell(daemon, *logs("run", 10))
            end()
            away = stream.until("daemon")
            seen += [one.data["seq"] for one in away if one.event == "tail"]
            assert away[-1].data["state"] == "away"
            assert "no daemon" in away[-1].data["reason"] or "closed" in away[-1].data["reason"]
            refused = web.get("/api/executions")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "daemon_away")
            assert "flightlogd" in refused.json()["error"]["hint"]
            assert web.get("/health/live").status_code == 200
            assert web.get("/health/ready").status_code == 503
            assert "flightlog_up 0\n" in web.get("/metrics").text
            assert web.get("/").status_code == 200
            daemon.start()
            tell(daemon, *logs("run", 10))
            assert stream.until("daemon")[-1].data["state"] == "back"
            seen += stream.seqs(len_wanted(seen))
            assert web.get("/health/ready").status_code == 200
        told = [one["event"] for one in socket.until("daemon")]
        assert told[-1] == "daemon"
    with web.stream(after=0, type="log", follow="false") as whole:
        everything = [one.data["seq"] for one in whole.until("end") if one.event == "tail"]
    assert seen == everything


def len_wanted(seen: list[int]) -> int:
    """Return how many of the lines sent by then a stream has yet to tell: each round sends twenty."""
    rounds = 1 if len(seen) < 30 else 2
    return 10 + 20 * rounds - len(seen)


@pytest.mark.covers("P17")
def test_without_a_daemon_there_is_no_stream(web: Web, daemon: Daemon) -> None:
    """A stream that cannot begin is 503 with a hint, and the next one begins."""
    daemon.terminate()
    assert web.error("/api/stream", 503)["code"] == "daemon_away"
    with pytest.raises(RefusedError) as refused:
        WebSocket(web)
    assert (refused.value.status, refused.value.error["code"]) == (503, "daemon_away")
    daemon.start()
    with web.stream() as stream:
        stream.until("head")


@pytest.mark.covers("P17")
def test_a_log_that_is_another_one(shared_web: Web) -> None:
    """A client whose position is beyond the head is told that positions mean other events now."""
    with shared_web.stream(last_event_id=10**12) as stream:
        told = stream.until("head")
    assert [one.event for one in told] == ["reset", "head"]
    assert told[-1].data["seq"] == told[-1].data["head_seq"]


@pytest.mark.covers("P17")
def test_websocket(shared_web: Web, shared_daemon: Daemon) -> None:
    """A WebSocket has the same parameters and messages; what a client sends is not looked at."""
    with WebSocket(shared_web, "/api/ws?type=log&execution_id=ws") as socket:
        assert socket.next()["event"] == "head"
        socket.send("x" * 100)
        seq = tell(shared_daemon, event("execution.started", "ws"), log("ws", "hello"))
        message = socket.next()
        assert (message["event"], message["seq"]) == ("tail", seq)
        assert message["data"]["event"]["message"] == "hello"
        socket.send("x" * 100_000)
        while socket.closed is None:
            socket._receive()
        assert socket.closed == 1009


@pytest.mark.covers("P17")
@pytest.mark.parametrize(
    ("target", "headers", "status", "code"),
    [
        ("/api/ws", {"origin": "http://evil.example"}, 403, "origin"),
        ("/api/ws?nope=1", {}, 400, "invalid"),
        ("/api/ws?level=LOUD", {}, 400, "invalid"),
        ("/api/executions", {}, 404, "not_found"),
    ],
)
def test_websockets_that_are_refused(
    shared_web: Web, target: str, headers: dict[str, str], status: int, code: str
) -> None:
    """A WebSocket from another site's page, or with parameters of no sense, is refused and says why."""
    with pytest.raises(RefusedError) as refused:
        WebSocket(shared_web, target, headers)
    assert (refused.value.status, refused.value.error["code"]) == (status, code)
