"""Fixtures for `flightlog web`: with a fresh daemon, and with one that a module shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.runner import Cli
from support.daemon import Daemon
from support.web import Web


@pytest.fixture
def web(daemon: Daemon) -> Iterator[Web]:
    """Give the server of a fresh daemon."""
    with Web(daemon.runtime_dir) as running:
        yield running


@pytest.fixture(scope="module")
def shared_web(shared_daemon: Daemon) -> Iterator[Web]:
    """Give the server of a daemon that the tests of a module share."""
    with Web(shared_daemon.runtime_dir) as running:
        yield running


@pytest.fixture
def alone(home: Path) -> Cli:
    """Give the command line where no daemon is."""
    return Cli(home / "nobody")
