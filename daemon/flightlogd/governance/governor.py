"""When governance happens: at the start, daily, and when an operator asks; in slices between two commits.

What is to go is found on a reader's thread and taken on the writer's, a few milliseconds at a time: no ack
waits for more than one slice. At the end one event says what was done, and seals its tombstones.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import apsw
import msgspec
import structlog
import trio

from flightlog_schemas.answers import RetentionStatus
from flightlog_schemas.wire.control import Progress, Retained, Retention, Share
from flightlogd.clock import system_clock
from flightlogd.errors import QuestionError
from flightlogd.governance.policy import Policy, Rule, parse_levels, policy_of
from flightlogd.governance.removal import (
    finish_removals,
    forget_marked,
    mark_executions,
    over_time,
    removal_step,
)
from flightlogd.governance.retention import begin_sweep, sweep_step, used_bytes
from flightlogd.governance.slices import SLICE_S, TURN_S, Say, apply, say_nothing, seal, shrink
from flightlogd.hub import Hub
from flightlogd.interpreter import short_turns
from flightlogd.queries.find import require
from flightlogd.store.database import is_storage_error
from flightlogd.store.eventlog import count_lines, read_head
from flightlogd.store.sizes import table_sizes
from flightlogd.voice import Voice

logger = structlog.get_logger(__name__)

_EVERY_S: Final = 86_400.0
_AGAIN_S: Final = 3600.0
_FULL_S: Final = 10.0
"""A disk that fills again and again is looked after no oftener than this."""


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
        self._untold = False
        """Something was removed that no event tells of yet."""

    async def run(self) -> None:
        """Apply the settings at once, then daily, and whenever storage is full or no longer fails."""
        while True:
            began = trio.current_time()
            changed = self._hub.storage_changed
            pause_s = _EVERY_S if await self._once() else _AGAIN_S
            with trio.move_on_after(pause_s):
                await changed.wait()
                while self._hub.fault is not None and self._hub.fault.state != "storage_full":
                    await self._hub.storage_changed.wait()
                await trio.sleep_until(began + _FULL_S)

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
        if self._untold:
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
        work = _Pass(hub, policy, system_clock(), dry_run=dry_run, say=say or say_nothing)
        with short_turns(TURN_S):
            await work.remove()
            await work.sweep()
            if not dry_run:
                # Space first: sealing takes some.
                await shrink(hub, work.say)
                detail = {"by": by, "executions": work.done.executions}
                self._untold = not await seal(hub, self._voice, "retention", detail)
        await work.measure()
        done = work.done
        if not dry_run:
            await self._take_stock(done)
        head = await self._hub.readers.run(read_head)
        logger.info("retention is done", by=by, head=head.noted, **msgspec.structs.asdict(done))
        return done, work.shares

    async def _take_stock(self, done: Retained) -> None:
        """Note what was done and how large tables are, and warn of those that are too large."""
        self._hub.retention = RetentionStatus(
            finished_at=system_clock(),
            lines=done.lines + done.execution_lines,
            bytes=done.bytes,
            executions=done.executions,
            used_bytes=done.used_bytes,
            limit_bytes=done.limit_bytes,
        )
        try:
            self._hub.table_bytes = await self._hub.readers.run(table_sizes)
        except QuestionError as error:
            logger.warning("the sizes of tables are not known", reason=error.reason)
            return
        limit_bytes = self._hub.config.table_warn_bytes
        for table, size_bytes in self._hub.table_bytes.items():
            if size_bytes > limit_bytes:
                logger.warning(
                    "a table is large", table=table, size_bytes=size_bytes, table_warn_bytes=limit_bytes
                )


class _Pass:
    """One pass of retention."""

    def __init__(self, hub: Hub, policy: Policy, now_us: int, *, dry_run: bool, say: Say) -> None:
        self._hub = hub
        self._policy = policy
        self._now_us = now_us
        self.say = say
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
                    partial(
                        mark_executions,
                        execution_ids=names,
                        before_us=before_us,
                        slice_s=SLICE_S,
                        leaving=self._hub.writer.projector.leaving,
                    ),
                    ahead=True,
                )
                del names[:looked_at]
                self.done.executions += taken
            await self._remove_lines()

    async def _remove_lines(self) -> None:
        write, leaving = self._hub.writer.do, self._hub.writer.projector.leaving
        while not await write(partial(forget_marked, slice_s=SLICE_S, leaving=leaving), ahead=True):
            await self.say(Progress(step="remove", done=self.done.executions, total=0))
        while True:
            changes, out = await self._hub.readers.run(removal_step)
            if out:
                await self._hub.writer.do(partial(finish_removals, execution_ids=out), ahead=True)
            if changes:
                self.done.execution_lines += sum(change.taken_lines for change in changes)
                await apply(self._hub, "removal", changes)
                await self.say(Progress(step="remove", done=self.done.executions, total=0))
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
            await self.say(Progress(step="sweep", done=sweep.position, total=sweep.until))
        self.shares = sorted(sweep.shares.values(), key=lambda share: (-share.lines, share.level))

    async def measure(self) -> None:
        """Note how large the database is now."""

        def sizes(db: apsw.Connection) -> tuple[int, int]:
            return used_bytes(db), int(db.pragma("page_count")) * int(db.pragma("page_size"))

        self.done.used_bytes, self.done.file_bytes = await self._hub.readers.run(sizes)


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
        ValueError: a level is none, or it is not said how old lines have to be.
    """
    if request.older_than_us is None:
        if request.level or request.status or request.project:
            raise ValueError("level, status and project go with older_than_us; 0 takes all")
        return None
    rule = Rule(
        keep_us=request.older_than_us,
        levels=parse_levels(request.level),
        statuses=frozenset(request.status),
        project=request.project,
    )
    return Policy(rules=(rule,))
