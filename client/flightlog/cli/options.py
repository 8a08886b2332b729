"""Types of options: times, durations, levels, patterns, KEY=VALUE; and EXEC."""

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import click

from flightlog.cli.text import cut
from flightlog.cli.times import parse_time
from flightlog.cli.verb import Session
from flightlog.clock import now_us
from flightlog.context import EXECUTION_ID_VARIABLE, inherited_execution_id, inherited_task_id
from flightlog.ids import is_id
from flightlog_schemas.elsewhere import split_mark
from flightlog_schemas.levels import FATAL, NAMES, level_number
from flightlog_schemas.limits import INT64_MAX, INT64_MIN
from flightlog_schemas.masking.personal import rules_named
from flightlog_schemas.times import parse_duration

Function = TypeVar("Function", bound=Callable[..., Any])


_TOLD_CHARS: Final = 64
"""Of what is no id, in what is said of it."""


class IdType(click.ParamType[str]):
    """An id, or the beginning of one."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id; what cannot be one is a usage error."""
        if not is_id(value):
            told = cut(str(value), _TOLD_CHARS)
            self.fail(f"{told!r} is no id: 1 to 128 printable characters without white space", param, ctx)
        return str(value)


class NewIdType(IdType):
    """An id that an execution is to have."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the id; one that an execution of another machine could have is a usage error."""
        chosen = super().convert(value, param, ctx)
        mark = split_mark(chosen)[1]
        if mark:
            told = f"{cut(chosen, _TOLD_CHARS)!r} ends in `~` and 12 hex digits, as ids of other machines' do"
            self.fail(f"{told}: choose another", param, ctx)
        return chosen


class TimeType(click.ParamType[int]):
    """A time: `5m` ago, RFC 3339, today, yesterday."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return microseconds since the epoch."""
        try:
            return parse_time(value, now_us())
        except ValueError as error:
            self.fail(str(error), param, ctx)


class DurationType(click.ParamType[int]):
    """A duration: `500ms`, `30s`, `5m`, `1h30m`, up to a limit.

    Args:
        limit_us: The longest in microseconds.
    """

    name = "duration"

    def __init__(self, limit_us: int = 10 * 365 * 86_400_000_000) -> None:
        self._limit_us = limit_us

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return microseconds."""
        try:
            micros = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if micros > self._limit_us:
            self.fail(f"{value} is too long: at most {self._limit_us // 3_600_000_000} hours", param, ctx)
        return micros


class RulesType(click.ParamType[tuple[str, ...]]):
    """Names of rules for personal data, separated by commas."""

    name = "rules"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names, each once; one that is none is a usage error."""
        if isinstance(value, tuple):  # the default
            return value
        try:
            return rules_named(value.split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class LevelType(click.ParamType[str]):
    """A log level: a name in any case, or an OpenTelemetry number 1..24; kept as it was typed."""

    name = "level"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the level; an unknown one is a usage error."""
        _level_number(self, value, param, ctx)
        return str(value)


class LevelsType(click.ParamType[tuple[int, ...]]):
    """Several levels, separated by commas: the first numbers of their ranges, as questions name them.

    A level with a plus sign stands for itself and all that are more severe.
    """

    name = "levels"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Return the first number of each level's range (1, 5, 9, 13, 17, 21)."""
        firsts: list[int] = []
        for part in value.split(","):
            text = part.strip()
            number = _level_number(self, text.removesuffix("+"), param, ctx)
            first = (number - 1) // 4 * 4 + 1
            firsts += range(first, FATAL + 1, 4) if text.endswith("+") else [first]
        return tuple(dict.fromkeys(firsts))


def _level_number(
    kind: click.ParamType[Any], value: str, param: click.Parameter | None, ctx: click.Context | None
) -> int:
    number = level_number(value)
    if number is None:
        kind.fail(f"no such level {value!r}: one of {', '.join(NAMES)}, or 1 to 24", param, ctx)
    return number


class ChoicesType(click.ParamType[tuple[str, ...]]):
    """Several of a closed list, separated by commas.

    Args:
        choices: The closed list.
    """

    name = "choices"

    def __init__(self, choices: tuple[str, ...]) -> None:
        self._choices = choices

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return what was chosen, in that order."""
        chosen = tuple(part.strip() for part in value.split(","))
        for part in chosen:
            if part not in self._choices:
                self.fail(f"{part!r} is not one of {', '.join(self._choices)}", param, ctx)
        return chosen


class PairType(click.ParamType[tuple[str, str]]):
    """`KEY=VALUE`."""

    name = "key=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """Return key and value."""
        return _pair(self, value, param, ctx)


class CountType(click.ParamType[tuple[str, int]]):
    """`KEY=N`, N a whole number of 64 bits."""

    name = "key=n"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int]:
        """Return key and number."""
        key, text = _pair(self, value, param, ctx)
        try:
            number = int(text)
        except ValueError:
            number = INT64_MAX + 1
        if not INT64_MIN <= number <= INT64_MAX:
            self.fail(f"{text!r} is not a whole number of 64 bits", param, ctx)
        return key, number


def _pair(
    kind: click.ParamType[Any], value: str, param: click.Parameter | None, ctx: click.Context | None
) -> tuple[str, str]:
    key, equals, text = value.partition("=")
    if not key or not equals:
        kind.fail(f"{value!r} is not KEY=VALUE", param, ctx)
    return key, text


class Pattern(NamedTuple):
    """What to search for: plain text, which the daemon finds, or a regular expression, which runs here."""

    literal: str | None
    regex: re.Pattern[str] | None


_SPECIAL: Final = frozenset(".^$*+?{}[]\\|()")


class PatternType(click.ParamType[Pattern]):
    """A regular expression; without special characters it is plain text."""

    name = "pattern"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Pattern:
        """Return the pattern; one that does not compile is a usage error."""
        if _SPECIAL.isdisjoint(value):
            return Pattern(value, None)
        try:
            return Pattern(None, re.compile(value))
        except re.error as error:
            self.fail(f"{value!r} is not a regular expression: {error}", param, ctx)


class AsOf(NamedTuple):
    """A moment of the past: a position of the log, or microseconds since the epoch."""

    seq: int | None
    time_us: int | None


class PhasesType(click.ParamType[tuple[str, ...]]):
    """A chain of phases: two or more different names, separated by commas."""

    name = "phases"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names in their order."""
        phases = tuple(part.strip() for part in value.split(","))
        if len(phases) < 2 or len(set(phases)) < len(phases) or not all(phases):
            self.fail("two or more different names, separated by commas", param, ctx)
        return phases


class AsOfType(click.ParamType[AsOf]):
    """A moment of the past: a position of the log, or a time."""

    name = "seq|time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> AsOf:
        """Return the position or the time; digits alone are a position."""
        if not (value.isascii() and value.isdigit()):
            return AsOf(None, TIME.convert(value, param, ctx))
        if len(value) > 19 or int(value) > INT64_MAX:
            self.fail(f"{value} is no position of the log", param, ctx)
        return AsOf(int(value), None)


ID: Final = IdType()
NEW_ID: Final = NewIdType()
TIME: Final = TimeType()
DURATION: Final = DurationType()
RULES: Final = RulesType()
LEVEL: Final = LevelType()
LEVELS: Final = LevelsType()
PAIR: Final = PairType()
COUNT: Final = CountType()
PATTERN: Final = PatternType()
PHASES: Final = PhasesType()
AS_OF: Final = AsOfType()
COMPLEXITY: Final = click.IntRange(1, 5)
PROCESS_ID: Final = click.IntRange(1, 2**31 - 1)
TOKENS: Final = click.IntRange(0, INT64_MAX)


def surrounding_execution(session: Session) -> str | None:
    """Return the execution that this process runs inside; what cannot be one is said and passed over."""
    execution_id = inherited_execution_id()
    if execution_id is None or is_id(execution_id):
        return execution_id
    session.say(f"{EXECUTION_ID_VARIABLE} is no id, so there is no parent: {execution_id!r}")
    return None


def surrounding_task(execution: str, task: str | None) -> str | None:
    """Return the task that was given, else the one around, if that is of this execution."""
    if task is not None:
        return task
    task_id = inherited_task_id(execution)
    return task_id if task_id is not None and is_id(task_id) else None


def execution_argument(function: Function) -> Function:
    """Add the argument EXEC: an id or the beginning of one; default $FLIGHTLOG_EXECUTION_ID."""
    return click.argument(
        "execution", metavar="[EXEC]", required=False, envvar=EXECUTION_ID_VARIABLE, type=ID, callback=_given
    )(function)


def _no_empty_host(_ctx: click.Context, param: click.Parameter, hosts: tuple[str, ...]) -> tuple[str, ...]:
    if "" in hosts:
        raise click.BadParameter("a machine has a name", param=param)
    return hosts


def host_option(function: Function) -> Function:
    """Add the option --host as `hosts`, which may be given several times."""
    return click.option(
        "--host",
        "hosts",
        metavar="NAME",
        multiple=True,
        callback=_no_empty_host,
        help="Recorded by this machine; of several, by any. `flightlog hosts` lists them.",
    )(function)


def any_execution_argument(function: Function) -> Function:
    """Add the argument EXEC as above, for a verb that goes without one, too."""
    return click.argument(
        "execution", metavar="[EXEC]", required=False, envvar=EXECUTION_ID_VARIABLE, type=ID
    )(function)


def execution_and(what: str, kind: click.ParamType[Any] | None = None) -> Callable[[Function], Function]:
    """Add the arguments [EXEC] WHAT as one pair `named`; given one, it is WHAT, and EXEC the default.

    Args:
        what: What the second argument is called.
        kind: Its type.
    """

    def split(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> tuple[str, Any]:
        if len(words) > 2:
            raise click.UsageError(f"got unexpected extra argument ({words[2]})", ctx)
        execution = words[0] if len(words) == 2 else inherited_execution_id()
        if not execution:
            raise click.UsageError(
                f"which execution? Give its id before {what}, or set {EXECUTION_ID_VARIABLE}", ctx
            )
        value = words[-1] if kind is None else kind.convert(words[-1], param, ctx)
        return ID.convert(execution, param, ctx), value

    return click.argument("named", metavar=f"[EXEC] {what}", nargs=-1, required=True, callback=split)


def _given(ctx: click.Context, _: click.Parameter, value: str | None) -> str:
    if value is None:
        raise click.UsageError(f"which execution? Give its id, or set {EXECUTION_ID_VARIABLE}", ctx)
    return value
