"""What was recorded elsewhere first: who said it and where is kept, each line is here once."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from support.daemon import Daemon, DaemonFactory
from support.govern import is_whole
from support.lines import event, log, logs
from support.peers import IngestPeer, Json, QueryPeer

LOG = "0192f0c1a2b37c4d8e5f60718293a4b5"


def hello(producer: str, line: int, seq: int, **origin: Any) -> bytes:
    """Say whose lines follow, and where they were."""
    place = {"log_id": LOG, "host": "far", "seq": seq, "received": 1_700_000_000_000_000, "uid": 7, "pid": 70}
    greeting = {"protocol": 1, "producer": producer, "line": line, "origin": place | origin}
    return json.dumps({"hello": greeting}, separators=(",", ":")).encode()


def settle(daemon: Daemon, *lines: bytes) -> list[Json]:
    """Send lines on a connection of their own, and return the replies but the first, which must be ready."""
    with IngestPeer(daemon.ingest_socket) as peer:
        ready, *replies = peer.settle(*lines)
    assert "ready" in ready, ready
    return replies


def recorded(daemon: Daemon, **filters: object) -> list[Json]:
    """Return what is recorded of others than this daemon."""
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, **filters).lines
    return [row for row in rows if row["producer"] != "flightlogd"]


@pytest.mark.covers("P12")
def test_origin_is_kept(daemon: Daemon) -> None:
    """Lines keep the producer, number, user, process, position and time they had in another log."""
    ack = settle(daemon, hello("p", 5, 40), *logs("e", 3), hello("q", 1, 90, uid=8, pid=80), log("f", "x"))[
        -1
    ]
    assert (ack["ack"]["lines"], ack["ack"].get("known")) == (4, None)
    rows = recorded(daemon)
    assert [(row["producer"], row["line"], row["uid"], row["pid"], row["origin"]["seq"]) for row in rows] == [
        (f"~{LOG}/p", 5, 7, 70, 40),
        (f"~{LOG}/p", 6, 7, 70, 41),
        (f"~{LOG}/p", 7, 7, 70, 42),
        (f"~{LOG}/q", 1, 8, 80, 90),
    ]
    assert rows[0]["origin"] == {
        "log_id": LOG,
        "host": "far",
        "seq": 40,
        "received": 1_700_000_000_000_000,
    }
    assert is_whole(daemon)


@pytest.mark.covers("P12", "D4")
def test_a_repeated_line_is_stored_once(daemon_factory: DaemonFactory) -> None:
    """Lines that are here are known, also over a restart; what was left out before is added later."""
    daemon = daemon_factory()
    lines = logs("e", 10)
    assert settle(daemon, hello("p", 3, 3), *lines[2:5])[-1]["ack"]["lines"] == 3
    daemon.kill()
    daemon.start()
    ack = settle(daemon, hello("p", 4, 4), *lines[3:8])[-1]["ack"]
    assert (ack["lines"], ack["known"]) == (5, 2)
    ack = settle(daemon, hello("p", 1, 1), *lines)[-1]["ack"]
    assert (ack["lines"], ack["known"]) == (10, 6)
    ack = settle(daemon, hello("p", 1, 1), *lines)[-1]["ack"]
    assert (ack["lines"], ack["known"]) == (10, 10)
    rows = recorded(daemon)
    assert sorted(row["line"] for row in rows) == list(range(1, 11))
    assert all(row["origin"]["seq"] == row["line"] for row in rows)
    assert all(row["event"]["message"] == f"line {row['line']}" for row in rows)


@pytest.mark.covers("P12")
def test_what_is_repeated_was_accepted_before(daemon: Daemon) -> None:
    """Neither an expected state nor a key that is taken keeps a line out; a key that comes is taken."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(log("e", "mine", id="k", time=1))
    replies = settle(
        daemon,
        hello("p", 1, 1, uid=os.geteuid()),
        event("execution.changed", "e", expect_seq=77, goal="g"),
        log("e", "theirs", id="k", time=1),
        log("e", "new", id="k2", time=1),
    )
    assert replies[-1]["ack"]["lines"] == 3
    assert not [reply for reply in replies if "refused" in reply]
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(log("e", "new", id="k2", time=1))[0]["duplicate"]["same"]
    assert len(recorded(daemon)) == 4


@pytest.mark.covers("P12", "D5")
def test_a_relay_takes_no_keys(daemon: Daemon) -> None:
    """Users of two machines may have one number: what one of them tells keeps nothing of the other's out."""
    here = os.geteuid()
    told = settle(
        daemon, hello("p", 1, 1, uid=here, provenance="relay"), log("e", "theirs", id="k"), log("e", "plain")
    )
    assert told[-1]["ack"]["lines"] == 2
    with IngestPeer(daemon.ingest_socket) as peer:
        assert not [reply for reply in peer.settle(log("e", "mine", id="k")) if "duplicate" in reply]
    assert [row["event"]["message"] for row in recorded(daemon)] == ["theirs", "plain", "mine"]


@pytest.mark.covers("P12")
def test_what_ran_elsewhere_is_not_looked_after_here(daemon: Daemon) -> None:
    """An execution of another log is not lost here, though its owner is nowhere, nor timed out."""
    owner = {"pid": 2**22 - 1, "start_time": 1, "boot_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12}
    settle(
        daemon,
        hello("p", 1, 1),
        event("execution.started", "far", name="far", owner=owner, time=1, deadline=2),
        hello("flightlogd", 9, 2, uid=990),
        event("execution.ended", "far", outcome="timed_out", id="deadline:1", time=3),
    )
    with QueryPeer(daemon.query_socket) as reader:
        found = reader.ask("inspect", execution_id="far").one("execution")
    assert (found["status"], found["uid"]) == ("timed_out", 7)
    begun = event("execution.started", "open", owner=owner, time=1, deadline=2)
    settle(daemon, hello("p", 2, 3), begun)
    with QueryPeer(daemon.query_socket) as reader:
        # Whoever would be looked after is, before what comes later is answered.
        settle(daemon, hello("p", 3, 4), log("open", "still"))
        found = reader.ask("inspect", execution_id="open").one("execution")
        assert reader.ask("check", execution_id="far").one("check")["complete"]
    assert found["status"] == "running"


@pytest.mark.covers("P12")
def test_bad_repetitions_are_refused(daemon: Daemon) -> None:
    """A hello that cannot be read, or without origin behind one with it, ends the connection."""
    plain = b'{"hello":{"protocol":1,"producer":"p","line":1}}'
    for bad in (plain, b'{"hello":{}}', hello("p", 1, -1), hello("~x/y", 1, 1)):
        assert settle(daemon, hello("p", 1, 1), log("e", "x"), bad)[-1]["error"]["code"] == "protocol"
    lines = log("e", "x"), hello("p", 2, 2), b"{}", log("e", "x")
    replies = settle(daemon, hello("p", 1, 1), *lines)
    assert [reply["refused"]["line"] for reply in replies if "refused" in reply] == [2]
    assert replies[-1]["ack"]["lines"] == 3
    assert replies[-1]["ack"]["known"] == 1


@pytest.mark.covers("P12")
def test_how_it_came_is_kept(daemon: Daemon) -> None:
    """What a relay repeats has provenance `relay`, what an import does `import`; its own word wins."""
    for name, way in (("imported", {}), ("relayed", {"provenance": "relay"})):
        begun = event("task.started", "e", task_id=name)
        older = event("task.started", "e", task_id=f"old-{name}", provenance="backfill")
        settle(daemon, hello(name, 1, 1, **way), begun, older)
    with QueryPeer(daemon.query_socket) as reader:
        found = {
            task["task_id"]: task["provenance"] for task in reader.ask("tasks", execution_id="e").all("task")
        }
    assert found == {
        "imported": "import",
        "relayed": "relay",
        "old-imported": "backfill",
        "old-relayed": "backfill",
    }


@pytest.mark.covers("P12")
def test_an_event_may_have_a_field_called_hello(daemon: Daemon) -> None:
    """A repeated event that begins with a field `hello` is taken as the event that it is."""
    odd = b'{"hello":"world","type":"my.own"}'
    ack = settle(daemon, hello("p", 1, 1), log("e", "x"), odd, log("e", "y"))[-1]["ack"]
    assert ack["lines"] == 3
    assert recorded(daemon)[1]["event"] == {"hello": "world", "type": "my.own"}


@pytest.mark.covers("P12", "S1.10")
def test_check_tells_what_an_import_left_out(daemon: Daemon) -> None:
    """Numbers that an import does not hold are named, and are no loss: they may be of other executions."""
    settle(daemon, hello("p", 3, 3), log("e", "one"), hello("p", 9, 9), log("e", "two"))
    with QueryPeer(daemon.query_socket) as reader:
        found = reader.ask("check", execution_id="e").one("check")
    assert found["complete"]
    assert [(one["kind"], one["first_line"], one["last_line"]) for one in found["findings"]] == [
        ("not_imported", 1, 2),
        ("not_imported", 4, 8),
    ]


@pytest.mark.covers("P12", "P16")
@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to be somebody else")
def test_only_the_trusted_speak_for_others(daemon_factory: DaemonFactory) -> None:
    """A user who is neither root nor the daemon's is refused with `not_owner`."""
    daemon = daemon_factory(ingest_mode="0666")
    for path in (daemon.state_dir.parent, daemon.runtime_dir):
        path.chmod(0o755)
    code = (
        "import os, socket, sys\nos.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
        "s.sendall(sys.argv[2].encode() + b'\\n')\nprint(s.recv(4096).decode())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(daemon.ingest_socket), hello("p", 1, 1).decode()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"not_owner"' in done.stdout
    assert "only root" in done.stdout
