"""The list of executions: what is there, what comes, filters, pages, keys."""

import json
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from page.scene import ended, rich, started
from support.daemon import Daemon
from support.lines import event, log
from support.peers import IngestPeer
from support.web import Web

Tab = Callable[..., Page]
Tell = Callable[..., None]


@pytest.mark.covers("P17")
def test_executions_are_listed_with_what_matters(site: Web, tab: Tab, tell: Tell) -> None:
    """A row says how it stands, its name and id, phase, project, duration, lines and cost."""
    tell(*rich("listed"))
    row = tab(site).locator("tbody tr", has_text="release listed")

    for text in ("running", "listed", "build", "orbital", "1 err", "1 warn", "$1.25"):
        expect(row).to_contain_text(text)
    assert row.locator("time").get_attribute("title", timeout=5000) == "2026-09-21T14:13:20.000000Z"


@pytest.mark.covers("P17")
def test_what_begins_and_ends_shows_by_itself(site: Web, tab: Tab, tell: Tell) -> None:
    """A new execution appears on the open page, and its row follows it to its end."""
    page = tab(site)
    expect(page.locator("h1")).to_have_text("Executions")
    tell(started("appears", name="it appears"))
    row = page.locator("tbody tr", has_text="it appears")
    expect(row).to_contain_text("running")
    tell(ended("appears", "failed", error={"type": "BuildError", "message": "linker exited with status 1"}))

    expect(row).to_contain_text("failed")
    expect(row).to_contain_text("BuildError: linker exited with status 1")


def test_filters_are_in_the_address(site: Web, tab: Tab, tell: Tell) -> None:
    """Status, project and name narrow the list; the address can be linked to, and back undoes a step."""
    tell(
        started("narrow-1", name="narrow", project="/src/one"),
        ended("narrow-1"),
        started("narrow-2", name="narrow", project="/src/two"),
        ended("narrow-2", "failed"),
    )
    page = tab(site, "#/?name=narrow")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Failed").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("narrow-2")
    assert "status=failed" in page.url
    page.go_back()
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_label("Project").fill("/src/one")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr")).to_contain_text("narrow-1")
    page.get_by_label("Project").fill("/src/none")

    expect(page.get_by_text("Nothing matches these filters.")).to_be_visible()


def test_the_list_is_gone_through_by_keys(site: Web, tab: Tab, tell: Tell) -> None:
    """J and k go through the rows, Enter opens one, back returns, slash goes to the search."""
    tell(*(line for number in range(3) for line in (started(f"key-{number}", number, name="keys"),)))
    page = tab(site, "#/?name=keys")
    rows = page.locator("tbody tr a[data-row]")
    expect(rows).to_have_count(3)
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("k")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("keys")
    assert page.url.endswith("#/executions/key-1")
    page.go_back()
    expect(rows).to_have_count(3)
    page.keyboard.press("/")
    expect(page.get_by_label("Search all logs")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")

    expect(page.get_by_role("dialog")).to_be_visible()


@pytest.mark.slow
def test_ten_thousand_executions_are_pages(daemon: Daemon, own_site: Web, tab: Tab) -> None:
    """However many there are, a page holds fifty; older pages are steps that back undoes."""
    with IngestPeer(daemon.ingest_socket) as peer:
        lines = [started(f"many-{number:05}", number) for number in range(10_000)]
        for first in range(0, len(lines), 1000):
            peer.send(b"\n".join(lines[first : first + 1000]) + b"\n")
            peer.until_ack(first + 1000)
    page = tab(own_site)
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(50)
    expect(rows.first).to_contain_text("many-09999")
    page.keyboard.press("n")
    expect(rows.first).to_contain_text("many-09949")
    page.get_by_role("link", name="Older").click()
    expect(rows.first).to_contain_text("many-09899")
    expect(rows).to_have_count(50)
    page.go_back()
    expect(rows.first).to_contain_text("many-09949")
    page.get_by_role("link", name="Newest").click()

    expect(rows.first).to_contain_text("many-09999")


@pytest.mark.covers("P17")
def test_text_of_executions_is_only_ever_text(site: Web, tab: Tab, tell: Tell) -> None:
    """Markup, terminal escapes and marks of direction in names, labels and errors do nothing."""
    evil = "<img src=x onerror=document.title='pwned'>\x1b[31mred\x1b[0m\u202eesrever"
    tell(
        started("evil", name=evil, project=evil, goal=evil, labels={evil: evil}),
        event("task.started", "evil", task_id="t", name=evil, inputs={evil: evil}),
        log("evil", evil, source=evil[:60], fields={evil: evil}),
        event("artifact.added", "evil", path=evil),
        event("agent.added", "evil", agent_id="a", name=evil, model=evil),
        ended("evil", "failed", error={"type": evil, "message": evil, "stack": evil}),
    )
    page = tab(site)
    expect(page.locator("tbody tr", has_text="<img")).to_contain_text("red\\u202eesrever")
    for part in ("", "/log", "/agents", "/artifacts", "/audit", "/events?logs=1"):
        page.goto(f"{site.url}/#/executions/evil{part}")
        expect(page.locator(".part").get_by_text("<img src=x").first).to_be_attached()

    assert page.locator("img").count() == 0
    assert "pwned" not in page.title().split(" ")
    assert "\x1b" not in page.locator("body").inner_text()
    assert (
        json.loads(page.evaluate("JSON.stringify([...document.links].map((a) => a.protocol))")).count(
            "javascript:"
        )
        == 0
    )
