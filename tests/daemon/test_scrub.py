"""A secret that was found late: nowhere in what the daemon keeps, on disk, while it runs and after."""

import base64
import gzip
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest

from support.daemon import Daemon, DaemonFactory, run_flightlogd
from support.govern import ask, govern, is_whole, messages, record
from support.lines import event, log, logs
from support.peers import IngestPeer

SECRET = 'corr"ct horse/battery staple 47'
"""What no pattern knows for a secret."""


def spellings() -> Iterator[bytes]:
    """Yield what must not be found."""
    for text in (SECRET, quote(SECRET), quote(SECRET, safe=""), json.dumps(SECRET)[1:-1]):
        yield text.encode()
    yield base64.b64encode(SECRET.encode())
    for before in ("a", "ab", "abc"):
        yield base64.b64encode(f"{before}{SECRET}".encode())[4:-4]


def found_in(state_dir: Path) -> list[tuple[str, bytes]]:
    """Return (file, spelling) of all that is found in any byte of a directory."""
    found = []
    for path in state_dir.iterdir():
        with suppress(FileNotFoundError):  # a journal of the index that is being made anew
            content = path.read_bytes()
            found += [(path.name, text) for text in spellings() if text in content]
    return found


def leak(daemon: Daemon, execution_id: str) -> None:
    """Have the secret recorded in every place and in every spelling."""
    encoded = base64.b64encode(f"user:{SECRET}".encode()).decode()
    record(
        daemon,
        execution_id,
        *logs(execution_id, 200),
        log(execution_id, f"connecting with {SECRET}"),
        log(execution_id, f"GET /?q={quote(SECRET)}&r={quote(SECRET, safe='')}"),
        log(execution_id, "header", fields={"basic": encoded, SECRET: [SECRET, {"deep": SECRET}]}),
        log(execution_id, json.dumps({"nested": SECRET})),
        event("task.started", execution_id, task_id="t", attempt=1, inputs={"word": SECRET}),
        event(
            "task.ended",
            execution_id,
            task_id="t",
            attempt=1,
            outcome="failed",
            error={"message": f"no {SECRET}"},
        ),
        event("my.own", execution_id, note=SECRET),
        event("artifact.added", execution_id, path=f"/srv/{SECRET}.txt"),
        args=["login", SECRET],
        goal=f"use {SECRET}",
        name="leaky",
    )
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.settle(
            b'{"type":"execution.nonsense","note":"' + json.dumps(SECRET)[1:-1].encode() + b'"}',
            b"?" + SECRET.encode(),
        )


@pytest.mark.covers("S1.12", "D6", "D8")
@pytest.mark.parametrize("running", [True, False], ids=["beside the daemon", "without one"])
def test_a_scrubbed_value_is_nowhere(daemon: Daemon, *, running: bool) -> None:
    """After a scrub no byte of the state directory holds the value; all else is as it was, and told of."""
    leak(daemon, "a")
    record(daemon, "other", *logs("other", 3000))
    leak(daemon, "b")
    # Retention before it must not have left the value in a free page either.
    govern(daemon, "retention", "--older-than", "0s", "--level", "INFO", "--status", "cancelled")
    ask(daemon, "search", text="connecting", min_seq=1)
    assert found_in(daemon.state_dir)
    if not running:
        daemon.terminate()
    counted = govern(daemon, "scrub", "--value-from", "-", "--dry-run", stdin=SECRET.encode() + b"\n")

    done = govern(daemon, "scrub", "--value-from", "-", stdin=SECRET.encode() + b"\n")

    assert (counted["lines"], counted["refused"]) == (done["lines"], done["refused"]) == (18, 4)
    assert done["wal_cut"]
    assert found_in(daemon.state_dir) == []
    if not running:
        daemon.start()
    assert [line for line in messages(daemon, "a") if line.startswith("conn")] == ["connecting with ********"]
    assert len(messages(daemon, "other")) == 3000
    told = ask(daemon, "inspect", execution_id="a").one("execution")
    assert (told["args"], told["goal"], told["log_count"]) == (["login", "********"], "use ********", 204)
    acts = [entry["detail"] for entry in ask(daemon, "audit").all("audit") if entry["reason"] == "scrub"]
    assert [act["lines"] for act in acts] == [18]
    assert is_whole(daemon)
    assert govern(daemon, "scrub", "--value-from", "-", stdin=SECRET.encode())["lines"] == 0
    daemon.terminate()
    assert found_in(daemon.state_dir) == []


@pytest.mark.covers("S1.12")
def test_ids_and_backups(daemon_factory: DaemonFactory) -> None:
    """A backup that an upgrade left goes if it holds the value; an id keeps it, and that is said."""
    daemon = daemon_factory(start=False)
    daemon.state_dir.mkdir()
    old = Path(__file__).parents[1] / "data" / "schema-1.db.gz"
    daemon.database.write_bytes(gzip.decompress(old.read_bytes()))
    daemon.start()

    done = govern(daemon, "scrub", "--value-from", "-", stdin=b"line 2987")
    assert (done["backups"], done["lines"]) == (["flightlog.db.v1.bak"], 1)
    assert not list(daemon.state_dir.glob("*.bak"))
    kept = govern(daemon, "scrub", "--value-from", "-", stdin=b"build-1", code=1)
    assert kept["ids"] > 0
    assert kept["id_executions"] == ["build-1"]
    assert ask(daemon, "inspect", execution_id="build-1").one("execution")["status"] == "succeeded"
    assert is_whole(daemon)


@pytest.mark.covers("S1.12")
def test_spools_are_named(daemon_factory: DaemonFactory, home: Path) -> None:
    """Where clients still keep something out of the daemon's reach is named, in text and in JSON."""
    daemon = daemon_factory(start=False)
    daemon.variant = ("support.housed", str(home))
    daemon.start()
    leak(daemon, "a")
    place = home / ".local" / "state" / "flightlog-spool"
    named = []
    for _ in range(2):
        named.append(govern(daemon, "scrub", "--value-from", "-", "--dry-run", stdin=SECRET.encode()))
        place.mkdir(parents=True, exist_ok=True)
        (place / "1.spool").touch()
    where = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    text = run_flightlogd("scrub", "--value-from", "-", *where, stdin=SECRET.encode()).stdout

    assert [str(place) in done["spools"] for done in named] == [False, True]
    assert f"out of reach here: {place}, where clients keep what they could not deliver\n" in text
