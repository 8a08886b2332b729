"""A crowd shares trio's loop by users and processes, and who is calm need not wait for it."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
import trio.lowlevel

from flightlogd.loopshare import LoopShare
from flightlogd.peer import Peer

CROWD = 200


def peer(uid: int, pid: int = 1) -> Peer:
    """Return somebody."""
    return Peer(uid=uid, pid=pid, gid=uid)


@asynccontextmanager
async def crowd(share: LoopShare, count: int, order: list[Peer], *who: Peer) -> AsyncIterator[trio.Nursery]:
    """Have so many tasks of each wait for a turn, all at once; whose turn it was is put down in order."""

    async def wait(one: Peer) -> None:
        await share.turn(one)
        order.append(one)

    share.crowded = True
    async with trio.open_nursery() as nursery:
        for one in who:
            for _ in range(count):
                nursery.start_soon(wait, one)
        await trio.testing.wait_all_tasks_blocked()
        yield nursery


@pytest.mark.covers("P7", "D9")
async def test_who_is_calm_goes_on_at_once() -> None:
    """With two hundred of one user in line, another user, and another process of that user, do not wait."""
    share = LoopShare()
    order: list[Peer] = []
    async with crowd(share, CROWD, order, peer(1)) as nursery:
        nursery.start_soon(share.run)
        waited = len(order)
        while len(order) == waited:
            await trio.lowlevel.checkpoint()
        with trio.move_on_after(0) as other_user:
            await share.turn(peer(2))
        with trio.move_on_after(0) as other_process:
            await share.turn(peer(1, pid=2))
        with trio.move_on_after(0) as one_more_of_it:
            await share.turn(peer(1))
        left = CROWD - len(order)
        nursery.cancel_scope.cancel()

    assert (other_user.cancelled_caught, other_process.cancelled_caught) == (False, False)
    assert one_more_of_it.cancelled_caught
    assert left > 0


@pytest.mark.covers("P7")
async def test_many_processes_are_no_way_around() -> None:
    """A user who connects from two hundred processes waits in line with most of them, as any crowd."""
    share = LoopShare()
    order: list[Peer] = []
    async with crowd(share, 1, order, *(peer(1, pid) for pid in range(CROWD))) as nursery:
        went_on = len(order)
        nursery.cancel_scope.cancel()

    assert went_on < 20


@pytest.mark.covers("P7")
async def test_users_take_turns_and_in_each_the_processes() -> None:
    """Of three users in line, one with two processes, each gets every third turn; nobody is forgotten."""
    share = LoopShare()
    order: list[Peer] = []
    many, few, two = peer(1), peer(2), (peer(3, pid=1), peer(3, pid=2))
    async with crowd(share, 40, order, many, few, *two) as nursery:
        order.clear()
        nursery.start_soon(share.run)
        with trio.fail_after(30):
            while share.in_line([1, 2]):
                await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    assert {uid: sum(one.uid == uid for one in order[:60]) for uid in (1, 2, 3)} == pytest.approx(
        {1: 20, 2: 20, 3: 20}, abs=4
    )
    assert sum(one is two[0] for one in order[:60]) == pytest.approx(10, abs=4)


@pytest.mark.parametrize("crowded", [False, True])
async def test_sockets_are_read_when_there_is_something(crowded: bool) -> None:
    """Alone or in a crowd, who waits to read goes on when bytes come, or the end, and not before."""
    share = LoopShare()
    share.crowded = crowded
    pairs = [socket.socketpair() for _ in range(30)]
    ready: list[int] = []

    async def read(number: int) -> None:
        for _ in range(2):
            await share.readable(pairs[number][0].fileno(), peer(number % 3))
            pairs[number][0].recv(100)
            ready.append(number)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(share.run)
        for number in range(30):
            nursery.start_soon(read, number)
        await trio.testing.wait_all_tasks_blocked()
        before = len(ready)
        for _, other in pairs[:20]:
            other.send(b"x")
        while len(ready) < 20:
            await trio.lowlevel.checkpoint()
        for _, other in pairs:
            other.close()
        while len(ready) < 60 - 10:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    for mine, _ in pairs:
        mine.close()

    assert before == 0
    assert sorted(ready[:20]) == list(range(20))
    assert {number: ready.count(number) for number in range(20)} == dict.fromkeys(range(20), 2)


async def test_who_goes_away_while_waiting_is_forgotten() -> None:
    """Cancelled in line or before there is anything to read, a task takes nobody's turn."""
    share = LoopShare()
    order: list[Peer] = []
    mine, other = socket.socketpair()
    with mine, other:
        async with crowd(share, 20, order, peer(1)) as nursery:
            with trio.move_on_after(0):
                await share.readable(mine.fileno(), peer(1))
            with trio.move_on_after(0):
                await share.turn(peer(1))
            other.send(b"x")
            nursery.start_soon(share.run)
            while len(order) < 20:
                await trio.lowlevel.checkpoint()
            with trio.fail_after(5):
                await share.readable(mine.fileno(), peer(1))
            nursery.cancel_scope.cancel()

    assert not share.in_line([1])


@pytest.mark.covers("P7")
async def test_a_crowd_is_one_while_somebody_calm_is_about() -> None:
    """Users in line are crowds once somebody who is not has gone on, and those who are calm never are."""
    share = LoopShare()
    async with crowd(share, CROWD, [], peer(1)) as nursery:
        before = share.is_crowd(1)
        await share.turn(peer(2))
        after = (share.is_crowd(1), share.is_crowd(2))
        nursery.cancel_scope.cancel()

    assert (before, after) == (False, (True, False))
