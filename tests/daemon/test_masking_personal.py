"""Personal data that peers send, where the operator has it scrubbed: stored, refused, asked for."""

import json
import signal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flightlog_schemas.masking import Scrubber, mask_line, mask_text
from flightlogd.masking import Masker
from schemas.test_masking_personal import ADDRESS, FOUND, pieces
from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.lines import block, event, log
from support.peers import IngestPeer, QueryPeer
from support.programs import events, messages
from support.secrets import leaks

SCRUBBING = Masker(builtin=True, patterns=(), scrub_rules=("all",))


def scrubbing(daemon_factory: DaemonFactory, home: Path, rules: str) -> Daemon:
    """Start a daemon with some rules in force."""
    (home / "flightlog.toml").write_text(f"scrub_rules = {rules}\n")
    return daemon_factory(argv=("--config", str(home / "flightlog.toml")))


def send(daemon: Daemon, *lines: bytes) -> None:
    """Send lines and wait until they are settled."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(block(*lines))
        peer.until_ack(len(lines))


@pytest.mark.covers("S2.5")
@settings(deadline=None)
@given(st.lists(st.tuples(pieces(), pieces()), min_size=1, max_size=4), st.booleans(), st.booleans())
def test_the_gate_lets_nothing_by(texts: list[tuple[str, str]], ascii_only: bool, spell_out: bool) -> None:
    """What a close look at every single line would scrub, the one search over all of them finds."""
    lines = []
    for message, name in texts:
        line = json.dumps(
            {"type": "log", "message": message, "fields": {name: [message]}}, ensure_ascii=ascii_only
        )
        lines.append((line.replace("@", "\\u0040").replace("1", "\\u0031") if spell_out else line).encode())
    scrub = Scrubber(["all"]).scrub

    found, _ = SCRUBBING.masked(lines)

    assert list(found) == [mask_line(line, mask_text, scrub=scrub) for line in lines]


@pytest.mark.covers("S2.5")
def test_nothing_personal_reaches_the_disk(daemon_factory: DaemonFactory, home: Path) -> None:
    """What the rules name is on no disk, whoever sent it, stored or refused; lines and attempts say so."""
    daemon = scrubbing(daemon_factory, home, '["all"]')
    found = [text for texts in FOUND.values() for text in texts]
    ids = {"task_id": "t", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}
    send(
        daemon,
        *(log("e", f"from {text}.", fields={text: [text]}) for text in found),
        log("e", "nothing"),
        event("task.started", "e", **ids, inputs={"to": ADDRESS}),
        event("task.ended", "e", **ids, outcome="succeeded"),
        event("task.started", "e", task_id="clean"),
        event("my.own", text=f"by {ADDRESS}"),
        f'{{"type":"log","execution_id":5,"message":"{ADDRESS}"}}'.encode(),
        f"not JSON {ADDRESS}".encode(),
    )

    with QueryPeer(daemon.query_socket) as reader:
        lines = reader.ask("logs", execution_id="e").all("log")
        attempts = reader.ask("tasks", execution_id="e", oldest_first=True).all("task")
    said = [line["scrubbed"] for line in lines]
    assert said == [True] * len(found) + [False, True, False, False]
    assert [attempt["scrubbed"] for attempt in attempts] == [True, None]
    assert (attempts[0]["trace_id"], attempts[0]["inputs"]) == (ids["trace_id"], {"to": "[scrubbed:email]"})
    assert events(daemon, type=["my.own"]) == [
        {"type": "my.own", "text": "by [scrubbed:email]", "scrubbed": True}
    ]
    wanted = [text.encode() for text in found if text != ids["trace_id"]]
    assert leaks(daemon.state_dir, wanted) == []
    daemon.terminate()
    assert leaks(daemon.state_dir, wanted) == []


@pytest.mark.covers("S2.5", "P14")
def test_rules_are_the_operators(daemon_factory: DaemonFactory, home: Path) -> None:
    """Only the rules that are named scrub, and a reload puts others in force."""
    daemon = scrubbing(daemon_factory, home, '["ipv4"]')
    line = log("e", f"{ADDRESS} at 10.1.2.3")
    send(daemon, line)
    (home / "flightlog.toml").write_text('scrub_rules = ["email"]\n')
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_entry("configuration reloaded", where=lambda entry: entry["changed"] == ["scrub_rules"])
    send(daemon, line)

    assert messages(daemon) == [f"{ADDRESS} at [scrubbed:ipv4]", "[scrubbed:email] at 10.1.2.3"]


@pytest.mark.covers("S2.5", "P14")
def test_a_rule_that_is_none(home: Path) -> None:
    """A name that is no rule's is refused at the start, with those that there are."""
    done = run_flightlogd("check-config", FLIGHTLOG_SCRUB_RULES="ipv4;mail")

    assert done.returncode == 3
    assert "scrub_rules: no rule 'mail' for personal data: there are all, email, ipv4" in done.stderr
