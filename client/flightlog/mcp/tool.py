"""What a tool is: typed arguments, a typed answer, and the JSON Schemas of both."""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from flightlog.cli.output import TIMES

if TYPE_CHECKING:
    from flightlog.mcp.call import Call

BUDGET_TOKENS: Final = 6000
"""About how many tokens an answer may have, where nobody says otherwise."""
BUDGET_LEAST_TOKENS: Final = 2000
BUDGET_MOST_TOKENS: Final = 50_000
TEXT_MOST_CHARS: Final = 100_000


class Arguments(Struct, kw_only=True, forbid_unknown_fields=True):
    """What every tool takes."""

    budget_tokens: (
        Annotated[
            int,
            Meta(
                ge=BUDGET_LEAST_TOKENS,
                le=BUDGET_MOST_TOKENS,
                description="Rough size of the answer.",
            ),
        ]
        | None
    ) = None
    text_chars: Annotated[int, Meta(ge=128, le=TEXT_MOST_CHARS, description="Longer texts are cut.")] = 1000

    @property
    def cursor(self) -> str | None:
        """Where the page begins; tools that answer in pages have an argument of this name."""
        return None


_COMMON: Final = Arguments.__struct_fields__


class Paged(Arguments, kw_only=True):
    """What every tool takes that answers in pages."""

    cursor: (
        Annotated[
            str,
            Meta(
                max_length=2000,
                description="Of the page before.",
            ),
        ]
        | None
    ) = None


class Said(Struct, kw_only=True):
    """What every answer says."""

    untrusted: str
    schema_version: int


class Page(Said, kw_only=True):
    """What every answer says that is one of several pages: with `truncated` there are more, at `cursor`."""

    truncated: bool
    cursor: str | None


class Tool(Struct, frozen=True, kw_only=True, dict=True):
    """A tool.

    Attributes:
        name: What it is called by.
        title: What people see.
        about: What it is for, for an agent.
        arguments: Type of its arguments.
        answer: Type of its answer; objects of the daemon's in it are given with times as RFC 3339.
        run: Answers a call.
    """

    name: str
    title: str
    about: str
    arguments: type[Arguments]
    answer: type[Said]
    run: "Callable[[Call, Any], dict[str, Any]]"

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """JSON Schema of the arguments."""
        return _schema(self.arguments)

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """JSON Schema of the answer."""
        return _schema(self.answer, shown=True)


def _schema(kind: type[Struct], *, shown: bool = False) -> dict[str, Any]:
    """Return the JSON Schema of a type, an object at its root as the protocol wants it.

    Args:
        kind: The type.
        shown: Of an answer: times are texts, and docstrings are left out.
    """
    _, parts = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    for part in parts.values():
        part.pop("title", None)
        part.pop("description", None)
        if shown:
            for name in TIMES.intersection(part.get("properties", ())):
                part["properties"][name] = {"type": ["string", "null"], "format": "date-time"}
        else:
            part["properties"] = {name: _plain(about) for name, about in part["properties"].items()}
    root = parts.pop(kind.__name__)
    if not shown:
        # What every tool takes comes after what is the tool's own.
        own = root["properties"]
        root["properties"] = {name: own[name] for name in sorted(own, key=_COMMON.__contains__)}
    return {**root, "$defs": parts} if parts else root


def _plain(about: dict[str, Any]) -> dict[str, Any]:
    """Return an argument's schema without the null that stands for leaving it out."""
    kinds = [kind for kind in about.get("anyOf", ()) if kind != {"type": "null"}]
    return kinds[0] if len(kinds) == 1 else about
