"""flightlog.sh: clean for shellcheck, and the same in every POSIX shell, by scripts in bats."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from support.daemon import Daemon, clean_environment
from support.source import ROOT

HERE: Final = Path(__file__).parent
LIBRARY: Final = ROOT / "client" / "shell" / "flightlog.sh"
SCRIPTS: Final = [HERE / name for name in ("post-commit", "library.bats", "hook.bats")]
PROGRAMS: Final = Path(sys.executable).parent
"""Where the environment that runs the tests has its programs."""

SHELLS: Final = {"dash": "", "bash": "", "busybox": " sh"}
"""Package and program to what makes it a shell."""


def needs(package: str) -> str:
    """Return the path of the program of a Debian package; the test is skipped where it is missing."""
    found = shutil.which(package)
    if found is None:
        pytest.skip(f"{package} is not installed: make test-deps")
    return found


def run_bats(file: str, daemon: Daemon, **environment: str) -> None:
    """Run a file of tests with this environment's `flightlog` in PATH; all must pass."""
    done = subprocess.run(
        [needs("bats"), "--tap", str(HERE / file)],
        env=clean_environment(
            PATH=f"{PROGRAMS}:{os.defpath}",
            FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir),
            LIBRARY=str(LIBRARY),
            LC_ALL="C.UTF-8",
            **environment,
        ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.covers("S3.9")
@pytest.mark.parametrize("file", [LIBRARY, *SCRIPTS], ids=lambda file: str(file.name))
def test_the_linter_has_nothing_to_say(file: Path) -> None:
    """The library, a hook that uses it and the scripts that test it are without a finding of shellcheck."""
    done = subprocess.run([needs("shellcheck"), str(file)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.covers("S3.9")
def test_the_library_is_installed_beside_the_program() -> None:
    """`. flightlog.sh` finds the library where PATH finds `flightlog`: an installation puts both there."""
    installed = PROGRAMS / "flightlog.sh"

    assert installed.read_bytes() == LIBRARY.read_bytes(), "an older copy: make test installs it anew"
    assert os.access(installed, os.X_OK)
    assert (PROGRAMS / "flightlog").exists()


@pytest.mark.covers("S3.9")
@pytest.mark.slow
@pytest.mark.parametrize("shell", SHELLS)
def test_every_function_in_every_shell(shared_daemon: Daemon, shell: str) -> None:
    """In dash, bash and busybox each function does what its verb does, and nothing where that is missing."""
    run_bats("library.bats", shared_daemon, SHELL_UNDER_TEST=needs(shell) + SHELLS[shell])


@pytest.mark.covers("S3.9")
def test_a_git_hook(shared_daemon: Daemon) -> None:
    """A post-commit hook records commits and files, and is silent where flightlog is not there."""
    needs("git")

    run_bats("hook.bats", shared_daemon)
