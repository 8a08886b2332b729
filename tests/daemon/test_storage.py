"""A full disk is a state that clears: writers are told, reads go on, and everything is stored once."""

import signal
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.lines import log
from support.peers import IngestPeer, Json, QueryPeer

pytestmark = pytest.mark.from_nothing

MIB = 1024 * 1024


@pytest.mark.covers("D1", "P15")
def test_full_and_free_again(daemon_factory: DaemonFactory) -> None:
    """When storage is full nothing is acked that is not kept, `status` says so, and it resumes by itself."""
    daemon = daemon_factory(start=False, retry_ms=20)
    file = daemon.state_dir.parent / "flightlog.toml"
    file.write_text(f"database_limit_bytes = {2 * MIB}\n")
    daemon.argv = ["--config", str(file)]
    daemon.start()
    lines = [log("e", f"{number}:" + "x" * 500) for number in range(10_000)]
    replies: list[Json] = []
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        peer.hello("p")
        sent = 0
        while not any("busy" in reply for reply in replies):
            peer.send_lines(*lines[sent : sent + 100])
            sent += 100
            reply = peer.next()
            assert reply is not None
            replies.append(reply)
        acked = max(reply["ack"]["lines"] for reply in replies if "ack" in reply)
        status = reader.ask("status").one("status")
        kept = reader.ask("logs", execution_id="e").all("log")
        assert (status["state"], len(kept)) == ("storage_full", acked)
        assert acked < sent
        assert [reply["busy"]["code"] for reply in replies if "busy" in reply] == ["storage_full"]

        file.write_text("")
        daemon.signal(signal.SIGHUP)
        peer.send_lines(*lines[sent:])
        replies += peer.until_ack(len(lines))
        status = reader.ask("status").one("status")
        rows = reader.ask("tail", after=0, follow=False, execution_id="e").lines

    assert status["state"] == "ok"
    assert [row["line"] for row in rows] == list(range(1, len(lines) + 1))
    assert not [reply for reply in replies if "refused" in reply or "error" in reply]


def test_a_stop_while_full(daemon_factory: DaemonFactory) -> None:
    """A daemon that waits for room still stops within its deadline, and acked nothing that it lost."""
    daemon = daemon_factory(database_limit_bytes=MIB, retry_ms=20, drain_timeout_ms=500)
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        replies: list[Json] = []
        number = 0
        while not any("busy" in reply for reply in replies):
            peer.send_lines(*(log("e", "x" * 500) for _ in range(100)))
            number += 100
            reply = peer.next()
            assert reply is not None
            replies.append(reply)
        daemon.signal(signal.SIGTERM)
        daemon.wait(15)
    acked = max(reply["ack"]["lines"] for reply in replies if "ack" in reply)
    daemon.config = {}
    daemon.start()
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p")["ready"]["acked"] == acked < number


def peak_memory(daemon: Daemon) -> int:
    """Return the most memory in bytes that a daemon held since this was asked last (proc(5))."""
    status = Path(f"/proc/{daemon.pid}/status").read_text()
    Path(f"/proc/{daemon.pid}/clear_refs").write_text("5")
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak) * 1024


READS: list[tuple[str, Json, int]] = [
    ("tail", {"after": 0, "follow": False, "execution_id": "e"}, 200),
    ("tail", {"after": 0, "follow": False, "grep": "nowhere"}, 0),
    ("logs", {"execution_id": "e"}, 200),
    ("logs", {"execution_id": "e", "last": 150}, 150),
    ("logs", {"execution_id": "e", "grep": "nowhere"}, 0),
]


@pytest.mark.slow
def test_lines_as_long_as_allowed_fit_the_memory(daemon: Daemon) -> None:
    """Hundreds of lines of 1 MiB can be written, followed and logged without holding them all."""
    with IngestPeer(daemon.ingest_socket) as peer, QueryPeer(daemon.query_socket) as reader:
        for number in range(200):
            peer.send_lines(log("e", f"{number}:" + "x" * (MIB - 200)))
            peer.until_ack(number + 1)
        peaks = {"ingest": peak_memory(daemon)}
        for verb, request, expected in READS:
            reader.start(verb, **request)
            count = 0
            while (line := reader.next_line()) is not None and not line.startswith(b'{"end"'):
                assert not line.startswith(b'{"error"'), line
                count += 1
            assert count == expected
            peaks[f"{verb} {request}"] = peak_memory(daemon)

    assert {name: peak // MIB for name, peak in peaks.items() if peak > 200 * MIB} == {}
