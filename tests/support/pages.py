"""The documentation: its pages, its blocks of commands, the links between them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from support.source import ROOT

PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE: Final = re.compile(
    r"(?:<!-- not run: (?P<why>[^>]+) -->\n)?```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
_CODE: Final = re.compile(r"`([^`\n]+)`")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_EXIT: Final = re.compile(r"#.*\bexit code (\d+)")


class Block(NamedTuple):
    """A fenced block: its language, its text, and why it is not run, if it says so."""

    kind: str
    text: str
    why: str | None


class Command(NamedTuple):
    """What a person types at a prompt, and the exit code that the page promises."""

    text: str
    code: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    return [
        Block(found["kind"], found["text"], found["why"])
        for found in _FENCE.finditer(page.read_text("utf-8"))
    ]


def commands(block: Block) -> Iterator[Command]:
    r"""Yield the commands of a console: lines after `$ `, with what a backslash at the end goes on with."""
    lines = iter(block.text.split("\n"))
    for line in lines:
        if line.startswith("$ "):
            text = line[2:]
            while text.endswith("\\"):
                text += "\n" + next(lines)
            promised = _EXIT.search(text)
            yield Command(text, int(promised[1]) if promised else 0)


def inline_code(page: Path) -> list[str]:
    """Return what stands between single backticks, outside of fenced blocks."""
    return _CODE.findall(_FENCE.sub("", page.read_text("utf-8")))


def links(page: Path) -> list[str]:
    """Return where links point to."""
    return _LINK.findall(_FENCE.sub("", page.read_text("utf-8")))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}
