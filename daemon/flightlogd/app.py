"""Wiring: what is opened in which order, who lives in which nursery, how it all stops.

        flightlog.db ──► Transaction ◄── Writer (thread) ◄── Inbox ◄──┐
             ▲                               │ on_commit              │ submissions
             │ read                          ▼                        │
          Readers ◄── query, tail ◄─────── Head            session ───┘
                           ▲                                  ▲
                      query.sock        control.sock     ingest.sock
                           └──────── accept_forever ──────────┘

Two nurseries: the inner one accepts, the outer one holds live connections. SIGTERM ends accepting, sessions
settle what came whole, the writer commits and acks it, then everything closes; all within the drain timeout.
"""

import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.events import DaemonStarted, DaemonStopped
from flightlog_schemas.wire.ingest import IngestError
from flightlog_schemas.wire.reply import QueryError
from flightlogd import __version__
from flightlogd.append import Transaction
from flightlogd.batch import Batch
from flightlogd.brief import Brief
from flightlogd.catch_up import catch_up
from flightlogd.clock import SteadyStamp, system_clock
from flightlogd.config import Config, changed_settings
from flightlogd.control import serve_control
from flightlogd.errors import ConfigError, StartError
from flightlogd.governance.compression import Compressor
from flightlogd.governance.governor import Governor
from flightlogd.greeting import reply_line
from flightlogd.head import Head
from flightlogd.hub import Hub
from flightlogd.inbox import Inbox
from flightlogd.lag import watch_cursors
from flightlogd.listen import NAMES, accept_forever
from flightlogd.logs import configure_logging
from flightlogd.masking import Masker
from flightlogd.notify import Notifier
from flightlogd.peer import Peer
from flightlogd.processes import boot_id
from flightlogd.project import live_projector
from flightlogd.query import serve_query
from flightlogd.reactions import Reactions
from flightlogd.recorded import DAEMON_PRODUCER
from flightlogd.search import Search
from flightlogd.session import Session
from flightlogd.store.database import (
    DATABASE,
    SALVAGE_HINT,
    check_sqlite,
    is_damage,
    is_storage_error,
    open_writer,
    sync_wal,
)
from flightlogd.store.eventlog import read_head
from flightlogd.store.origins import name_here
from flightlogd.store.producers import find_producer
from flightlogd.store.readers import Readers
from flightlogd.store.reserve import Reserve
from flightlogd.store.schema import check_database, check_wal, migrate
from flightlogd.store.wal import keep_wal, unread_commits
from flightlogd.users import Refusal
from flightlogd.voice import Voice
from flightlogd.watchdog import feed_watchdog, summary
from flightlogd.writer import Writer

logger = structlog.get_logger(__name__)

T = TypeVar("T")

_WAL_HINT: Final = "acked lines may be gone: `flightlogd verify --heads-from` compares (docs/storage.md)"

_REPORT_S: Final = 5.0
"""How often the log is told of lines that were shed."""

LoadConfig = Callable[[], Config]


def open_log(config: Config) -> apsw.Connection:
    """Open the database ready to be written: migrated, recovered, read models at the head.

    What recovery found is synced before anything is acked: only then may `ready.acked` speak of it (D1).
    A full disk does not keep it from opening what is whole: it can be read, and governed.

    Raises:
        StartError: this program cannot work on this database.
    """
    check_sqlite()
    path = Path(config.state_dir) / DATABASE
    check_database(path)
    check_wal(path)
    with _refusing(path):
        damage = unread_commits(path)
        if damage is not None:
            kept = str(keep_wal(path))
            logger.error("the write-ahead log is damaged", what=damage, kept=kept, hint=_WAL_HINT)
        db = open_writer(path, limit_bytes=config.database_limit_bytes)
        found = migrate(db, path)
        try:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.FullError:
            Reserve(path.parent, config.reserve_bytes).give_up()
            sync_wal(path)
        logger.info("log opened", database=str(path), schema_found=found, head=read_head(db).noted)
        _name_host(db, config)
        catch_up(db)
    return db


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Have what cannot be read or written at a start said in a sentence."""
    try:
        yield
    except apsw.Error as error:
        if not is_storage_error(error):
            raise
        hint = "free disk space, look at the disk's health, or restore a backup"
        raise StartError(f"{path}: {error}", SALVAGE_HINT if is_damage(error) else hint) from None


def _name_host(db: apsw.Connection, config: Config) -> None:
    host = config.machine
    try:
        name_here(db, read_head(db).log_id, host)
    except apsw.FullError:
        # What answers call this machine can wait; that the log can be read cannot.
        logger.warning("the disk is full: what this machine is called was not noted", host=host)


async def run_daemon(
    config: Config,
    db: apsw.Connection,
    sockets: dict[str, socket.socket],
    load_config: LoadConfig,
    notifier: Notifier,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop in good order.

    Args:
        config: The settings.
        db: The writer's connection, from `open_log`.
        sockets: The listening sockets by name.
        load_config: Reads the settings again, for SIGHUP and control.sock.
        notifier: Tells the supervisor.
    """
    watching: list[Reactions] = []
    hub, voice = _assemble(config, db, lambda batches: watching[0].on_commit(batches))
    watching.append(Reactions(hub, voice, sockets["ingest"]))
    daemon = Daemon(hub, voice, watching[0], load_config, notifier)
    async with _writing(hub):
        # First in the queue, so first in the log, however long storage takes to allow it.
        voice.say(DaemonStarted(version=__version__, recovered_seq=hub.head.seq, boot_id=boot_id()))
        reason = await daemon.serve(sockets)
        with trio.move_on_after(hub.config.drain_timeout_ms / 1000):
            voice.say(DaemonStopped(reason=reason))
            await voice.settled()
    logger.info("log closed", head=read_head(db).noted)
    try:
        db.close()
    except apsw.Error as error:
        logger.warning("the write-ahead log stays: it could not be copied", reason=str(error))


async def run_alone(config: Config, db: apsw.Connection, work: Callable[[Hub, Voice], Awaitable[T]]) -> T:
    """Do something as the daemon would, with nobody connected.

    Args:
        config: The settings.
        db: The writer's connection, from `open_log`; it stays open.
        work: What to do.
    """
    hub, voice = _assemble(config, db, lambda _batches: None)
    async with _writing(hub):
        return await work(hub, voice)


def _assemble(
    config: Config, db: apsw.Connection, on_commit: Callable[[Sequence[Batch]], None]
) -> tuple[Hub, Voice]:
    """Put together what all connections share, and who speaks for the daemon."""
    path = Path(config.state_dir) / DATABASE
    with _refusing(path):
        stored = read_head(db)
        _, said = find_producer(db, DAEMON_PRODUCER) or (0, 0)
        stamp = SteadyStamp(system_clock, stored.received)
        transaction = Transaction(db, stored, live_projector(db), stamp, config)
    inbox = Inbox(config.queue_limit_bytes)
    head = Head(stored.seq, config.recent_limit_bytes)
    readers = Readers(path, config.reader_limit, config.query_timeout_ms)

    masker = Masker(
        builtin=config.mask_builtin, patterns=config.mask_patterns, scrub_rules=config.scrub_rules
    )
    writer = Writer(
        transaction,
        inbox,
        Reserve(Path(config.state_dir), config.reserve_bytes),
        masker,
        head,
        on_commit=on_commit,
        on_fault=lambda fault: hub.on_fault(fault),
        on_wal_limit=readers.interrupt,
    )
    search = Search(config, head, inbox, readers, stored.log_id)
    hub = Hub(
        config,
        head,
        inbox,
        writer,
        readers,
        search,
        masker,
        log_id=stored.log_id,
        host=config.machine,
        started_us=stamp(),
    )
    return hub, Voice(writer, said)


@asynccontextmanager
async def _writing(hub: Hub) -> AsyncIterator[None]:
    """Have the writer's thread run; in the end it is waited for, also when we are about to crash."""

    async def keep_writing() -> None:
        try:
            await hub.writer.run()
        finally:
            hub.abandon()

    async with trio.open_nursery() as keeping:
        keeping.start_soon(keep_writing)
        try:
            yield
        finally:
            hub.writer.give_up()
    hub.readers.close()


class Daemon:
    """Live connections and what commands them: signals and control.sock.

    Args:
        hub: What connections share.
        voice: Says in the log what the daemon did.
        reactions: What the daemon does of itself while it accepts.
        load_config: Reads the settings again.
        notifier: Tells the supervisor.
    """

    def __init__(
        self, hub: Hub, voice: Voice, reactions: Reactions, load_config: LoadConfig, notifier: Notifier
    ) -> None:
        self._hub = hub
        self._notifier = notifier
        self._voice = voice
        self._reactions = reactions
        self._load_config = load_config
        self._busy = trio.Lock()
        self._governor = Governor(hub, voice, self._busy)
        self._compressor = Compressor(hub, self._busy)
        self._brief = Brief(hub)

    async def serve(self, sockets: dict[str, socket.socket]) -> str:
        """Accept and serve until a signal says stop; returns its name once connections have drained."""
        hub = self._hub
        async with trio.open_nursery() as living:
            living.start_soon(hub.search.run)
            living.start_soon(self._brief.run)
            async with trio.open_nursery() as accepting:
                serve = {"ingest": self._ingest, "query": self._query, "control": self._control}
                for name in NAMES:
                    accepting.start_soon(
                        accept_forever, name, sockets[name], hub, living, serve[name], _turn_away
                    )
                # Only while all that waits is accepted: who died may have said in there how it went.
                accepting.start_soon(self._reactions.run)
                accepting.start_soon(self._governor.run)
                accepting.start_soon(self._compressor.run)
                living.start_soon(feed_watchdog, hub, self._notifier)
                living.start_soon(self._report_shed)
                living.start_soon(hub.users.share.run)
                living.start_soon(watch_cursors, hub)
                with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
                    logger.info(
                        "ready", runtime_dir=hub.config.runtime_dir, log_id=hub.log_id, seq=hub.head.seq
                    )
                    self._notifier.ready(summary(hub))
                    async for number in signals:
                        if number != signal.SIGHUP:
                            break
                        self._reload_or_complain()
                accepting.cancel_scope.cancel()
            reason = signal.Signals(number).name
            self._notifier.stopping(f"{reason}: what came is being settled")
            logger.info("stopping", signal=reason, connections=dict(hub.connections))
            with trio.move_on_after(hub.config.drain_timeout_ms / 1000) as drain:
                await self._drain()
            if drain.cancelled_caught:
                logger.warning("stopped before all was settled", queued_lines=hub.inbox.queued_lines)
                hub.abandon()
            self._say_shed()
            living.cancel_scope.cancel()
        return reason

    async def _report_shed(self) -> None:
        """Say at intervals what was shed, and of whom."""
        while True:
            await trio.sleep(_REPORT_S)
            self._hub.users.sample()
            self._say_shed()

    def _say_shed(self) -> None:
        for report in self._hub.users.reports():
            self._voice.say(report)

    async def _drain(self) -> None:
        """Let every session settle what came whole; readers are cut, they can ask again."""
        async with trio.open_nursery() as draining:
            for session in list(self._hub.sessions):
                draining.start_soon(session.drain)

    def reload(self) -> tuple[list[str], list[str]]:
        """Take over what can change while running.

        Returns:
            Names of settings that changed, and of those that need a restart.

        Raises:
            ConfigError: the new settings are wrong; the old ones stay in force.
        """
        self._notifier.reloading()
        try:
            return self._reload()
        finally:
            self._notifier.ready(summary(self._hub))

    def _reload(self) -> tuple[list[str], list[str]]:
        new = self._load_config()
        changed, needs_restart = changed_settings(self._hub.config, new)
        config = msgspec.structs.replace(self._hub.config, **{name: getattr(new, name) for name in changed})
        self._hub.config = config
        self._hub.readers.timeout_ms = config.query_timeout_ms
        self._hub.masker.configure(
            builtin=config.mask_builtin, patterns=config.mask_patterns, scrub_rules=config.scrub_rules
        )
        self._hub.users.configure(config)
        self._hub.search.configure(config)
        self._hub.writer.configure(config)
        configure_logging(config.log_level)
        logger.info("configuration reloaded", changed=changed, needs_restart=needs_restart)
        return changed, needs_restart

    def _reload_or_complain(self) -> None:
        try:
            self.reload()
        except ConfigError as error:
            logger.error("configuration not reloaded", reason=error.reason, hint=error.hint)  # noqa: TRY400

    async def _ingest(self, stream: trio.SocketStream, peer: Peer, nursery: trio.Nursery) -> None:
        await Session(stream, peer, self._hub, nursery).run()

    async def _query(self, stream: trio.SocketStream, peer: Peer, _nursery: trio.Nursery) -> None:
        await serve_query(stream, peer, self._hub, self._brief)

    async def _control(self, stream: trio.SocketStream, peer: Peer, _nursery: trio.Nursery) -> None:
        await serve_control(stream, peer, self._hub, self._voice, self._governor, self.reload, self._busy)


def _turn_away(name: str, refusal: Refusal) -> bytes:
    if name == "ingest":
        return reply_line(error=IngestError(code=refusal.code, reason=refusal.reason, hint=refusal.hint))
    error = QueryError(code=refusal.code, reason=refusal.reason, hint=refusal.hint)
    return b'{"error":' + msgspec.json.encode(error) + b"}\n"


def start(
    config: Config,
    db: apsw.Connection,
    sockets: dict[str, socket.socket],
    load_config: LoadConfig,
    notifier: Notifier,
) -> None:
    """Run the daemon to its end."""
    trio.run(partial(run_daemon, config, db, sockets, load_config, notifier))
