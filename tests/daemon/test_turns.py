"""Users take turns where only so many can go at once. Pure."""

import pytest
import trio

from flightlogd.turns import Turns


@pytest.mark.covers("P7", "D10")
async def test_one_user_leaves_a_place_for_others() -> None:
    """A user has at most so many places, however many ask; another user gets one at once."""
    turns = Turns(2)
    await turns.take(1)
    await turns.take(1)
    with trio.move_on_after(0) as third:
        await turns.take(1)
    with trio.move_on_after(0) as other:
        await turns.take(2)

    assert (third.cancelled_caught, other.cancelled_caught) == (True, False)


@pytest.mark.covers("P7")
async def test_users_who_wait_get_places_in_turn() -> None:
    """Of a crowd of one user and a few of others, each user in turn gets the place that becomes free."""
    turns = Turns(1)
    order: list[int] = []

    async def ask(uid: int) -> None:
        await turns.take(uid)
        order.append(uid)
        await trio.testing.wait_all_tasks_blocked()
        turns.give_back(uid)

    for uid in (8, 9):
        await turns.take(uid)  # both places
    async with trio.open_nursery() as nursery:
        for uid in (1, 1, 1, 1, 1, 2, 2, 3):
            nursery.start_soon(ask, uid)
            await trio.testing.wait_all_tasks_blocked()
        turns.give_back(8)

    assert len(order) == 8
    assert sorted(order[:3]) == [1, 2, 3]
    assert sorted(order[3:5]) == [1, 2]


async def test_who_goes_away_while_waiting_takes_no_place() -> None:
    """Cancelled while it waits, a question leaves no place taken, whoever else waits."""
    turns = Turns(1)
    await turns.take(1)
    for _ in range(10):
        with trio.move_on_after(0):
            await turns.take(1)
    turns.give_back(1)
    await turns.take(1)
    await turns.take(2)
    turns.give_back(2)
    turns.give_back(1)

    with trio.fail_after(1):
        await turns.take(1)
        await turns.take(2)


@pytest.mark.covers("P7", "D10")
async def test_a_crowd_has_one_place_while_it_is_one() -> None:
    """Who is a crowd gets one place at a time, others as many as ever, and so does it once it is none."""
    crowds = {1}
    turns = Turns(2, lambda uid: uid in crowds)

    async def ask(uid: int) -> bool:
        with trio.move_on_after(0) as waiting:
            await turns.take(uid)
        return not waiting.cancelled_caught

    got = [await ask(1), await ask(1), await ask(2), await ask(2)]
    crowds.clear()
    turns.give_back(2)

    assert got == [True, False, True, True]
    assert await ask(1)
