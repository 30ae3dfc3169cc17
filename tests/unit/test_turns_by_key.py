"""Turns by key: so many at a time, the others in order; nothing is left of what has ended."""

import asyncio

import pytest

from bailiwick.runtime.turns import Turns


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_more_than_so_many_hold_a_key_and_each_has_its_turn_in_order(most: int) -> None:
    turns, now, peak, order = Turns(most), 0, 0, []

    async def work(number: int) -> None:
        nonlocal now, peak
        async with turns.hold("a"):
            order.append(number)
            now += 1
            peak = max(peak, now)
            await asyncio.sleep(0)
            now -= 1

    await asyncio.gather(*(work(number) for number in range(9)))
    assert (peak, order) == (most, list(range(9)))
    assert not turns.held


async def test_keys_do_not_wait_for_each_other() -> None:
    turns = Turns()
    async with turns.hold("a"), turns.hold("b"):
        assert set(turns.held) == {"a", "b"}
    assert not turns.held


async def test_who_gives_up_while_waiting_takes_no_turn() -> None:
    turns = Turns()
    first, reached = asyncio.Event(), asyncio.Event()

    async def hold(until: asyncio.Event) -> None:
        async with turns.hold("a"):
            reached.set()
            await until.wait()

    holder = asyncio.create_task(hold(first))
    await reached.wait()
    impatient, patient = (asyncio.create_task(hold(first)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.gather(impatient, return_exceptions=True)
    assert impatient.cancelled()
    reached.clear()
    first.set()
    await asyncio.gather(holder, patient)
    assert reached.is_set() and not turns.held


async def test_what_fails_gives_its_turn_back() -> None:
    turns = Turns()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            async with turns.hold("a"):
                raise ZeroDivisionError
    assert not turns.held
