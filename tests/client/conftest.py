"""Fixtures of the client's tests."""

from collections.abc import Iterator

import pytest

from flightlog import Client
from support.clients import ClientFactory
from support.daemon import Daemon


@pytest.fixture
def client_factory() -> Iterator[ClientFactory]:
    """Give a function that makes clients; each is closed at the end, without waiting for a daemon."""
    clients: list[Client] = []

    def make(*args: object, **settings: object) -> Client:
        client = Client(*args, **settings)  # type: ignore[arg-type]  # as the test gives them
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close(0)


@pytest.fixture
def client(daemon: Daemon, client_factory: ClientFactory) -> Client:
    """Give a client of the fresh daemon."""
    return client_factory(daemon.runtime_dir)
