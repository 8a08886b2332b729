"""Deadlines: what is still open when its time is up is ended as timed out, once."""

import time

import pytest

from support.daemon import Daemon
from support.lines import event
from support.owners import announce, await_events, inspect, recorded
from support.peers import IngestPeer

SECOND_US = 1_000_000


def soon(delay_us: int = SECOND_US // 5) -> int:
    """Return a time that is near, microseconds since the epoch."""
    return time.time_ns() // 1000 + delay_us


def passed(daemon: Daemon) -> None:
    """Return once the daemon has dealt with every deadline that has passed before this was called."""
    before = len(recorded(daemon, "execution.ended"))
    announce(daemon, f"passed-{before}", None, deadline=soon(0))
    await_events(daemon, "execution.ended", before + 1)


@pytest.mark.covers("S1.3")
@pytest.mark.parametrize("kind", ["execution.created", "execution.started"])
def test_deadline_passes(daemon: Daemon, kind: str) -> None:
    """An execution that is open when its deadline passes is timed out within a second, and says why."""
    deadline = soon()
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(event(kind, "e", deadline=deadline))

    [ended] = await_events(daemon, "execution.ended")

    assert deadline <= ended["received"] < deadline + SECOND_US
    assert ended["producer"] == "flightlogd"
    found = inspect(daemon, "e")
    assert (found["status"], found["outcome_reason"]) == ("timed_out", "deadline passed")
    assert (found["duration_us"] is None) == (kind == "execution.created")


@pytest.mark.covers("S1.3")
def test_nearest_first(daemon: Daemon) -> None:
    """Of many deadlines each has its turn, in whatever order they were announced."""
    with IngestPeer(daemon.ingest_socket) as peer:
        first = soon()
        times = {f"e{number}": first + (number * 7 % 20) * 10_000 for number in range(20)}
        far = event("execution.started", "far", deadline=2**62)
        lines = [event("execution.started", name, deadline=deadline) for name, deadline in times.items()]
        peer.settle(far, *lines)

    ended = await_events(daemon, "execution.ended", 20)

    assert [line["event"]["execution_id"] for line in ended] == sorted(times, key=lambda name: times[name])
    assert all(line["received"] >= times[line["event"]["execution_id"]] for line in ended)
    assert inspect(daemon, "far")["status"] == "running"


@pytest.mark.covers("S1.3")
def test_deadline_passes_while_the_daemon_is_away(daemon: Daemon) -> None:
    """What timed out while no daemon ran is ended at its start, and once is enough for ever."""
    announce(daemon, "e", None, deadline=soon(60 * SECOND_US))
    announce(daemon, "short", None, deadline=soon(SECOND_US // 2))
    daemon.terminate()

    daemon.start()
    [ended] = await_events(daemon, "execution.ended")
    daemon.restart()
    passed(daemon)
    daemon.kill()
    daemon.start()
    passed(daemon)

    assert ended["event"]["execution_id"] == "short"
    names = [line["event"]["execution_id"] for line in recorded(daemon, "execution.ended")]
    assert names == ["short", "passed-1", "passed-2"]
    assert inspect(daemon, "e")["status"] == "running"


@pytest.mark.covers("S1.3")
def test_who_ended_in_time_is_left_alone(daemon: Daemon) -> None:
    """A deadline means nothing to what has ended before, and an ending after it changes nothing."""
    deadline = soon()
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(
            event("execution.started", "in-time", deadline=deadline),
            event("execution.started", "late", deadline=deadline),
            event("execution.ended", "in-time", outcome="succeeded"),
        )
        [_, timed_out] = await_events(daemon, "execution.ended", 2)
        peer.settle(event("execution.ended", "late", outcome="succeeded"))
    passed(daemon)

    assert timed_out["event"]["execution_id"] == "late"
    assert inspect(daemon, "in-time")["status"] == "succeeded"
    assert inspect(daemon, "late")["status"] == "timed_out"
    assert len(recorded(daemon, "execution.ended")) == 4
