"""Processes to own executions, and what the daemon says when they are gone."""

import subprocess
import sys
import textwrap
import time
from typing import Any

import msgspec

from flightlog.process import process_identity
from support.daemon import Daemon, clean_environment
from support.lines import event
from support.peers import IngestPeer, Json, QueryPeer


class Program(subprocess.Popen[str]):
    """A Python program in a process of its own, killed at the end of its block.

    It runs `code`, prints `ready` and waits for the end of its input; it is there once it has printed a line.

    Args:
        code: What it runs first, with `sys` imported.
        arguments: Its `sys.argv[1:]`.
        prefix: A command that starts it, such as `env`.

    Attributes:
        said: The first line that it printed.
    """

    def __init__(self, code: str = "", *arguments: str, prefix: tuple[str, ...] = ()) -> None:
        program = f"import sys\n{textwrap.dedent(code)}\nprint('ready', flush=True)\nsys.stdin.read()\n"
        super().__init__(
            [*prefix, sys.executable, "-P", "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean_environment(),
        )
        assert self.stdout is not None
        self.said = self.stdout.readline().rstrip("\n")

    def go(self, line: str = "go") -> None:
        """Give it a line to read."""
        assert self.stdin is not None
        self.stdin.write(f"{line}\n")
        self.stdin.flush()

    def die(self) -> int:
        """Kill it and wait until it is gone; return the time just before, microseconds since the epoch."""
        moment = time.time_ns() // 1000
        self.kill()
        self.wait()
        return moment

    def __exit__(self, *exc: Any) -> None:
        self.kill()
        super().__exit__(*exc)


def owner_of(pid: int, /, **changes: object) -> Json:
    """Return how a process is named as an owner, with some of it changed."""
    identity = process_identity(pid)
    assert identity is not None
    named: Json = msgspec.to_builtins(identity)
    return {name: value for name, value in (named | changes).items() if value is not None}


def announce(daemon: Daemon, execution_id: str, owner: Json | None, **fields: object) -> None:
    """Announce a running execution from a connection that is closed before this returns."""
    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(event("execution.started", execution_id, owner=owner, **fields))
    assert not any("refused" in reply for reply in replies), replies


def recorded(daemon: Daemon, event_type: str) -> list[Json]:
    """Return all events of a type, with what the daemon adds to each."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("tail", after=0, follow=False, type=[event_type], limit=10_000).lines


def await_events(daemon: Daemon, event_type: str, count: int = 1, **filters: object) -> list[Json]:
    """Return the first events of a type, with what the daemon adds to each, as soon as there are so many."""
    with QueryPeer(daemon.query_socket) as reader:
        reader.start("tail", after=0, type=[event_type], **filters)
        found: list[Json] = []
        while len(found) < count:
            answer = reader.next()
            assert answer is not None, "the tail ended"
            found.append(answer)
    return found


def inspect(daemon: Daemon, execution_id: str) -> dict[str, Any]:
    """Return an execution as the daemon has it."""
    with QueryPeer(daemon.query_socket) as reader:
        found: Json = reader.ask("inspect", execution_id=execution_id).one("execution")
    return found


def status(daemon: Daemon) -> dict[str, Any]:
    """Return how the daemon is."""
    with QueryPeer(daemon.query_socket) as reader:
        return reader.ask("status").one("status")


def await_watched(daemon: Daemon, watched: int, unwatched: int = 0, timeout_s: float = 20.0) -> None:
    """Return once the daemon watches the owners of that many executions."""
    deadline = time.monotonic() + timeout_s
    while (found := status(daemon))["watched"] != watched or found["unwatched"] != unwatched:
        # The daemon reads who owns what behind the commit, and tells nobody when it has.
        assert time.monotonic() < deadline, found


def decided(daemon: Daemon) -> None:
    """Return once the daemon has dealt with every owner that died before this was called.

    One more is born and dies, and is decided on after them.
    """
    with Program() as last:
        announce(daemon, f"last-{last.pid}", owner_of(last.pid))
        last.die()
        await_events(daemon, "execution.lost", execution_id=f"last-{last.pid}")
