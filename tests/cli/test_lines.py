"""What people see of logs and events, on terminals of three widths and through a pipe: golden files."""

import json

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.golden import check_golden
from support.lines import event, log
from support.peers import IngestPeer

T = 1_794_990_400_000_000  # 2026-11-18T08:26:40Z
DAY_US = 86_400_000_000
LONG = "01a1fec726267c6c9f90ea98f3736fc6"
STACK = (
    'Traceback (most recent call last):\n  File "run.py", line 9, in <module>\n    int("x")\nValueError: x'
)


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with all that is hard to show."""
    error = {"type": "ValueError", "message": "x", "stack": STACK}
    long = (
        "reading the customers table, which lies in another region and has grown by a third since last time"
    )
    lines = [
        event("execution.started", LONG, time=T, name="nightly", args=["make", "-j 4"]),
        log(LONG, "one", time=T, level="DEBUG", source="app"),
        event("task.started", LONG, time=T, task_id="extract", name="extract"),
        log(
            LONG,
            long,
            time=T + 1,
            task_id="extract",
            source="indexer.storage",
            fields={"rows": 412, "q": "a b"},
        ),
        log(LONG, "multi\n\tline", time=T + 2, level="WARN", agent_id="bot"),
        log(LONG, "it broke", time=T + 3, level="ERROR", source="app", fields={"exception": error, "n": 1}),
        log(LONG, "\x1b[31mred\x1b[0m \x1b]0;title\x07 \u202edesrever \u061c", time=T + 4, source="x" * 30),
        log(LONG, "wide 你好 e\u0301 🎉", time=T - DAY_US, level="fatal", fields={"long": "w" * 90}),
        log("b", "of another", time=T + DAY_US, level="trace", task_id="t"),
        event(
            "task.ended", LONG, time=T + 5, task_id="extract", outcome="failed", duration_us=4200, error=error
        ),
        event("deploy.done", "b", time=T + 6, host="a1", note="two\nlines"),
        event("execution.ended", LONG, time=T + 7, outcome="failed", reason="it broke"),
    ]
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(*lines)
    return shared


CASES = {
    "logs": ("logs", LONG),
    "logs of a task": ("logs", "--task", "extract"),
    "logs reverse": ("logs", LONG, "-r", "-n", "2"),
    "logs follow": ("logs", LONG, "-f", "--agent", "bot"),
    "logs level and up": ("logs", LONG, "--level", "ERROR+"),
    "logs after": ("logs", LONG, "--after", "9"),
    "logs greps": ("logs", LONG, "-g", "e", "-g", "o", "--exclude", "^one$", "--exclude", "reading"),
    "logs times": ("logs", LONG, "-S", "2026-11-18T08:26:40.000002Z", "-U", "2026-11-18T08:26:40.000004Z"),
    "logs source": ("logs", LONG, "--source", "app"),
    "logs in colour": ("logs", LONG, "--level", "WARN+", "--color", "always"),
    "tail": ("tail", "--no-follow", "--after", "1"),
    "tail of one": ("tail", "--no-follow", "--after", "1", "--execution", LONG),
    "tail cat": ("tail", "--no-follow", "--after", "1", "-o", "cat"),
    "tail reverse": ("tail", "-r", "-n", "2"),
    "tail until": ("tail", "--after", "1", "-U", "2026-01-01T00:00:00Z"),
    "tail level": ("tail", "--no-follow", "--after", "1", "--level", "DEBUG,WARN+", "--exclude", "b(roke)"),
    "tail narrowed": ("tail", "--no-follow", "--after", "1", "--type", "log,task.", "--task", "extract"),
    "tail agent": ("tail", "--no-follow", "--after", "1", "--agent", "bot", "-g", "multi"),
    "tail in colour": ("tail", "--no-follow", "--after", "1", "--level", "WARN+", "--color", "always"),
    "tail since": ("tail", "--no-follow", "-S", "1h", "-n", "2"),
    "tail source": ("tail", "--no-follow", "--after", "1", "--source", "app", "-n", "1"),
}


@pytest.mark.covers("S1.8", "S1.9")
def test_lines_through_a_pipe(told: Daemon, update_golden: bool) -> None:
    """Every flag, as programs read it: whole times and ids, text as it is, continuation lines indented."""
    flightlog = Cli(told.runtime_dir)
    actual = {name: flightlog.ok(*arguments).lines for name, arguments in CASES.items()}

    check_golden("lines_piped", actual, update=update_golden)


@pytest.mark.covers("S1.9")
@pytest.mark.parametrize("columns", [80, 120, 200])
def test_lines_on_a_terminal(told: Daemon, update_golden: bool, columns: int) -> None:
    """As people see it: aligned, folded, coloured, days apart, nothing that moves the cursor."""
    flightlog = Cli(told.runtime_dir)
    names = list(CASES) if columns == 120 else ["logs", "tail"]
    actual = {
        name: flightlog.on_terminal(*CASES[name], columns=columns).replace("\x1b", "␛").split("\n")
        for name in names
    }

    check_golden(f"lines_{columns}", actual, update=update_golden)


@pytest.mark.covers("S1.9")
def test_lines_as_json(told: Daemon, update_golden: bool) -> None:
    """As programs read JSON: one object on each line; what the daemon adds differs from run to run."""
    flightlog = Cli(told.runtime_dir)
    actual = {}
    for name, arguments in CASES.items():
        if "-o" not in arguments:
            found = [json.loads(line) for line in flightlog.ok(*arguments, "--json").lines]
            actual[name] = [
                {
                    key: value
                    for key, value in line.items()
                    if key not in ("received", "pid", "uid", "producer")
                }
                for line in found
            ]

    check_golden("lines_json", actual, update=update_golden)


def test_usage_errors_say_what_does_not_go_together(told: Daemon) -> None:
    """What is there backwards, or up to a time, cannot be followed: exit code 3."""
    flightlog = Cli(told.runtime_dir)
    for arguments in (("tail", "-f", "-r"), ("tail", "-f", "-U", "1h"), ("logs", LONG, "-f", "-r")):
        done = flightlog(*arguments)
        assert (done.code, done.out) == (3, ""), arguments
    assert flightlog("logs").code == 3
