"""`inspect --as-of`: how an execution was."""

import pytest

from cli.runner import Cli
from support.daemon import Daemon


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


@pytest.mark.covers("S1.11")
def test_the_past_is_asked_by_position_and_by_time(flightlog: Cli) -> None:
    """Phase, agents, artifacts and audit trail are those of that moment, whatever came after."""
    execution = flightlog.ok("start", "--complexity", "1").out.strip()
    flightlog.ok("agent", "add", execution, "--id", "a1")
    flightlog.ok("artifact", "add", execution, "/first")
    moment = flightlog.ok("events", execution, "--json").json[-1]
    flightlog.ok("advance", execution)
    flightlog.ok("agent", "update", execution, "a1", "--status", "completed")
    flightlog.ok("artifact", "add", execution, "/second")
    flightlog.ok("cancel", execution)

    # By its producer's clock an event is a little older than by when it was received, which is what counts.
    then = flightlog.ok("inspect", execution, "--as-of", str(moment["seq"]), "--json").json
    assert (then["status"], then["phase"], then["last_seq"]) == ("running", "brainstorm", moment["seq"])
    assert [agent["status"] for agent in then["agents"]] == ["active"]
    assert [artifact["path"] for artifact in then["artifacts"]] == ["/first"]
    assert [entry["event_type"] for entry in then["audit"]] == ["CREATED", "STARTED"]
    ended = flightlog.ok("inspect", execution, "--json").json["finished_at"]
    before = flightlog.ok("inspect", execution, "--as-of", ended, "--agents").rows
    assert dict(row for row in before if len(row) == 2)["status"] == "running"
    assert before[-1] == ["a1", "claude", "completed", "-"]
    assert flightlog.ok("inspect", execution, "--as-of", "0s", "--json").json["status"] == "cancelled"


@pytest.mark.covers("S1.11")
def test_before_it_began_it_was_not(flightlog: Cli) -> None:
    """A moment before its first event is exit code 1; what is no moment is exit code 3."""
    execution = flightlog.ok("start").out.strip()

    early = flightlog("inspect", execution, "--as-of", "1")
    assert (early.code, early.out) == (1, "")
    assert early.err.startswith("flightlog inspect: ")
    for text in ("soon", "-1", "9" * 30):
        assert flightlog("inspect", execution, "--as-of", text).code == 3
