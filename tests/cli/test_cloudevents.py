"""CloudEvents out of the log and into it on the command line; the real SDK reads and writes them."""

import json
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from cli.runner import Cli
from support.daemon import Daemon, DaemonFactory
from support.lines import event, log
from support.programs import events
from support.searching import tell

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
FOREIGN: dict[str, Any] = {
    "specversion": "1.0",
    "id": "A-1",
    "source": "/shop/orders",
    "type": "com.example.order.placed",
    "time": "2026-11-21T10:00:00.5Z",
    "subject": "order 17",
    "datacontenttype": "application/json",
    "executionid": "build-7",
    "traceparent": f"00-{TRACE}-{SPAN}-01",
    "priority": 3,
    "data": {"total": 12.5, "items": ["a"]},
}


def told(flightlog: Cli, *arguments: str) -> list[dict[str, Any]]:
    """Return what the log has as CloudEvents, but for what the daemon says of itself."""
    out = flightlog.ok("tail", "--no-follow", "--after", "0", "-o", "cloudevents", *arguments).out
    found = [json.loads(line) for line in out.splitlines()]
    return [one for one in found if not one["type"].startswith("flightlog.daemon.")]


def imported(flightlog: Cli, file: Path, *values: object) -> dict[str, Any]:
    """Import what a file holds, and return the counts."""
    file.write_text("".join(json.dumps(value) + "\n" for value in values))
    counts: dict[str, Any] = json.loads(flightlog.ok("import", "cloudevents", str(file), "--json").out)
    return counts


@pytest.mark.covers("P9")
def test_events_as_cloudevents(daemon: Daemon, flightlog: Cli) -> None:
    """Each event has id, source, type, subject, time, schema and trace; the SDK reads them all."""
    tell(
        daemon,
        event("execution.started", "e", name="x", time=1_790_000_000_000_000),
        log("e", "hello", trace_id=TRACE, span_id=SPAN),
        event("com.example.mine", part=7),
    )
    started, line, mine = told(flightlog)

    log_id, _, seq = started["id"].partition("/")
    assert seq == "2"
    assert log_id == json.loads(flightlog.ok("status", "--json").out)["log_id"]
    assert (started["type"], started["subject"]) == ("flightlog.execution.started", "e")
    assert started["source"].endswith("/flightlog")
    assert started["time"] == "2026-09-21T14:13:20.000000Z"
    assert started["dataschema"] == "urn:flightlog:event:execution.started:1"
    assert line["traceparent"] == f"00-{TRACE}-{SPAN}-01"
    assert line["data"]["message"] == "hello"
    assert (mine["type"], mine["data"]["part"]) == ("com.example.mine", 7)
    assert "subject" not in mine
    for one in (started, line, mine):
        read = JSONFormat().read(CloudEvent, json.dumps(one))
        assert (read.get_id(), read.get_type(), read.get_data()) == (one["id"], one["type"], one["data"])


@pytest.mark.covers("P9", "D4")
def test_ours_come_back_as_they_were(daemon_factory: DaemonFactory, home: Path) -> None:
    """What one log tells another has as the same events, each once, however often and in whichever form."""
    here, there = daemon_factory(name="a"), daemon_factory(name="b")
    tell(
        here,
        event("execution.started", "e", name="x"),
        log("e", "hello", fields={"n": 1}, id="k-1"),
        event("com.example.mine", part=7),
        event("execution.ended", "e", outcome="succeeded", expect_seq=2),
    )
    mine, other = Cli(here.runtime_dir), Cli(there.runtime_dir)
    file = home / "events.jsonl"
    values = told(mine)

    assert imported(other, file, *values)["events"]["added"] == 4
    assert imported(other, file, values[:2], values[2:])["events"] == {
        "total": 4, "added": 0, "skipped": 4, "failed": 0,
    }  # fmt: skip
    found = [one for one in events(there) if not one["type"].startswith("daemon.")]
    before = [one for one in events(here) if not one["type"].startswith("daemon.")]
    added = ("id", "time", "provenance")
    for now, then in zip(found, before, strict=True):
        assert {name: now[name] for name in now if name not in added} == {
            name: then[name] for name in then if name not in (*added, "expect_seq")
        }
        assert now["provenance"] == "import"
    assert found[1]["id"] == "k-1"
    assert other.ok("list").out.count("succeeded") == 1


@pytest.mark.covers("P9")
def test_foreign_events_keep_their_attributes(daemon: Daemon, flightlog: Cli, home: Path) -> None:
    """A CloudEvent of somebody else is an event of its type, where it belongs, and goes out as it came."""
    binary = {**FOREIGN, "id": "A-2", "data_base64": "AAH/"}
    del binary["data"]
    reserved = {**FOREIGN, "id": "A-3", "type": "execution.ended"}
    made = CloudEvent({"id": "A-4", "source": "/sdk", "type": "com.example.sdk"}, {"made": True})
    sdk = json.loads(JSONFormat().write(made))

    counts = imported(flightlog, home / "foreign.jsonl", FOREIGN, binary, reserved, sdk)

    assert counts["events"]["added"] == 4
    found = [one for one in events(daemon) if not one["type"].startswith("daemon.")]
    assert [one["type"] for one in found] == [
        "com.example.order.placed",
        "com.example.order.placed",
        "cloudevents.execution.ended",
        "com.example.sdk",
    ]
    first = found[0]
    assert (first["execution_id"], first["trace_id"], first["span_id"]) == ("build-7", TRACE, SPAN)
    assert first["time"] == 1_795_255_200_500_000
    assert told(flightlog) == [FOREIGN, binary, reserved, sdk]


@pytest.mark.covers("P9", "D5")
def test_what_is_no_cloudevent_is_named(flightlog: Cli, home: Path) -> None:
    """Lines that are none are named with their number, the rest goes on, and the exit code is 2."""
    file = home / "mixed.jsonl"
    bad = [
        "{",
        "7",
        '{"specversion":"0.3","id":"1","source":"s","type":"t"}',
        '{"specversion":"1.0","id":""}',
    ]
    file.write_text("\n".join([json.dumps(FOREIGN), *bad, ""]))

    done = flightlog("import", "cloudevents", str(file), "--json")

    assert done.code == 2
    assert json.loads(done.out)["events"] == {"total": 5, "added": 1, "skipped": 0, "failed": 4}
    assert [f"{file}:{number}:" in done.err for number in range(1, 6)] == [False, True, True, True, True]
    again = flightlog("import", "cloudevents", "-", "--dry-run", stdin=file.read_bytes())
    assert again.out == "1 events would be sent; 4 failed\n"
    assert "cloudevents" in flightlog.ok("import", "--list").out
