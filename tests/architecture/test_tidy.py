"""Style that a linter does not know, as tests: structure, length, banned calls."""

import ast
from pathlib import Path

import pytest

from support.source import PACKAGES, ROOT, TESTS, modules_of, parse, shown

LENGTH_LIMIT_LINES = 400
"""Longest file. Aim far lower: about 130 lines and one idea each."""

WALL_CLOCK = frozenset(
    {
        "time.time",
        "time.time_ns",
        "time.localtime",
        "time.gmtime",
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
    }
)
CLOCKS = {"flightlogd": "clock.py", "flightlog": "clock.py"}
"""The one module of each package that may ask the machine what time it is."""

ALL_SOURCES = [file for folder in PACKAGES.values() for file in modules_of(folder)]
ALL_TESTS = modules_of(TESTS)


def calls(file: Path) -> list[tuple[str, int]]:
    """Return (dotted name, line) of everything called or handed on by a dotted name in a file."""
    found = []
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Attribute):
            value = node.value
            base = (
                value.id
                if isinstance(value, ast.Name)
                else value.attr
                if isinstance(value, ast.Attribute)
                else ""
            )
            found.append((f"{base}.{node.attr}", node.lineno))
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "trio"):
            found.extend((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)
    return found


@pytest.mark.parametrize(
    "folder", [package.parent for package in PACKAGES.values()], ids=lambda f: str(f.name)
)
def test_no_module_lies_beside_its_package(folder: Path) -> None:
    """The three folders are on the import path, so they hold packages only."""
    assert [shown(file) for file in folder.glob("*.py")] == []


@pytest.mark.parametrize("package", PACKAGES.values(), ids=PACKAGES.keys())
def test_packages_are_typed(package: Path) -> None:
    """Each package says that it is typed."""
    assert (package / "py.typed").is_file()


def test_every_module_says_what_it_is() -> None:
    """Each module begins with a docstring."""
    assert [shown(file) for file in ALL_SOURCES if not ast.get_docstring(parse(file))] == []


def test_no_file_grows_without_end() -> None:
    """No file is longer than the limit."""
    lengths = {shown(file): len(file.read_text("utf-8").splitlines()) for file in ALL_SOURCES + ALL_TESTS}

    assert {file: lines for file, lines in lengths.items() if lines > LENGTH_LIMIT_LINES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_one_module_asks_for_the_time(package: str) -> None:
    """Wall-clock time comes from one module of each package, so that a test can put another clock there."""
    folder = PACKAGES[package]
    askers = {
        str(file.relative_to(folder))
        for file in modules_of(folder)
        for name, _ in calls(file)
        if name in WALL_CLOCK
    }

    assert askers <= ({CLOCKS[package]} if package in CLOCKS else set())


def test_tests_never_sleep() -> None:
    """A test waits for what it is about, never for time to pass."""
    sleeps = [
        shown(file, line)
        for file in ALL_TESTS
        if not file.is_relative_to(TESTS / "bench")
        for name, line in calls(file)
        if name in ("time.sleep", "trio.sleep", "asyncio.sleep")
    ]

    assert sleeps == []


def test_the_flow_can_be_read_off_the_file_names() -> None:
    """Each step of the flow that the daemon's package lists is a module or package of that name."""
    folder = PACKAGES["flightlogd"]
    listed = [
        line.split("`")[1]
        for line in (folder / "__init__.py").read_text().splitlines()
        if line.startswith("- `")
    ]

    assert len(listed) > 10
    assert [
        name for name in listed if not (folder / f"{name}.py").is_file() and not (folder / name).is_dir()
    ] == []


def test_files_that_documents_name_exist() -> None:
    """Each relative link in the README leads to a file."""
    text = (ROOT / "README.md").read_text("utf-8")
    links = [part.split(")")[0].split("#")[0] for part in text.split("](")[1:]]

    assert [link for link in links if link and "://" not in link and not (ROOT / link).exists()] == []
