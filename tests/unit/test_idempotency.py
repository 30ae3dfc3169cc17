"""One request, one effect: joining, replaying, refusing. The database is made up here."""

import asyncio
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.base.errors import ApiError
from bailiwick.base.keys import request_hash
from bailiwick.idempotency.requests import (
    Answer,
    Idempotency,
    IdempotentRequest,
    Refused,
    packed,
    unpacked,
)
from bailiwick.idempotency.rows import StoredKey
from bailiwick.store.database import Store
from bailiwick.topology.merchants import Merchant
from tests.waiting import PATIENCE_S, until

SHOP = Merchant("acct_1", "Shop")
ASKED = IdempotentRequest(SHOP, False, "k", "hash", "create", [])
DONE = Answer(200, b'{"id":"pi_1"}')


class Keys:
    """The part of a store that is asked for keys."""

    def __init__(self, stored: StoredKey | None = None) -> None:
        self.stored = stored
        self.asked_for: list[tuple[Any, ...]] = []

    async def sure_row(self, name: str, *identity: Any) -> tuple[Any, ...] | None:
        assert name == "key_find"
        self.asked_for.append(identity)
        return None if self.stored is None else msgspec.structs.astuple(self.stored)


def stored(**values: Any) -> StoredKey:
    given: dict[str, Any] = {
        "request_hash": "hash", "operation": "create", "object": "pi_1", "expand": None,
        "refused": None, "writer": 1, "answer_status": None, "answer_body": None,
    }  # fmt: skip
    return StoredKey(**{**given, **values})


def made(found: StoredKey | None = None, deadline_s: float = PATIENCE_S) -> Idempotency:
    async def in_progress(asked: IdempotentRequest, row: StoredKey) -> Answer:
        return Answer(200, b'{"status":"processing"}', replayed=True)

    return Idempotency(cast(Store, Keys(found)), deadline_s, in_progress)


async def test_those_who_come_meanwhile_get_the_same_answer() -> None:
    keys, runs = made(), 0

    async def work() -> Answer:
        nonlocal runs
        runs += 1
        await gate.wait()
        return DONE

    gate = asyncio.Event()
    asking = [asyncio.ensure_future(keys.once(ASKED, work)) for _ in range(100)]
    await asyncio.sleep(0)
    gate.set()
    answers = await asyncio.gather(*asking)
    assert runs == 1 and keys.running == 0
    assert [answer.replayed for answer in answers] == [False] + [True] * 99
    assert {bytes(answer.body) for answer in answers} == {DONE.body}


async def test_another_request_under_the_same_key_is_refused_meanwhile() -> None:
    keys, gate = made(), asyncio.Event()

    async def work() -> Answer:
        await gate.wait()
        return DONE

    first = asyncio.ensure_future(keys.once(ASKED, work))
    await asyncio.sleep(0)
    with pytest.raises(ApiError, match="same parameters"):
        await keys.once(msgspec.structs.replace(ASKED, request_hash="other"), work)
    # Another merchant's, or the other mode's, key of the same name is another key.
    for other in (
        msgspec.structs.replace(ASKED, merchant=Merchant("acct_2", "B"), request_hash="other"),
        msgspec.structs.replace(ASKED, livemode=True, request_hash="other"),
    ):
        task = asyncio.ensure_future(keys.once(other, work))
        await asyncio.sleep(0)
        assert not task.done()
        gate.set()
        await task
        gate.clear()
    gate.set()
    assert (await first) == DONE


async def test_work_goes_on_when_who_asked_has_gone() -> None:
    keys, gate, ended = made(), asyncio.Event(), asyncio.Event()

    async def work() -> Answer:
        await gate.wait()
        ended.set()
        return DONE

    client = asyncio.ensure_future(keys.once(ASKED, work))
    await asyncio.sleep(0)
    client.cancel()
    await asyncio.gather(client, return_exceptions=True)
    gate.set()
    await asyncio.wait_for(ended.wait(), PATIENCE_S)


async def test_past_the_deadline_it_is_told_as_it_is() -> None:
    gate = asyncio.Event()
    ended = 0

    async def work() -> Answer:
        nonlocal ended
        await gate.wait()
        ended += 1
        return DONE

    answer = await made(stored(), 0.01).once(ASKED, work)
    assert answer.body == b'{"status":"processing"}'
    with pytest.raises(ApiError) as waiting:
        await made(None, 0.01).once(ASKED, work)
    assert waiting.value.status == 409 and waiting.value.retry
    gate.set()
    await until(lambda: ended == 2)


async def test_an_error_reaches_all_and_is_not_kept() -> None:
    keys = made()

    async def work() -> Answer:
        await asyncio.sleep(0)
        raise ApiError.unavailable("no")

    results = await asyncio.gather(
        *[keys.once(ASKED, work) for _ in range(3)], return_exceptions=True
    )
    assert all(isinstance(each, ApiError) for each in results)

    async def better() -> Answer:
        return DONE

    assert await keys.once(ASKED, better) == DONE


async def test_replay() -> None:
    assert await made().replay(ASKED) is None
    answered = stored(answer_status=402, answer_body='{"error":{"message":"é"}}')
    answer = await made(answered).replay(ASKED)
    assert answer == Answer(402, '{"error":{"message":"é"}}'.encode(), replayed=True)
    open_still = await made(stored()).replay(ASKED)
    assert open_still is not None and open_still.body == b'{"status":"processing"}'
    with pytest.raises(ApiError) as mismatch:
        await made(stored(request_hash="other")).replay(ASKED)
    assert (mismatch.value.status, mismatch.value.type) == (400, "idempotency_error")
    with pytest.raises(Refused) as refused:
        await made(stored(refused="draining")).replay(ASKED)
    assert refused.value.reason == "draining"
    with pytest.raises(ApiError, match="same parameters"):
        await made(stored(refused="draining", request_hash="other")).replay(ASKED)


scalars = st.text(max_size=8)
params = st.dictionaries(scalars, scalars | st.lists(scalars) | st.dictionaries(scalars, scalars))


@given(params, params)
def test_the_hash_is_over_meaning_not_order(first: Any, second: Any) -> None:
    shuffled = dict(reversed(list(first.items())))
    assert request_hash("create", "", first) == request_hash("create", "", shuffled)
    same = request_hash("create", "", first) == request_hash("create", "", second)
    assert same is (first == second)


def test_the_hash_is_over_operation_and_target() -> None:
    hashes = {
        request_hash(operation, target, {"a": "1"})
        for operation in ("capture", "cancel")
        for target in ("pi_1", "pi_2")
    }
    assert len(hashes) == 4


def test_expand_is_kept_with_the_key() -> None:
    for wishes in ([], ["latest_charge"], ["payment_intent", "charge"]):
        assert unpacked(packed(wishes)) == wishes
    asked = msgspec.structs.replace(ASKED, expand=["charge"])
    assert asked.claim("re_1").expand == "charge" and asked.claim("re_1").object == "re_1"
