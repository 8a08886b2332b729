"""What waits for the writer is shared by users, whatever number of connections they have. Pure."""

from collections import Counter
from typing import cast

import pytest
import trio

from flightlogd.decode import Mixed
from flightlogd.inbox import Inbox
from flightlogd.peer import Peer
from flightlogd.submission import Outcome, Source, Submission

SIZE = 50_000


class Someone:
    """A source of one user."""

    def __init__(self, uid: int) -> None:
        self.producer = f"p{uid}"
        self.peer = Peer(uid=uid, pid=1, gid=uid)

    def settle(self, outcome: Outcome, /) -> None:
        """Take note of nothing."""


def submission(source: Someone, first_line: int = 1) -> Submission:
    """Return lines of a source that take some room."""
    part = Mixed([b""], [], SIZE)
    return Submission(source=cast(Source, source), first_line=first_line, part=part)


def taken(inbox: Inbox) -> list[Submission]:
    """Return what the writer could take at this moment."""
    found = []
    while not inbox.items.empty():
        item = inbox.items.get_nowait()
        assert isinstance(item, Submission)
        found.append(item)
    return found


@pytest.mark.covers("P7")
def test_users_take_turns_whatever_number_of_connections_they_have() -> None:
    """Of a user with a hundred connections and one with a single one the writer gets as much of each."""
    inbox = Inbox(1_000_000_000)
    crowd = [Someone(1) for _ in range(100)]
    alone = Someone(2)
    for source in crowd:
        for _ in range(4):
            inbox.put(submission(source))
    for _ in range(100):
        inbox.put(submission(alone))
    share: Counter[int] = Counter()
    while share[2] < 90:
        inbox.hand_over()
        for each in taken(inbox):
            share[each.source.peer.uid] += 1
            inbox.release(each)

    assert abs(share[1] - share[2]) <= 50  # what was with the writer before anybody else came


@pytest.mark.covers("P7")
def test_whoever_sends_lone_lines_counts_as_well() -> None:
    """The writer has less ahead of a user alone in the queue once it has heard another one by itself."""
    ahead = []
    for others in ((), (2,)):
        inbox = Inbox(1_000_000_000)
        for uid in others:
            inbox.hear(uid)
        for _ in range(400):
            inbox.put(submission(Someone(1)))
        inbox.hand_over()
        ahead.append(len(taken(inbox)))

    assert ahead[0] > 10 * ahead[1] > 0


@pytest.mark.covers("D3")
def test_lines_of_one_source_keep_their_order() -> None:
    """However turns are taken, what a source put comes out in its order, and all of it."""
    inbox = Inbox(1_000_000_000)
    sources = [Someone(uid) for uid in (1, 1, 2, 3)]
    for line in range(1, 60):
        for source in sources:
            inbox.put(submission(source, line))
    seen: dict[int, list[int]] = {id(source): [] for source in sources}
    while inbox.queued_lines:
        inbox.hand_over()
        for each in taken(inbox):
            seen[id(each.source)].append(each.first_line)
            inbox.release(each)

    assert all(lines == list(range(1, 60)) for lines in seen.values())


@pytest.mark.covers("P7", "D10")
async def test_a_full_queue_has_room_for_who_has_less_than_a_share() -> None:
    """Once one user has filled the queue, that user waits, others do not; twice the limit is the end."""
    inbox = Inbox(10 * SIZE)
    for _ in range(10):
        await inbox.room(1)
        inbox.put(submission(Someone(1)))
    with trio.move_on_after(0) as first:
        await inbox.room(1)
    for uid in range(2, 100):
        with trio.move_on_after(0) as other:
            await inbox.room(uid)
        if other.cancelled_caught:
            break
        inbox.put(submission(Someone(uid)))

    assert first.cancelled_caught
    assert inbox.queued_bytes == 20 * SIZE


async def test_who_waits_longest_with_least_is_woken_first(autojump_clock: trio.testing.MockClock) -> None:
    """Room that is given back goes to a user who has less in the queue than others."""
    inbox = Inbox(2 * SIZE)
    held = [submission(Someone(1)) for _ in range(4)]
    for one in held:
        inbox.put(one)
    came: list[int] = []

    async def come(uid: int) -> None:
        await inbox.room(uid)
        came.append(uid)
        inbox.put(submission(Someone(uid)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(come, 1)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(come, 2)
        await trio.testing.wait_all_tasks_blocked()
        for one in held:
            inbox.release(one)
            await trio.testing.wait_all_tasks_blocked()

    assert came[0] == 2
    assert sorted(came) == [1, 2]
