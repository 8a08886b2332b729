"""One call of a tool: its questions to query.sock, its token budget, its cursor."""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from flightlog.cli.output import shown
from flightlog.cli.times import parse_time
from flightlog.daemon import Daemon
from flightlog.errors import UsageError
from flightlog.mcp import cursors
from flightlog.mcp.tool import TEXT_MOST_CHARS, Arguments
from flightlog.mcp.untrusted import NOTE, Sizes, size_bytes, within
from flightlog.query import Connection
from flightlog_schemas import SCHEMA_VERSION
from flightlog_schemas.wire.lines import Logs, Search
from flightlog_schemas.wire.query import (
    Agents,
    Artifacts,
    Audit,
    Executions,
    Inspect,
    Plan,
    Stats,
    StatusRequest,
    Tasks,
)
from flightlog_schemas.wire.reply import End
from flightlog_schemas.wire.request import Request

READING: Final[tuple[type[Request], ...]] = (
    Agents, Artifacts, Audit, Executions, Inspect, Logs, Plan, Search, Stats, StatusRequest, Tasks,
)  # fmt: skip
"""All that tools may ask. None of these writes: named cursors are the only thing on query.sock that does."""

BYTES_PER_TOKEN: Final = 4
"""What a token is taken for: English and JSON have about four bytes each."""

_ENVELOPE_BYTES: Final = 800
"""What an answer holds beside its items."""

Item = dict[str, Any]

_decode: Final = msgspec.json.Decoder(dict[str, Item]).decode


class Call:
    """One call.

    Args:
        tool: The tool's name.
        arguments: What it was given.
        daemon: Whom to ask.
        wait: Called with the descriptor before each receive, to return when it is readable.
        budget_tokens: About how many tokens the answer may have, where the arguments do not say.
        now_us: When it came, in microseconds since the epoch.
    """

    def __init__(
        self,
        tool: str,
        arguments: Arguments,
        daemon: Daemon,
        wait: Callable[[int], None],
        budget_tokens: int,
        now_us: int,
    ) -> None:
        self._question = cursors.question(tool, arguments)
        given = None if arguments.cursor is None else cursors.decode(arguments.cursor, self._question)
        self.next = None if given is None else given.next
        """Where the page begins, in the daemon's terms; None for the first page."""
        self._now_us = now_us if given is None else given.now_us
        self._sizes = Sizes(arguments.text_chars)
        self._connection: Connection = daemon.ask(wait=wait)
        self.end = End(count=0, seq=0)
        """How the last answer that was read to its end ended."""
        self.room_bytes = (arguments.budget_tokens or budget_tokens) * BYTES_PER_TOKEN - _ENVELOPE_BYTES
        """How many bytes the items of the answer may have."""

    @property
    def next_seq(self) -> int | None:
        """Where the page begins, for a tool that counts by position; None for the first page.

        Raises:
            UsageError: the cursor is not one that such a tool gave.
        """
        if isinstance(self.next, str):
            raise UsageError("cursor: not one of an earlier answer")
        return self.next

    def close(self) -> None:
        """Close the connection to the daemon."""
        self._connection.close()

    def ask(self, request: Request) -> Generator[Item]:
        """Ask the daemon, and yield its answers as they come, times as RFC 3339; `end` is set after the last.

        Answers may be long and many: what is kept of them is up to the caller.

        Raises:
            DaemonAway: nobody answers.
            QueryFailed: there is no answer.
        """
        for _, row in self.ask_parts(request):
            yield row

    def ask_parts(self, request: Request) -> Iterator[tuple[str, Item]]:
        """Do the same, and yield what each answer is (`execution`, `task`) with it."""
        assert isinstance(request, READING), f"{request} is no question that only reads"
        for line in self._connection.lines(request):
            [(kind, row)] = _decode(line).items()
            yield kind, shown(row)
        assert self._connection.end is not None
        self.end = self._connection.end

    def time(self, name: str, text: str | None) -> int | None:
        """Return the time that an argument means, in microseconds since the epoch.

        Raises:
            UsageError: it is none.
        """
        if text is None:
            return None
        try:
            return parse_time(text, self._now_us)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None

    def item(self, row: Item, room_bytes: int | None = None, *, chars: int = TEXT_MOST_CHARS) -> Item:
        """Return an object as an answer may show it: harmless, and cut where it alone is too large.

        Args:
            row: The object.
            room_bytes: Most bytes that it may have; the whole budget where that is not said.
            chars: Longest text, where the arguments allow longer ones.
        """
        sizes = replace(self._sizes, chars=min(chars, self._sizes.chars))
        return within(row, sizes, self.room_bytes if room_bytes is None else room_bytes)

    def fit(self, items: list[Item], room_bytes: int | None = None) -> list[Item]:
        """Return the first items, as many as there is room for; at least one where there is one."""
        left = self.room_bytes if room_bytes is None else room_bytes
        for number, item in enumerate(items):
            left -= size_bytes(item) + 1
            if left < 0:
                return items[: max(number, 1)]
        return items

    def page(
        self,
        noun: str,
        request: Callable[[int, Any], Request],
        limit: int,
        pick: Callable[[Item], Item] = lambda row: row,
    ) -> Item:
        """Return a page of an answer: as many items as are asked for and fit, and a cursor behind them.

        Args:
            noun: What the list is called.
            request: Makes the question from a number of items and where the page begins (None: at the start).
            limit: Most items.
            pick: What is shown of each.
        """
        while True:
            items, whole = self._fill(request(limit, self.next), pick)
            if whole:
                break
            # Asked anew, so that the daemon itself says where what was left out begins.
            limit = len(items)
        more = self.end.next if self.end.truncated else None
        return self.answer({noun: items, **self.ending(more)})

    def _fill(self, request: Request, pick: Callable[[Item], Item]) -> tuple[list[Item], bool]:
        """Return the first items that there is room for, at least one; True with them when these are all."""
        items: list[Item] = []
        left = self.room_bytes
        with closing(self.ask(request)) as rows:
            for row in rows:
                item = self.item(pick(row))
                left -= size_bytes(item) + 1
                if left < 0 and items:
                    return items, False
                items.append(item)
        return items, True

    def ending(self, more: int | str | None) -> Item:
        """Return what a page ends with.

        Args:
            more: Where the next page begins, in the daemon's terms; None where there is none.
        """
        cursor = None
        if more is not None:
            cursor = cursors.encode(cursors.Cursor(self._question, more, self._now_us))
        return {"truncated": more is not None, "cursor": cursor}

    @staticmethod
    def answer(said: Item) -> Item:
        """Return an answer with what all of them say first."""
        return {"untrusted": NOTE, "schema_version": SCHEMA_VERSION, **said}


def picked(kind: type[Struct]) -> Callable[[Item], Item]:
    """Return a function that keeps of an object what a type has fields for."""
    names = kind.__struct_fields__
    return lambda row: {name: row[name] for name in names}
