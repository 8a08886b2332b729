"""The page: plain files, small, that fetch nothing from elsewhere and put text in as text."""

import re

from support.source import PACKAGES, shown

LENGTH_LIMIT_LINES = 400
STATIC = PACKAGES["flightlog"] / "web" / "static"
FILES = sorted(file for file in STATIC.rglob("*") if file.suffix in (".html", ".css", ".js"))
SCRIPTS = [file for file in FILES if file.suffix == ".js"]

AS_MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc|eval\("
)
"""Ways in which text could become markup or script."""

NAMESPACE = "http://www.w3.org/2000/svg"
"""A name, not an address."""


def test_no_file_of_the_page_grows_without_end() -> None:
    """No file is longer than the limit."""
    lengths = {shown(file): len(file.read_text("utf-8").splitlines()) for file in FILES}

    assert len(lengths) > 20
    assert {file: lines for file, lines in lengths.items() if lines > LENGTH_LIMIT_LINES} == {}


def test_every_script_says_what_it_is() -> None:
    """Each script begins with a comment."""
    assert [shown(file) for file in SCRIPTS if not file.read_text("utf-8").startswith("// ")] == []


def test_text_never_becomes_markup() -> None:
    """No script knows a way to make nodes from text."""
    assert [shown(file) for file in SCRIPTS if AS_MARKUP.search(file.read_text("utf-8"))] == []


def test_the_page_comes_from_here_alone() -> None:
    """No file names an address elsewhere, and none holds script or style where the policy forbids it."""
    foreign = {
        shown(file): found
        for file in FILES
        if (found := re.findall(r"https?://[\w.]+[\w/.-]*", file.read_text("utf-8").replace(NAMESPACE, "")))
    }
    inline = [
        shown(file)
        for file in FILES
        if file.suffix == ".html"
        and re.search(r"<style|<script(?![^>]* src=)|\son\w+=|\sstyle=", file.read_text("utf-8"))
    ]

    assert foreign == {}
    assert inline == []


def test_what_scripts_import_is_there() -> None:
    """Each import leads to a file, and names something that it exports."""
    missing = []
    for file in SCRIPTS:
        text = file.read_text("utf-8")
        for names, target in re.findall(r'^import \{([^}]*)\} from "(\./[\w-]+\.js)";', text, re.MULTILINE):
            exported = set(
                re.findall(
                    r"^export (?:async )?(?:function|const|class) (\w+)",
                    (file.parent / target).read_text("utf-8"),
                    re.MULTILINE,
                )
            )
            missing += [
                f"{shown(file)}: {name.strip()}"
                for name in names.split(",")
                if name.strip() and name.strip() not in exported
            ]

    assert missing == []
