"""Machines on the page: a view of them, a choice of one, whose an execution is."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from support.daemon import Daemon
from support.origins import ran, repeat
from support.web import Web

Tab = Callable[..., Page]


@pytest.mark.covers("P17", "P18")
def test_one_machine_is_no_choice(site: Web, tab: Tab) -> None:
    """With one machine there is nothing to choose, and the view says where others come from."""
    page = tab(site, "#/hosts")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("#main")).to_contain_text("flightlog collect")
    page.get_by_role("link", name="Executions").first.click()
    expect(page.locator("h1")).to_have_text("Executions")
    expect(page.get_by_label("Host", exact=True)).to_have_count(0)


@pytest.mark.covers("P17", "P18")
def test_machines_are_shown_and_chosen(daemon: Daemon, own_site: Web, tab: Tab) -> None:
    """Executions of others bear their machine; choosing one, or following its line, keeps the list to it."""
    repeat(daemon, *ran("far", "build-7"), *ran("farther", "build-7", outcome="failed"))
    page = tab(own_site)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(2)
    expect(page.locator("tbody tr", has_text="on farther").locator("a.host")).to_have_text("farther")
    expect(rows.first).not_to_contain_text("~")
    page.get_by_label("Host", exact=True).select_option("far")
    expect(rows).to_have_count(1)
    assert "host=far" in page.url
    rows.locator("a", has_text="on far").click()
    expect(page.locator("dl.facts")).to_contain_text("Host")
    page.get_by_role("link", name="Hosts").click()
    expect(page.locator("tbody tr")).to_have_count(3)
    row = page.locator("tbody tr", has_text="farther")
    row.get_by_role("link", name="1", exact=True).last.click()
    expect(page.locator("tbody tr")).to_have_count(1)
    assert "failed" in page.url
