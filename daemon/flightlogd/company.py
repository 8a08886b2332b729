"""What one commit holds, and which sources it waits a moment for.

Peers that each wait for an ack before they go on answer it at about the same time. A commit that takes the
first of them at once makes two of one: the others go into the next, and all wait for both. So a commit waits
for those that were in the last ones, as long as waiting proves worth it. (PostgreSQL's commit_delay and
commit_siblings are the same idea, by hand.)
"""

from collections.abc import Iterable
from typing import Final

from flightlogd.inbox import Inbox, Job
from flightlogd.lone import LoneLines
from flightlogd.submission import Source, Submission

PATIENCE_S: Final = 0.0005
"""Longest pause between one source of a commit and the next."""

COMMIT_LIMIT_LINES: Final = 4000
"""Lines after which a transaction takes no more: this bounds how long an ack waits for others' lines."""

_VAIN_LIMIT: Final = 64
"""Most commits that go by without waiting after waits that brought nobody."""


class Company:
    """Remembers who committed together."""

    def __init__(self) -> None:
        self._last: set[int] = set()
        self._before: set[int] = set()
        self._vain = 0
        self._go_by = 0

    def patience_s(self, sources: Iterable[Source]) -> float:
        """Return how long to wait for somebody beside these, in seconds."""
        here = set(map(id, sources))
        return PATIENCE_S if self._go_by == 0 and len(here) < len(self._last | self._before) else 0.0

    def committed(self, sources: Iterable[Source], *, in_vain: bool) -> None:
        """Take these as a commit, for which the last wait brought nobody or not.

        After each wait in vain twice as many commits go by without one.
        """
        if in_vain:
            self._vain = min(2 * self._vain + 1, _VAIN_LIMIT)
            self._go_by = self._vain
        elif self._go_by:
            self._go_by -= 1
        else:
            self._vain = 0
        self._before = self._last
        self._last = set(map(id, sources))


def NOTHING() -> None:  # noqa: N802  # a marker: no item was left over
    """Do nothing."""


class Gathering:
    """Gathers what one commit holds: what sessions have queued, and lone lines.

    Args:
        inbox: What is queued.
        lone: Connections that the writer reads itself.
    """

    def __init__(self, inbox: Inbox, lone: LoneLines) -> None:
        self._inbox = inbox
        self._lone = lone
        self._company = Company()

    def gather(self) -> tuple[list[Submission], Job | None]:
        """Return the submissions, and what is to be done after them: a job, `NOTHING`, or None: to end."""
        items, lone, company = self._inbox.items, self._lone, self._company
        submissions: list[Submission] = []
        sources: list[Source] = []
        lines = 0
        item: Submission | Job | None = NOTHING
        here: list[Source] = []
        known = 0
        in_vain = False
        while lines < COMMIT_LIMIT_LINES:
            lone.read()
            item = NOTHING
            while lines < COMMIT_LIMIT_LINES and not items.empty():
                item = items.get()
                if not isinstance(item, Submission):
                    break
                submissions.append(item)
                sources.append(item.source)
                lines += len(item.part.lines)
                item = NOTHING
            here = [*sources, *lone.sources]
            if item is not NOTHING or len(here) == known:
                break
            known = len(here)
            patience_s = company.patience_s(here)
            if not patience_s or is_strange(sources, lone.sources):
                break
            lone.decode()
            if not lone.wait(patience_s):
                in_vain = True
                break
        if here:
            company.committed(here, in_vain=in_vain)
        assert not isinstance(item, Submission)
        alone = lone.take()
        for submission in alone:
            self._inbox.hear(submission.user)
        return submissions + alone, item


def is_strange(queued: Iterable[Source], lone: Iterable[Source]) -> bool:
    """Say whether who sends lone lines would wait for other users: of a crowd somebody comes all the time."""
    users = {source.peer.uid for source in lone}
    return bool(users) and any(source.peer.uid not in users for source in queued)
