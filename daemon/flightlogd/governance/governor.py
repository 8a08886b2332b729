"""When governance happens: at the start, daily, and when an operator asks; in slices between two commits.

What is to go is found on a reader's thread and taken on the writer's, a few milliseconds at a time: no ack
waits for more than one slice. At the end one event says what was done, and seals its tombstones.
"""

import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import apsw
import structlog
import trio

from flightlog_schemas.events import DaemonPruned, Event
from flightlog_schemas.wire.control import Progress, Retained, Retention, Share
from flightlogd.clock import system_clock
from flightlogd.errors import QuestionError
from flightlogd.governance.policy import Policy, Rule, parse_levels, policy_of
from flightlogd.governance.removal import finish_removals, forget_executions, over_time, removal_step
from flightlogd.governance.retention import begin_sweep, sweep_step, used_bytes
from flightlogd.hub import Hub
from flightlogd.project import read_positions
from flightlogd.queries.find import require
from flightlogd.store.database import is_storage_error
from flightlogd.store.eventlog import count_lines, read_head
from flightlogd.store.tombstones import Cause, Rewrite, Slice, governing, mark_sealed, unsealed
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

Say = Callable[[Progress], Awaitable[None]]

SLICE_S: Final = 0.005
"""How long a slice keeps the writer from the next commit."""

_VACUUM_PAGES: Final = 64
"""Pages given back to the file system in one slice."""

_EVERY_S: Final = 86_400.0
_AGAIN_S: Final = 3600.0

_TURN_S: Final = 0.000_5
"""How long a thread that looks for what is to go keeps the interpreter while others wait for it."""


class Governor:
    """Carries out governance in one daemon.

    Args:
        hub: The daemon.
        voice: Says in the log what was done.
        busy: Held by the one act that is under way.
    """

    def __init__(self, hub: Hub, voice: Voice, busy: trio.Lock) -> None:
        self._hub = hub
        self._voice = voice
        self._busy = busy

    async def run(self) -> None:
        """Apply the settings at once, and then daily."""
        pause_s = 0.0
        while True:
            with trio.move_on_after(pause_s):
                await trio.sleep_forever()
            pause_s = _EVERY_S if await self._once() else _AGAIN_S

    async def _once(self) -> bool:
        """Apply the settings once; False when that has to be tried again soon."""
        try:
            async with self._busy:
                done, _ = await self.retain(configured_policy(self._hub), by="the daemon itself")
        except (QuestionError, apsw.Error) as error:
            if isinstance(error, apsw.Error) and not is_storage_error(error):
                raise
            logger.warning("retention is put off", reason=str(error))
            return False
        if done.limit_bytes is not None and done.used_bytes > done.limit_bytes:
            logger.warning(
                "the database stays larger than retention_bytes: what is left is not for retention to take",
                used_bytes=done.used_bytes,
                limit_bytes=done.limit_bytes,
            )
        return True

    async def retain(
        self, policy: Policy, *, by: str, dry_run: bool = False, say: Say | None = None
    ) -> tuple[Retained, list[Share]]:
        """Remove what is over its time.

        Args:
            policy: What is kept.
            by: On whose word.
            dry_run: Only find out what would go.
            say: Told how far it is.

        Raises:
            QuestionError: `projection_broken`: what has ended cannot be told then.
            apsw.Error: storage fails; what is done so far stays done.
        """
        hub = self._hub
        await hub.readers.run(lambda db: require(db, "execution", "log"))
        work = _Pass(hub, policy, system_clock(), dry_run=dry_run, say=say or _say_nothing)
        with _short_turns():
            await work.remove()
            await work.sweep()
            if not dry_run:
                await self._seal(work, by)
                await work.shrink()
        await work.measure()
        done = work.done
        if done.lines or done.executions:
            logger.info("retention", by=by, dry_run=dry_run, lines=done.lines, executions=done.executions)
        return done, work.shares

    async def _seal(self, work: "_Pass", by: str) -> None:
        """Tell of the tombstones that no event tells of yet: of this pass, and of one that was cut off."""
        last_id = 0

        def decide(db: apsw.Connection) -> Sequence[Event]:
            nonlocal last_id
            found = unsealed(db)
            if found is None:
                return []
            last_id = found.last_id
            detail: dict[str, Any] = {
                "by": by,
                "bytes": found.size_bytes,
                "executions": work.done.executions,
                "tombstones": {"first": found.first_id, "last": last_id, "sha256": found.digest.hex()},
            }
            return [
                DaemonPruned(
                    id=f"pruned:{found.first_id}", cause="retention", lines=found.lines, detail=detail
                )
            ]

        await self._voice.react(decide)
        if last_id:
            await self._hub.writer.do(partial(mark_sealed, last_id=last_id))


class _Pass:
    """One pass of retention."""

    def __init__(self, hub: Hub, policy: Policy, now_us: int, *, dry_run: bool, say: Say) -> None:
        self._hub = hub
        self._policy = policy
        self._now_us = now_us
        self._say = say
        self._removed: set[str] = set()
        self.done = Retained(dry_run=dry_run, limit_bytes=policy.size_bytes)
        self.shares: list[Share] = []

    async def remove(self) -> None:
        """Remove whole executions, and go on with what an earlier pass began."""
        if not self.done.dry_run:
            await self._remove_lines()
        if self._policy.audit_keep_us is None:
            return
        before_us = self._now_us - self._policy.audit_keep_us
        after = ""
        read, write = self._hub.readers.run, self._hub.writer.do
        while names := await read(partial(over_time, before_us=before_us, after=after)):
            after = names[-1]
            if self.done.dry_run:
                self._removed.update(names)
                self.done.execution_lines += await read(partial(_count_lines, execution_ids=names))
                self.done.executions += len(names)
                continue
            while names:
                looked_at, taken = await write(
                    partial(forget_executions, execution_ids=names, before_us=before_us, slice_s=SLICE_S)
                )
                del names[:looked_at]
                self.done.executions += taken
            await self._remove_lines()

    async def _remove_lines(self) -> None:
        while True:
            changes, out = await self._hub.readers.run(removal_step)
            if out:
                await self._hub.writer.do(partial(finish_removals, execution_ids=out))
            if changes:
                self.done.execution_lines += sum(change.taken_lines for change in changes)
                await apply(self._hub, "removal", changes)
                await self._say(Progress(step="remove", done=self.done.executions, total=0))
            elif not out:
                return

    async def sweep(self) -> None:
        """Remove log lines that are over their time."""
        read = self._hub.readers.run
        sweep = await read(partial(begin_sweep, policy=self._policy, now_us=self._now_us))
        sweep.removed = self._removed
        while not sweep.done:
            changes = await read(partial(sweep_step, sweep=sweep))
            self.done.lines += sum(change.taken_lines for change in changes)
            self.done.bytes += sum(change.taken_bytes for change in changes)
            if not self.done.dry_run:
                await apply(self._hub, "retention", changes)
            await self._say(Progress(step="sweep", done=sweep.position, total=sweep.until))
        self.shares = sorted(sweep.shares.values(), key=lambda share: (-share.lines, share.level))

    async def shrink(self) -> None:
        """Give space back to the file system."""
        await shrink(self._hub, self._say)

    async def measure(self) -> None:
        """Note how large the database is now."""

        def sizes(db: apsw.Connection) -> tuple[int, int]:
            return used_bytes(db), int(db.pragma("page_count")) * int(db.pragma("page_size"))

        self.done.used_bytes, self.done.file_bytes = await self._hub.readers.run(sizes)


async def apply(hub: Hub, cause: Cause, changes: Sequence[Rewrite]) -> None:
    """Carry out changes of rows, as many in a slice as its time allows."""
    left = list(changes)
    while left:
        done = await hub.writer.do(partial(_apply_slice, cause=cause, changes=left))
        hub.head.forget(left[done - 1].last_seq)
        del left[:done]


def _apply_slice(db: apsw.Connection, cause: Cause, changes: Sequence[Rewrite]) -> int:
    deadline = time.monotonic() + SLICE_S
    head = read_head(db)
    borders = {found.position for found in read_positions(db).values()} - {head.seq}
    done = 0
    with governing(db):
        part = Slice(db, cause, max(system_clock(), head.received), borders)
        for change in changes:
            part.rewrite(change)
            done += 1
            if time.monotonic() > deadline:
                break
    return done


async def shrink(hub: Hub, say: Say) -> None:
    """Give free pages back to the file system, in slices, and have the file cut."""
    done = 0
    while left := await hub.writer.do(_vacuum_slice):
        done += _VACUUM_PAGES
        await say(Progress(step="shrink", done=done, total=done + left))
    await hub.writer.do(lambda db: db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE))


def _vacuum_slice(db: apsw.Connection) -> int:
    before = int(db.pragma("freelist_count"))
    db.execute(f"pragma incremental_vacuum({_VACUUM_PAGES})").fetchall()
    left = int(db.pragma("freelist_count"))
    return left if left < before else 0


def _count_lines(db: apsw.Connection, execution_ids: Sequence[str]) -> int:
    return sum(count_lines(db, execution_id) for execution_id in execution_ids)


def configured_policy(hub: Hub) -> Policy:
    """Return the policy of the settings in force."""
    config = hub.config
    return policy_of(
        config.retention_days, config.audit_retention_days, config.retention_bytes, config.retention_rules
    )


def asked_policy(request: Retention) -> Policy | None:
    """Return the policy that a request says itself, None where it leaves that to the settings.

    Raises:
        ValueError: a level is none.
    """
    if request.older_than_us is None and not (request.level or request.status or request.project):
        return None
    rule = Rule(
        keep_us=request.older_than_us or 0,
        levels=parse_levels(request.level),
        statuses=frozenset(request.status),
        project=request.project,
    )
    return Policy(rules=(rule,))


@contextmanager
def _short_turns() -> Iterator[None]:
    """Let threads take short turns at the interpreter: what is found here is in no hurry, acks are."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


async def _say_nothing(_progress: Progress) -> None:
    await trio.lowlevel.checkpoint()
