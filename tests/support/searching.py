"""Asking a daemon's index of words, once it has all that was said."""

from typing import Any

from support.daemon import Daemon
from support.peers import Answers, IngestPeer, QueryPeer


def tell(daemon: Daemon, *lines: bytes) -> int:
    """Send lines, wait until all are acked, and return the position of the last."""
    with IngestPeer(daemon.ingest_socket) as peer:
        ack = peer.settle(*lines)[-1]["ack"]
    assert ack["lines"] == len(lines)
    return int(ack["seq"])


def search(daemon: Daemon, text: str, **request: object) -> Answers:
    """Return the answer to a search in all that is in the log by now."""
    with QueryPeer(daemon.query_socket) as reader:
        head = reader.ask("status").one("status")["head_seq"]
        return reader.ask("search", text=text, **{"min_seq": head, "wait_ms": 30_000} | request)


def messages(daemon: Daemon, text: str, **request: object) -> list[str]:
    """Return the messages of the lines that a search finds."""
    return [line["message"] for line in search(daemon, text, **request).all("log")]


def search_status(daemon: Daemon) -> dict[str, Any]:
    """Return what `status` says of the index."""
    with QueryPeer(daemon.query_socket) as reader:
        found: dict[str, Any] = reader.ask("status").one("status")["search"]
    return found
