"""`flightlog tail`: events of all executions as they come."""

import json

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer

START_US = 1_794_990_400_000_000  # 2026-11-18T08:26:40Z


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with twelve events of two executions."""
    lines = [
        event("execution.started", "a", time=START_US, name="the run", args=["make", "-j 4"]),
        log("a", "one", time=START_US, level="DEBUG", source="app"),
        log("a", 'said "hi"', time=START_US, task_id="t1", source="app"),
        log("a", "multi\nline", time=START_US, level="ERROR", agent_id="bot"),
        event("deploy.done", "a", time=START_US, host="a1"),
        event("execution.ended", "a", time=START_US, outcome="succeeded"),
        *(log("b", f"b{number}", time=START_US) for number in range(6)),
    ]
    with IngestPeer(shared.ingest_socket) as peer:
        peer.settle(*lines)
    return shared


@pytest.fixture
def flightlog(told: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(told.runtime_dir)


def shown(flightlog: Cli, *arguments: str) -> list[str]:
    """Return the short text of each event that `tail` shows without following."""
    return flightlog.ok("tail", "--no-follow", "-o", "cat", *arguments).lines


def test_it_begins_with_the_last_ten(flightlog: Cli) -> None:
    """Without other wishes the last ten events come first; -n says how many, -n 0 none."""
    assert len(flightlog.ok("tail", "--no-follow", "-o", "json").lines) == 10
    assert shown(flightlog, "-n", "2") == ["b4", "b5"]
    assert shown(flightlog, "-n", "0") == []


def test_a_line_says_when_what_where(flightlog: Cli) -> None:
    """Time, level, execution, source and message of a log line; type and payload of every other event."""
    lines = flightlog.ok("tail", "--no-follow", "--execution", "a", "--after", "0").lines

    assert lines == [
        '2026-11-18T08:26:40.000000Z EVENT a execution.started name="the run" args=["make","-j 4"]',
        "2026-11-18T08:26:40.000000Z DEBUG a [app] one",
        '2026-11-18T08:26:40.000000Z INFO  a [app] [t1] said "hi"',
        "2026-11-18T08:26:40.000000Z ERROR a multi",
        "    line",
        "2026-11-18T08:26:40.000000Z EVENT a deploy.done host=a1",
        "2026-11-18T08:26:40.000000Z EVENT a execution.ended outcome=succeeded",
    ]


def test_json_is_the_event_as_it_is_stored(flightlog: Cli) -> None:
    """-o json has what the daemon adds beside the event's own line, which may be emitted again."""
    (line,) = flightlog.ok("tail", "--no-follow", "-o", "json", "--type", "deploy.done").lines
    recorded = json.loads(line)

    assert recorded["event"] == {"type": "deploy.done", "execution_id": "a", "time": START_US, "host": "a1"}
    assert set(recorded) == {"seq", "received", "uid", "pid", "producer", "line", "event"}
    assert recorded["received"].endswith("Z")
    assert flightlog.ok("tail", "--no-follow", "--json", "--type", "deploy.done").lines == [line]


@pytest.mark.parametrize(
    ("filters", "texts"),
    [
        (["--execution", "a", "--type", "log"], ["one", 'said "hi"', "multi", "    line"]),
        (["--type", "deploy.,execution.ended"], ["deploy.done host=a1", "execution.ended outcome=succeeded"]),
        (["--level", "debug,error"], ["one", "multi", "    line"]),
        (["--task", "t1"], ['said "hi"']),
        (["--agent", "bot"], ["multi", "    line"]),
        (["--source", "app"], ["one", 'said "hi"']),
        (["-g", 'said "hi'], ['said "hi"']),
        (["-g", 'm.*"b[12]"'], ["b1", "b2"]),
        (["-g", "message.*b[0-9]", "-n", "2"], ["b4", "b5"]),
        (["--execution", "b", "--exclude", "b[0-3]", "--exclude", "b5"], ["b4"]),
        (["--execution", "b", "--after", "0", "-n", "1"], ["b5"]),
        (["--execution", "b", "--since", "1h", "-n", "1"], ["b5"]),
        (["--since", "0s"], []),
    ],
    ids=" ".join,
)
def test_events_are_filtered(flightlog: Cli, filters: list[str], texts: list[str]) -> None:
    """Every filter narrows the tail, and the last N are the last that match."""
    everything = [] if "--since" in filters or "--after" in filters or "-n" in filters else ["--after", "0"]

    assert shown(flightlog, *everything, *filters) == texts


@pytest.mark.covers("D7")
def test_following_goes_on_where_history_ends(flightlog: Cli, shared: Daemon) -> None:
    """Events that come are shown after those that were there, each once; Ctrl-C ends it."""
    with IngestPeer(shared.ingest_socket) as peer:
        peer.send_lines(*(log("c", f"c{number}") for number in range(3)))
        peer.until_ack(3)
        for begin in (["-n", "3"], ["-n", "3", "-g", "c[0-9]"], ["--since", "1h"]):
            with flightlog.running("tail", "--execution", "c", "-o", "cat", *begin) as tail:
                assert [tail.line() for _ in range(3)] == ["c0", "c1", "c2"]
        with flightlog.running("tail", "--execution", "c", "-o", "cat", "-n", "1", "-g", "c[0-9]") as tail:
            assert tail.line() == "c2"
            peer.send_lines(log("c", "no match"), *(log("c", f"c{number}") for number in range(3, 2_003)))
            assert [tail.line() for _ in range(2_000)] == [f"c{number}" for number in range(3, 2_003)]
            tail.interrupt()
            done = tail.end()

    assert (done.code, done.err) == (130, "")


@pytest.mark.covers("S0.5")
def test_an_execution_may_be_named_by_its_beginning_or_before_it_starts(
    flightlog: Cli, shared: Daemon
) -> None:
    """The beginning of an id is enough; one that nothing has yet is waited for."""
    execution = flightlog.ok("start", "--name", "prefixed").out.strip()
    assert shown(flightlog, "--execution", execution[:16], "-g", "execution.started") != []
    with flightlog.running("tail", "--execution", "yet-to-come", "-o", "cat", "--after", "0") as tail:
        with IngestPeer(shared.ingest_socket) as peer:
            peer.settle(log("yet-to-come", "here"))
        assert tail.line() == "here"


def test_a_reader_that_has_seen_enough_is_no_error(flightlog: Cli) -> None:
    """When the reader of the pipe goes away, nothing is said about it."""
    with flightlog.running("tail", "--after", "0") as tail:
        tail.line()
        assert tail.process.stdout is not None
        tail.process.stdout.close()
        assert tail.process.stderr is not None
        flightlog.ok("emit", stdin=b"\n".join(log("noise", "x" * 1000) for _ in range(200)))
        assert tail.process.wait(60) == 0
        assert tail.process.stderr.read() == b""


def test_without_a_daemon_at_the_start_it_fails(alone: Cli) -> None:
    """Nothing is waited for that was not there at the start: exit code 2."""
    done = alone("tail")

    assert done.code == 2
    assert done.err.startswith("flightlog tail: no daemon listens on ")


def test_a_terminal_shows_short_ids_and_colours(flightlog: Cli) -> None:
    """A person sees the beginning of long ids, and no control characters of others."""
    execution = flightlog.ok("start").out.strip()
    flightlog.ok("log", execution, "--level", "error", "bell \a rings")
    text = flightlog.on_terminal("tail", "--no-follow", "-n", "1")

    assert execution not in text
    assert execution[:16] in text
    assert "bell \\x07 rings" in text
    assert "\x1b[31mERROR\x1b[0m" in text
