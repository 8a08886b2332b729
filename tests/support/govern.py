"""Operators' verbs against a real daemon, and what is to be seen of them."""

import json
from typing import Any

from support.daemon import Daemon, run_flightlogd
from support.lines import event
from support.peers import Answers, IngestPeer, QueryPeer

DAY_US = 86_400_000_000


def govern(daemon: Daemon, verb: str, *options: str, code: int = 0, stdin: bytes = b"") -> Any:
    """Run an operator's verb on a daemon's directories and return what it printed as JSON.

    `rebuild` prints a line for each difference: these are a list.
    """
    directories = ("--state-dir", str(daemon.state_dir), "--runtime-dir", str(daemon.runtime_dir))
    done = run_flightlogd(verb, *options, "--json", *directories, stdin=stdin)
    assert done.returncode == code, (done.stdout, done.stderr)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    return told if verb == "rebuild" else told[0]


def record(
    daemon: Daemon, execution_id: str, *lines: bytes, end: str | None = "succeeded", **facts: Any
) -> None:
    """Record an execution with some lines; `end` None leaves it running."""
    with IngestPeer(daemon.ingest_socket) as peer:
        said = [event("execution.started", execution_id, **facts), *lines]
        if end:
            said.append(event("execution.ended", execution_id, outcome=end))
        peer.settle(*said)


def ask(daemon: Daemon, verb: str, **arguments: object) -> Answers:
    """Ask one question."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask(verb, **arguments)


def messages(daemon: Daemon, execution_id: str) -> list[str]:
    """Return what an execution's programs logged."""
    lines = ask(daemon, "logs", execution_id=execution_id).all("log")
    return [line["message"] for line in lines if line["source"] != "daemon"]


def is_whole(daemon: Daemon) -> bool:
    """Say whether read models are what the log says, and the log what was stored less what was governed."""
    assert govern(daemon, "rebuild", "--check") == []
    assert govern(daemon, "verify")["damage"] == []
    return True
