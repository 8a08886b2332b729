"""The command line as such: help, usage, exit codes, what it needs and what it loads."""

import os
import subprocess
import sys

import pytest

from cli.runner import COMMAND, Cli
from flightlog.cli.run import VERBS
from support.daemon import Daemon, clean_environment
from support.lines import block, event, logs

pytestmark = pytest.mark.from_nothing

WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{name}":
            raise ModuleNotFoundError("No module named '{name}'", name="{name}")
sys.meta_path.insert(0, Absent())
from flightlog.__main__ import main
sys.argv = ["flightlog", "status"]
main()
"""

LOADED = """
import sys
from flightlog.cli.run import run
run(["current"])
unwanted = (
    "dataclasses", "flightlog.cli.verbs.", "flightlog_schemas.codec", "flightlog_schemas.events.registry",
    "hashlib", "json", "rich", "shutil", "subprocess",
)
print(*sorted(name for name in sys.modules if name.startswith(unwanted)))
"""


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python code."""
    return subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=60,
        check=False,
    )


def test_help_shows_every_verb(alone: Cli) -> None:
    """The help has a line for each verb, and says what the exit codes mean."""
    done = alone("--help")

    assert done.code == 0
    listed = [line.split()[0] for line in done.lines if line.startswith("  ") and line.strip()]
    assert [verb for verb in VERBS if verb not in listed] == []
    assert "..." not in done.out.replace("[ARGS]...", "")
    assert "Exit codes: 0 done or found, 1 expected negative, 2 failure, 3 usage" in done.out
    assert alone("-h").out == done.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_teaches(alone: Cli, verb: str) -> None:
    """The help of each verb shows an example and fits a terminal."""
    done = alone(verb, "--help")

    assert done.code == 0
    assert f"flightlog {verb}" in done.out.split("Example", 1)[1]
    assert all(len(line) <= 100 for line in done.lines)


def test_the_version(alone: Cli) -> None:
    """--version says which."""
    assert alone.ok("--version").out.startswith("flightlog ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "flightlog: no such command 'lst'"),
        (["list", "--nope"], "flightlog list: no such option '--nope'"),
        (["--nope"], "flightlog: no such option '--nope'"),
        (["list", "--status", "done"], "flightlog list: invalid value for '--status': 'done' is not one of"),
        (["list", "extra"], "flightlog list: got unexpected extra argument (extra)"),
        (["logs"], "flightlog logs: which execution? Give its id, or set FLIGHTLOG_EXECUTION_ID"),
        (["inspect", "a b"], "flightlog inspect: invalid value for '[EXEC]': 'a b' is no id"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_usage_errors_are_exit_code_3(alone: Cli, arguments: list[str], said: str) -> None:
    """What is wrong is said in one line with a hint, and nobody is asked."""
    done = alone(*arguments)

    assert (done.code, done.out) == (3, "")
    first, hint = done.err.splitlines()
    assert first.startswith(said)
    assert hint.startswith("hint: flightlog")


def test_nothing_to_do_is_a_usage_error(alone: Cli) -> None:
    """Without a verb the help goes to stderr."""
    done = alone()

    assert (done.code, done.out) == (3, "")
    assert "Usage: flightlog" in done.err


def test_a_missing_extra_is_named() -> None:
    """Without the packages of the command line, one line says how to get them."""
    done = python(WITHOUT.format(name="click"))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "flightlog: click is not installed: pip install 'flightlog[cli]'\n"


def test_a_verb_loads_only_itself(daemon: Daemon) -> None:
    """Asking for `current` imports neither other verbs nor what draws tables, nor what else takes long."""
    done = python(LOADED, FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir))

    assert done.stdout == "flightlog.cli.verbs.current\n"


def test_the_runtime_directory_may_stand_anywhere(daemon: Daemon, alone: Cli) -> None:
    """--runtime-dir is taken before and after the verb, and wins over the environment."""
    directory = str(daemon.runtime_dir)

    assert alone.ok("--runtime-dir", directory, "status", "--json").json["pid"] == daemon.pid
    assert alone.ok("status", "--runtime-dir", directory, "--json").json["pid"] == daemon.pid


@pytest.mark.parametrize(
    "arguments",
    [("list", "-n", "5000"), ("list", "--json", "-n", "5000"), ("logs", "e"), ("logs", "e", "--json")],
)
def test_a_closed_pipe_is_quiet(shared: Daemon, arguments: tuple[str, ...]) -> None:
    """A reader that takes only the first line is no reason to complain."""
    flightlog = Cli(shared.runtime_dir)
    flightlog(
        "emit", stdin=block(*(event("execution.started", f"e{n}") for n in range(3_000)), *logs("e", 9_000))
    )
    with flightlog.running(*arguments) as running:
        running.line()
        assert running.process.stdout is not None
        running.process.stdout.close()
        assert running.process.stderr is not None

        assert running.process.stderr.read() == b""
        assert running.process.wait(60) == 0


@pytest.mark.parametrize("redirection", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_are_survived(shared: Daemon, redirection: str) -> None:
    """A caller that has closed standard streams gets the same exit codes."""
    flightlog = Cli(shared.runtime_dir)
    script = f'exec "$@" {redirection}'
    for arguments, code in ((("list",), 0), (("inspect", "nobody"), 1), (("exec", "sh", "-c", "exit 4"), 4)):
        done = subprocess.run(
            ["sh", "-c", script, "sh", *COMMAND, *arguments],
            env=flightlog.environment(),
            timeout=60,
            check=False,
            capture_output=True,
        )
        assert done.returncode == code, (arguments, done)


def test_a_full_disk_is_a_failure(shared: Daemon) -> None:
    """Output that cannot be written is exit code 2 and says why."""
    flightlog = Cli(shared.runtime_dir)
    full = os.open("/dev/full", os.O_WRONLY)
    done = subprocess.run(
        [*COMMAND, "status"],
        stdout=full,
        stderr=subprocess.PIPE,
        env=flightlog.environment(),
        timeout=60,
        check=False,
    )
    os.close(full)

    assert done.returncode == 2
    assert b"No space left on device" in done.stderr
    assert b"Traceback" not in done.stderr


def test_what_the_daemon_says_harms_no_terminal(shared: Daemon) -> None:
    """An error that repeats what was asked shows control characters instead of obeying them."""
    flightlog = Cli(shared.runtime_dir)

    done = flightlog("list", "--name", "x", "--status", "\x1b]0;title\x07")

    assert done.code == 3
    assert "\x1b" not in done.err
