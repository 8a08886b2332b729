"""Rates of a user: first by waiting, and what a rule sheds is recorded."""

import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import block, log
from support.peers import IngestPeer, Json, QueryPeer
from support.users import SOMEBODY, effective_user, needs_root, open_to_all


def user_of(daemon: Daemon, uid: int) -> Json:
    """Return what `status` says of a user."""
    with QueryPeer(daemon.query_socket) as reader:
        users = reader.ask("status").one("status")["users"]
    [found] = [user for user in users if user["uid"] == uid]
    assert isinstance(found, dict)
    return found


def reconfigure(daemon: Daemon, text: str) -> None:
    """Have a daemon take over another file."""
    [_, file] = daemon.argv
    Path(file).write_text(text)
    before = sum(entry["event"] == "configuration reloaded" for entry in daemon.entries)
    daemon.signal(signal.SIGHUP)
    seen = iter(range(1, 1_000))
    daemon.wait_for_entry("configuration reloaded", where=lambda _: next(seen) > before)


def configured(factory: DaemonFactory, text: str, **config: object) -> Daemon:
    """Start a daemon with a file that can be changed."""
    daemon = factory(start=False, **config)
    file = daemon.state_dir.parent / "flightlog.toml"
    file.write_text(text)
    daemon.argv = ["--config", str(file)]
    return daemon.start()


@pytest.mark.covers("P7", "D5")
def test_who_is_over_a_rate_waits_and_loses_nothing(daemon_factory: DaemonFactory) -> None:
    """More lines than a rate allows take their time, and all are stored in order, none refused."""
    daemon = daemon_factory(user_lines_per_s=2_000)
    lines = [log("e", f"{number}:" + "x" * 250) for number in range(6_000)]
    began = time.monotonic()
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(*lines)
    took_s = time.monotonic() - began
    with QueryPeer(daemon.query_socket) as reader:
        kept = reader.ask("tail", after=0, follow=False, execution_id="e").lines

    assert [row["line"] for row in kept] == list(range(1, 6_001))
    assert not [reply for reply in replies if "refused" in reply]
    # A second's worth goes at once, and the last read is waited for by nobody.
    assert took_s > 1.0
    assert daemon.wait_for_entry("a user is over a rate")["rate"] == "2000 lines a second"


@pytest.mark.covers("P7", "P14")
@needs_root
def test_a_reload_lifts_a_rate_and_others_never_felt_it(daemon_factory: DaemonFactory) -> None:
    """While one user waits for hours another is acked; a reload lets the first go on, without loss."""
    daemon = configured(daemon_factory, 'user_rules = ["user=0 bytes_per_s=20000"]\n', ingest_mode="0666")
    open_to_all(daemon)
    lines = [log("e", f"{number}:" + "x" * 500) for number in range(4_000)]
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.socket.setblocking(False)
        data, sent = block(*lines), 0
        while user_of(daemon, 0)["limited_since"] is None:
            try:
                sent += peer.socket.send(data[sent:])
            except BlockingIOError:
                continue
        with effective_user(SOMEBODY), IngestPeer(daemon.ingest_socket) as other:
            assert other.settle(log("f", "mine"))[-1]["ack"]["lines"] == 1
        held = user_of(daemon, 0)
        reconfigure(daemon, "user_rules = []\n")
        peer.socket.settimeout(30)
        peer.send(data[sent:])
        replies = peer.until_ack(len(lines))

    assert held["connections"]["ingest"] == 1
    assert user_of(daemon, SOMEBODY)["limited_since"] is None
    assert not [reply for reply in replies if "refused" in reply]


@pytest.mark.covers("P7", "D5", "D3")
def test_what_a_rule_sheds_is_recorded(daemon_factory: DaemonFactory) -> None:
    """Over a rate, lines of a rule's levels are refused as shed; whose and which they were is in the log."""
    daemon = daemon_factory(user_rules="user=* lines_per_s=200 shed=TRACE,DEBUG")
    lines = [log("e", f"{n}", level="WARN" if n % 10 == 0 else "DEBUG") for n in range(1, 1_001)]
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.hello("p")
        replies = peer.settle(*lines)
    shed = [reply["refused"]["line"] for reply in replies if "refused" in reply]
    codes = {reply["refused"]["code"] for reply in replies if "refused" in reply}
    with QueryPeer(daemon.query_socket) as reader:
        kept = reader.ask("tail", after=0, follow=False, execution_id="e").lines
        check = reader.ask("check", execution_id="e").one("check")
    suppressed = user_of(daemon, 0)["suppressed"]
    with IngestPeer(daemon.ingest_socket) as peer:
        assert peer.hello("p", line=1)["ready"]["acked"] == 1_000
    daemon.terminate()
    daemon.start()
    with QueryPeer(daemon.query_socket) as reader:
        rows = reader.ask("tail", after=0, follow=False, type=["daemon.suppressed"]).lines
        audit = reader.ask("audit", type=["SUPPRESSED"]).all("audit")

    assert codes == {"shed"}
    assert sorted([row["line"] for row in kept] + shed) == list(range(1, 1_001))
    assert [row["seq"] for row in kept] == list(range(kept[0]["seq"], kept[0]["seq"] + len(kept)))
    assert Counter(row["event"]["level"] for row in kept)["WARN"] == 100
    assert 500 < len(shed) <= 900 - 100
    [finding] = [found for found in check["findings"] if found["kind"] == "refused"]
    assert (finding["count"], finding["loss"]) == (len(shed), True)
    assert suppressed == len(shed)
    told = [row["event"] for row in rows]
    assert sum(event["lines"] for event in told) == len(shed)
    assert {event["peer_uid"] for event in told} == {0}
    assert sum(event["by_level"]["DEBUG"] for event in told) == len(shed)
    spans = [span for event in told for span in event["producers"]]
    assert {span["producer"] for span in spans} == {"p"}
    assert (min(span["first_line"] for span in spans), max(span["last_line"] for span in spans)) == (
        min(shed),
        max(shed),
    )
    assert sum(entry["detail"]["lines"] for entry in audit) == len(shed)
    assert (
        run_flightlogd(
            "rebuild",
            "--check",
            "--state-dir",
            str(daemon.state_dir),
            "--runtime-dir",
            str(daemon.runtime_dir),
        ).returncode
        == 0
    )


@pytest.mark.covers("P7")
def test_what_is_no_log_line_is_never_shed(daemon_factory: DaemonFactory) -> None:
    """Life cycle facts and levels that no rule names are stored however far over the rate a user is."""
    daemon = daemon_factory(user_rules="user=* lines_per_s=20 shed=TRACE,DEBUG,INFO,WARN")
    facts = [b'{"type":"execution.started","execution_id":"e%d"}' % number for number in range(40)]
    errors = [log("e1", "m", level="ERROR") for _ in range(20)]
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(*facts, *errors, *(log("e1", "m") for _ in range(200)))
    with QueryPeer(daemon.query_socket) as reader:
        assert len(reader.ask("executions").lines) == 40

    refused = [reply["refused"]["line"] for reply in replies if "refused" in reply]
    assert refused
    assert min(refused) > 60


@pytest.mark.covers("D9")
def test_half_a_line_is_not_blamed_for_the_wait(daemon_factory: DaemonFactory) -> None:
    """A peer that is held back within a line is not dismissed for what it had sent in time."""
    daemon = daemon_factory(user_bytes_per_s=200_000, line_timeout_ms=300)
    long = log("e", "x" * 700_000)
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(long)

    assert replies[-1]["ack"]["lines"] == 1
