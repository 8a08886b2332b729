"""Followers at the end of the log: what a commit has for each is written to it, without waking its task.

    commit -> whom it may concern, by what its lines are known to hold -> their lines -> their sockets

A line is decoded and made ready to be sent once, however many want it, and who wants nothing of a commit is
not looked at: followers with a filter cost what they are sent. In a crowd each is written to when it is its
turn. The log stays the buffer of all: whoever is slow, or has more to read than memory holds, goes back to
reading pages after its position.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

import trio

from flightlogd.batch import Batch
from flightlogd.head import Head
from flightlogd.loopshare import LoopShare, Waiter
from flightlogd.match import Match
from flightlogd.queries.event import PAGE_BYTES, ready_lines
from flightlogd.sending import Sender
from flightlogd.turns import asking

_SEARCHED_BYTES: Final = 512 * 1024
"""How much text is searched at most to tell whom a commit concerns, over all followers. Those for whom it
would be more are looked at when it is their turn."""


_CROWDED_PAGE_BYTES: Final = 32 * 1024
"""What one of a crowd has put together for it in a turn of the loop."""


class Follower:
    """A tail that waits at the end of the log; made by its task.

    Attributes:
        match: What it wants.
        position: It has all up to here, and where nothing is owed all that was offered.
        sender: Writes to it.
        peer: Who it is.
        rest: What its socket did not take of what was written to it.
        owed: What may concern it lies behind `position`.
        waiter: Its place in line.
        woken: Set when its task has something to do.
    """

    __slots__ = ("match", "owed", "peer", "position", "rest", "sender", "waiter", "woken")

    def __init__(self, match: Match, position: int, sender: Sender) -> None:
        self.match = match
        self.position = position
        self.sender = sender
        self.peer = asking.get()
        self.rest = b""
        self.owed = False
        self.waiter: Waiter | None = None
        self.woken = trio.Event()


class Live:
    """All who wait at the end of the log, on trio's thread only.

    Args:
        head: The end of the log.
        share: Whose turn it is.
    """

    def __init__(self, head: Head, share: LoopShare) -> None:
        self._head = head
        self._share = share
        self._offered = 0
        """All up to here was offered to those who are here."""
        self._here: dict[Follower, dict[Follower, None]] = {}
        """All, each with the list that it is on."""
        self._by_execution: dict[str, dict[Follower, None]] = {}
        self._by_text: dict[bytes, dict[Follower, None]] = {}
        self._of_singles: dict[Follower, None] = {}
        self._of_any: dict[Follower, None] = {}
        head.on_wake = self._offer

    async def follow(self, match: Match, position: int, sender: Sender) -> tuple[int, bytes]:
        """Write to a reader what comes until its task has something to do itself.

        Args:
            match: What it wants.
            position: It has all up to here.
            sender: Writes to it.

        Returns:
            Up to where it has all now, or will have with the second: what its socket did not take.
        """
        follower = Follower(match, position, sender)
        with self._head.awaiting():
            seq = self._head.seq
            if seq <= position:
                self._join(follower, seq)
                try:
                    await follower.woken.wait()
                finally:
                    self._leave(follower)
        await trio.lowlevel.checkpoint_if_cancelled()
        return follower.position, follower.rest

    def page(self, match: Match, cursor: int, until: int | None = None) -> tuple[list[bytes], int] | None:
        """Return matching events after a position out of memory, a page of them, and how far that is.

        None where they have to be read: memory does not go back so far, or further than is wanted.
        """
        recent = self._head.recent(cursor)
        if recent is None or (until is not None and recent and recent[-1].last_seq > until):
            return None
        most = _CROWDED_PAGE_BYTES if self._share.crowded else PAGE_BYTES
        lines: list[bytes] = []
        size = 0
        for batch in recent:
            found = ready_lines(batch, cursor, match)
            lines += found
            size += sum(map(len, found))
            cursor = batch.last_seq
            if size >= most:
                break
        return lines, cursor

    def _join(self, follower: Follower, seq: int) -> None:
        if not self._here:
            self._offered = seq
        match = follower.match
        if match.execution_id is not None:
            listed = self._by_execution.setdefault(match.execution_id, {})
        elif match.only_singles:
            listed = self._of_singles
        elif match.needle:
            listed = self._by_text.setdefault(match.needle, {})
        else:
            listed = self._of_any
        self._here[follower] = listed
        listed[follower] = None

    def _leave(self, follower: Follower) -> None:
        listed = self._here.pop(follower, None)
        if listed is None:
            return
        del listed[follower]
        if not listed:
            match = follower.match
            if match.execution_id is not None:
                del self._by_execution[match.execution_id]
            elif listed is self._by_text.get(match.needle):
                del self._by_text[match.needle]
        if follower.waiter is not None:
            follower.waiter.go = None
            follower.waiter = None
        if not follower.owed:
            follower.position = max(follower.position, self._offered)

    def _wake(self, follower: Follower) -> None:
        self._leave(follower)
        follower.woken.set()

    def _offer(self) -> None:
        """Have what was committed given to those whom it concerns."""
        if not self._here:
            return
        before = self._offered
        recent = self._head.recent(before)
        if recent is None:  # so much at once that memory does not hold it
            concerned = list(self._here)
            self._offered = self._head.seq
        elif recent:
            concerned = list(
                dict.fromkeys(follower for batch in recent for follower in self._concerned(batch))
            )
            self._offered = recent[-1].last_seq
        else:
            return
        for follower in concerned:
            if not follower.owed:
                follower.position = max(follower.position, before)
                follower.owed = True
                follower.waiter = self._share.go(follower.peer, partial(self._give, follower))

    def _concerned(self, batch: Batch) -> Iterator[Follower]:
        """Yield those who may want lines of a batch."""
        tallies = batch.facts.tallies
        followed = self._by_execution
        for execution_id in tallies if len(tallies) < len(followed) else followed:
            if execution_id in followed and execution_id in tallies:
                yield from followed[execution_id]
        if batch.facts.singles:
            yield from self._of_singles
        if self._by_text:
            text = b"\n".join(batch.lines)  # it is not kept: memory is for lines
            searches = _SEARCHED_BYTES // len(text)
            for place, (needle, followers) in enumerate(self._by_text.items()):
                if place >= searches or needle in text:
                    yield from followers
        for follower in self._of_any:
            mask = follower.match.level_mask
            if not mask or mask & batch.level_mask:
                yield follower

    def _give(self, follower: Follower) -> None:
        """Write to a follower what there is for it, as far as memory and its socket go."""
        follower.waiter = None
        try:
            page = self.page(follower.match, follower.position)
        except Exception:  # its task meets the same, and says so
            page = None
        if page is None:
            self._wake(follower)
            return
        lines, follower.position = page
        if lines:
            data = b"".join(lines)
            follower.rest = data[follower.sender.at_once(data) :]
        follower.owed = bool(follower.rest) or follower.position < self._offered
        if follower.owed:
            self._wake(follower)
