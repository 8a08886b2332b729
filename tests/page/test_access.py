"""The page for everybody: by keyboard, on a phone, in the dark, by what assistive technology is told."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from flightlog_schemas.projects import project_id_of
from page.scene import rich, started, tasks
from support.daemon import Daemon
from support.lines import event, logs
from support.peers import IngestPeer
from support.web import Web

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

Tab = Callable[..., Page]
Tell = Callable[..., None]

VIEWS = {
    "#/": "Executions",
    "#/executions/open": "release open",
    "#/executions/open/log": "release open",
    "#/executions/open/agents": "release open",
    "#/executions/open/artifacts": "release open",
    "#/executions/open/audit": "release open",
    "#/executions/open/events": "release open",
    "#/plans": "Projects and their plans",
    f"#/plans/{project_id_of('/src/open')}": "Plan of open",
    "#/search?q=collected": "Search",
    "#/status": "Status of the daemon",
}
"""Addresses, and the heading that each has."""


@pytest.fixture(scope="module")
def scene(shared_daemon: Daemon, site: Web) -> Web:
    """Give the module's server, with an execution that the views are of."""
    lines = [
        *rich("open"),
        *logs("open", 60),
        *tasks("/src/open"),
        event("plan.requested", project="/src/open"),
    ]
    with IngestPeer(shared_daemon.ingest_socket) as peer:
        peer.send(b"\n".join(lines) + b"\n")
        peer.until_ack(len(lines))
    return site


def settled(page: Page, heading: str) -> None:
    """Wait until a view shows what it is to show."""
    expect(page.locator("h1")).to_have_text(heading)
    expect(page.locator("[aria-busy]")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.covers("P17")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_amiss_by_axe(scene: Web, tab: Tab, scheme: str) -> None:
    """No view breaks a rule of WCAG 2.2 AA that a machine can check, in either theme."""
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: make test-deps")
    page = tab(scene, color_scheme=scheme, reduced_motion="reduce")
    broken: dict[str, Any] = {}
    for address, heading in VIEWS.items():
        page.goto(f"{scene.url}/{address}")
        settled(page, heading)
        # The policy of the page lets no script in but its own; the tool comes in beside it.
        page.evaluate(AXE.read_text("utf-8"))
        found = page.evaluate("(rules) => axe.run({ runOnly: rules })", RULES)
        if found["violations"]:
            broken[address] = [
                (rule["id"], [node["target"] for node in rule["nodes"]][:3]) for rule in found["violations"]
            ]

    assert broken == {}


@pytest.mark.parametrize("address", VIEWS)
def test_a_phone_is_wide_enough(scene: Web, tab: Tab, address: str) -> None:
    """At 360 pixels no view is wider than the screen."""
    page = tab(scene, address, viewport={"width": 360, "height": 740}, has_touch=True)
    settled(page, VIEWS[address])

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_phone_is_wide_enough_for_the_api(scene: Web, tab: Tab) -> None:
    """At 360 pixels the list of the API is no wider than the screen; nothing that it loads is missing."""
    page = tab(scene, "docs", viewport={"width": 360, "height": 740}, has_touch=True)
    expect(page.get_by_role("heading", name="GET /api/executions", exact=True)).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_theme_is_kept(scene: Web, tab: Tab) -> None:
    """Light and dark follow the system until somebody chooses, and the choice outlasts the page."""
    page = tab(scene, color_scheme="dark")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    dark = page.evaluate(ground)
    page.keyboard.press("t")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    light = page.evaluate(ground)
    page.reload()
    settled(page, "Executions")

    assert page.evaluate(ground) == light != dark


def test_everything_is_reached_by_keyboard(scene: Web, tab: Tab) -> None:
    """From the top: a link skips to the content, and each thing that has the focus shows it."""
    page = tab(scene, "#/executions/open")
    settled(page, "release open")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => {
                    const at = document.activeElement;
                    const style = getComputedStyle(at);
                    return [at.getAttribute("aria-label") ?? at.textContent, style.outlineStyle];
                }"""
            )
        )
        if "survey the code" in seen[-1][0]:
            break
    page.keyboard.press("Enter")

    expect(page.locator(".details:visible")).to_contain_text("docs/scheduler.md")
    names = " ".join(name for name, _ in seen)
    for name in ("Plans", "Search all logs", "Keys", "open", "Log", "Events"):
        assert name in names
    assert [name for name, outline in seen if outline != "solid"] == []


def test_times_are_local_and_exact_in_their_title(scene: Web, tab: Tab) -> None:
    """Log lines show local time; the title has date, microseconds and offset."""
    page = tab(scene, "#/executions/open/log?source=exec:pytest", timezone_id="Asia/Kolkata")
    first = page.locator(".log .time").first

    expect(first).to_have_text("19:43:31.000")
    assert "2026-09-21T19:43:31.000000+05:30" in str(first.get_attribute("title"))


def test_news_are_said_without_chatter(scene: Web, tab: Tab, tell: Tell) -> None:
    """The log is no live region, for it would be read out line by line; a new execution is said once."""
    page = tab(scene, "#/executions/open/log")
    expect(page.get_by_role("list", name="Log lines")).to_be_visible()
    assert page.locator("[aria-live] .log, [role=log], [role=status] .log").count() == 0
    page.goto(f"{scene.url}/#/")
    settled(page, "Executions")
    tell(started("said", 10_000_000, name="hear hear"))

    expect(page.locator("#announcer")).to_have_text("New execution: hear hear, running")
