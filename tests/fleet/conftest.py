"""Fixtures for many machines: their daemons, the centre, a server between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.runner import Cli
from support.daemon import Daemon, DaemonFactory
from support.nats import NatsServer


@pytest.fixture
def nats(home: Path) -> Iterator[NatsServer]:
    """Give a server that is alone and ready."""
    with NatsServer(home / "nats") as server:
        yield server.start()


@pytest.fixture
def origin(daemon_factory: DaemonFactory) -> Daemon:
    """Give the daemon of a machine whose log is relayed."""
    return daemon_factory(name="origin")


@pytest.fixture
def centre(daemon_factory: DaemonFactory) -> Daemon:
    """Give the daemon that collects."""
    return daemon_factory(name="centre")


@pytest.fixture
def there(origin: Daemon) -> Cli:
    """Give the command line of the machine whose log is relayed."""
    return Cli(origin.runtime_dir)


@pytest.fixture
def here(centre: Daemon) -> Cli:
    """Give the command line of the centre."""
    return Cli(centre.runtime_dir)
