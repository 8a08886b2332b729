"""What the pages tell people to type works, and what they name is there."""

import os
import shlex
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from support.daemon import DaemonFactory, clean_environment
from support.pages import PAGES, anchors, blocks, commands, inline_code, links
from support.reference import flightlog_flags, flightlogd_flags, flightlogd_verbs, verb_paths
from support.source import ROOT

PROGRAMS = {("flightlog", *path): flightlog_flags(command) for path, command in verb_paths()} | {
    ("flightlogd", *filter(None, [name])): flightlogd_flags(verb) for name, verb in flightlogd_verbs().items()
}
"""The words that call a verb, and its flags."""
VERBS = {path[1] for path in PROGRAMS if len(path) > 1}

TIMEOUT_S = 120.0

SHELL = """
exec 9>{codes}
flightlog() {{ {python} -P -W error -m flightlog "$@"; }}
flightlogd() {{ {python} -P -W error -m flightlogd "$@"; }}
"""


def run_page(page: Path, home: Path, **environment: str) -> list[str]:
    """Run the consoles of a page in one shell, and return what ended otherwise than the page says."""
    told = [
        command
        for block in blocks(page)
        if block.kind == "console" and block.why is None
        for command in commands(block)
    ]
    codes = home / "codes"
    script = SHELL.format(python=shlex.quote(sys.executable), codes=shlex.quote(str(codes)))
    for number, command in enumerate(told):
        script += f"{command.text}\nprintf '%s %s\\n' {number} $? >&9\n"
    with subprocess.Popen(
        ["bash", "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=clean_environment(HOME=str(home), **environment),
        cwd=home,
        start_new_session=True,
    ) as shell:
        try:
            out, _ = shell.communicate(timeout=TIMEOUT_S)
        finally:
            # A page may leave something running.
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)
    ended = {int(number): int(code) for number, code in map(str.split, codes.read_text().splitlines())}
    return [
        f"{command.text}: exit code {ended.get(number)}, not {command.code}\n{out.decode()[-3000:]}"
        for number, command in enumerate(told)
        if ended.get(number) != command.code
    ]


@pytest.mark.slow
@pytest.mark.covers("S1.16")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_do_what_it_says(page: Path, daemon_factory: DaemonFactory, home: Path) -> None:
    """Every console of a page runs, from its first line to its last, against a real daemon."""
    daemon = daemon_factory(name="d")
    wrong = run_page(
        page,
        home,
        FLIGHTLOG_RUNTIME_DIR=str(daemon.runtime_dir),
        FLIGHTLOG_STATE_DIR=str(daemon.state_dir),
    )

    assert wrong == [], "\n".join(wrong)


def unknown_flags(text: str) -> list[str]:
    """Return the flags in a command line that its verb does not have; what is no command has none."""
    try:
        words = shlex.split(text, comments=True)
    except ValueError:
        return []
    if len(words) > 1 and words[0] in VERBS and words[1].startswith("--"):
        words.insert(0, "flightlog")
    for start, word in enumerate(words):
        if word not in ("flightlog", "flightlogd"):
            continue
        length = max(n for n in (1, 2, 3) if n == 1 or tuple(words[start : start + n]) in PROGRAMS)
        path = tuple(words[start : start + length])
        if path not in PROGRAMS:
            return [f"{text}: no such verb"] if len(words) > start + 1 and words[start + 1].isalpha() else []
        known, unknown = PROGRAMS[path], []
        for flag in words[start + length :]:
            if flag in ("--", "|", ";", "&&", "||"):
                break
            name = flag.partition("=")[0].rstrip("].,)")
            # A digit or a word behind a dash belongs to the text of a search.
            if name.startswith("--") and name not in known:
                unknown.append(f"{text}: {name}")
        return unknown
    return []


@pytest.mark.covers("S1.16")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page: Path) -> None:
    """Every `flightlog VERB --flag` in the text and in all blocks is one that the program has."""
    texts = [*inline_code(page)]
    for block in blocks(page):
        if block.kind in ("console", "sh"):
            texts += [line.removeprefix("$ ") for line in block.text.split("\n")]

    assert [unknown for text in texts for unknown in unknown_flags(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """Links between pages point to pages and headings that are there."""
    missing = []
    for link in links(page):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = page if not name else (page.parent / name).resolve()
        if not target.exists() or (anchor and anchor not in anchors(target)):
            missing.append(link)

    assert missing == []


def test_every_page_is_found_from_the_readme() -> None:
    """README links to each page, and stays a tour."""
    readme = ROOT / "README.md"
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(readme)}

    assert [page.name for page in PAGES[1:] if page not in linked] == []
    assert len(readme.read_text("utf-8").split("\n")) <= 350
