"""Rows that are old enough are compressed when the daemon has nothing else to do.

They are found and compressed on other threads, without the interpreter's lock, and stored on the writer's, a
few milliseconds at a time. Nobody notices but the disk. What is cut off goes on later: each row is as it was,
or compressed.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

import apsw
import msgspec
import structlog
import trio
from msgspec import Struct

from flightlogd.clock import system_clock
from flightlogd.errors import QuestionError
from flightlogd.governance.slices import TURN_S, say_nothing, shrink, store
from flightlogd.hub import Hub
from flightlogd.interpreter import short_turns
from flightlogd.store.cold import (
    Row,
    add_dictionary,
    find_hot,
    find_packed,
    forget_dictionaries,
    freeze,
    newest_dictionary,
    stored,
    thaw,
)
from flightlogd.store.database import is_storage_error
from flightlogd.store.packed import open_dictionary, pack, train
from flightlogd.store.tombstones import newest_tombstone

logger = structlog.get_logger(__name__)

_LOOK_S: Final = 1.0
"""How often it is looked whether there is time, and how long work goes on before that."""

_PAUSE_LONGEST_S: Final = 60.0
"""How long nothing is looked for once all that is old is compressed."""

_IDLE_LINES_PER_S: Final = 1000
"""Whoever records less leaves time enough."""

_SAMPLE_BYTES: Final = 2048

_TRAIN_BYTES: Final = 128 * 1024
"""Fewer old lines are not worth a dictionary."""

_REVIEW_BYTES: Final = 32 * 1024 * 1024
"""After so many lines it is tried whether a new dictionary would pay."""

_PAYS: Final = 0.9
"""A row, or a dictionary, has to come to less than this part of what there was before it."""


class Packed(Struct):
    """Rows as they come out of compression.

    Attributes:
        rows: As they were read, with their lines compressed, where that pays.
        dictionary: A new dictionary that they need; None: they need the one that was given.
    """

    rows: list[tuple[Row, bytes]]
    dictionary: bytes | None = None


def compress_rows(rows: Sequence[Row], dictionary: bytes, *, review: bool) -> Packed:
    """Compress rows, with a new dictionary where there is none, or where one pays. Pure.

    Args:
        rows: What to compress.
        dictionary: The one in use; empty where there is none.
        review: Try whether a new one is better.
    """
    found = None if dictionary and not review else train(_samples(rows[::2]))
    if dictionary and found is not None and not _is_better(found, dictionary, rows[1::2]):
        found = None
    if not dictionary and found is None:
        return Packed([])
    opened = open_dictionary(found or dictionary)
    packed = [(row, pack(row.lines, opened)) for row in rows]
    return Packed([(row, small) for row, small in packed if len(small) < _PAYS * len(row.lines)], found)


def _samples(rows: Sequence[Row]) -> list[bytes]:
    return [
        row.lines[start : start + _SAMPLE_BYTES]
        for row in rows
        for start in range(0, len(row.lines), _SAMPLE_BYTES)
    ]


def _is_better(new: bytes, old: bytes, rows: Sequence[Row]) -> bool:
    """Say whether a dictionary pays, by rows that it was not made of."""
    opened = open_dictionary(new), open_dictionary(old)
    new_bytes, old_bytes = (sum(len(pack(row.lines, one)) for row in rows) for one in opened)
    return new_bytes < _PAYS * old_bytes


class Compressor:
    """Compresses what is old in one daemon.

    Args:
        hub: The daemon.
        busy: Held while something is governed.
    """

    def __init__(self, hub: Hub, busy: trio.Lock) -> None:
        self._hub = hub
        self._busy = busy
        self._thread = trio.CapacityLimiter(1)
        self._position = 0
        self._tombstone_id = 0
        self._since_review_bytes = 0
        self._has_freed = False

    async def run(self) -> None:
        """Compress what is old whenever there is time."""
        while True:
            seq = self._hub.head.seq
            await trio.sleep(_LOOK_S)
            if self._is_quiet_since(seq):
                while (pause_s := await self._turn()) == 0:
                    pass
                await trio.sleep(pause_s)

    def _is_quiet_since(self, seq: int) -> bool:
        """Say whether others left time in the `_LOOK_S` since the log ended at a position."""
        return self._hub.fault is None and self._hub.head.seq - seq < _IDLE_LINES_PER_S * _LOOK_S

    async def _turn(self) -> float:
        """Work for a while, or until somebody records much; return when to go on, in seconds."""
        end = trio.current_time() + _LOOK_S
        seq = self._hub.head.seq
        nothing_left_s = min(self._hub.config.compress_after_s, _PAUSE_LONGEST_S)
        try:
            async with self._busy:
                with short_turns(TURN_S):
                    while trio.current_time() < end and self._is_quiet_since(seq):
                        if await self._step():
                            await self._give_back()
                            return max(nothing_left_s, _LOOK_S)
        except (QuestionError, apsw.Error) as error:
            if isinstance(error, apsw.Error) and not is_storage_error(error):
                raise
            logger.warning("compression is put off", reason=str(error))
            return _PAUSE_LONGEST_S
        return 0 if self._is_quiet_since(seq) else _LOOK_S

    async def _give_back(self) -> None:
        """Give the space that is free now back to the file system."""
        if self._has_freed:
            await shrink(self._hub, say_nothing)
            self._has_freed = False
            logger.info(
                "what is old is compressed", **msgspec.structs.asdict(await self._hub.readers.run(stored))
            )

    async def _step(self) -> bool:
        """Compress some rows; True when there was none left."""
        hub = self._hub
        before_us = system_clock() - hub.config.compress_after_s * 1_000_000
        tombstone_id, (codec, dictionary) = await hub.readers.run(
            lambda db: (newest_tombstone(db), newest_dictionary(db))
        )
        if tombstone_id != self._tombstone_id or not dictionary:
            # What governance has rewritten since is plain again.
            self._tombstone_id, self._position = tombstone_id, 0
        found = await hub.readers.run(partial(find_hot, after=self._position, before_us=before_us))
        if found.done:
            return True
        size_bytes = sum(len(row.lines) for row in found.rows)
        if not dictionary and size_bytes < _TRAIN_BYTES:
            return True
        review = self._since_review_bytes >= _REVIEW_BYTES
        packed = await trio.to_thread.run_sync(
            partial(compress_rows, found.rows, dictionary, review=review), limiter=self._thread
        )
        self._since_review_bytes = size_bytes if review else self._since_review_bytes + size_bytes
        if packed.dictionary is not None:
            codec = await hub.writer.do(
                partial(add_dictionary, content=packed.dictionary, made_at=system_clock()), ahead=True
            )
        await store(hub, lambda db, row: freeze(db, codec, *row), packed.rows)
        self._has_freed = self._has_freed or bool(packed.rows)
        self._position = found.position
        return False


async def expand(hub: Hub, codecs: Sequence[int]) -> None:
    """Store plain again what is compressed with some dictionaries, and forget these.

    Raises:
        apsw.Error: storage fails, or a row cannot be read; the dictionaries stay.
    """
    position, done = 0, False
    while not done:
        found = await hub.readers.run(partial(find_packed, after=position, codecs=codecs))
        await store(hub, thaw, found.rows)
        position, done = found.position, found.done
    await hub.writer.do(partial(forget_dictionaries, codecs=codecs), ahead=True)
