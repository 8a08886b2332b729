"""Fixtures for all tests: a short-lived home for sockets and files, and real daemons in it."""

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest

from support.daemon import Daemon, DaemonFactory
from support.forked import from_nothing


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of this suite."""
    parser.addoption("--update-golden", action="store_true", help="write tests/golden/ anew")
    parser.addoption("--from-nothing", action="store_true", help="start no program as a copy: slower")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    """Say whether golden files are to be written anew."""
    return bool(request.config.getoption("--update-golden"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Have programs begin from nothing where that is asked for, those of wider fixtures included."""
    cold = item.get_closest_marker("from_nothing") or item.config.getoption("--from-nothing")
    with from_nothing() if cold else nullcontext():
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def _unrecorded() -> Iterator[None]:
    """Take flightlog's own variables out of the environment, for the tests may be what is being recorded.

    What they spool themselves goes to a directory that is gone after them.
    """
    ours = {
        name: os.environ[name]
        for name in os.environ
        if name.startswith("FLIGHTLOG_") or name == "TRACEPARENT"
    }
    for name in ours:
        del os.environ[name]
    with short_directory() as spool:
        os.environ["FLIGHTLOG_SPOOL_DIR"] = str(spool)
        yield
    del os.environ["FLIGHTLOG_SPOOL_DIR"]
    os.environ.update(ours)


@contextmanager
def short_directory() -> Iterator[Path]:
    """Make a directory whose path is short enough for sockets (107 bytes, unix(7)), and remove it."""
    directory = Path(tempfile.mkdtemp(prefix="fl-", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a directory, removed afterwards, whose path is short enough for sockets (107 bytes, unix(7))."""
    with short_directory() as directory:
        yield directory


@pytest.fixture
def daemon_factory(home: Path) -> Iterator[DaemonFactory]:
    """Give a function that starts a daemon in `home` (or under `name` in it) with the settings it is given.

    `start=False` returns it unstarted. Whatever runs at the end is killed.
    """
    with ExitStack() as stack:

        def make(
            *, name: str = "", start: bool = True, argv: tuple[str, ...] = (), **config: object
        ) -> Daemon:
            base = home / name
            base.mkdir(exist_ok=True)
            daemon = stack.enter_context(Daemon(base / "state", base / "run", argv=argv, **config))
            return daemon.start() if start else daemon

        yield make


@pytest.fixture
def daemon(daemon_factory: DaemonFactory) -> Daemon:
    """Give a fresh daemon that is ready."""
    return daemon_factory()


@pytest.fixture(scope="module")
def shared_daemon() -> Iterator[Daemon]:
    """Give a daemon that the tests of a module share: for tests that look at what they sent alone."""
    with short_directory() as directory, Daemon(directory / "state", directory / "run") as running:
        yield running.start()
