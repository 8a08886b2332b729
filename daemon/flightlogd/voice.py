"""The daemon's own voice: it is a producer like any other, and says in the log what it did."""

import os

import trio

from flightlog_schemas.codec import encode_event
from flightlog_schemas.events import Event
from flightlogd.append import Outcome, Submission
from flightlogd.decode import Plain
from flightlogd.facts import facts_of
from flightlogd.peer import Peer
from flightlogd.recorded import DAEMON_PRODUCER
from flightlogd.writer import Inbox


class Voice:
    """Appends events of the daemon; the writer's `Source` for them.

    Args:
        inbox: The way to the writer.
        line: Lines that the daemon had settled before it started this time.
    """

    def __init__(self, inbox: Inbox, line: int) -> None:
        self.producer = DAEMON_PRODUCER
        self.peer = Peer(uid=os.geteuid(), pid=os.getpid(), gid=os.getegid())
        self._inbox = inbox
        self._line = line
        self._waiting = 0
        self._settled = trio.Event()

    def say(self, event: Event) -> None:
        """Append an event."""
        line = encode_event(event)
        self._line += 1
        self._waiting += 1
        self._inbox.put(
            Submission(
                source=self,
                first_line=self._line,
                part=Plain([line], facts_of([event]), len(line), None),
            )
        )

    def settle(self, _outcome: Outcome, /) -> None:
        """Note that an event is on disk."""
        self._waiting -= 1
        if not self._waiting:
            self._settled.set()
            self._settled = trio.Event()

    async def settled(self) -> None:
        """Return once everything said is on disk."""
        while self._waiting:
            await self._settled.wait()
