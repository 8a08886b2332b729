"""What is promised is tested, and what tests claim to prove is promised."""

import ast
import tomllib
from collections.abc import Iterator

from support.source import TESTS, modules_of, parse, shown

REQUIREMENTS: dict[str, str] = tomllib.loads((TESTS / "requirements.toml").read_text("utf-8"))["requirements"]


def claims() -> Iterator[tuple[str, str]]:
    """Yield (id, place) of each `pytest.mark.covers(...)` in the tests."""
    for file in modules_of(TESTS):
        for node in ast.walk(parse(file)):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "covers"
            ):
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), (
                        f"{shown(file, node.lineno)}: covers takes plain ids"
                    )
                    yield str(argument.value), shown(file, node.lineno)


def test_every_requirement_has_a_test() -> None:
    """Each promise and requirement row that works is named by at least one test."""
    covered = {identifier for identifier, _ in claims()}

    assert [identifier for identifier in REQUIREMENTS if identifier not in covered] == []


def test_tests_cover_known_requirements() -> None:
    """Each id that a test names is in the list of what works."""
    unknown = [f"{place}: {identifier}" for identifier, place in claims() if identifier not in REQUIREMENTS]

    assert unknown == []


def test_requirements_are_sentences() -> None:
    """Each requirement is one sentence that says what a user can rely on."""
    assert [
        identifier for identifier, text in REQUIREMENTS.items() if not text.endswith(".") or len(text) < 20
    ] == []
