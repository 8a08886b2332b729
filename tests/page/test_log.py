"""The log of an execution on the page: followed, filtered, scrolled, bounded."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from page.scene import ended, rich, started
from support.daemon import Daemon
from support.lines import log, logs
from support.peers import IngestPeer
from support.web import Web

Tab = Callable[..., Page]
Tell = Callable[..., None]

WINDOW_LINES = 2000
"""What the page says it holds at most."""


@pytest.mark.covers("P17")
def test_the_log_goes_on_by_itself(site: Web, tab: Tab, tell: Tell) -> None:
    """What is there is shown, what comes is added, once each, life cycle included; its end is said."""
    tell(started("flow"), *logs("flow", 5))
    page = tab(site, "#/executions/flow/log")
    texts = page.locator(".log .line .text")
    expect(page.get_by_text("line 5", exact=True)).to_be_visible()
    tell(*logs("flow", 5, start=6))
    expect(page.get_by_text("line 10", exact=True)).to_be_visible()
    tell(ended("flow"))
    expect(page.locator(".logbar")).to_contain_text("ended, all lines shown")

    said = [text for text in texts.all_inner_texts() if text.startswith("line ")]
    assert said == [f"line {number}" for number in range(1, 11)]


def test_scrolled_up_it_stands_still(site: Web, tab: Tab, tell: Tell) -> None:
    """While one reads above, nothing moves; new lines are counted, and a button leads to them."""
    tell(started("still"), *logs("still", 300))
    page = tab(site, "#/executions/still/log")
    expect(page.get_by_text("line 300", exact=True)).to_be_visible()
    page.locator(".logframe").hover()
    page.mouse.wheel(0, -2000)
    expect(page.locator(".logbar")).to_contain_text("standing still")
    where = page.evaluate("document.querySelector('.logframe').scrollTop")
    tell(*logs("still", 7, start=301))
    jump = page.get_by_role("button", name="7 new lines")
    expect(jump).to_be_visible()
    assert page.evaluate("document.querySelector('.logframe').scrollTop") == where
    jump.click()
    expect(page.get_by_text("line 307", exact=True)).to_be_visible()
    tell(*logs("still", 1, start=308))

    expect(page.get_by_text("line 308", exact=True)).to_be_visible()


def test_filters_narrow_the_log(site: Web, tab: Tab, tell: Tell) -> None:
    """Level, text, task and source narrow it, live lines too; what was looked for is marked."""
    tell(*rich("sieve"))
    page = tab(site, "#/executions/sieve/log")
    lines = page.locator(".log .line")
    page.get_by_label("Level").select_option("WARN+")
    expect(page.get_by_text("collected 1204 items")).to_have_count(0)
    expect(page.get_by_text("test_drain took 31 s")).to_be_visible()
    tell(log("sieve", "quiet", level="DEBUG"), log("sieve", "loud", level="ERROR"))
    expect(page.get_by_text("loud", exact=True)).to_be_visible()
    expect(page.get_by_text("quiet", exact=True)).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type("FAILED")
    expect(lines).to_have_count(1)
    expect(lines.locator("mark").first).to_have_text("FAILED")
    expect(lines).to_contain_text("ERROR")
    expect(lines).to_contain_text("worker=3")
    assert "grep=FAILED" in page.url
    page.get_by_label("Text in the message").fill("")
    page.get_by_label("Level").select_option("")
    page.get_by_label("Source").fill("exec:pytest")
    expect(lines).to_have_count(3)
    page.get_by_label("Source").fill("nothing has it")

    expect(page.get_by_text("No lines.")).to_be_visible()


def test_a_position_can_be_linked_to(site: Web, tab: Tab, tell: Tell) -> None:
    """An address with a position shows that line among its neighbours, and both ways lead on."""
    tell(started("linked"), *logs("linked", 1500))
    page = tab(site, "#/executions/linked/log")
    expect(page.get_by_text("line 1500", exact=True)).to_be_visible()
    last = page.locator(".log .line").last.get_attribute("data-seq")
    assert last is not None
    page.goto(f"{site.url}/#/executions/linked/log?at={int(last) - 800}")
    expect(page.locator(".line.here .text")).to_have_text("line 700")
    expect(page.locator(".line.here")).to_be_in_viewport()
    page.locator(".logframe").focus()
    page.keyboard.press("Home")
    expect(page.get_by_text("line 200", exact=True)).to_be_attached()
    page.get_by_role("button", name="To the end").click()
    expect(page.get_by_text("line 1500", exact=True)).to_be_visible()

    assert "at=" not in page.url


def test_long_text_is_folded(site: Web, tab: Tab, tell: Tell) -> None:
    """A long line and one of many lines are shown in part, and whole when asked for."""
    tell(
        started("folds"),
        log("folds", "word " * 2000 + "LAST WORD"),
        log("folds", "\n".join(f"row {row}" for row in range(50))),
    )
    page = tab(site, "#/executions/folds/log")
    page.get_by_role("button", name="show all 10,009 characters").click()
    expect(page.get_by_text("LAST WORD")).to_be_attached()
    expect(page.get_by_text("row 49")).to_have_count(0)
    page.get_by_role("button", name="show all 50 lines").click()

    expect(page.get_by_text("row 49")).to_be_attached()


@pytest.mark.slow
@pytest.mark.covers("P17")
def test_a_burst_does_not_fill_the_page(daemon: Daemon, own_site: Web, tab: Tab) -> None:
    """At a thousand lines a second the page keeps up, holds a window of them, and ends with the last."""
    count = 10_000
    with IngestPeer(daemon.ingest_socket) as peer:
        peer.send(started("burst") + b"\n")
        peer.until_ack(1)
        page = tab(own_site, "#/executions/burst/log")
        expect(page.locator(".log .line")).to_have_count(1)
        page.evaluate(
            """() => {
                window.most = 0;
                const list = document.querySelector(".log");
                new MutationObserver(() => { window.most = Math.max(window.most, list.childElementCount); })
                    .observe(list, { childList: true });
            }"""
        )
        lines = logs("burst", count)
        for first in range(0, count, 100):
            peer.send(b"\n".join(lines[first : first + 100]) + b"\n")
            peer.until_ack(1 + first + 100)
            page.evaluate("new Promise(requestAnimationFrame)")
        expect(page.locator(".log .line .text").last).to_have_text(f"line {count}")
        shown = page.evaluate("[...document.querySelectorAll('.log .line')].map((line) => +line.dataset.seq)")

        assert page.evaluate("window.most") <= WINDOW_LINES
        assert shown == list(range(shown[0], shown[0] + len(shown)))
        page.locator(".logframe").focus()
        page.keyboard.press("Home")
        expect(page.locator(".log .line").first).not_to_have_attribute("data-seq", str(shown[0]))
        assert page.locator(".log .line").count() <= WINDOW_LINES
