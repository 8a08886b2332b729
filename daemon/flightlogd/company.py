"""Which sources a commit waits a moment for. Pure.

Peers that each wait for an ack before they go on answer it at about the same time. A commit that takes the
first of them at once makes two of one: the others go into the next, and all wait for both. So a commit waits
for those that were in the last ones, as long as waiting proves worth it. (PostgreSQL's commit_delay and
commit_siblings are the same idea, by hand.)
"""

from collections.abc import Sequence
from typing import Final

from flightlogd.append import Submission

PATIENCE_S: Final = 0.0005
"""Longest pause between one source of a commit and the next."""

_VAIN_LIMIT: Final = 64
"""Most commits that go by without waiting after waits that brought nobody."""


class Company:
    """Remembers who committed together."""

    def __init__(self) -> None:
        self._last: set[int] = set()
        self._before: set[int] = set()
        self._vain = 0
        self._go_by = 0

    def patience_s(self, submissions: Sequence[Submission]) -> float:
        """Return how long to wait for somebody beside these, in seconds."""
        here = {id(submission.source) for submission in submissions}
        return PATIENCE_S if self._go_by == 0 and len(here) < len(self._last | self._before) else 0.0

    def committed(self, submissions: Sequence[Submission], *, in_vain: bool) -> None:
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
        self._before, self._last = self._last, {id(submission.source) for submission in submissions}
