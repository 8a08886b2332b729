"""Tampering with read models, and `flightlogd rebuild`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from support.daemon import Daemon, run_flightlogd
from support.peers import IngestPeer


def tell(daemon: Daemon, *lines: bytes) -> None:
    """Send lines and wait until all are acked."""
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.settle(*lines)[-1]["ack"]["lines"] == len(lines)


@contextmanager
def stopped(daemon: Daemon) -> Iterator[apsw.Connection]:
    """Stop a daemon, give a connection to its database, and start it again."""
    daemon.terminate()
    db = apsw.Connection(str(daemon.database))
    try:
        yield db
    finally:
        db.close()
        daemon.start()


def rebuild(daemon: Daemon, *arguments: str) -> tuple[int, dict[str, tuple[int, int, int]]]:
    """Run `flightlogd rebuild` and return its exit code and what differed, by table."""
    where = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    done = run_flightlogd("rebuild", "--json", *arguments, *where)
    assert "Traceback" not in done.stderr, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {row["table"]: (row["missing"], row["extra"], row["changed"]) for row in found}
