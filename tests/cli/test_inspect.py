"""`flightlog inspect`, every flag: golden text and JSON through the real program, and what it asks for it."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.golden import check_golden
from support.lines import event, log
from support.rebuild import tell

EXECUTION = "golden-inspect"
T = 1_790_000_000_000_000
S = 1_000_000
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ONE, TWO = "00f067aa0ba902b7", "00f067aa0ba902b8"
LONG = "a value of many words " * 12

FLAGS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "--timeline": ("--timeline",),
    "--show-inputs": ("--show-inputs",),
    "--no-truncate": ("--show-inputs", "--no-truncate"),
    "--agents": ("--agents",),
    "--artifacts": ("--artifacts",),
    "--audit": ("--audit",),
    "--as-of a position": ("--as-of", "7", "--timeline"),
    "--as-of a time": ("--as-of", "2100-01-01T00:00:00Z", "--timeline"),
    "all": ("--timeline", "--show-inputs", "--agents", "--artifacts", "--audit"),
    "--color": ("--timeline", "--color", "always"),
}

_UNTOLD = re.compile(r"\b(?:uid|user) \d+|process \d+|(?<=\t)\d+\t\d+(?=\t)|\b\d+:\d+(?=  )")
"""Who wrote it differs from run to run."""


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Cli:
    """Give the command line of a daemon that was told of one execution with some of everything."""

    def at(seconds: float, kind: str, /, **fields: Any) -> bytes:
        return event(kind, EXECUTION, time=T + int(seconds * S), **fields)

    spans = {"task_id": "extract", "trace_id": TRACE}
    error = {"type": "OSError", "message": "disk\nwent away"}
    tell(
        shared,
        at(0, "execution.started", name="nightly", goal=LONG, project="/srv/app", args=["./run", "a b"]),
        at(0, "task.started", **spans, span_id=ONE, inputs={"path": "/x", "n": 1}, task_type="shell"),
        at(0.5, "task.created", task_id="report", name="tell"),
        at(2, "task.ended", **spans, span_id=ONE, outcome="failed", error=error),
        at(1.5, "task.started", **spans, span_id=TWO, attempt=2, retry_of=ONE),
        at(1, "agent.added", agent_id="ada", agent_type="worker", name="Ada \x1b[2J", model="opus"),
        at(4.5, "task.ended", **spans, span_id=TWO, outcome="succeeded", outputs={"note": LONG}),
        at(
            4.6,
            "artifact.added",
            artifact_id="a1",
            path="out/世界.csv",
            artifact_type="table",
            agent_id="ada",
        ),
        at(4.7, "task.started", task_id="clean-世界"),
        log(EXECUTION, "it broke", time=T + 5 * S, level="ERROR"),
        at(8, "task.ended", task_id="clean-世界", outcome="succeeded"),
        at(9, "execution.ended", outcome="failed", exit_status=2, error={"message": "exit status 2"}),
    )
    return Cli(shared.runtime_dir)


@pytest.mark.covers("S1.11")
def test_every_flag_through_a_pipe(told: Cli, update_golden: bool) -> None:
    """What `inspect` prints with each of its flags, for a program and as JSON."""
    found = {}
    for name, arguments in FLAGS.items():
        text = told.ok("inspect", EXECUTION, *arguments)
        as_json = told.ok("inspect", EXECUTION, *arguments, "--json").json
        assert text.err == ""
        found[name] = {
            "text": _UNTOLD.sub("WHO", text.out).replace("\x1b", "␛").split("\n"),
            # Of what all flags have in JSON, it is enough to see it once.
            "json": _without_who(as_json) if name in ("plain", "--as-of a position") else sorted(as_json),
        }

    check_golden("inspect", found, update=update_golden)


@pytest.mark.covers("S1.11")
@pytest.mark.parametrize("columns", [60, 80, 200])
def test_every_flag_on_a_terminal(told: Cli, update_golden: bool, columns: int) -> None:
    """As people see it, whatever room there is: nothing is wider than the terminal or moves its cursor."""
    names = [name for name in FLAGS if name != "--audit"] if columns == 80 else ["all"]
    found = {}
    for name in names:
        # How wide the trail's columns are depends on how many digits a process has: test_audit looks at them.
        flags = [flag for flag in FLAGS[name] if flag != "--audit"]
        seen = told.on_terminal("inspect", EXECUTION, *flags, columns=columns)
        assert "\x1b[2J" not in seen
        found[name] = _UNTOLD.sub("WHO", seen).replace("\x1b", "␛").split("\n")

    check_golden(f"inspect_{columns}", found, update=update_golden)
    assert "CREATED" in told.on_terminal("inspect", EXECUTION, "--audit", columns=columns)


def _without_who(told: dict[str, Any]) -> dict[str, Any]:
    """Return an answer with the names of what differs from run to run."""
    for entry in [told, *told["audit"]]:
        for key in ("uid", "pid"):
            assert isinstance(entry[key], int)
            entry[key] = key.upper()
    return json.loads(json.dumps(told))  # type: ignore[no-any-return]  # what it was


@pytest.mark.covers("S1.11")
def test_the_past_is_drawn_up_to_its_moment(told: Cli) -> None:
    """With --as-of, what ran then has run for as long as it had then."""
    text = told.ok("inspect", EXECUTION, "--as-of", "4", "--timeline").out
    picture = text[text.index("TASK ") :]

    assert re.search(r"extract .* …\s+500ms$", picture, re.MULTILINE), picture


@contextmanager
def counted(socket_path: Path, home: Path) -> Iterator[tuple[Cli, list[bytes]]]:
    """Stand between a command and its daemon, and note each question on its way."""
    questions: list[bytes] = []
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    between = home / "between"
    between.mkdir()
    listener.bind(str(between / "query.sock"))
    listener.listen()

    def carry(source: socket.socket, target: socket.socket, noted: list[bytes] | None) -> None:
        while data := source.recv(65536):
            if noted is not None:
                noted.append(data)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)

    def serve() -> None:
        while True:
            try:
                asker = listener.accept()[0]
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            daemon.connect(str(socket_path))
            with asker, daemon:
                there = threading.Thread(target=carry, args=(asker, daemon, questions))
                there.start()
                carry(daemon, asker, None)
                there.join()

    server = threading.Thread(target=serve)
    server.start()
    try:
        yield Cli(between), questions
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        server.join()


@pytest.mark.covers("S1.11")
def test_a_fixed_number_of_questions(told: Cli, shared: Daemon, home: Path) -> None:
    """Of three tasks and of nine hundred: one question for each kind of thing, not one for each task."""
    many = [
        event(kind, "many", task_id=f"t{n}", time=T, **more)
        for n in range(900)
        for kind, more in (("task.started", {}), ("task.ended", {"outcome": "succeeded"}))
    ]
    tell(shared, event("execution.started", "many", time=T), *many)
    asked = []
    with counted(shared.query_socket, home) as (flightlog, questions):
        for execution in (EXECUTION, "many"):
            questions.clear()
            flightlog.ok("inspect", execution, "--json")
            asked.append([next(iter(json.loads(line))) for line in b"".join(questions).splitlines()])

    # The trail of 900 tasks has 1,802 entries: its second page is the only thing more.
    assert asked == [
        ["inspect", "tasks", "agents", "artifacts", "audit"],
        ["inspect", "tasks", "agents", "artifacts", "audit", "audit"],
    ]
