"""All that a daemon does, over a disk that fails: a scenario, and what has to be true after it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from flightlogd.governance.verify import verify_log
from flightlogd.store.database import open_reader
from support.daemon import Daemon, StartFailedError
from support.faultvfs import CRASHED, Control
from support.lines import event, log
from support.peers import IngestPeer, Json, QueryPeer

EXIT_STORAGE_UNKNOWN: Final = 74
EXIT_REFUSED: Final = 2
ATTEMPTS: Final = 400
SECRET: Final = "hunter2-hunter2"

_PAUSE_S: Final = 0.02
_WELL_LIMIT_S: Final = 30.0


class GoneError(Exception):
    """The daemon ended, or said that it cannot now."""


class Faulted:
    """A daemon under faults, a supervisor that starts it again, and a producer that comes back.

    Args:
        daemon: Not started.
        control: What fails.

    Attributes:
        sent: The producer's lines; all of them are acked once a step is done.
        exits: How often the daemon ended by which exit code.
        faults: Steps in which something failed.
        states: What `status` said while writing failed.
    """

    def __init__(self, daemon: Daemon, control: Path) -> None:
        self.daemon = daemon
        self.control = Control(control)
        self.control.disarm()
        daemon.variant = ("support.faultvfs", str(control))
        self.sent: list[bytes] = []
        self.acked = 0
        self.exits: dict[int, int] = {}
        self.faults = 0
        self.states: set[str] = set()

    def run(
        self, kind: str, nth: Callable[[str], int | None], *, lasting: bool = False, mark: str = ""
    ) -> set[str]:
        """Do all of it; in each step one operation fails, or all do from there until somebody mends it.

        Args:
            kind: How.
            nth: Takes the name of a step, and returns which operation of it; None lets none fail.
            lasting: Whether all fail that come after it.
            mark: What names begin with, to tell several runs of one daemon apart.

        Returns:
            In which steps something failed: the others have fewer operations.
        """
        fired = set()
        steps: dict[str, Callable[[], object]] = {
            "start": self.revive,
            "bulk": partial(self.emit, bulk(f"{mark}a", 300)),
            "alone": partial(self.emit_alone, f"{mark}k"),
            "cursor": self.move_cursor,
            "more": partial(self.emit, bulk(f"{mark}b", 700)),
            "retention": partial(self.govern, "retention", older_than_us=0, level=["DEBUG"]),
            "search": self.look_up,
            "scrub": partial(self.govern, "scrub", value=SECRET),
            "rebuild": partial(self.govern, "rebuild"),
            "restart": self.restart,
            "bulk again": partial(self.emit, bulk(f"{mark}c", 300)),
            "alone again": partial(self.emit_alone, f"{mark}k"),
        }
        for name, step in steps.items():
            if lasting and name == "search":
                continue
            which = nth(name)
            if which is None:
                if name != "restart":
                    self.until_done(step)
                continue
            self.control.arm(kind, which, lasting=lasting)
            with self._mended():
                self.until_done(step)
            if self.control.fired:
                fired.add(name)
            self.control.disarm()
        self.faults += len(fired)
        return fired

    def until_done(self, step: Callable[[], object]) -> None:
        """Carry a step out as often as it takes."""
        for _ in range(ATTEMPTS):
            try:
                step()
            except (GoneError, OSError):
                threading.Event().wait(_PAUSE_S)
                self.revive()
            else:
                return
        raise AssertionError(f"never done; the daemon wrote:\n{self.daemon.stderr}")

    def revive(self) -> None:
        """Start the daemon where it does not run; it may only have ended in a way that asks for that."""
        for _ in range(ATTEMPTS):
            if self.daemon.running:
                return
            if self.daemon.started:
                self._ended(self.daemon.wait())
            try:
                self.daemon.start()
            except StartFailedError:
                continue
        raise AssertionError(f"it never starts: {self.daemon.stderr}")

    def _ended(self, code: int) -> None:
        assert code in (0, EXIT_REFUSED, EXIT_STORAGE_UNKNOWN, CRASHED), self.daemon.stderr
        self.exits[code] = self.exits.get(code, 0) + 1

    def emit(self, lines: list[bytes]) -> None:
        """Send lines as the named producer, from where the daemon says; all are acked when this returns."""
        if self.sent[-len(lines) :] != lines:
            self.sent += lines
        with IngestPeer(self.daemon.ingest_socket) as peer:
            acked = _hello(peer, self.acked + 1)
            assert self.acked <= acked <= len(self.sent), "what was acked is gone"
        self.acked = acked
        with IngestPeer(self.daemon.ingest_socket) as peer:
            first = max(1, acked - 20)  # some come again
            _hello(peer, first)
            for start in range(first - 1, len(self.sent), 100):
                peer.send_lines(*self.sent[start : start + 100])
            while self.acked < len(self.sent):
                reply = _next(peer)
                assert "refused" not in reply, reply
                if "ack" in reply:
                    self.acked = max(self.acked, reply["ack"]["lines"])

    def emit_alone(self, prefix: str) -> None:
        """Send keyed events one by one, each from a peer without a name that does not know what was acked."""
        for number in range(8):
            line = log("keyed", f"{prefix} {number}", id=f"{prefix}-{number}")
            with IngestPeer(self.daemon.ingest_socket) as peer:
                peer.send_lines(line, line)
                while _next(peer).get("ack", {"lines": 0})["lines"] < 2:
                    pass

    def move_cursor(self) -> None:
        """Move a named cursor to the head."""
        self.query("cursor", name="c", seq=self.query("status")[0]["status"]["head_seq"])

    def look_up(self) -> None:
        """Find something in the index of words."""
        if not self.query("search", text="line"):
            raise GoneError

    def govern(self, verb: str, **arguments: object) -> None:
        """Have an operator's verb carried out."""
        self._ask(self.daemon.control_socket, verb, arguments)

    def query(self, verb: str, **arguments: object) -> list[Json]:
        """Ask a question; return its answer lines."""
        return self._ask(self.daemon.query_socket, verb, arguments)

    def _ask(self, path: Path, verb: str, arguments: dict[str, Any]) -> list[Json]:
        with QueryPeer(path) as peer:
            peer.start(verb, **arguments)
            lines = []
            while "end" not in (answer := _next(peer)):
                if "error" in answer:
                    raise GoneError(answer["error"])
                lines.append(answer)
            return lines

    def restart(self) -> None:
        """Stop it in good order, and start it again."""
        if self.daemon.running:
            self.daemon.process.terminate()
            self._ended(self.daemon.wait(60))
        self.revive()

    @contextmanager
    def _mended(self) -> Iterator[None]:
        """While this lasts, what fails for good is looked at by a reader and then mended."""
        over = threading.Event()

        def mend() -> None:
            while not over.wait(_PAUSE_S):
                if self.control.active:
                    self._look()
                    self.control.active = 0

        mending = threading.Thread(target=mend)
        mending.start()
        try:
            yield
        finally:
            over.set()
            mending.join()

    def _look(self) -> None:
        """Read while writing fails: questions are answered, and `status` says what is wrong."""
        for _ in range(10):
            try:
                state = self.query("status")[0]["status"]["state"]
                self.query("tail", after=0, follow=False, limit=5)
            except (GoneError, OSError, AssertionError):
                return  # it starts or stops at this moment
            self.states.add(state)
            if state != "ok":
                return
            threading.Event().wait(_PAUSE_S)

    def _wait_until_well(self) -> None:
        """Wait until `status` says so: what failed behind the acks is tried again after a pause."""
        deadline = time.monotonic() + _WELL_LIMIT_S
        while (status := self.query("status")[0]["status"])["state"] != "ok":
            assert time.monotonic() < deadline, status
            threading.Event().wait(_PAUSE_S)

    def check(self) -> None:
        """Assert that nothing that was acked is lost or doubled, and that all that is kept agrees."""
        self.control.disarm()
        self.revive()
        rows = [row for row in self.query("tail", after=0, follow=False) if "seq" in row]
        seqs = [row["seq"] for row in rows]
        assert seqs == sorted(set(seqs))
        own = {row["line"]: row["event"] for row in rows if row["producer"] == "p"}
        assert len(own) == sum(row["producer"] == "p" for row in rows), "a line is there twice"
        assert self.acked == len(self.sent)
        for number, line in enumerate(self.sent, 1):
            expected = json.loads(line.replace(SECRET.encode(), b"********"))
            found = own.get(number)
            if found is None:
                assert expected.get("level") == "DEBUG", f"line {number} was acked and is gone"
            elif SECRET not in json.dumps(found):
                assert found == expected
            else:
                assert found == json.loads(line)
        keys = [row["event"]["id"] for row in rows if row["event"].get("execution_id") == "keyed"]
        assert len(keys) == len(set(keys))
        self._wait_until_well()
        differences = self._ask(self.daemon.control_socket, "rebuild", {"check": True})
        assert differences == []
        with closing(open_reader(self.daemon.database)) as db:
            db.execute("begin")
            assert verify_log(db).damage == []
            assert db.pragma("integrity_check") == "ok"


def bulk(name: str, count: int) -> list[bytes]:
    """Return the lines of an execution that ends: a task, log lines of two levels, some with a secret."""
    lines = [event("execution.started", name, name="n"), event("task.started", name, task_id="t")]
    for number in range(count):
        level = "DEBUG" if number % 3 == 0 else "INFO"
        lines.append(log(name, f"line {number} {SECRET if number % 50 == 1 else ''}", level=level))
    lines.append(event("artifact.added", name, path="/x"))
    return [*lines, event("execution.ended", name, outcome="succeeded")]


def _hello(peer: IngestPeer, line: int) -> int:
    peer.send(json.dumps({"hello": {"protocol": 1, "producer": "p", "line": line}}).encode() + b"\n")
    while "busy" in (reply := _next(peer)):
        pass
    acked: int = reply["ready"]["acked"]
    return acked


def _next(peer: IngestPeer | QueryPeer) -> Json:
    reply = peer.next()
    if reply is None or ("error" in reply and isinstance(peer, IngestPeer)):
        raise GoneError(reply)
    return reply
