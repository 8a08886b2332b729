"""`flightlog audit`, every flag: golden text and JSON through the real program."""

import json
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.golden import check_golden
from support.lines import event
from support.rebuild import tell

EXECUTION = "golden-audit"
TIME = 1_790_000_000_000_000
SPAN, NEXT = "00f067aa0ba902b7", "00f067aa0ba902b8"

ERROR = {"message": "no\nroute\x1b[2J"}

FLAGS: dict[str, tuple[str, ...]] = {
    "plain": (EXECUTION,),
    "a prefix": (EXECUTION[:-2], "-n", "1"),
    "--task": (EXECUTION, "--task", "load"),
    "--task alone": ("--task", "load"),
    "--type": (EXECUTION, "--type", "failed,TASK_RETRIED"),
    "-n": (EXECUTION, "-n", "2"),
    "--since": (EXECUTION, "--since", "1h", "--type", "STARTED"),
    "--since the future": (EXECUTION, "--since", "2100-01-01T00:00:00Z"),
    "--until": (EXECUTION, "--until", "1h"),
    "--all": ("--all", "--type", "CREATED,my.act"),
    "--color": (EXECUTION, "-n", "1", "--color", "always"),
    "everything": ("--type", "CREATED,CHANGED,PHASE_CHANGE,my.act"),
}


@pytest.fixture
def told(daemon: Daemon) -> Cli:
    """Give the command line of a daemon that was told of one execution."""

    def at(micros: int, kind: str, /, **fields: Any) -> bytes:
        return event(kind, EXECUTION, time=TIME + micros, **fields)

    tell(
        daemon,
        at(0, "execution.created", name="nightly", trigger="schedule"),
        at(1, "execution.started", name="nightly", trigger="schedule"),
        at(2, "task.started", task_id="load", name="load", span_id=SPAN, inputs={"rows": 3}),
        at(1002, "task.ended", task_id="load", span_id=SPAN, outcome="failed", error=ERROR),
        at(1003, "task.started", task_id="load", span_id=NEXT, attempt=2, retry_of=SPAN, reason="once more"),
        at(1004, "task.started", task_id="sum", inputs={"n": 1}),
        at(1005, "execution.changed", labels={"a": "b"}, reason="by hand"),
        at(2000, "task.ended", task_id="load", span_id=NEXT, outcome="succeeded", outputs={"rows": 2}),
        at(3000, "execution.ended", outcome="failed", exit_status=2, error={"message": "exit status 2"}),
        event("audit.recorded", time=TIME, action="my.act", target="door", reason="opened"),
    )
    return Cli(daemon.runtime_dir)


def _row(line: str) -> list[str]:
    """Return the values of a line, with the names of what differs from run to run."""
    values = line.split("\t")
    assert values[6].isdigit(), line
    assert values[7].isdigit(), line
    return [*values[:6], "UID", "PID", *values[8:]]


def _entry(entry: dict[str, Any]) -> dict[str, Any]:
    assert isinstance(entry["uid"], int)
    assert isinstance(entry["pid"], int)
    return entry | {"uid": "UID", "pid": "PID"}


@pytest.mark.covers("S1.3", "S1.6")
def test_every_flag_is_frozen(told: Cli, update_golden: bool) -> None:
    """What `audit` prints with each of its flags, for a program and as JSON."""
    found = {}
    for name, arguments in FLAGS.items():
        text, as_json = told.ok("audit", *arguments), told.ok("audit", "--json", *arguments)
        found[name] = {
            "rows": [_row(line) for line in text.lines],
            "stderr": text.err,
            "json": [_entry(entry) for entry in json.loads(as_json.out)],
        }

    check_golden("audit", found, update=update_golden)


def test_a_person_sees_a_table(told: Cli) -> None:
    """On a terminal there are headings, tasks, causes, and nothing that could move the cursor."""
    seen = told.on_terminal("audit", EXECUTION, "--color", "never", columns=160)

    head, *rows = seen.splitlines()
    assert head.split() == ["SEQ", "TIME", "EVENT", "FROM", "TO", "TASK", "WHO", "REASON"]
    assert "TASK_RETRIED" in seen
    assert "once more" in seen
    assert "\x1b[2J" not in seen
    assert "EXECUTION" in told.on_terminal("audit", "--color", "never", columns=160).splitlines()[0]
    assert len(rows) >= 10


def test_within_an_execution_its_trail_is_meant(told: Cli) -> None:
    """Without EXEC the surrounding execution's trail is shown, and everything with --all."""
    inside = told.ok("audit", FLIGHTLOG_EXECUTION_ID=EXECUTION)
    everything = told.ok("audit", "--all", FLIGHTLOG_EXECUTION_ID=EXECUTION)

    assert {row[10] for row in inside.rows} == {EXECUTION}
    assert {row[10] for row in everything.rows} == {EXECUTION, "-"}
    assert everything.out == told.ok("audit").out


def test_unknown_is_said(told: Cli) -> None:
    """An execution that is not there is exit code 1; a filter that fits nothing says so, exit code 0."""
    assert told("audit", "nobody").code == 1
    assert told.ok("audit", EXECUTION, "--type", "LOST").err == "flightlog audit: no entries match\n"
    assert told("audit", EXECUTION, "--since", "soon").code == 3
