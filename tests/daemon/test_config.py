"""Settings: file, environment, command line; checked before anything is opened, printed on request."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from support.daemon import DaemonFactory, run_flightlogd
from support.lines import log
from support.peers import IngestPeer

pytestmark = pytest.mark.from_nothing


def where(home: Path) -> tuple[str, ...]:
    """Return arguments that name directories in `home`."""
    return ("--state-dir", str(home / "state"), "--runtime-dir", str(home / "run"))


@pytest.mark.covers("P14")
def test_each_source_overrides_the_one_before(home: Path) -> None:
    """Defaults, then the file, then the environment, then the command line."""
    file = home / "flightlog.toml"
    file.write_text('state_dir = "/from/file"\nretry_ms = 7\nconnection_limit = 8\n')

    done = run_flightlogd(
        "print-config", "--config", str(file), "--runtime-dir", "/from/argv", FLIGHTLOG_CONNECTION_LIMIT="9"
    )

    settings = tomllib.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert settings["state_dir"] == "/from/file"
    assert settings["runtime_dir"] == "/from/argv"
    assert (settings["retry_ms"], settings["connection_limit"]) == (7, 9)
    assert settings["line_limit_bytes"] == 1_048_576


@pytest.mark.covers("P14")
def test_what_is_printed_can_be_read_back(home: Path) -> None:
    """The output of `print-config` is a configuration file with every setting, that prints as itself."""
    first = run_flightlogd("print-config", *where(home), FLIGHTLOG_RETRY_MS="77")
    file = home / "printed.toml"
    file.write_text(first.stdout)

    again = run_flightlogd("print-config", "--config", str(file))

    assert again.stdout == first.stdout
    assert run_flightlogd("check-config", "--config", str(file)).returncode == 0


BAD = {
    "unknown setting": ("retention_dayz = 3", "retention_dayz"),
    "wrong type": ('retry_ms = "soon"', "retry_ms"),
    "out of range": ("reader_limit = 0", "reader_limit"),
    "bad mode": ('query_mode = "rw"', "query_mode"),
    "relative directory": ('state_dir = "here"', "state_dir"),
    "path too long for a socket": (f'runtime_dir = "/{"x" * 100}"', "runtime_dir"),
    "unknown group": ('ingest_group = "no-such-group-here"', "ingest_group"),
    "limits that do not fit": ("queue_limit_bytes = 1", "queue_limit_bytes"),
    "no TOML": ("this is = = not", "line 1"),
}


@pytest.mark.covers("P14")
@pytest.mark.parametrize("what", BAD)
def test_a_bad_setting_is_an_error_at_once(home: Path, what: str) -> None:
    """A bad setting is exit code 3, names the setting and the file, and nothing is opened."""
    text, named = BAD[what]
    file = home / "bad.toml"
    file.write_text(text + "\n")
    inside = ("--state-dir", str(home / "state")) if named != "state_dir" else ()

    checked = run_flightlogd("check-config", "--config", str(file), *inside)
    started = run_flightlogd("--config", str(file), *inside)

    assert (checked.returncode, started.returncode) == (3, 3)
    assert named in checked.stderr
    assert str(file) in checked.stderr or named in (
        "runtime_dir",
        "state_dir",
        "ingest_group",
        "queue_limit_bytes",
    )
    assert "Traceback" not in checked.stderr + started.stderr
    assert not (home / "state").exists()


@pytest.mark.covers("P14")
def test_a_bad_environment_is_named(home: Path) -> None:
    """A bad value from the environment is reported with the variable's name."""
    done = run_flightlogd("check-config", *where(home), FLIGHTLOG_LINE_TIMEOUT_MS="soon")

    assert done.returncode == 3
    assert "FLIGHTLOG_LINE_TIMEOUT_MS" in done.stderr


def test_a_missing_file_and_a_wrong_argument(home: Path) -> None:
    """A file that is not there and an unknown argument are usage errors, exit code 3, with a hint."""
    missing = run_flightlogd("check-config", "--config", str(home / "none.toml"))
    unknown = run_flightlogd("--nonsense")

    assert (missing.returncode, unknown.returncode) == (3, 3)
    assert "hint: " in missing.stderr
    assert "hint: " in unknown.stderr


def test_the_limit_for_a_line_can_be_set(daemon_factory: DaemonFactory) -> None:
    """A line longer than the configured limit is refused as too long, one exactly as long is stored."""
    daemon = daemon_factory(line_limit_bytes=2_000)
    fits = log("e", "x" * (2_000 - len(log("e", ""))))
    assert len(fits) == 2_000

    with IngestPeer(daemon.ingest_socket) as peer:
        replies = peer.settle(fits, fits.replace(b"xx", b"xxx", 1))

    assert [reply["refused"]["code"] for reply in replies if "refused" in reply] == ["too_long"]
    assert replies[-1]["ack"]["lines"] == 2


def test_version_and_help() -> None:
    """`version` names program, schema and SQLite; `--help` lists the verbs."""
    version, shown = run_flightlogd("version"), run_flightlogd("--help")

    assert (version.returncode, shown.returncode) == (0, 0)
    assert "flightlogd 0." in version.stdout
    assert all(verb in shown.stdout for verb in ("check-config", "print-config", "rebuild", "sql", "version"))


@pytest.mark.covers("P14")
@pytest.mark.parametrize("verb", ["print-config", "version"])
def test_output_that_cannot_be_written(verb: str) -> None:
    """On a full disk a verb fails and says why; a reader that has seen enough is no failure."""
    command = [sys.executable, "-P", "-m", "flightlogd", verb]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, b"No space left" in done.stderr, b"Traceback" in done.stderr) == (2, True, False)
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as nobody:
        done = subprocess.run(command, stdout=nobody, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
