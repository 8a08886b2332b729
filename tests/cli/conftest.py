"""Fixtures for the command line: with a fresh daemon, with one that a module shares, with none."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.runner import Cli
from support.daemon import Daemon


@pytest.fixture
def flightlog(daemon: Daemon) -> Cli:
    """Give the command line of a fresh daemon."""
    return Cli(daemon.runtime_dir)


@pytest.fixture
def alone(home: Path) -> Cli:
    """Give the command line where no daemon is."""
    return Cli(home / "nobody")


@pytest.fixture(scope="module")
def shared() -> Iterator[Daemon]:
    """Give a daemon for a whole module, whose tests keep to executions of their own."""
    base = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    try:
        with Daemon(base / "state", base / "run") as running:
            yield running.start()
    finally:
        shutil.rmtree(base, ignore_errors=True)
