"""`flightlog doctor`: every broken set-up is named, with what to do."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from flightlog_schemas import SCHEMA_VERSION
from support.daemon import Daemon, DaemonFactory
from support.govern import DAY_US, record
from support.lines import event, log
from support.peers import IngestPeer, QueryPeer
from support.rebuild import stopped
from support.users import read_modules


def findings(flightlog: Cli, code: int) -> dict[str, Any]:
    """Return the findings by what they are about."""
    done = flightlog("doctor", "--json", FLIGHTLOG_SPOOL_DIR=str(flightlog.runtime_dir / "spool"))
    assert done.code == code, done
    return {finding["about"]: finding for finding in json.loads(done.out)["findings"]}


@pytest.mark.covers("P11")
def test_all_is_well(daemon: Daemon) -> None:
    """With nothing wrong every finding is ok, in text as well, and the exit code says so."""
    flightlog = Cli(daemon.runtime_dir)
    found = findings(flightlog, 0)
    assert {finding["level"] for name, finding in found.items() if name != "disk"} == {"ok"}
    assert set(found) >= {"ingest.sock", "query.sock", "spool", "daemon", "models"}
    lines = flightlog.ok("doctor", FLIGHTLOG_SPOOL_DIR=str(daemon.runtime_dir / "spool")).lines
    assert [line.split("\t")[1] for line in lines] == list(found)


@pytest.mark.covers("P11")
def test_the_daemon_is_away(daemon_factory: DaemonFactory) -> None:
    """No sockets, left-over sockets and what is no socket are told apart."""
    daemon = daemon_factory(start=False)
    flightlog = Cli(daemon.runtime_dir)
    assert "there is no" in findings(flightlog, 1)["ingest.sock"]["text"]
    daemon.start()
    daemon.kill()
    left = findings(flightlog, 1)
    assert "nobody listens" in left["query.sock"]["text"]
    assert left["daemon"]["level"] == "bad"
    daemon.ingest_socket.unlink()
    daemon.ingest_socket.write_text("")
    assert "is no socket" in findings(flightlog, 1)["ingest.sock"]["text"]


@pytest.mark.covers("P11", "P16")
@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to be somebody else")
def test_the_wrong_group(daemon: Daemon) -> None:
    """Who may not use a socket is told which group to join."""
    for path in (daemon.runtime_dir, daemon.runtime_dir.parent):
        path.chmod(0o755)
    program = (
        "import os, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534); sys.argv[0] = 'flightlog';"
    )
    program += "from flightlog.doctor import examine; import msgspec;"
    program += f"print(msgspec.json.encode(list(examine({str(daemon.runtime_dir)!r}))).decode())"
    done = subprocess.run(
        [sys.executable, "-P", "-c", read_modules() + program],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "FLIGHTLOG_SPOOL_DIR": "/nonexistent"},
    )
    found = {finding["about"]: finding for finding in json.loads(done.stdout)}
    assert "may not write" in found["ingest.sock"]["text"]
    assert found["query.sock"]["remedy"].startswith("usermod -aG root ")


@pytest.mark.covers("P11", "P16")
def test_a_user_whom_the_rules_forbid(daemon_factory: DaemonFactory) -> None:
    """Each socket is asked: the modes let the user in, and the rules do not."""
    for right, forbidden, allowed in (("write", "query", "ingest"), ("read", "ingest", "query")):
        daemon = daemon_factory(name=right, user_rules=f"user={os.geteuid()} may={right}")
        found = findings(Cli(daemon.runtime_dir), 1)
        assert found[f"{allowed}.sock"]["level"] == "ok"
        refused = found[f"{forbidden}.sock"]
        assert (refused["level"], "user_rules" in refused["remedy"]) == ("bad", True)
        assert f"uid {os.geteuid()} may not" in refused["text"]


@pytest.mark.covers("P11")
def test_looking_leaves_nothing(daemon: Daemon, flightlog: Cli) -> None:
    """An examination adds nothing to the log."""
    before = flightlog.ok("status", "--json").json["head_seq"]
    flightlog("doctor")
    assert flightlog.ok("status", "--json").json["head_seq"] == before


@pytest.mark.covers("P11", "P15")
def test_trouble_inside(daemon_factory: DaemonFactory) -> None:
    """A full disk, a clock that was set back, refused lines and gaps are named with what to do."""
    daemon = daemon_factory(start=False, database_limit_bytes=2_000_000, retry_ms=50)
    daemon.clock_shift_us = DAY_US
    daemon.start()
    record(daemon, "a", b"no event")
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("gappy", 7)
        peer.send_lines(log("a", "seventh"))
        peer.until_ack(7)
    daemon.terminate()
    daemon.clock_shift_us = 0
    daemon.start()
    flightlog = Cli(daemon.runtime_dir)
    found = findings(flightlog, 0)
    assert {"clock", "refused", "gaps"} <= {name for name, one in found.items() if one["level"] == "warn"}
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send_lines(*(log("a", "x" * 1000) for _ in range(1500)))
        while "busy" not in (peer.next() or {}):
            pass
        assert "storage_full" in findings(flightlog, 1)["daemon"]["text"]


@pytest.mark.covers("P4", "P11")
def test_a_read_model_that_stopped(daemon: Daemon) -> None:
    """A read model that an event broke is named with what brings it back."""
    with stopped(daemon) as db:
        db.execute(
            "create trigger fault before insert on audit when new.reason = 'fatal'"
            " begin select raise(abort, 'as if'); end"
        )
    record(daemon, "a", event("audit.recorded", action="A", reason="fatal"))
    found = findings(Cli(daemon.runtime_dir), 1)["audit"]
    assert "as if" in found["text"]
    assert "flightlogd rebuild" in found["remedy"]


@pytest.mark.covers("P5", "P11")
def test_lines_that_wait_on_disk(daemon: Daemon) -> None:
    """What a program left for a daemon that was away is told, and that it goes by itself."""
    flightlog = Cli(daemon.runtime_dir)
    daemon.terminate()
    flightlog("exec", "--", "true", FLIGHTLOG_SPOOL_DIR=str(flightlog.runtime_dir / "spool"))
    waiting = findings(flightlog, 1)["spool"]
    assert waiting["level"] == "warn"
    assert waiting["remedy"]


@pytest.mark.covers("P11")
def test_a_daemon_of_another_version(daemon: Daemon, daemon_factory: DaemonFactory) -> None:
    """A daemon that speaks another schema is named, with what to install."""
    with QueryPeer(daemon.query_socket) as reader:
        status = reader.ask("status").one("status")
    older = daemon_factory(name="older", start=False)
    older.runtime_dir.mkdir(exist_ok=True)
    flightlog = Cli(older.runtime_dir)
    with (
        socket.socket(socket.AF_UNIX) as ingest,
        socket.socket(socket.AF_UNIX) as query,
    ):
        for listener, path in ((ingest, older.ingest_socket), (query, older.query_socket)):
            listener.bind(str(path))
            listener.listen()

        def answer() -> None:
            while True:
                peer, _ = query.accept()
                with peer:
                    if peer.recv(4096):
                        said = {"status": status | {"schema_version": SCHEMA_VERSION + 1}}
                        peer.sendall(json.dumps(said).encode() + b'\n{"end":{"count":1,"seq":1}}\n')
                        return

        answering = threading.Thread(target=answer)
        answering.start()
        found = findings(flightlog, 0)["version"]
        answering.join()
    assert (found["level"], "same version" in found["remedy"]) == ("warn", True)


@pytest.mark.covers("P11")
def test_a_daemon_that_does_not_answer(home: Any) -> None:
    """Sockets that accept and never answer are a finding, not a wait without end."""
    listening = []
    for name in ("ingest", "query"):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.bind(str(home / f"{name}.sock"))
        sock.listen()
        listening.append(sock)
    assert findings(Cli(home), 1)["daemon"]["level"] == "bad"
    for sock in listening:
        sock.close()


@pytest.mark.covers("P11")
@pytest.mark.parametrize("verb", ["status", "doctor"])
def test_a_daemon_that_is_stopped(daemon: Daemon, flightlog: Cli, verb: str) -> None:
    """That the daemon's process is stopped is told, with what lets it go on, long before others give up."""
    daemon.signal(signal.SIGSTOP)
    try:
        done = flightlog(verb)
    finally:
        daemon.signal(signal.SIGCONT)
    assert done.code == (2 if verb == "status" else 1)
    said = done.out + done.err
    assert f"its process {daemon.pid} is stopped" in said
    assert f"kill -CONT {daemon.pid}" in said


@pytest.mark.covers("P11", "P5")
def test_a_spool_that_cannot_be(flightlog: Cli, home: Path) -> None:
    """A spool directory in which nobody can write is found before lines are lost."""
    (home / "file").touch()
    for place in (home / "file", home / "file" / "below"):
        done = flightlog("doctor", "--json", FLIGHTLOG_SPOOL_DIR=str(place))
        (found,) = (one for one in done.json["findings"] if one["about"] == "spool")
        assert (done.code, found["level"]) == (1, "bad"), found
    done = flightlog("doctor", "--json", FLIGHTLOG_SPOOL_DIR=str(home / "new" / "spool"))
    assert done.code == 0
    assert not (home / "new").exists()


@pytest.mark.covers("P18", "P11")
def test_a_relay_that_does_not_move(daemon_factory: DaemonFactory) -> None:
    """Only a relay that left events for long and has not moved for long is told of, with what to do."""
    daemon = daemon_factory(start=False)
    daemon.clock_shift_us = -3_600_000_000
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        head = peer.settle(log("e", "a"), log("e", "b"))[-1]["ack"]["seq"]
    with QueryPeer(daemon.query_socket) as reader:
        reader.ask("cursor", name="relay:n1/still", seq=head - 1)
        reader.ask("cursor", name="reader", seq=head - 1)
    daemon.terminate()
    daemon.clock_shift_us = 0
    daemon.start()
    with QueryPeer(daemon.query_socket) as reader:
        reader.ask("cursor", name="relay:n1/moves", seq=head - 1)

    flightlog = Cli(daemon.runtime_dir)
    found = [line.split("\t") for line in flightlog.ok("doctor").lines]
    (relay,) = [row for row in found if row[1] == "relay"]
    assert relay[0] == "warn"
    assert "the relay to n1/still has not moved for 1h" in relay[2]
    assert "cursor remove relay:n1/still" in relay[3]
