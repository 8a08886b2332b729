"""Lines that were recorded on other machines, as a relay or an import tells them."""

import json
from typing import Any

from flightlog_schemas.elsewhere import mark_of
from support.daemon import Daemon
from support.lines import event
from support.peers import IngestPeer, Json

FAR, FARTHER = "0192f0c1a2b37c4d8e5f60718293a4b5", "0192f0c1a2b37c4d8e5f60718293a4b6"
"""Ids of the logs of two machines of the same names."""

LOG_IDS = {"far": FAR, "farther": FARTHER}
AT_US = 1_700_000_000_000_000


def hello(producer: str, line: int, seq: int, host: str = "far", **origin: Any) -> bytes:
    """Say whose lines follow, and where they were; what belongs to them has uid 7 there."""
    place = {
        "log_id": LOG_IDS.get(host, FAR),
        "host": host,
        "seq": seq,
        "received": AT_US,
        "uid": 7,
        "pid": 70,
    }
    greeting = {"protocol": 1, "producer": producer, "line": line, "origin": place | origin}
    return json.dumps({"hello": greeting}, separators=(",", ":")).encode()


def repeat(daemon: Daemon, *lines: bytes) -> list[Json]:
    """Send hellos and lines on a connection of their own, and return the replies but the first, `ready`."""
    with IngestPeer(daemon.ingest_socket) as peer:
        ready, *replies = peer.settle(*lines)
    assert "ready" in ready, ready
    return replies


def ran(host: str, execution_id: str, *lines: bytes, seq: int = 1, outcome: str | None = None) -> list[bytes]:
    """Return what another machine tells of an execution: its beginning, some lines, its end if it has one."""
    told = [event("execution.started", execution_id, name=f"on {host}", project="/p"), *lines]
    if outcome is not None:
        told.append(event("execution.ended", execution_id, outcome=outcome))
    return [hello(f"{host}-{seq}-{execution_id[:64]}", 1, seq, host), *told]


def id_here(host: str, execution_id: str) -> str:
    """Return what an execution of another machine is called where it was told."""
    return execution_id + mark_of(LOG_IDS[host])
