"""No flag of a reading verb without an example of its output: a new one shows here until it has one."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import click
import pytest

from cli import test_audit, test_inspect, test_lines, test_search

EXAMPLES: dict[str, Iterable[tuple[str, ...]]] = {
    **{
        verb: [arguments for arguments in test_lines.CASES.values() if arguments[0] == verb]
        for verb in ("logs", "tail")
    },
    "audit": test_audit.FLAGS.values(),
    "inspect": test_inspect.FLAGS.values(),
    "search": test_search.FLAGS.values(),
}
"""Verb to the arguments whose output is frozen, as text, and as JSON by adding --json."""

ELSEWHERE: dict[tuple[str, str], str] = {
    ("logs", "--check"): "cli.test_check",
    ("logs", "--cursor"): "cli.test_cursor",
    ("tail", "--cursor"): "cli.test_cursor",
    ("tail", "--to-journal"): "cli.test_journal",
    **{(verb, "--host"): "cli.test_hosts" for verb in EXAMPLES},
}
"""What depends on more than one run of a command, and where its output is shown."""

EVERYWHERE = {"--json", "--runtime-dir", "--help"}


def flags_of(verb: str) -> Iterable[list[str]]:
    """Yield the spellings of each flag that a verb has."""
    command = import_module(f"flightlog.cli.verbs.{verb}").command
    assert isinstance(command, click.Command)
    for param in command.params:
        if isinstance(param, click.Option):
            yield [*param.opts, *param.secondary_opts]


@pytest.mark.covers("S1.6", "S1.8", "S1.9", "S1.10", "S1.11")
@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_flag_has_an_example(verb: str) -> None:
    """Each flag occurs in an example whose output is frozen, or in a module that shows it."""
    shown = {argument for arguments in EXAMPLES[verb] for argument in arguments if argument.startswith("-")}
    shown |= EVERYWHERE | {flag for of, flag in ELSEWHERE if of == verb}

    assert [flag for flag in flags_of(verb) if shown.isdisjoint(flag)] == []


def test_flags_elsewhere_are_there() -> None:
    """A module that is said to show a flag uses it, with the verb that has it."""
    for (verb, flag), module in ELSEWHERE.items():
        text = Path(str(import_module(module).__file__)).read_text("utf-8")
        assert f'"{flag}"' in text, (verb, flag)
        assert f'"{verb}"' in text, (verb, flag)
