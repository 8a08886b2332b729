"""What `logs` and `tail` show and leave out: the options that both have, and what of them only we can do."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from flightlog.cli.follow import Said
from flightlog.cli.options import ID, LEVELS, PATTERN, TIME, Pattern, host_option
from flightlog_schemas.answers import LogLine
from flightlog_schemas.wire.reply import Pruned

Function = TypeVar("Function", bound=Callable[..., Any])


def choice_options(text: str) -> Callable[[Function], Function]:
    """Add the options that narrow what is shown.

    Args:
        text: In what `--grep` and `--exclude` look.
    """
    options = (
        click.option(
            "--level",
            type=LEVELS,
            metavar="A,B",
            help="Log lines of exactly these levels; WARN+ is WARN and all that is more severe.",
        ),
        click.option("--task", type=ID, metavar="ID", help="Of this task."),
        click.option("--agent", type=ID, metavar="ID", help="Of this agent."),
        click.option("--source", help="Log lines of exactly this source."),
        click.option(
            "-g",
            "--grep",
            type=PATTERN,
            metavar="REGEX",
            multiple=True,
            help=f"In whose {text} this is found; of several, all.",
        ),
        click.option(
            "--exclude",
            type=PATTERN,
            metavar="REGEX",
            multiple=True,
            help=f"In whose {text} this is not found; of several, none.",
        ),
        host_option,
        click.option("-S", "--since", type=TIME, help="At or after: 5m, 2h, 1d, today, RFC 3339."),
        click.option("-U", "--until", type=TIME, help="Before; as --since."),
    )

    def add(function: Function) -> Function:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def literals(patterns: tuple[Pattern, ...]) -> tuple[str, ...]:
    """Return the plain texts among patterns, which the daemon finds."""
    return tuple(pattern.literal for pattern in patterns if pattern.literal is not None)


def as_stored(text: str) -> str:
    """Return plain text as it stands within JSON, where a quote has a backslash."""
    return msgspec.json.encode(text).decode()[1:-1]


def keep_by(grep: tuple[Pattern, ...], exclude: tuple[Pattern, ...]) -> Callable[[Said], bool] | None:
    """Return the test that the daemon cannot do, None if it does them all."""
    wanted = _regexes(grep)
    unwanted = _regexes(exclude)
    if not wanted and not unwanted:
        return None

    def keep(said: Said) -> bool:
        if isinstance(said, Pruned):
            return True
        text = said.message if isinstance(said, LogLine) else bytes(said.event).decode()
        return all(regex.search(text) for regex in wanted) and not any(
            regex.search(text) for regex in unwanted
        )

    return keep


def _regexes(patterns: tuple[Pattern, ...]) -> list[re.Pattern[str]]:
    return [pattern.regex for pattern in patterns if pattern.regex is not None]
