"""`flightlog exec`: output that is long, odd, or more than is recorded."""

import json
import sys
from typing import Any

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.programs import messages

MEBIBYTE = 2**20


@pytest.fixture
def flightlog(shared: Daemon) -> Cli:
    """Give the command line of the module's daemon."""
    return Cli(shared.runtime_dir)


def recorded(flightlog: Cli, name: str) -> dict[str, Any]:
    """Return what `list` knows of the only execution of this name."""
    (execution,) = flightlog.ok("list", "--json", "--name", name).json
    assert isinstance(execution, dict)
    return execution


def lines_of(flightlog: Cli, name: str) -> list[dict[str, Any]]:
    """Return each captured line."""
    execution = str(recorded(flightlog, name)["execution_id"])
    return [
        json.loads(line)
        for line in flightlog.ok("logs", execution, "--source", f"exec:{name}", "--json").lines
    ]


@pytest.mark.slow
@pytest.mark.covers("S1.5")
def test_output_past_the_limit_is_counted_and_warned_of_once(flightlog: Cli) -> None:
    """Of 50 MB 10 MiB are recorded, then one WARN; all goes through, and what was left out is a number."""
    count, line = 500_000, "x" * 99
    script = f"import sys\nfor n in range({count}): (sys.stderr if n % 2 else sys.stdout).write('{line}\\n')"
    with flightlog.running("exec", "--name", "much", "--", sys.executable, "-c", script) as running:
        out, err = running.process.communicate(timeout=120)
        assert running.process.returncode == 0

    assert out == err == f"{line}\n".encode() * (count // 2)
    execution = recorded(flightlog, "much")
    kept = 10 * MEBIBYTE // 100
    assert execution["log_count"] == kept + 1
    assert execution["levels"]["WARN"] == 1
    assert execution["counts"] == {"unrecorded_lines": count - kept, "unrecorded_chars": (count - kept) * 99}
    (warning,) = flightlog.ok("logs", execution["execution_id"], "--level", "WARN", "--json").lines
    said = json.loads(warning)
    assert said["message"] == "output over 10 MiB: what follows is not recorded, only counted"
    assert said["fields"]["capture_limit_bytes"] == 10 * MEBIBYTE
    check = flightlog("logs", execution["execution_id"], "--check")
    assert check.code == 1
    assert "- a command printed more than 10 MiB; what followed line 104859 is not here; " in check.out


@pytest.mark.covers("S1.5")
def test_one_huge_line_is_cut_and_takes_no_more_than_it_shows(flightlog: Cli) -> None:
    """A line of 12 MB goes through, is recorded by its beginning, and leaves room for what follows."""
    script = "import sys; sys.stdout.write('y' * 12_000_000 + '\\nafter\\n')"
    done = flightlog.ok("exec", "--name", "huge", "--", sys.executable, "-c", script)

    assert len(done.out) == 12_000_007
    huge, after = lines_of(flightlog, "huge")
    assert huge["message"] == "y" * 10_000 + "… [11,990,000 more characters cut]"
    assert huge["fields"] == {"stream": "stdout", "cut_chars": 11_990_000}
    assert (after["message"], after["level"]) == ("after", "INFO")
    assert recorded(flightlog, "huge")["counts"] == {"cut_lines": 1, "cut_chars": 11_990_000}


@pytest.mark.covers("S1.4", "S1.9")
def test_escape_sequences_are_kept_and_harmless(flightlog: Cli, shared: Daemon) -> None:
    """What a command prints to move or colour a terminal goes through, is recorded, and is not done again."""
    text = "\x1b[31mred\x1b[0m \x1b[2Jgone\x07"
    done = flightlog.ok("exec", "--name", "colours", "--", "printf", "%s\\n", text)

    assert done.out == f"{text}\n"
    execution = str(recorded(flightlog, "colours")["execution_id"])
    assert messages(shared, execution_id=execution) == [text]
    shown = flightlog.on_terminal("logs", execution, "--color", "never")
    assert "red \\x1b[2Jgone\\x07" in shown
    assert "\x1b[2J" not in shown


@pytest.mark.covers("S1.4")
def test_a_closed_stream_does_not_end_capture(flightlog: Cli) -> None:
    """A command that closes stdout, or stderr, is captured on the other to its end."""
    flightlog.ok("exec", "--name", "closed", "--", "sh", "-c", "echo a; exec 1>&-; echo b >&2; exec 2>&-")

    assert sorted(line["message"] for line in lines_of(flightlog, "closed")) == ["a", "b"]


@pytest.mark.covers("S1.4")
def test_streams_that_alternate_are_each_in_order(flightlog: Cli) -> None:
    """However fast a command changes between stdout and stderr, the lines of each keep their order."""
    script = "import os\nfor n in range(2000): os.write(1 + n % 2, b'%d\\n' % n)"
    flightlog.ok("exec", "--name", "alternate", "--", sys.executable, "-c", script)
    lines = lines_of(flightlog, "alternate")

    for stream, numbers in (("stdout", range(0, 2000, 2)), ("stderr", range(1, 2000, 2))):
        found = [int(line["message"]) for line in lines if line["fields"]["stream"] == stream]
        assert found == list(numbers)
