"""`flightlog search`: what it prints, for each flag, on a terminal and piped."""

import json

import pytest

from cli.runner import Cli
from support.daemon import HOST, Daemon, DaemonFactory
from support.golden import check_golden
from support.lines import event, log
from support.searching import search, tell

START_US = 1_794_990_400_000_000  # 2026-11-18T08:26:40Z
SECOND_US = 1_000_000
LONG_ID = "0192f0c1a2b37c4e8d90" + "a" * 16


@pytest.fixture(scope="module")
def told(shared: Daemon) -> Daemon:
    """Give the module's daemon with two executions, a second between lines, all of it searchable."""
    tell(
        shared,
        event("execution.started", "run", time=START_US, name="disk check", project="/p"),
        log("run", "Disk full: /var/log/x.log", time=START_US + SECOND_US, level="ERROR", source="app"),
        log("run", "disk fine", time=START_US + 2 * SECOND_US, task_id="t1"),
        log(LONG_ID, "no disk\nat all \x1b[31mred", time=START_US + 3 * SECOND_US, level="WARN"),
        log(LONG_ID, "Größe 7", time=START_US + 4 * SECOND_US),
    )
    search(shared, "disk")
    return shared


@pytest.fixture
def flightlog(told: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(told.runtime_dir)


CHECK = "run 2026-11-18T08:26:40.000000Z INFO  [daemon] execution started: disk check\n"
FULL = "run 2026-11-18T08:26:41.000000Z ERROR [app] Disk full: /var/log/x.log\n"
FINE = "run 2026-11-18T08:26:42.000000Z INFO  [t1] disk fine\n"
RED = f"{LONG_ID} 2026-11-18T08:26:43.000000Z WARN  no disk\n    at all \x1b[31mred\n"


FLAGS: dict[str, tuple[str, ...]] = {
    "plain": ("disk",),
    "--execution": ("disk", "--execution", "run"),
    "--task": ("disk", "--task", "t1"),
    "--level": ("disk", "--level", "error,WARN"),
    "--source": ("disk", "--source", "app"),
    "--project": ("disk", "--project", "/p"),
    "--since and --until": ("disk", "-S", "2026-11-18T08:26:41Z", "-U", "2026-11-18T08:26:42Z"),
    "-n": ("disk", "-n", "2"),
    "--color": ("disk", "-n", "1", "--color", "always"),
}


@pytest.mark.covers("S1.8")
def test_every_flag_is_frozen(flightlog: Cli, update_golden: bool) -> None:
    """What `search` prints with each of its flags, for a program and as JSON."""
    found = {}
    for name, arguments in FLAGS.items():
        found[name] = {
            "text": flightlog.ok("search", *arguments).out.replace("\x1b", "␛").split("\n"),
            "json": flightlog.ok("search", *arguments, "--json").json,
        }

    check_golden("search", found, update=update_golden)


@pytest.mark.covers("S1.8")
@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["disk"], RED + FINE + FULL + CHECK),
        (["disk", "full"], FULL),
        (["disk full"], FULL),
        (['"full disk"'], None),
        (["dis* -fine -check"], RED + FULL),
        (["disk", "--execution", "run"], FINE + FULL + CHECK),
        (["disk", "--execution", "0192f"], RED),
        (["disk", "--task", "t1"], FINE),
        (["disk", "--level", "error,WARN"], RED + FULL),
        (["disk", "--source", "app"], FULL),
        (["disk", "--project", "/p"], FINE + FULL + CHECK),
        (["disk", "--since", "2026-11-18T08:26:42Z"], RED + FINE),
        (["disk", "-S", "2026-11-18T08:26:41Z", "-U", "2026-11-18T08:26:42Z"], FULL),
        (["disk", "-n", "2"], RED + FINE),
        (["--", "-check disk", "-fine"], RED + FULL),
        (["grosse 7"], None),
        (["größe"], f"{LONG_ID} 2026-11-18T08:26:44.000000Z INFO  Größe 7\n"),
        (["nothing"], None),
    ],
)
def test_lines(flightlog: Cli, arguments: list[str], out: str | None) -> None:
    """EXEC and the line as `logs` has it, newest first; exit code 1 and a word on stderr where none is."""
    done = flightlog("search", *arguments)

    if out is None:
        assert done == (1, "", "flightlog search: no line has these words\n")
    else:
        assert done == (0, out, "")


@pytest.mark.covers("S1.8")
def test_json(flightlog: Cli) -> None:
    """--json is one array of the objects that `logs --json` has, and whose; an empty one for nothing."""
    found = flightlog.ok("search", "full", "--json").json
    assert {line.pop("host") for line in found} == {HOST}
    lines = [json.loads(line) for line in flightlog.ok("logs", "run", "--json").lines]

    assert found == [line for line in lines if line["message"].startswith("Disk full")]
    nothing = flightlog("search", "nothing", "--json")
    assert (nothing.code, nothing.json) == (1, [])


def test_a_terminal_sees_what_was_searched_for(flightlog: Cli) -> None:
    """On a terminal ids are short, the words stand out, and control characters are harmless."""
    seen = flightlog.on_terminal("search", "DISK all", "--color", "always")

    assert seen.startswith(f"\x1b[2m{LONG_ID[:16]}\x1b[0m ")
    assert "\x1b[33mno \x1b[0m\x1b[1;31mdisk\x1b[0m\x1b[33m\n    at \x1b[0m\x1b[1;31mall\x1b[0m" in seen
    assert seen.endswith(" red\x1b[0m\n")


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("disk", ["Disk"]),
        ("var/log", ["var/log"]),
        ('"full var" log', ["full: /var", "log", "log"]),
        ("lo*", ["lo", "lo"]),
        ("disk -nothing", ["Disk"]),
    ],
)
def test_emphasis(flightlog: Cli, text: str, marked: list[str]) -> None:
    """Words, words in a row and beginnings are emphasised where they occur; what is left out is not."""
    parts = flightlog.ok("search", text, "--level", "ERROR", "--color", "always").out.split("\x1b[1;31m")[1:]

    assert [part.partition("\x1b")[0] for part in parts] == marked


def test_no_colour_where_none_is_wanted(flightlog: Cli) -> None:
    """NO_COLOR and --color never leave the text as it is."""
    assert "\x1b" in flightlog.on_terminal("search", "fine")
    assert "\x1b" not in flightlog.on_terminal("search", "fine", NO_COLOR="1")
    assert "\x1b" not in flightlog.on_terminal("search", "fine", "--color", "never")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 3, "missing argument"),
        (["***"], 3, "for example: disk full"),
        (["-n", "0", "x"], 3, "0 is not in the range"),
        (["x", "--level", "loud"], 3, "no such level"),
        (["x", "--execution", "nobody"], 1, "no such execution: nobody"),
        (["x", "--since", "soon"], 3, "soon"),
    ],
)
def test_errors(flightlog: Cli, arguments: list[str], code: int, said: str) -> None:
    """A text without words and bad options are usage errors; an unknown execution is not found."""
    done = flightlog("search", *arguments)

    assert (done.code, done.out) == (code, "")
    assert said in done.err


def test_more_than_a_page(daemon: Daemon) -> None:
    """Fifty lines by default, saying that there are more; -n goes on over pages."""
    tell(daemon, *(log("e", f"word {number}") for number in range(1200)))
    search(daemon, "word")
    flightlog = Cli(daemon.runtime_dir)

    few = flightlog.ok("search", "word")
    assert len(few.lines) == 50
    assert few.err == "flightlog search: the newest 50; there are more, -n N shows them\n"
    many = flightlog.ok("search", "word", "-n", "1100")
    assert [line.rpartition(" ")[2] for line in many.lines] == [str(n) for n in range(1199, 99, -1)]
    assert many.err == ""


def test_off(daemon_factory: DaemonFactory) -> None:
    """A daemon without an index is a failure with a hint; its status says off."""
    flightlog = Cli(daemon_factory(search="false").runtime_dir)
    done = flightlog("search", "word")

    assert (done.code, done.out) == (2, "")
    assert "search is off" in done.err
    assert "search\toff" in flightlog.ok("status").lines


def test_status_shows_the_index(flightlog: Cli) -> None:
    """`status` says that the index is up to date, and how large it is."""
    [line] = [line for line in flightlog.ok("status").lines if line.startswith("search\t")]

    assert line.startswith("search\tup to date, ")


def test_help_says_how_to_search(flightlog: Cli) -> None:
    """--help has the rules for the text and examples."""
    text = flightlog.ok("search", "--help").out

    assert "user_id is found by id" in " ".join(text.split())
    assert "flightlog search disk full --since 1d" in text
