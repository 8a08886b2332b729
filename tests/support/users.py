"""Being somebody else, as the kernel tells it to the daemon; root alone can."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pytest

from support.daemon import Daemon

SOMEBODY: Final = 65_534
SOMEBODY_ELSE: Final = 65_533

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to be somebody else")


@contextmanager
def effective_user(uid: int) -> Iterator[None]:
    """Be another user for a moment: the kernel tells the daemon who connects."""
    before = os.geteuid()
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(before)


def open_to_all(daemon: Daemon) -> None:
    """Let everybody get as far as the daemon's sockets; their modes decide."""
    for path in (daemon.runtime_dir, daemon.runtime_dir.parent):
        path.chmod(0o755)


def read_modules() -> str:
    """Return a program that reads all modules of ours, and what they import when they need it.

    Who is another user afterwards may not be allowed to read Python's own directory.
    """
    return (
        "import contextlib, grp, importlib, pkgutil, pwd, shutil, flightlog, flightlog_schemas\n"
        "for package in (flightlog, flightlog_schemas):\n"
        "    for found in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not found.name.endswith('__main__'):\n"
        "            with contextlib.suppress(ImportError):\n"
        "                importlib.import_module(found.name)\n"
    )


def run_as(
    uid: int, program: str, *, groups: tuple[int, ...] = (), stdin: str = "", **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a Python program as a user with these groups, for good; what it needs is imported before."""
    become = f"import os; os.setgroups({list(groups)}); os.setgid({SOMEBODY}); os.setuid({uid})\n"
    imports, _, rest = program.partition("---\n")
    return subprocess.run(
        [sys.executable, "-P", "-c", imports + become + rest],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd="/",
        env={**os.environ, "FLIGHTLOG_SPOOL_DIR": "/nonexistent", **environment},
    )
