"""Turns by merchant: who asks little does not wait for who asks much."""

import asyncio
import random
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bailiwick.admission import turns as turns_module
from bailiwick.admission.load import WAITING, Load, current
from bailiwick.admission.turns import (
    SHARE_LEAST,
    SHARED_NS,
    TOGETHER,
    Breather,
    Turn,
    Turns,
    holds,
)
from bailiwick.base.errors import ApiError

MOST = 1_000


class Asking:
    """Requests of merchants at one process; ``at_work``: those whose turn has come."""

    def __init__(self) -> None:
        self.turns = Turns()
        self.now_ns = 0
        self.at_work: dict[str, list[Turn]] = {}
        self.waiting: list[asyncio.Task[Turn]] = []

    async def ask(self, name: str, most: int = MOST) -> asyncio.Task[Turn]:
        """One more request; it has begun to wait, or has its turn, when this returns."""
        turn = self.turns.begin(name, self.now_ns)

        async def come() -> Turn:
            try:
                await turn.come(most)
            except BaseException:
                turn.end()
                raise
            self.at_work.setdefault(name, []).append(turn)
            return turn

        task = asyncio.create_task(come())
        self.waiting.append(task)
        await settled()
        return task

    def count(self, name: str) -> int:
        return len(self.at_work.get(name, []))

    async def end(self, name: str) -> None:
        self.at_work[name].pop(0).end()
        await settled()


def node_load() -> Load:
    lane = cast(Any, SimpleNamespace(lag_ms=3))
    return Load(1, 1_000, lane, lane)


async def settled() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_who_is_alone_has_all() -> None:
    it = Asking()
    for _ in range(5 * TOGETHER):
        await it.ask("a")
    assert it.count("a") == 5 * TOGETHER


async def test_who_asks_little_does_not_wait_for_who_asks_much() -> None:
    it = Asking()
    await it.ask("b")
    for _ in range(5 * TOGETHER):
        await it.ask("a")
    assert it.count("a") == TOGETHER // 2
    for _ in range(TOGETHER // 2 - 1):
        await it.ask("b")
    assert it.count("b") == TOGETHER // 2, "they all have their turn"
    for _ in range(4 * TOGETHER):  # one for one, in their order, until none waits
        await it.end("a")
        assert it.count("a") == TOGETHER // 2
    assert it.turns.shared


async def test_shares_are_even_and_have_a_floor() -> None:
    it = Asking()
    for many in range(1, 9):
        await it.ask(f"m{many}")
        share = max(SHARE_LEAST, TOGETHER // max(2, many))
        assert it.turns.share == (share if many > 1 else 1 << 30)


async def test_another_that_went_away_is_forgotten_in_time() -> None:
    it = Asking()
    await it.ask("b")
    await it.ask("a")
    await it.end("b")
    for _ in range(3 * TOGETHER):
        await it.ask("a")
    assert it.count("a") == TOGETHER // 2, "it may come again at any moment"
    it.now_ns += SHARED_NS
    await it.ask("a")
    assert not it.turns.shared
    await it.end("a")
    assert it.count("a") == 3 * TOGETHER + 1, "at the next end all that waited go on"


async def test_who_waits_for_a_provider_keeps_nobody_from_a_turn() -> None:
    it = Asking()
    await it.ask("b")
    for _ in range(3 * TOGETHER):
        await it.ask("a")
    away = it.at_work["a"][: TOGETHER // 2]
    for turn in away:
        turn.leave()
        turn.leave()
    await settled()
    assert it.count("a") == TOGETHER, "as many others have come"
    for turn in away:
        turn.back()
        turn.back()
    assert it.count("a") == TOGETHER, "whoever has begun goes on at once"
    for _ in range(TOGETHER // 2):
        await it.end("a")
    assert it.count("a") == TOGETHER // 2, "until they have ended, no further one comes"


async def test_too_many_that_wait_are_refused_and_no_one_else() -> None:
    it = Asking()
    await it.ask("b")
    for _ in range(TOGETHER // 2 + 5):
        await it.ask("a", most=5)
    refused = await (await it.ask("a", most=5))
    assert refused.full
    assert not (await (await it.ask("b", most=5))).full


async def test_nothing_is_lost_by_cancellation() -> None:
    chance = random.Random(7)
    for _ in range(200):
        it = Asking()
        await it.ask("b")
        for _ in range(60):
            if chance.random() < 0.5:
                await it.ask("a")
            elif chance.random() < 0.5 and it.count("a"):
                it.at_work["a"].pop(0).end()  # gives somebody a turn who may be cancelled now
            task = chance.choice(it.waiting)
            if chance.random() < 0.4 and not task.done():
                task.cancel()
            if chance.random() < 0.7:
                await settled()
        await settled()
        for name in ("a", "b"):
            while it.count(name):
                await it.end(name)
        assert all(each.done() for each in it.waiting)
        assert it.turns._merchants == {}


async def test_the_answer_of_a_node_says_what_to_do() -> None:
    load = node_load()
    ended = [await load.turn("b")]
    ended += [await load.turn("a") for _ in range(TOGETHER // 2)]
    waiting = [asyncio.create_task(load.turn("a")) for _ in range(load.limit.now // WAITING)]
    await settled()
    ended.append(await load.turn("a"))
    for check in (load.check_turn, load.check_reserve):
        with pytest.raises(ApiError) as error:
            check()
        said = error.value
        assert (said.status, said.code, said.retry) == (429, "rate_limit", True)
        assert said.headers == {"Retry-After": "1"}
    assert load.refusal() == "overloaded", "a new payment may go elsewhere"
    assert not load.usage(1).shedding, "others may come"
    for turn in ended:
        turn.end()
    for task in waiting:
        (await task).end()
    assert load.turns._merchants == {} and load.shed == 2


async def test_a_request_under_way_gives_its_turn_while_it_is_away() -> None:
    load = node_load()
    (await load.turn("b")).end()
    turn = await load.turn("a")
    with load.working(new=True):
        timer = current()
        assert timer is not None
        assert turn._merchant.at_work == 1
        timer.leave()
        assert turn._merchant.at_work == 0
        timer.back()
        assert turn._merchant.at_work == 1
    turn.end()
    assert load.turns._merchants == {}


async def test_long_work_is_done_one_at_a_time_while_several_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    usual = asyncio.sleep

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        await usual(0)

    monkeypatch.setattr(turns_module.asyncio, "sleep", sleep)
    turns = Turns()
    inside: list[int] = []

    async def work(turn: Turn) -> None:
        holds(turn)
        async with Breather() as breather:
            inside.append(1)
            for _ in range(3):
                await breather.rest()
            assert len(inside) == 1 or not turns.shared
            inside.pop()

    alone = [turns.begin("a", 0) for _ in range(3)]
    await asyncio.gather(*map(work, alone))
    assert set(rests) == {0.0}
    rests.clear()
    shared = [turns.begin(name, 0) for name in "aba"]
    await asyncio.gather(*map(work, shared))
    assert len(rests) == 9 and min(rests) > 0
