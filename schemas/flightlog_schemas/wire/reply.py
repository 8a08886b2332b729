"""What query.sock sends back: recorded events, holes, how an answer ends, why there is none."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from flightlog_schemas.wire.origin import Origin

QueryErrorCode = Literal[
    "invalid",  # the request is not one
    "not_found",  # no such execution
    "ambiguous",  # the id prefix fits several
    "timed_out",  # what was waited for did not come
    "outcome",  # wait: the execution ended in another way than asked for
    "search_unavailable",  # the index of words is off, or cannot be read; it comes back by itself
    "projection_broken",  # the read model that answers this stopped at an error
    "not_allowed",  # this user may not ask here
    "too_many_connections",
    "line_too_long",
    "internal",  # a bug here; the daemon logged it and goes on
    "deadline",  # the query ran longer than the daemon allows
    "cursor_behind",  # the named cursor is older than what retention has left
    "cursor_limit",  # this user has as many cursors as the daemon allows
    "storage_full",  # what was asked to be written was not
    "storage_failing",
    "damaged",  # what the answer needs is not what was written to disk
    "shutting_down",
]
"""Why a question has no answer."""


class Recorded(Struct, kw_only=True):
    """An event with what only the daemon can say of it; `event` is the line as it was stored.

    One that was recorded elsewhere first has its `origin`; `uid`, `pid` and `line` are those of there, and
    `producer` is that one's id behind `~LOG_ID/`, and `execution_id` is what its execution is called here.
    """

    seq: int
    received: int
    uid: int
    pid: int
    producer: str
    line: int
    origin: Origin | UnsetType = UNSET
    execution_id: str | UnsetType = UNSET
    event: Raw


class Pruned(Struct, kw_only=True):
    """A hole that governance left in the log."""

    first_seq: int
    last_seq: int
    reason: str


class Passed(Struct, kw_only=True):
    """Up to this position all was looked at, and what matched was sent before; to those who ask for it."""

    seq: int


class End(Struct, kw_only=True, omit_defaults=True):
    """The answer is complete: how many lines, the position it was read at, whether there is more.

    With `truncated`, `next` continues: the `before` of executions and of a search, the `after` of the others.
    `lag` is how many of the newest positions a search could not find yet, `pruned` how many lines of the
    execution asked for left the log by governance.
    """

    count: int
    seq: int
    lag: int = 0
    pruned: int = 0
    truncated: bool = False
    next: str | int | None = None


class QueryError(Struct, kw_only=True, omit_defaults=True):
    """The question has no answer."""

    code: QueryErrorCode
    reason: str
    hint: str | None = None
