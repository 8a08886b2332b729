"""One execution: its header, its timeline, the parts behind its tabs."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from flightlog.clock import now_us
from page.scene import SECOND, ended, rich, started
from support.lines import event
from support.web import Web

Tab = Callable[..., Page]
Tell = Callable[..., None]


BOXES = """(parts) => parts.map((part) => {
    const { left, right, top } = part.getBoundingClientRect();
    return [left, right, top];
})"""
"""Where parts are, all of one moment: they are drawn anew while something grows."""


@pytest.mark.covers("P17")
def test_the_header_says_how_it_stands(site: Web, tab: Tab, tell: Tell) -> None:
    """Status, phases, times, labels, counters, tokens and warnings, and it follows what happens."""
    tell(*rich("headed"))
    page = tab(site, "#/executions/headed")
    head = page.locator(".subject")
    for text in ("release headed", "running", "flightplan 2.4.1", "release/2.5", "1,189", "$1.25"):
        expect(head).to_contain_text(text)
    expect(head.locator("[aria-current=step]")).to_contain_text("build")
    tell(
        event("execution.advanced", "headed", from_phase="build", to_phase="review"),
        ended("headed", "failed", 90, error={"type": "Boom", "message": "it broke", "stack": "at line 1"}),
    )
    expect(head.get_by_label("Error")).to_contain_text("Boom it broke")
    head.get_by_text("Stack").click()

    expect(head.locator("pre")).to_have_text("at line 1")
    expect(page).to_have_title("release headed · failed · flightlog")


@pytest.mark.covers("P17")
def test_the_timeline_shows_retries_and_overlap(site: Web, tab: Tab, tell: Tell) -> None:
    """Bars share an axis, a retry stands under its task, what runs grows and can be clicked all the same."""
    tell(*rich("bars", now_us() - 60 * SECOND))
    page = tab(site, "#/executions/bars")
    rows = page.locator(".bars .row")
    expect(rows).to_have_count(3)
    spans = page.locator(".bars .span")
    survey, first, retry = spans.evaluate_all(BOXES)

    assert survey[0] < first[0] < survey[1] < first[1] <= retry[0] + 1
    assert survey[2] < first[2] < retry[2]
    expect(rows.nth(2)).to_contain_text("retry 2")
    expect(spans.nth(2)).to_have_class("span is-busy open")
    expect(page.locator(".overlap")).to_contain_text("max 2")
    grown = rows.nth(2).locator("[data-since]").inner_text()
    expect(rows.nth(2).locator("[data-since]")).not_to_have_text(grown)
    rows.nth(1).hover()
    page.mouse.down()
    before = rows.nth(2).locator("[data-since]").inner_text()
    expect(rows.nth(2).locator("[data-since]")).not_to_have_text(before)
    page.mouse.up()

    expect(page.locator(".details:visible")).to_contain_text("no ack within 30 s")
    error = page.locator(".details:visible strong")
    error.select_text()
    before = rows.nth(2).locator("[data-since]").inner_text()
    expect(rows.nth(2).locator("[data-since]")).not_to_have_text(before)
    assert page.evaluate("String(getSelection())") == "TimeoutError"
    page.evaluate("getSelection().removeAllRanges()")
    tell(event("task.ended", "bars", task_id="worker", outcome="succeeded", attempt=2))
    expect(rows.nth(2)).to_contain_text("succeeded")
    expect(page.locator(".details:visible")).to_contain_text("no ack within 30 s")


@pytest.mark.covers("P17")
def test_parts_are_behind_tabs(site: Web, tab: Tab, tell: Tell) -> None:
    """Agents with tokens and cost, artifacts, the audit trail, raw events; each has an address."""
    tell(*rich("parts"))
    page = tab(site, "#/executions/parts")
    part = page.locator(".part")
    for name, texts in {
        "Agents": ("builder", "opus", "12,000", "345", "$1.25"),
        "Artifacts": ("dist/orbital.tar.gz", "1.8 MiB", "build"),
        "Audit": ("PHASE_CHANGE", "TASK_FAILED", "smaller batches", "uid"),
        "Events": ("execution.created", "plan → build", "task.ended"),
    }.items():
        page.locator(".tabs").get_by_role("link", name=name).click()
        for text in texts:
            expect(part).to_contain_text(text)
        assert page.url.endswith(f"#/executions/parts/{name.lower()}")
    part.get_by_text("artifact.added").click()
    expect(part.locator("pre:visible")).to_contain_text('"size_bytes": 1843211')
    page.go_back()
    expect(part).to_contain_text("PHASE_CHANGE")
    page.keyboard.press("[")

    expect(part).to_contain_text("dist/orbital.tar.gz")


def test_agents_show_as_they_come(site: Web, tab: Tab, tell: Tell) -> None:
    """What an agent uses is added up on the open page."""
    tell(started("adding"), event("agent.added", "adding", agent_id="a", name="ada"))
    page = tab(site, "#/executions/adding/agents")
    expect(page.locator(".part")).to_contain_text("ada")
    tell(event("agent.usage", "adding", agent_id="a", input_tokens=777))

    expect(page.locator(".part")).to_contain_text("777")


def test_an_unknown_execution_is_said_to_be(site: Web, tab: Tab) -> None:
    """An address that leads nowhere says so, and how to go on."""
    page = tab(site, "#/executions/nobody", may_fail=True)
    expect(page.get_by_role("alert").first).to_contain_text("nobody")
    page.goto(f"{site.url}/#/nowhere/at/all")

    expect(page.get_by_text("There is no such page.")).to_be_visible()


def test_the_daemon_is_shown(site: Web, tab: Tab) -> None:
    """The page of the daemon has its state, lags and sizes."""
    page = tab(site, "#/status")

    for text in ("State", "Head", "Read models", "in step", "Database", "execution"):
        expect(page.locator("main")).to_contain_text(text)
