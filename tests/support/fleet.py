"""What machines recorded, and whether another has all of it: each event once, in the order of its log."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from support.daemon import Daemon
from support.peers import IngestPeer, Json, QueryPeer

Key = tuple[str, str, int]


def rows(daemon: Daemon) -> list[Json]:
    """Return all that is recorded, but for what the daemon tells of itself."""
    with QueryPeer(daemon.query_socket) as reader:
        found = reader.ask("tail", after=0, follow=False).lines
    return [row for row in found if "seq" in row and not row["event"]["type"].startswith("daemon.")]


def log_id(daemon: Daemon) -> str:
    """Return the name of a daemon's log."""
    with QueryPeer(daemon.query_socket) as reader:
        return str(reader.ask("status").one("status")["log_id"])


def told(origins: Iterable[Daemon]) -> dict[Key, Any]:
    """Return what the centre has to have: by log, producer and line, all that is known of an event."""
    expected: dict[Key, Any] = {}
    for daemon in origins:
        log = log_id(daemon)
        for row in rows(daemon):
            place = row["uid"], row["pid"], row["seq"], row["received"]
            expected[log, row["producer"], row["line"]] = (row["event"], *place)
    return expected


def collected(centre: Daemon) -> dict[Key, Any]:
    """Return what the centre has of others, likewise; each event must be there once and in order."""
    found: dict[Key, Any] = {}
    last: dict[str, int] = defaultdict(int)
    for row in rows(centre):
        if "origin" not in row:
            continue
        origin = row["origin"]
        assert origin["seq"] > last[origin["log_id"]], f"out of order: {row}"
        last[origin["log_id"]] = origin["seq"]
        producer = row["producer"].removeprefix(f"~{origin['log_id']}/")
        place = row["uid"], row["pid"], origin["seq"], origin["received"]
        found[origin["log_id"], producer, row["line"]] = (row["event"], *place)
    return found


def held(centre: Daemon) -> int:
    """Return how many events of others a centre has."""
    return len(collected(centre))


def say(daemon: Daemon, producer: str, *lines: bytes) -> None:
    """Say lines as a producer that numbers them from 1."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello(producer)
        replies = peer.settle(*lines)
    assert replies[-1]["ack"]["lines"] == len(lines), replies
