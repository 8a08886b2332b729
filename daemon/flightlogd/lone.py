"""Lone lines: who sends a line or two and waits for the ack is read and answered by the writer itself.

    socket -> [writer's thread: read all that wait, decode them, wait for others, commit all, ack]

To go through the loop costs such a line more than all else: waking a task for each, two hops between threads
for each commit, and two threads that wait for each other's GIL. A session lends its connection while all is
plain; what is not so comes back to it, with what was read of it.
"""

import os
import select
import threading
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import trio

from flightlogd.decode import Plain, decode_lines
from flightlogd.facts import add_facts
from flightlogd.masking import Masker
from flightlogd.peer import Peer
from flightlogd.submission import Outcome, Share, Submission

if TYPE_CHECKING:
    from flightlogd.session import Session

LONE_BYTES: Final = 4096
"""Largest piece that is taken for lone lines; who sends more at once has it decoded while others commit."""

_LINES: Final = 16
"""Most lines in it: what is read for one commit fits a batch."""

_WANTED_LIMIT: Final = 64
"""Most small pieces in a row after which a connection is lent again that sent what is not plain."""

_AT_ONCE: Final = 64
"""Connections read for one commit, over all users."""


class Loan:
    """A connection that the writer reads, and its session's place in it.

    Attributes:
        session: Whose it is.
        fd: Its descriptor.
        next_line: Number of the next line.
        unsettled: Lines of it were read that are not settled.
        over: The session has it back.
        found: What was read that the session is to take itself; None where nothing was.
        error: Why reading failed.
        plain: False where lines were read that are to be decided one by one.
    """

    __slots__ = ("_back", "error", "fd", "found", "next_line", "over", "plain", "session", "unsettled")

    def __init__(self, session: "Session", fd: int, next_line: int) -> None:
        self.session = session
        self.fd = fd
        self.next_line = next_line
        self.unsettled = False
        self.over = False
        self.found: bytes | None = None
        self.error: OSError | None = None
        self.plain = True
        self._back = trio.Event()

    def give_back(self) -> None:
        """Let the session go on (on trio's thread)."""
        self._back.set()

    async def returned(self) -> None:
        """Return when the session is to go on."""
        await self._back.wait()


class Habit:
    """How a peer sends: whether the writer is to read what comes next."""

    def __init__(self) -> None:
        self._small = 0
        self._wanted = 1

    def came(self, size_bytes: int) -> None:
        """Note a piece that the session has read."""
        self._small = self._small + 1 if size_bytes < LONE_BYTES else 0

    def returned(self, *, plain: bool) -> None:
        """Note that the session has its connection back; one that sends what is not plain will go on so."""
        self._small = 0
        self._wanted = 1 if plain else min(2 * self._wanted, _WANTED_LIMIT)

    @property
    def lone(self) -> bool:
        """Whether enough small pieces came in a row."""
        return self._small >= self._wanted


class LoneLines:
    """What is lent to the writer. Sessions lend and take back on trio's thread, all else is the writer's.

    Args:
        masker: Masks what is secret in lines.
        tell: Has a function called on trio's thread.
        wake_fd: An eventfd, readable when the writer has something else to do.
    """

    def __init__(self, masker: Masker, tell: Callable[[Callable[[], None]], None], wake_fd: int) -> None:
        self._masker = masker
        self._tell = tell
        self._poll = select.epoll()
        self._poll.register(wake_fd, select.EPOLLIN)
        self._wake_fd = wake_fd
        self._polls: dict[int, select.epoll] = {}
        """One for each user: they take turns."""
        self._loans: dict[int, dict[int, Loan]] = {}
        """By user and descriptor."""
        self._read: list[tuple[Loan, bytes]] = []
        """What was read and not decoded yet."""
        self._decoded: dict[int, _Together] = {}
        """What is decoded and not taken yet, by user."""
        self._lock = threading.Lock()
        """Held while connections are read or written here: who takes one back knows all of it."""

    def lend(self, session: "Session", fd: int, next_line: int) -> Loan:
        """Have the writer read a connection."""
        loan = Loan(session, fd, next_line)
        uid = session.peer.uid
        with self._lock:
            if uid not in self._polls:
                self._polls[uid] = select.epoll()
                self._poll.register(self._polls[uid], select.EPOLLIN)
                self._loans[uid] = {}
            self._loans[uid][fd] = loan
            self._polls[uid].register(fd, select.EPOLLIN)
        return loan

    def take_back(self, loan: Loan) -> bool:
        """Have the writer read a connection no more; return whether it has lines of it that are not settled.

        These are told to the session: `settle_lent`.
        """
        with self._lock:
            if not loan.over:
                self._end(loan)
            return loan.unsettled

    def is_settled(self, loan: Loan) -> bool:
        """Say whether all that was read of a connection is settled."""
        with self._lock:
            return not loan.unsettled

    def wait(self, timeout_s: float | None) -> bool:
        """Return when something may be read, or the writer has something else to do; False where neither is.

        Args:
            timeout_s: How long at most; None: any time.
        """
        # An epoll's own wait counts in milliseconds.
        return bool(select.select([self._poll], [], [], timeout_s)[0])

    def read(self) -> None:
        """Read what is there, of each user as much."""
        if self._wake_fd in dict(self._poll.poll(0)):
            os.eventfd_read(self._wake_fd)  # what it says is looked at next
        with self._lock:
            left = _AT_ONCE - len(self.sources)
            if left <= 0:
                return  # more would not fit a batch
            most = max(1, left // max(1, len(self._polls)))
            for uid, poll in list(self._polls.items()):
                loans = self._loans[uid]
                limit = next(iter(loans.values())).session.lone_limit_bytes
                for fd, _ in poll.poll(0, most):
                    self._read_one(loans[fd], limit)

    @property
    def sources(self) -> "list[Session]":
        """Whose lines were read and not taken yet."""
        decoded = [loan.session for together in self._decoded.values() for loan in together.loans]
        return decoded + [loan.session for loan, _ in self._read]

    def decode(self) -> None:
        """Decode what was read, while others are waited for; what is not plain goes back to the sessions."""
        read, self._read = self._read, []
        by_user: dict[int, list[tuple[Loan, bytes]]] = {}
        for loan, data in read:
            by_user.setdefault(loan.session.peer.uid, []).append((loan, data))
        for uid, pieces in by_user.items():
            self._decode(uid, pieces)

    def take(self) -> list[Submission]:
        """Return what was read as submissions, one for each user."""
        self.decode()
        decoded, self._decoded = self._decoded, {}
        return [
            Submission(source=together, first_line=1, part=together.part, shares=together.shares)
            for together in decoded.values()
        ]

    def ack(self, submission: Submission, outcome: Outcome) -> None:
        """Tell the peers that their lines are settled, after the commit."""
        together = submission.source
        assert isinstance(together, _Together)
        together.loans[0].session.user.lone_lines += outcome.lines
        seq = outcome.seq - outcome.lines
        with self._lock:
            for loan, share in zip(together.loans, together.shares, strict=True):
                seq += share.count
                loan.unsettled = False
                answer = b'{"ack":{"lines":%d,"seq":%d}}\n' % (share.first_line + share.count - 1, seq)
                if loan.over:
                    self._tell(partial(loan.session.settle_lent, answer))
                elif (sent := loan.session.out.write(answer)) < len(answer):
                    self._tell(partial(loan.session.out.post, answer[sent:]))
                    self._return(loan, None)

    def _read_one(self, loan: Loan, limit_bytes: int) -> None:
        if loan.unsettled:
            return  # the next ones are for the next commit
        try:
            data = os.read(loan.fd, LONE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            loan.error = error
            data = b""
        if data[-1:] == b"\n" and len(data) < limit_bytes and data.count(b"\n") <= _LINES:
            loan.unsettled = True
            self._read.append((loan, data))
        else:
            self._return(loan, data)

    def _decode(self, uid: int, pieces: list[tuple[Loan, bytes]]) -> None:
        lines_of = [data[:-1].split(b"\n") for _, data in pieces]
        [part] = decode_lines(list(chain.from_iterable(lines_of)), LONE_BYTES, self._masker)
        if not isinstance(part, Plain):
            self._refer(pieces)
            return
        together = self._decoded.get(uid)
        if together is None:
            together = self._decoded[uid] = _Together(pieces[0][0].session.peer, part)
        else:
            together.add(part)
        for (loan, data), lines in zip(pieces, lines_of, strict=True):
            together.loans.append(loan)
            together.shares.append(Share(loan.session, loan.next_line, len(lines), len(data)))
            loan.next_line += len(lines)

    def _refer(self, pieces: list[tuple[Loan, bytes]]) -> None:
        """Leave what was read to the sessions."""
        with self._lock:
            for loan, data in pieces:
                loan.unsettled = loan.plain = False
                if loan.over:
                    self._tell(partial(loan.session.settle_lent, b""))
                else:
                    self._return(loan, data)

    def _return(self, loan: Loan, data: bytes | None) -> None:
        loan.found = data
        self._end(loan)
        self._tell(loan.give_back)

    def _end(self, loan: Loan) -> None:
        loan.over = True
        uid = loan.session.peer.uid
        del self._loans[uid][loan.fd]
        self._polls[uid].unregister(loan.fd)
        if not self._loans[uid]:
            del self._loans[uid]
            self._polls.pop(uid).close()


class _Together:
    """The sources of one submission as one; the writer's `Source`."""

    producer = ""

    def __init__(self, peer: Peer, part: Plain) -> None:
        self.peer = peer
        self.part = part
        self.loans: list[Loan] = []
        self.shares: list[Share] = []

    def add(self, more: Plain) -> None:
        part = self.part
        add_facts(part.facts, len(part.lines), more.facts)
        part.lines += more.lines
        part.size_bytes += more.size_bytes
        part.sealed = None

    def settle(self, outcome: Outcome) -> None:
        """Nothing: the writer has acked it itself."""
