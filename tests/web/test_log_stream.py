"""The log of one execution as server-sent events: lines as `logs` has them."""

import pytest

from support.daemon import Daemon
from support.lines import event, log, logs
from support.searching import tell
from support.web import Web


@pytest.mark.covers("P17")
def test_lines_come_until_the_execution_has_ended(daemon: Daemon, web: Web) -> None:
    """Lines come rendered, life cycle among them, filtered by the daemon; the end is told."""
    tell(daemon, event("execution.started", "run", name="build"), *logs("run", 2))
    with web.stream(execution_id="run", logs="true", after=0) as stream:
        tell(
            daemon, log("run", "careful", level="WARN"), event("execution.ended", "run", outcome="succeeded")
        )
        events = stream.until("end")
    careful = [told.id for told in events if told.data.get("message") == "careful"]
    messages = [told.data["message"] for told in events if told.event == "log"]
    with web.stream(execution_id="run", logs="true", after=0, level="WARN+", grep="care") as stream:
        narrow = [told for told in stream.until("end") if told.event == "log"]

    assert messages == ["execution started: build", "line 1", "line 2", "careful", messages[-1]]
    assert messages[-1].startswith("execution succeeded")
    assert [told.id for told in narrow] == careful
    assert narrow[0].data["level"] == "WARN"


def test_a_stream_of_lines_is_resumed(daemon: Daemon, web: Web) -> None:
    """With the position of the last line that came, what follows comes, over a restart of the daemon."""
    last = tell(daemon, event("execution.started", "run"), *logs("run", 3))
    with web.stream(execution_id="run", logs="true", last_event_id=last - 1) as stream:
        [*_, first] = stream.until("log")
        daemon.kill()
        stream.until("daemon")
        daemon.start()
        tell(daemon, *logs("run", 1, start=4))
        [*_, second] = stream.until("log")

    assert [first.data["message"], second.data["message"]] == ["line 3", "line 4"]


def test_lines_are_of_one_execution(daemon: Daemon, web: Web) -> None:
    """Without an execution, or with types of events, the question is refused; an unknown one is not found."""
    web.error("/api/stream", 400, logs="true")
    web.error("/api/stream", 400, logs="true", execution_id="run", type="log")
    with web.stream(logs="true", execution_id="nobody") as stream:
        [*_, told] = stream.until("error")

    assert told.data["code"] == "not_found"
