"""A daemon or a server that goes away and comes back, as the page shows it."""

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
