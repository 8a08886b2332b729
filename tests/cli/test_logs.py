"""`flightlog logs`: one execution's log, filtered, followed to its end."""

import json
import re

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import block, event, log
from support.peers import IngestPeer

START_US = 1_794_990_400_000_000  # 2026-11-18T08:26:40Z
SECOND_US = 1_000_000


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with one execution of six lines, a second apart."""
    lines = [
        event("execution.started", "run", time=START_US, name="the run"),
        log("run", "one", time=START_US + 1 * SECOND_US, level="DEBUG", source="app"),
        log("run", "two", time=START_US + 2 * SECOND_US, task_id="t1", source="app"),
        log("run", "a (b) c", time=START_US + 3 * SECOND_US, level=14, task_id="t1"),
        log("run", "multi\nline", time=START_US + 4 * SECOND_US, level="ERROR", source="db", fields={"n": 1}),
        log("run", "um 100% \x1b[31mrot", time=START_US + 5 * SECOND_US, level="fatal"),
        log("other", "not of this run"),
    ]
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(*lines)
    return shared


@pytest.fixture
def flightlog(told: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(told.runtime_dir)


@pytest.mark.covers("S1.9")
def test_lines_are_text(flightlog: Cli) -> None:
    """TIME LEVEL [source] [task] message, oldest first, continuation lines indented; piped as they are."""
    assert flightlog.ok("logs", "run").out == (
        "2026-11-18T08:26:40.000000Z INFO  [daemon] execution started: the run\n"
        "2026-11-18T08:26:41.000000Z DEBUG [app] one\n"
        "2026-11-18T08:26:42.000000Z INFO  [app] [t1] two\n"
        "2026-11-18T08:26:43.000000Z WARN  [t1] a (b) c\n"
        "2026-11-18T08:26:44.000000Z ERROR [db] multi\n"
        "    line\n"
        "2026-11-18T08:26:45.000000Z FATAL um 100% \x1b[31mrot\n"
    )


@pytest.mark.covers("S1.9", "S1.1")
def test_lines_are_json(flightlog: Cli) -> None:
    """--json is one object a line, with every field, times in RFC 3339, null for what is not known."""
    lines = [json.loads(line) for line in flightlog.ok("logs", "run", "--json").lines]

    assert [line["message"] for line in lines[1:]] == [
        "one",
        "two",
        "a (b) c",
        "multi\nline",
        "um 100% \x1b[31mrot",
    ]
    assert {key: value for key, value in lines[4].items() if key != "seq"} == {
        "time": "2026-11-18T08:26:44.000000Z",
        "execution_id": "run",
        "task_id": None,
        "agent_id": None,
        "level": "ERROR",
        "source": "db",
        "message": "multi\nline",
        "fields": {"n": 1},
        "scrubbed": False,
    }
    assert lines[3]["level"] == "WARN"


@pytest.mark.covers("S1.8")
@pytest.mark.parametrize(
    ("filters", "messages"),
    [
        (["--task", "t1"], ["two", "a (b) c"]),
        (["--level", "warn,FATAL"], ["a (b) c", "um 100% \x1b[31mrot"]),
        (["--level", "5"], ["one"]),
        (["--source", "app"], ["one", "two"]),
        (["--since", "2026-11-18T08:26:44Z"], ["multi\nline", "um 100% \x1b[31mrot"]),
        (["--until", "2026-11-18T08:26:42Z"], ["execution started: the run", "one"]),
        (["-g", "o"], ["execution started: the run", "one", "two", "um 100% \x1b[31mrot"]),
        (["-g", "^o"], ["one"]),
        (["-g", "\\(b\\)"], ["a (b) c"]),
        (["-g", "(?s)multi.line"], ["multi\nline"]),
        (["-g", "^o|^t", "-n", "1"], ["two"]),
        (["-g", "o", "-n", "2"], ["two", "um 100% \x1b[31mrot"]),
        (["-n", "2"], ["multi\nline", "um 100% \x1b[31mrot"]),
        (["-n", "0"], []),
        (["--task", "t1", "--level", "info"], ["two"]),
    ],
    ids=" ".join,
)
def test_lines_are_filtered(flightlog: Cli, filters: list[str], messages: list[str]) -> None:
    """Task, levels, source, times, a pattern and the last N narrow the log, alone and together."""
    lines = flightlog.ok("logs", "run", "--json", *filters).lines

    assert [json.loads(line)["message"] for line in lines] == messages


@pytest.mark.covers("S1.9")
def test_no_matches_are_said(flightlog: Cli) -> None:
    """No matching line is no error, and is said on stderr."""
    assert flightlog("logs", "run", "--source", "nobody") == (0, "", "flightlog logs: no lines match\n")
    assert flightlog("logs", "run", "-g", "no(pe)+") == (0, "", "flightlog logs: no lines match\n")
    assert flightlog("logs", "run", "-n", "0") == (0, "", "")


@pytest.mark.covers("S1.9")
def test_an_unknown_execution_is_exit_code_1(flightlog: Cli) -> None:
    """There is no log of an execution that is not there, followed or not."""
    for arguments in (("logs", "nobody"), ("logs", "nobody", "-f")):
        done = flightlog(*arguments)
        assert done.code == 1
        assert done.err.startswith("flightlog logs: no such execution: nobody\n")


def test_bad_filters_are_usage_errors(flightlog: Cli) -> None:
    """A filter that makes no sense is exit code 3 and names the option."""
    for option, value in (("--level", "loud"), ("--since", "soon"), ("-g", "("), ("-n", "-1"), ("-n", "x")):
        done = flightlog("logs", "run", option, value)
        assert done.code == 3, option
        assert done.err.startswith("flightlog logs: invalid value for "), done.err


@pytest.mark.covers("S1.10", "D7")
def test_following_misses_and_doubles_nothing(flightlog: Cli, shared: Daemon) -> None:
    """What exists, then what comes, in bursts and with late timestamps; it ends with the last line."""
    with IngestPeer(shared.ingest_socket) as peer:
        peer.send_lines(event("execution.started", "live"), log("live", "0"))
        peer.until_ack(2)
        with flightlog.running("logs", "live", "--follow", "--json", "-g", "\\d") as following:
            assert json.loads(following.line())["message"] == "0"
            sent = 0
            for burst in (1, 700, 1, 5_000):
                numbers = range(sent + 1, sent + burst + 1)
                peer.send(block(*(log("live", str(number), time=START_US - number) for number in numbers)))
                sent += burst
            peer.send_lines(event("execution.ended", "live", outcome="succeeded"))
            rest = following.end()

    assert rest.code == 0
    messages = [json.loads(line)["message"] for line in rest.lines]
    assert messages[:sent] == [str(number) for number in range(1, sent + 1)]
    assert len(messages) <= sent + 1


@pytest.mark.covers("S1.10")
def test_following_what_has_ended_ends_at_once(flightlog: Cli) -> None:
    """The log of an ended execution is shown to its end, followed or not."""
    flightlog.ok("start", "--id", "past")
    flightlog.ok("log", "past", "words")
    flightlog.ok("finish", "past")

    assert flightlog.ok("logs", "past", "-f").out == flightlog.ok("logs", "past").out


@pytest.mark.covers("S1.10")
@pytest.mark.parametrize("pattern", [[], ["-g", "^line"]], ids=["plain", "pattern"])
def test_following_may_begin_with_the_last_lines(flightlog: Cli, shared: Daemon, pattern: list[str]) -> None:
    """-n N -f shows the last N that match, and then every one that comes."""
    name = f"last-{len(pattern)}"
    with IngestPeer(shared.ingest_socket) as peer:
        peer.send_lines(event("execution.started", name), *(log(name, f"line {n}") for n in range(10)))
        peer.until_ack(11)
        with flightlog.running("logs", name, "-f", "-n", "2", *pattern) as following:
            assert [following.line().split()[-1] for _ in range(2)] == ["8", "9"]
            peer.send_lines(log(name, "line 10"), event("execution.ended", name, outcome="succeeded"))
            assert following.line().endswith("line 10")
            assert following.end().code == 0


def test_control_c_ends_following_at_once(flightlog: Cli) -> None:
    """Ctrl-C is exit code 130, without a trace."""
    flightlog.ok("start", "--id", "endless")
    with flightlog.running("logs", "endless", "-f") as following:
        following.line()
        following.interrupt()
        done = following.end()

    assert (done.code, done.err) == (130, "")


@pytest.mark.covers("S1.9")
def test_a_terminal_is_not_harmed(flightlog: Cli) -> None:
    """On a terminal control characters are shown, levels have colours, and times are short."""
    shown = flightlog.on_terminal("logs", "run")

    assert "\x1b[31m\x1b[" not in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert "\x1b" not in plain
    assert plain.startswith("── Wed 2026-11-18 ──\n08:26:40.000 INFO  [daemon] execution started: the run\n")
    assert "08:26:45.000 FATAL            um 100% rot" in plain
    assert "\x1b[31mERROR\x1b[0m" in shown
    assert "\x1b[31mmulti\x1b[0m\n" in shown


@pytest.mark.covers("S1.9")
def test_colour_is_wanted_or_not(flightlog: Cli) -> None:
    """NO_COLOR and --color never keep a terminal plain; --color always colours a pipe."""
    assert "\x1b" not in flightlog.on_terminal("logs", "run", NO_COLOR="1")
    assert "\x1b" not in flightlog.on_terminal("logs", "run", "--color", "never")
    assert "\x1b[31mERROR" in flightlog.on_terminal("--color", "always", "logs", "run", NO_COLOR="1")
    assert "\x1b[31mERROR" in flightlog.ok("logs", "run", "--color", "always").out
