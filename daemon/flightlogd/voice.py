"""The daemon's own voice: it is a producer like any other, and says in the log what it did and found."""

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import apsw
import structlog
import trio

from flightlog_schemas.codec import encode_event
from flightlog_schemas.events import Event
from flightlogd.decode import Mixed
from flightlogd.errors import QuestionError
from flightlogd.peer import Peer
from flightlogd.recorded import DAEMON_PRODUCER
from flightlogd.store.database import is_storage_error
from flightlogd.submission import Outcome, Submission
from flightlogd.writer import Writer

logger = structlog.get_logger(__name__)

_AGAIN_S: Final = 1.0

Decide = Callable[[apsw.Connection], Sequence[Event]]
"""Reads what is committed and returns what follows from it, a few hundred events at the most."""


class Voice:
    """Appends events of the daemon; the writer's `Source` for them.

    Its lines are numbered on the writer's thread, in the order in which they are committed: what a reaction
    finds there comes between what was said before and what is said after.

    Args:
        writer: What commits them.
        line: Lines that the daemon had settled before it started this time.
    """

    def __init__(self, writer: Writer, line: int) -> None:
        self.producer = DAEMON_PRODUCER
        self.peer = Peer(uid=os.geteuid(), pid=os.getpid(), gid=os.getegid())
        self._writer = writer
        self._line = line

    def say(self, event: Event) -> None:
        """Append an event, after all that was queued before."""
        self._writer.post(partial(self._append, [event]))

    async def react(self, decide: Decide, told: Callable[[apsw.Connection], None] | None = None) -> None:
        """Append what follows from all that was queued before; returns when it is on disk.

        While read models have stopped or storage fails nothing can be decided: then it is tried again until
        it can. Cancelled, it may or may not have happened.

        Args:
            decide: Called on the writer's thread between two commits. Its events have an `id` each, so that
                what was decided before a crash is not said again after it.
            told: Called right after they are on disk, with nothing in between.
        """

        def do(db: apsw.Connection) -> None:
            self._append(decide(db))
            if told is not None:
                told(db)

        while True:
            try:
                return await self._writer.do(do)
            except (QuestionError, apsw.Error) as error:
                if isinstance(error, apsw.Error) and not is_storage_error(error):
                    raise
                logger.warning("cannot decide what follows, trying again", reason=str(error))
            await trio.sleep(_AGAIN_S)

    async def settled(self) -> None:
        """Return once everything said is on disk."""
        await self._writer.do(lambda _db: None)

    def settle(self, outcome: Outcome, /) -> None:
        """Take note of nothing: who has to know waits for the writer."""

    def _append(self, events: Sequence[Event]) -> None:
        if not events:
            return
        lines = [encode_event(event) for event in events]
        first_line = self._line + 1
        self._line += len(lines)
        part = Mixed(lines, list(events), sum(map(len, lines)))
        self._writer.append(Submission(source=self, first_line=first_line, part=part))
