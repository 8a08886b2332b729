"""A daemon or a server that goes away and comes back, as the page shows it."""

import shutil
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from page.scene import started
from support.daemon import Daemon
from support.lines import logs
from support.peers import IngestPeer
from support.web import Web

Tab = Callable[..., Page]


def tell(daemon: Daemon, *lines: bytes) -> None:
    """Record lines."""
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(b"\n".join(lines) + b"\n")
        peer.until_ack(len(lines))


@pytest.mark.slow
@pytest.mark.covers("P17")
def test_the_page_survives_its_daemon(daemon: Daemon, own_site: Web, tab: Tab) -> None:
    """While the daemon is away a banner says so; then it goes, and log and header go on without a gap."""
    tell(daemon, started("lasting"), *logs("lasting", 3))
    page = tab(own_site, "#/executions/lasting/log", may_fail=True)
    listed = tab(own_site, "#/", may_fail=True)
    expect(page.get_by_text("line 3", exact=True)).to_be_visible()
    expect(listed.locator("tbody tr")).to_have_count(1)
    daemon.kill()
    listed.get_by_role("link", name="Failed").click()
    expect(listed.locator("#banner")).to_contain_text("The daemon is away")
    daemon.start()
    tell(daemon, *logs("lasting", 3, start=4), started("later"))
    expect(listed.locator("#banner")).to_be_hidden()
    listed.get_by_role("link", name="All", exact=True).click()
    expect(listed.locator("tbody tr")).to_have_count(2)
    expect(page.get_by_text("line 6", exact=True)).to_be_visible()

    said = page.locator(".log .line .text").all_inner_texts()
    assert [text for text in said if text.startswith("line ")] == [f"line {n}" for n in range(1, 7)]


@pytest.mark.slow
@pytest.mark.covers("P17")
def test_the_page_survives_its_server(daemon: Daemon, tab: Tab) -> None:
    """While the server is away a banner says so; what happened meanwhile shows when it is back."""
    with Web(daemon.runtime_dir) as first:
        port = str(first.port)
        page = tab(first, may_fail=True)
        expect(page.get_by_text("Nothing was recorded yet.")).to_be_visible()
    page.get_by_role("link", name="Failed").click()
    expect(page.locator("#banner")).to_contain_text("server cannot be reached")
    tell(daemon, started("meanwhile"))
    with Web(daemon.runtime_dir, "--port", port):
        page.get_by_role("link", name="All", exact=True).click()
        expect(page.locator("tbody tr")).to_contain_text("meanwhile")
        expect(page.locator("#banner")).to_be_hidden()


@pytest.mark.slow
def test_another_log_begins_anew(daemon: Daemon, own_site: Web, tab: Tab) -> None:
    """Where the daemon comes back with another log, the page shows that one, nothing of the one before."""
    tell(daemon, started("same"), *logs("same", 50))
    page = tab(own_site, "#/executions/same/log", may_fail=True)
    expect(page.get_by_text("line 50", exact=True)).to_be_visible()
    daemon.kill()
    shutil.rmtree(daemon.state_dir)
    daemon.start()
    tell(daemon, started("same"), *logs("same", 2, start=700))
    expect(page.get_by_text("line 701", exact=True)).to_be_visible()

    expect(page.get_by_text("line 50", exact=True)).to_have_count(0)


FOLLOWERS = (
    "(count) => fetch('/api/status').then((got) => got.json()).then(({ followers }) => followers === count)"
)
HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_streams_end_when_nobody_looks(daemon: Daemon, own_site: Web, tab: Tab) -> None:
    """A view that is left, and a tab that is hidden, follow nothing; looked at again they go on."""
    tell(daemon, started("seen"), *logs("seen", 2))
    page = tab(own_site, "#/executions/seen/log")
    page.wait_for_function(FOLLOWERS, arg=2)
    for _ in range(3):
        page.goto(f"{own_site.url}/#/")
        page.goto(f"{own_site.url}/#/executions/seen/log")
    expect(page.get_by_text("line 2", exact=True)).to_be_visible()
    page.wait_for_function(FOLLOWERS, arg=2)
    page.evaluate(HIDE, True)
    page.wait_for_function(FOLLOWERS, arg=0)
    tell(daemon, *logs("seen", 2, start=3))
    page.evaluate(HIDE, False)
    expect(page.get_by_text("line 4", exact=True)).to_be_visible()

    said = page.locator(".log .line .text").all_inner_texts()
    assert [text for text in said if text.startswith("line ")] == [f"line {n}" for n in range(1, 5)]
