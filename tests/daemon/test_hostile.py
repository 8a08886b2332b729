"""A thousand connections that do what is not to be done hurt nobody else, and cost no more than a bound."""

import os
from pathlib import Path

import pytest

from support.crowds import hostile_crowd
from support.daemon import Daemon, DaemonFactory
from support.lines import log
from support.peers import IngestPeer, QueryPeer
from support.users import SOMEBODY

CROWD = 1_000
PATIENCE_S = 300.0
MIB = 1024 * 1024


def resources(daemon: Daemon) -> tuple[int, int, int]:
    """Return resident bytes, descriptors and threads of a daemon (proc(5))."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{daemon.pid}/status").read_text().splitlines())
    descriptors = sum(1 for _ in Path(f"/proc/{daemon.pid}/fd").iterdir())
    return int(status["VmRSS"].split()[0]) * 1024, descriptors, int(status["Threads"])


@pytest.mark.slow
@pytest.mark.covers("D7", "D9", "D10", "P7")
@pytest.mark.parametrize("uid", [SOMEBODY, os.geteuid()], ids=["another-user", "own-user"])
def test_a_thousand_hostile_connections(daemon_factory: DaemonFactory, uid: int) -> None:
    """Among silent, slow, garbage, huge, flooding, greeting, asking and deaf peers a good one is served.

    Each of its lines is acked and each of its questions answered; memory, threads and descriptors stay
    bounded, and afterwards the daemon is as it was.
    """
    daemon = daemon_factory(ingest_mode="0666", query_mode="0666", user_connection_limit=CROWD + 10)
    _, descriptors, _ = resources(daemon)
    with hostile_crowd(daemon, CROWD, uid=uid):
        with (
            IngestPeer(daemon.ingest_socket, PATIENCE_S) as peer,
            QueryPeer(daemon.query_socket, PATIENCE_S) as reader,
        ):
            for number in range(1, 21):
                peer.send_lines(log("good", f"line {number}"))
                peer.until_ack(number)
                kept = reader.ask("logs", execution_id="good", last=1).all("log")
                assert [line["message"] for line in kept] == [f"line {number}"]
        memory, open_now, threads = resources(daemon)
    with QueryPeer(daemon.query_socket, PATIENCE_S) as reader:
        while sum((status := reader.ask("status").one("status"))["connections"].values()) > 1:
            reader.ask("executions", min_seq=2**40, wait_ms=100)  # the daemon waits for us
        lines = reader.ask("tail", after=0, follow=False, execution_id="good").lines
    after = resources(daemon)

    assert [line["event"]["message"] for line in lines] == [f"line {number}" for number in range(1, 21)]
    assert memory < 512 * MIB
    assert open_now < descriptors + 2 * CROWD + 100
    assert threads < 20
    assert after[1] < descriptors + 80  # connections to the database are opened when they are needed
    assert status["state"] == "ok"
    assert [entry for entry in daemon.entries if entry["level"] in ("error", "critical")] == []
