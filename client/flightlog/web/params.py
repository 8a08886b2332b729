"""Parameters of a question: what a query string may say, typed; what several endpoints take."""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta, Struct

from flightlog.cli.times import parse_time
from flightlog.errors import UsageError
from flightlog.web.limits import PARAMETER_LIMIT
from flightlog_schemas.levels import FATAL, NAMES, level_number
from flightlog_schemas.limits import ExecutionRef, Id
from flightlog_schemas.wire.request import PAGE_LIMIT

ExecutionId = Annotated[
    ExecutionRef, Meta(description="Id of an execution, or a beginning of one that fits no other.")
]
TaskId = Annotated[Id, Meta(description="Id of a task.")]
AgentId = Annotated[Id, Meta(description="Id of an agent.")]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Since = Annotated[
    str,
    Meta(max_length=64, description="At or after: 5m, 2h, 1d ago, today, yesterday, or RFC 3339."),
]
Until = Annotated[str, Meta(max_length=64, description="Before: as since.")]
Hosts = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=255)], ...],
    Meta(max_length=64, description="Recorded by any of these machines, as /hosts lists them."),
]
Project = Annotated[Text, Meta(description="Root directory of exactly this project.")]
Source = Annotated[Text, Meta(description="Lines of exactly this source.")]
Levels = Annotated[
    tuple[str, ...],
    Meta(
        max_length=24,
        description="Lines of any of these levels: a name or 1 to 24; with a plus sign that and more severe.",
    ),
]
Grep = Annotated[
    tuple[Text, ...], Meta(max_length=16, description="Messages that hold this text; all of these.")
]
Exclude = Annotated[
    tuple[Text, ...], Meta(max_length=16, description="Messages that hold none of these texts.")
]
Words = Annotated[tuple[Text, ...], Meta(max_length=64)]
Limit = Annotated[int, Meta(ge=1, le=PAGE_LIMIT, description="At most so many on a page.")]

WORDS: Final = frozenset({"status", "level", "type"})
"""Parameters with several words, which commas may separate; others of several values are repeated."""

_MISSING: Final = re.compile("Object missing required field `(.+)`")
_PLAIN: Final = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        ("Expected `str` of length >= 1", "it is empty"),
        (r"Expected `str` of length <= (\d+)", r"it has over \1 characters"),
        (r"Expected `array` of length <= (\d+)", r"it is there over \1 times"),
        (r"Expected `int` ([<>]=) (-?\d+)", r"it has to be \1 \2"),
        (r"Expected `int( \| null)?`, got `str`", "it is no whole number"),
        (r"Expected `bool( \| null)?`, got `str`", "it is neither true nor false"),
        ("Expected `str` matching regex '(.*)'", r"it does not match \1"),
        ("Invalid enum value (.*)", r"there is no \1"),
    )
)
"""What msgspec says of a parameter, as its user would."""

Asked = TypeVar("Asked", bound=Struct)


def convert(pairs: Iterable[tuple[str, str]], path: dict[str, str], kind: type[Asked]) -> Asked:
    """Return parameters as their type.

    Args:
        pairs: Names and values of the query string.
        path: Names and values of the path.
        kind: The type; a field that is a tuple may come several times.

    Raises:
        UsageError: one that is unknown, there twice, or not of its type.
    """
    several = severals(kind)
    given: dict[str, Any] = {}
    for name, value in pairs:
        if name not in kind.__struct_fields__ or name in path:
            known = ", ".join(field for field in kind.__struct_fields__ if field not in path)
            raise UsageError(f"unknown parameter {name!r}", f"there are: {known or 'none'}")
        if name in several:
            given.setdefault(name, []).extend(value.split(",") if name in WORDS else [value])
        elif name in given:
            raise UsageError(f"parameter {name!r} is there twice")
        else:
            given[name] = value
    try:
        return msgspec.convert(given | path, kind, strict=False)
    except msgspec.ValidationError as error:
        what, name = _told(str(error))
        raise UsageError(f"{name}: {what}", _hint(name, kind)) from None


def _told(message: str) -> tuple[str, str]:
    """Return what is wrong with a parameter, and its name, of what msgspec says."""
    what, _, place = message.partition(" - at `$.")
    missing = _MISSING.fullmatch(what)
    if missing:
        return "it is missing", missing[1]
    name = re.split(r"\W", place, maxsplit=1)[0]
    for pattern, plain in _PLAIN:
        if found := pattern.fullmatch(what):
            return found.expand(plain), name
    return what[:1].lower() + what[1:], name or "the parameters"


def _hint(name: str, kind: type[Struct]) -> str | None:
    """Return the values that there are for a parameter, where they are words."""
    words = [str(word) for word in _words(get_type_hints(kind).get(name))]
    return f"one of {', '.join(words)}" if words else None


def _words(hint: Any) -> list[Any]:
    """Return the values of the literals within a type."""
    if get_origin(hint) is Literal:
        return list(get_args(hint))
    return [word for part in get_args(hint) for word in _words(part)]


def severals(kind: type[Struct]) -> frozenset[str]:
    """Return the names of fields that may come several times."""
    return frozenset(name for name, hint in get_type_hints(kind).items() if _is_tuple(hint))


def _is_tuple(hint: Any) -> bool:
    return get_origin(hint) is tuple or any(get_origin(part) is tuple for part in get_args(hint))


def moment(name: str, text: str | None, now_us: int) -> int | None:
    """Return the time that a parameter means, in microseconds since the epoch.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        return parse_time(text, now_us)
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def levels(texts: tuple[str, ...]) -> tuple[int, ...]:
    """Return the first numbers of levels' ranges, as questions name them.

    Raises:
        UsageError: one is no level.
    """
    firsts: list[int] = []
    for text in texts:
        # A plus sign that was not escaped is a space by the time it comes here.
        word = text.rstrip(" +")
        number = level_number(word)
        if number is None:
            raise UsageError(f"level: no such level {word!r}", f"one of {', '.join(NAMES)}, or 1 to 24")
        first = (number - 1) // 4 * 4 + 1
        firsts += range(first, FATAL + 1, 4) if word != text else [first]
    return tuple(dict.fromkeys(firsts))


def pairs_of(query_string: bytes) -> list[tuple[str, str]]:
    """Return the names and values of a query string.

    Raises:
        UsageError: it is none, or has too many.
    """
    try:
        return parse_qsl(
            query_string.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=PARAMETER_LIMIT,
        )
    except ValueError as error:
        raise UsageError(f"the query string is none: {error}") from None
