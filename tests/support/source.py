"""The source tree, for tests that read it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
TESTS: Final = ROOT / "tests"
PACKAGES: Final = {
    "flightlog_schemas": ROOT / "schemas" / "flightlog_schemas",
    "flightlog": ROOT / "client" / "flightlog",
    "flightlogd": ROOT / "daemon" / "flightlogd",
}
"""Import name to folder."""


def modules_of(folder: Path) -> list[Path]:
    """Return all Python files below a folder, sorted."""
    return sorted(folder.rglob("*.py"))


@cache
def parse(file: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(file.read_text("utf-8"), str(file))


def imports_of(file: Path) -> Iterator[tuple[str, int]]:
    """Yield (module, line) of each absolute import in a file, also those inside functions."""
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            assert node.module is not None
            yield node.module, node.lineno


def shown(file: Path, line: int | None = None) -> str:
    """Return a place as `path:line`, relative to the checkout."""
    place = str(file.relative_to(ROOT))
    return place if line is None else f"{place}:{line}"
