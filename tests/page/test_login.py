"""Logging in with a browser, as a person does where a token is wanted."""

import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from page.scene import started
from support.daemon import Daemon
from support.web import Web

TOKEN = "a-token-of-enough-length"
OTHER_TOKEN = "another-of-enough-length"

Tab = Callable[..., Page]
Tell = Callable[..., None]


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """Give a file with a token."""
    file = tmp_path / "token"
    file.touch(stat.S_IRUSR | stat.S_IWUSR)
    file.write_text(TOKEN)
    return file


@pytest.fixture
def guarded(shared_daemon: Daemon, token_file: Path) -> Iterator[Web]:
    """Give a server that asks for a token."""
    with Web(shared_daemon.runtime_dir, "--token-file", str(token_file)) as running:
        yield running


def log_in(page: Page, token: str) -> None:
    """Fill in the form and send it."""
    page.get_by_label("This server wants its token").fill(token)
    page.get_by_role("button", name="Log in").click()


@pytest.mark.covers("P17")
def test_the_token_is_asked_for_once(guarded: Web, tab: Tab, tell: Tell) -> None:
    """A wrong token leads to the form again, the right one to the list, and a visit later straight there."""
    tell(started("behind-the-token"))
    page = tab(guarded, may_fail=True)
    log_in(page, "wrong")
    expect(page.get_by_label("This server wants its token")).to_have_value("")
    log_in(page, TOKEN)
    expect(page.locator("h1")).to_have_text("Executions")
    expect(page.locator("tbody")).to_contain_text("behind-the-token")
    page.goto(f"{guarded.url}/#/status")

    expect(page.locator("h1")).to_have_text("Status of the daemon")


@pytest.mark.covers("P17")
def test_a_token_that_is_over(
    guarded: Web, token_file: Path, shared_daemon: Daemon, tab: Tab, tell: Tell
) -> None:
    """Where the server has another token by now, an open page gives way to the form."""
    page = tab(guarded, may_fail=True)
    log_in(page, TOKEN)
    expect(page.locator("h1")).to_have_text("Executions")
    guarded.end()
    token_file.write_text(OTHER_TOKEN)
    with Web(shared_daemon.runtime_dir, "--token-file", str(token_file), "--port", str(guarded.port)):
        log_in(page, OTHER_TOKEN)
        expect(page.locator("h1")).to_have_text("Executions")
