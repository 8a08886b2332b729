"""What all connections share: the writer, the end of the log, who is connected, what fault there is."""

from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, TypeVar

import apsw
import structlog
import trio

from flightlog_schemas.answers import RetentionStatus
from flightlogd.config import Config
from flightlogd.errors import StorageFault
from flightlogd.framing import UnfinishedBudget
from flightlogd.head import Head
from flightlogd.live import Live
from flightlogd.masking import Masker
from flightlogd.store.database import storage_fault
from flightlogd.turns import asking
from flightlogd.users import Users

if TYPE_CHECKING:
    from flightlogd.inbox import Inbox
    from flightlogd.search import Search
    from flightlogd.session import Session
    from flightlogd.store.readers import Readers
    from flightlogd.writer import Writer

logger = structlog.get_logger(__name__)

T = TypeVar("T")


class Hub:
    """Shared state of one daemon, on trio's thread only.

    Attributes:
        config: The settings in force; replaced as a whole by a reload.
        head: The end of the log.
        live: Who follows it.
        inbox: The way to the writer.
        writer: The writer.
        readers: Connections for questions.
        search: The index of words.
        log_id: Which log this is.
        host: What this machine is called.
        masker: Masks what peers did not.
        users: Who is connected, and how much each sends.
        unfinished: Bytes of unfinished lines over all connections.
        fault: What storage fault is being waited out.
        storage_changed: Set, and replaced, when a fault begins or ends.
        abandoned: True once a stop no longer waits for the writer.
        started_us: When this daemon started, microseconds since the epoch.
        connected: All ingest connections, also those that have said nothing yet.
        sessions: Those that have a producer's name.
        watched: Executions whose owner is watched.
        unwatched: Executions whose owner cannot be watched.
        retention: The last pass of retention.
        table_bytes: Sizes of tables after it.
    """

    def __init__(
        self,
        config: Config,
        head: Head,
        inbox: "Inbox",
        writer: "Writer",
        readers: "Readers",
        search: "Search",
        masker: Masker,
        *,
        log_id: str,
        host: str,
        started_us: int,
    ) -> None:
        self.config = config
        self.head = head
        self.inbox = inbox
        self.writer = writer
        self.readers = readers
        self.search = search
        self.log_id = log_id
        self.host = host
        self.started_us = started_us
        self.users = Users(config)
        readers.turns.is_crowd = self.users.share.is_crowd
        self.live = Live(head, self.users.share)
        self.unfinished = UnfinishedBudget(config.unfinished_limit_bytes)
        self.masker = masker
        self.fault: StorageFault | None = None
        self.storage_changed = trio.Event()
        self.abandoned = False
        self.connections: dict[str, int] = {"ingest": 0, "query": 0, "control": 0}
        self.followers = 0
        self.watched = 0
        self.unwatched = 0
        self.retention: RetentionStatus | None = None
        self.table_bytes: dict[str, int] = {}
        self.connected: set[Session] = set()
        self.sessions: set[Session] = set()
        self._by_producer: dict[str, Session] = {}
        self._anonymous = count(1)

    def next_anonymous(self) -> str:
        """Return a name for a peer that gave none; unique over restarts."""
        return f"{self.started_us:x}-{next(self._anonymous):x}"

    def find(self, producer: str) -> "Session | None":
        """Return the session that speaks for a producer now."""
        return self._by_producer.get(producer)

    def join(self, session: "Session") -> None:
        """Note a session under its producer's name."""
        self._by_producer[session.producer] = session
        self.sessions.add(session)

    def leave(self, session: "Session") -> None:
        """Forget a session, unless a newer one has its name."""
        self.sessions.discard(session)
        if self._by_producer.get(session.producer) is session:
            del self._by_producer[session.producer]

    async def grown(self, seq: int) -> None:
        """Return once the log has a position above `seq`, and it is the turn of who asks."""
        await self.head.wait_past(seq)
        await self.users.share.turn(asking.get())

    def abandon(self) -> None:
        """Wait for the writer no longer: what is not settled by now was not acked."""
        self.abandoned = True
        for session in self.sessions:
            session.wake()

    async def look(
        self, question: Callable[[apsw.Connection], T], on_fault: Callable[[StorageFault], None]
    ) -> T:
        """Ask something of the writer's connection, ahead of what is queued.

        Args:
            question: What; it only reads.
            on_fault: Called whenever it cannot be read: it is tried again until it can.
        """
        while True:
            try:
                return await self.writer.do(question, ahead=True)
            except apsw.Error as error:
                fault = storage_fault(error)
                if fault is None:
                    raise
            logger.warning("cannot read what a peer waits for, trying again", reason=fault.reason)
            on_fault(fault)
            await trio.sleep(self.config.retry_ms / 1000)

    def on_fault(self, fault: StorageFault | None) -> None:
        """Note that storage fails, or works again, and tell the peers that wait for an ack."""
        self.fault = fault
        self.storage_changed.set()
        self.storage_changed = trio.Event()
        self.search.hold(full=fault is not None and fault.state == "storage_full")
        if fault is None:
            logger.info("storage works again")
        else:
            logger.error("storage fault", state=fault.state, reason=fault.reason, hint=fault.hint)
            for session in self.sessions:
                session.busy(fault)
