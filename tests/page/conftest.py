"""Fixtures for the page: a headless Chromium, a server and a daemon for each module, tabs for each test."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.daemon import Daemon
from support.lines import block
from support.peers import IngestPeer
from support.web import Web

CHROMIUM = shutil.which("chromium")
pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import (  # noqa: E402
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Response,
    expect,
    sync_playwright,
)

WAIT_MS = 30_000.0
"""Longest wait for what must come: the machine may be slow."""

expect.set_options(timeout=WAIT_MS)

Tell = Callable[..., None]
Tab = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Give a Chromium that the tests of a module share."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: make test-deps")
    with sync_playwright() as playwright:
        # Its sandbox needs what a container and root do not have; it sees our own page alone.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(shared_daemon: Daemon) -> Iterator[Web]:
    """Give the server of a daemon that the tests of a module share."""
    with Web(shared_daemon.runtime_dir) as running:
        yield running


@pytest.fixture
def own_site(daemon: Daemon) -> Iterator[Web]:
    """Give the server of a fresh daemon; a test asks for it before its tabs, which then end first."""
    with Web(daemon.runtime_dir) as running:
        yield running


@pytest.fixture
def tab(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Tab]:
    """Give a function that opens a tab: an address within a server's page, and options of a browser context.

    What goes wrong in it fails the test at its end: errors of scripts, and with `may_fail` nothing else.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def heard(said: ConsoleMessage) -> None:
        # What could not be loaded is told with its address beside.
        if said.type == "error" and "Failed to load" not in said.text:
            faults.append(said.text)

    def answered(got: Response) -> None:
        if got.status >= 400:
            faults.append(f"{got.status} {got.url}")

    def open_tab(web: Web, address: str = "#/", *, may_fail: bool = False, **options: Any) -> Page:
        settings: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "timezone_id": "UTC"}
        context = browser.new_context(**settings | options)
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        if not may_fail:
            page.on("console", heard)
            page.on("response", answered)
        page.goto(f"{web.url}/{address}")
        return page

    yield open_tab
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def tell(shared_daemon: Daemon) -> Tell:
    """Give a function that records lines with the module's daemon, and returns once they are acked."""

    def record(*lines: bytes) -> None:
        with IngestPeer(shared_daemon.ingest_socket) as peer:
            peer.send(block(*lines))
            replies = peer.until_ack(len(lines))
        assert not [reply for reply in replies if "refused" in reply], replies

    return record
