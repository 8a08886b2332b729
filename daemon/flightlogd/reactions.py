"""Reactions: new facts that follow from committed ones, and from what happens around the daemon.

    commit -> note which executions changed -> read their rows -> owners     a process died -> execution.lost
                                                               -> deadlines  time is up     -> execution.ended
           note what asks for a plan -> plans                                a plan is wanted -> plan.built

What a reaction sees here may be old by the time it acts. So it decides on the writer's thread, between two
commits, by what is there then, and what it appends carries the key `REACTION:SEQ` of the event that it
follows from: a crash in between repeats nothing, and the next start forgets nothing.
"""

import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import apsw
import structlog
import trio

from flightlog_schemas.events import (
    DaemonRebuilt,
    Event,
    ExecutionAdopted,
    ExecutionAdvanced,
    ExecutionCreated,
    ExecutionEnded,
    ExecutionLost,
    ExecutionStarted,
)
from flightlogd.active import Follower, read_active
from flightlogd.batch import Batch
from flightlogd.deadlines import Deadlines
from flightlogd.errors import QuestionError
from flightlogd.hub import Hub
from flightlogd.owners import Owners
from flightlogd.plans import OF_CONCERN, Plans
from flightlogd.store.database import DATABASE, is_storage_error
from flightlogd.store.readers import Readers
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

_AGAIN_S: Final = 1.0
"""Pause before a read is tried again that took too long."""

_OF_CONCERN: Final = frozenset(
    {
        DaemonRebuilt,
        ExecutionAdopted,
        ExecutionAdvanced,
        ExecutionCreated,
        ExecutionEnded,
        ExecutionLost,
        ExecutionStarted,
    }
)
"""What may change who is watched; most events do not, and there are many."""


class Reactions:
    """Tells owners and deadlines which executions they are to look after, and plans what may ask for one.

    Args:
        hub: What all connections share.
        voice: Appends what follows.
        ingest: The listening socket of ingest.sock.
    """

    def __init__(self, hub: Hub, voice: Voice, ingest: socket.socket) -> None:
        self._hub = hub
        self._followers: tuple[Follower, ...] = (Owners(hub, voice, ingest), Deadlines(voice))
        self._plans = Plans(hub, voice)
        self._noted: set[str] = set()
        self._active: set[str] = set()
        self._everything = True
        self._news = trio.Event()

    def on_commit(self, batches: Sequence[Batch]) -> None:
        """Note which executions have to be looked at again; called on trio's thread after each commit."""
        noted = False
        for batch in batches:
            for _, event in batch.facts.singles:
                if type(event) in OF_CONCERN:
                    self._plans.note(event)
                if type(event) not in _OF_CONCERN:
                    continue
                if isinstance(event, DaemonRebuilt):
                    self._everything = noted = True
                elif self._concerns(event):
                    assert event.execution_id is not None
                    self._noted.add(event.execution_id)
                    noted = True
        if noted:
            self._news.set()

    async def run(self) -> None:
        """Look after executions until cancelled: first those that the log knows from before."""
        config = self._hub.config
        # One of our own: how soon an owner is watched does not depend on who else asks what.
        readers = Readers(Path(config.state_dir) / DATABASE, 1, config.query_timeout_ms)
        try:
            async with trio.open_nursery() as nursery:
                for follower in self._followers:
                    nursery.start_soon(follower.run)
                nursery.start_soon(self._plans.run)
                while True:
                    await self._look(readers)
                    await self._news.wait()
        finally:
            readers.close()

    def _concerns(self, event: Event) -> bool:
        match event:
            case ExecutionStarted() | ExecutionCreated():
                return event.owner is not None or event.deadline is not None
            case ExecutionAdopted():
                return True
            case ExecutionEnded() | ExecutionLost() | ExecutionAdvanced():
                return event.execution_id in self._active or event.execution_id in self._noted
            case _:
                return False

    async def _look(self, readers: Readers) -> None:
        """Read what was noted and pass it on."""
        self._news = trio.Event()
        everything, self._everything = self._everything, False
        noted, self._noted = self._noted, set()
        # From here on an ending of one of these is noted again.
        self._active |= noted
        try:
            found = await readers.run(lambda db: read_active(db, None if everything else noted))
        except (QuestionError, apsw.Error) as error:
            if isinstance(error, apsw.Error) and not is_storage_error(error):
                raise
            logger.warning("cannot read what is active, trying again", reason=str(error))
            self._everything |= everything
            self._noted |= noted
            await trio.sleep(_AGAIN_S)
            self._news.set()
            return
        # The read was not to be cancelled, and who was to be told may be gone.
        await trio.lowlevel.checkpoint_if_cancelled()
        over = (self._active if everything else noted) - found.keys()
        self._active = (self._active | found.keys()) - over
        for follower in self._followers:
            await follower.follow(found, over)
