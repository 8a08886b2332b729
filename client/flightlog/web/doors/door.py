"""What a door is: a path, what may be posted there, how that becomes events, and what is answered."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from flightlog.web.problem import Problem
from flightlog_schemas.events.envelope import Event


@dataclass(frozen=True, slots=True)
class Posted:
    """What was posted.

    Attributes:
        kind: Its media type, in lower case and without parameters.
        headers: Its headers by lower-case name.
        body: Its body, unpacked.
        now_us: When it came, in microseconds since the epoch.
    """

    kind: str
    headers: Mapping[str, str]
    body: bytes
    now_us: int


@dataclass(frozen=True, slots=True)
class Batch:
    """What was posted, as events.

    Attributes:
        count: How many items there are: spans, records, events of others.
        events: Events, each with the number of the item that it tells of, from 0.
        refused: Why an item becomes no event, by number.
    """

    count: int
    events: Iterable[tuple[int, Event | Mapping[str, Any]]]
    refused: dict[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        count: How many items there were.
        refused: Why an item is not stored, or not wholly, by number.
        duplicates: How many events were known.
        seq: A position of the log that includes it; 0 where nothing was told.
    """

    count: int
    refused: dict[int, str]
    duplicates: int
    seq: int


class Reply(NamedTuple):
    """What is answered."""

    kind: str
    body: bytes
    status: int = 200


def plainly(_: str, problem: Problem) -> Reply:
    """Return what went wrong as everywhere else here."""
    return Reply("application/json", problem.body, problem.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One door.

    Attributes:
        path: Where.
        title: What it is for, in a few words.
        about: What it takes, for people.
        kinds: Media types that it takes, those that /docs names; `read` refuses others.
        read: Makes events of what was posted; raises a Problem, or ValueError for what is none of that.
        answer: Makes the answer, once all is on disk.
        problem: Says what went wrong to whoever posted something of a media type.
    """

    path: str
    title: str
    about: str
    kinds: tuple[str, ...]
    read: Callable[[Posted], Batch]
    answer: Callable[[Posted, Outcome], Reply]
    problem: Callable[[str, Problem], Reply] = plainly


def media_type(content_type: str | None) -> str:
    """Return a header's media type in lower case and without parameters; empty where there is none."""
    return (content_type or "").partition(";")[0].strip().lower()
