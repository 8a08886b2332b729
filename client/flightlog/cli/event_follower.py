"""What comes of one execution, event by event, until it has ended and its last event was told."""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from flightlog.cli.follow import Patience
from flightlog.cli.pages import pages
from flightlog.cli.verb import Session
from flightlog.errors import DaemonAway
from flightlog.query import Connection
from flightlog_schemas.answers import AuditEntry, Execution
from flightlog_schemas.statuses import TERMINAL
from flightlog_schemas.wire.lines import Events, Tail
from flightlog_schemas.wire.query import Audit, Inspect
from flightlog_schemas.wire.reply import Recorded

T = TypeVar("T")

_TELLING: Final = (
    "execution.",
    "task.",
    "agent.added",
    "agent.updated",
    "artifact.",
    "plan.",
    "audit.",
    "producer.",
)
"""All types but log lines, usage and users' own."""

_ENTRIES: Final = 50
"""Of one event; most have one or two, and there are more pages."""

_ENDINGS: Final = ("execution.ended", "execution.lost", "execution.advanced")
"""After one of these an execution may have ended."""


class _Type(Struct):
    type: str


_decode_type = msgspec.json.Decoder(_Type).decode


class EventFollower:
    """Follows one execution.

    Args:
        session: Where the daemon is.
        daemon: Waits for events, and for a daemon that goes away.
        request: Which events are wanted.
        position: Everything up to here was told.
        passed: Told of positions that were looked at.
    """

    def __init__(
        self,
        session: Session,
        daemon: Patience,
        request: Events,
        position: int,
        passed: Callable[[int], None],
    ) -> None:
        self._session = session
        self._daemon = daemon
        self._types = request.type or (() if request.logs else _TELLING)
        self._passed = passed
        self._position = position
        self._execution_id = self._ask(
            lambda daemon: daemon.one(Inspect(execution_id=request.execution_id), Execution)
        ).execution_id

    def events(self) -> Iterator[tuple[Recorded, list[AuditEntry]]]:
        """Yield events with what the audit trail says of each."""
        while True:
            over = self._is_over()
            for recorded in self._said(follow=not over):
                name = _decode_type(recorded.event).type
                if self._wants(name):
                    yield recorded, self._entries(recorded.seq)
                if name in _ENDINGS and not over:
                    break
            if over:
                return

    def _is_over(self) -> bool:
        request = Inspect(execution_id=self._execution_id)
        return self._ask(lambda daemon: daemon.one(request, Execution)).status in TERMINAL

    def _said(self, *, follow: bool) -> Iterator[Recorded]:
        # An ending is looked for, whatever is wanted.
        types = (*self._types, "execution.") if self._types else ()
        request = Tail(after=self._position, follow=follow, execution_id=self._execution_id, type=types)
        for said in self._daemon.said(request, self._passed):
            if isinstance(said, Recorded):
                self._position = said.seq
                yield said

    def _wants(self, name: str) -> bool:
        if not self._types:
            return True
        names = [wanted.removesuffix("*") for wanted in self._types]
        return any(name == wanted or (wanted.endswith(".") and name.startswith(wanted)) for wanted in names)

    def _entries(self, seq: int) -> list[AuditEntry]:
        request = Audit(execution_id=self._execution_id, after=seq - 1, limit=_ENTRIES)

        def of_event(daemon: Connection) -> list[AuditEntry]:
            found = []
            for entry in pages(daemon, request, AuditEntry):
                if entry.seq != seq:
                    break
                found.append(entry)
            return found

        return self._ask(of_event)

    def _ask(self, question: Callable[[Connection], T]) -> T:
        """Return the answer, however long the daemon is away."""
        while True:
            try:
                with self._session.ask() as daemon:
                    return question(daemon)
            except DaemonAway:
                self._daemon.return_of_daemon()
