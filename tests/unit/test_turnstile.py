"""Access before a node that sheds load: it asks about many keys at once, and obeys."""

import asyncio
import json
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from access_kit import Access, Call, Reply, StubNode, access

from bailiwick.access.nodes import admission_batcher, node_monitor
from bailiwick.base.clock import now_ms
from bailiwick.base.keys import key_identity, request_hash
from bailiwick.base.sealing import SEAL, answer_seal, seal
from bailiwick.interlink.admission_query import (
    ASKS_MAX,
    CAN_ASK,
    FULL_UP,
    HAS_ASKED,
    KIND,
    MAY_ASK,
    PATH,
    AdmissionQueries,
    AdmissionQuery,
    AdmissionVerdict,
    ask_for,
)
from bailiwick.interlink.refusals import Refusals
from bailiwick.jurisdiction.home_history import Held
from bailiwick.topology.merchants import Merchant, Principal
from bailiwick.wire.forms import parse_form
from tests.waiting import until

CREATE = "/v1/payment_intents"
IN = "amount=100&currency=inr&location[country]=IN&confirm=true"  # apac, then europe
DE = "amount=100&currency=eur&location[country]=DE&confirm=true"  # europe alone


def sealed(call: Call, told: Any, secret: bytes = b"internal") -> Reply:
    """A node's answer to a batch."""
    body = msgspec.json.encode({"told": told})
    return 200, {SEAL: answer_seal(secret, KIND, call.headers[SEAL], body)}, body


def shedding(node: StubNode, word: str = "refused", status: int = 200) -> list[AdmissionQueries]:
    """Have a stub node shed load and answer every ask so; the batches it gets."""
    batches: list[AdmissionQueries] = []

    def answer(call: Call) -> Reply:
        if call.path != PATH:
            return 200, {}, {"node": node.name}
        assert call.headers[SEAL] == seal(b"internal", KIND, call.body)
        asks = msgspec.json.decode(call.body, type=AdmissionQueries)
        batches.append(asks)
        reason, epoch = ("overloaded", 1) if word == "refused" else ("", 0)
        told = [AdmissionVerdict(word, reason, epoch)] * len(asks.asks)  # type: ignore[arg-type]
        return (status, *sealed(call, told)[1:])

    node.answer = answer
    node.usage["shedding"] = True
    return batches


async def pay(it: Access, body: str, key: str = "k1") -> tuple[int, Any]:
    await it.front.node_monitor.ask_all()
    return await it.json("POST", CREATE, body, headers={"idempotency-key": key})


async def test_what_is_refused_goes_to_the_next_node_with_the_token(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        europe, apac = it.nodes
        batches = shedding(apac)
        assert await pay(it, IN) == (200, {"node": "europe"})
        assert [call.path for call in apac.calls] == [PATH]
        (ask,) = batches[0].asks
        digest = request_hash("create", "", parse_form(IN.encode()))
        assert (ask.merchant, ask.livemode) == ("acct_demo", False)
        assert ask.identity == key_identity("acct_demo", False, "k1")
        assert (ask.request_hash, ask.elsewhere, batches[0].epoch) == (digest, True, 1)
        token = europe.calls[0].headers["bailiwick-refusals"]
        assert Refusals(b"internal").read(token, ask) == {2: Held("overloaded", 1)}
        assert it.front.metrics.refusals["apac", "overloaded"] == 1


async def test_what_there_is_room_for_is_sent(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        shedding(it.nodes[1], "send")
        assert await pay(it, IN) == (200, {"node": "apac"})
        assert [call.path for call in it.nodes[1].calls] == [PATH, CREATE]


async def test_a_strict_place_keeps_its_key(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        batches = shedding(it.nodes[0], "full")
        await it.front.node_monitor.ask_all()
        answer = await it.call("POST", CREATE, DE, headers={"idempotency-key": "k1"})
        assert answer.status == 503
        error = json.loads(answer.body)["error"]
        assert error["code"] == "overloaded" and "same Idempotency-Key" in error["message"]
        assert answer.headers[b"stripe-should-retry"] == b"true"
        assert answer.headers[b"retry-after"] == b"1"
        assert not batches[0].asks[0].elsewhere
        assert it.nodes[1].calls == []


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_node_that_does_not_understand_sees_the_request(
    tmp_path: Path, status: int
) -> None:
    async with access(tmp_path) as it:
        shedding(it.nodes[1], status=status)
        assert await pay(it, IN) == (200, {"node": "apac"})


async def test_without_an_answer_nothing_is_sent(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        apac = it.nodes[1]
        apac.usage["shedding"] = True
        apac.answer = lambda call: None
        status, answer = await pay(it, IN)
        assert (status, answer["error"]["code"]) == (503, "overloaded")
        assert [call.path for call in apac.calls] == [PATH]
        assert it.nodes[0].calls == []


async def test_what_holds_a_card_number_is_not_asked_about(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        batches = shedding(it.nodes[1])
        body = IN + "&metadata[order]=4242%204242%204242%204242"
        assert await pay(it, body) == (200, {"node": "apac"})
        assert batches == []
        other = IN + "&metadata[order]=123456789012"
        assert await pay(it, other, "bench-0123456789-012345") == (200, {"node": "europe"})
        assert len(batches) == 1


async def test_what_moves_nothing_goes_on_by_usage_state(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        batches = shedding(it.nodes[1])
        body = "amount=100&currency=inr&location[country]=IN"
        assert await pay(it, body) == (200, {"node": "europe"})
        assert batches == [] and it.nodes[1].calls == []


async def test_a_node_that_sheds_nothing_is_not_asked(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        shedding(it.nodes[1])
        it.nodes[1].usage["shedding"] = False
        assert await pay(it, IN) == (200, {"node": "apac"})
        assert [call.path for call in it.nodes[1].calls] == [CREATE]


async def test_a_crowd_is_asked_about_in_few_batches(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        apac = it.nodes[1]
        batches = shedding(apac)
        told = apac.answer
        go_on = asyncio.Event()

        async def held(call: Call) -> Reply | None:
            if call.path == PATH:
                await go_on.wait()
            return told(call)  # type: ignore[return-value]

        apac.answer = held
        await it.front.node_monitor.ask_all()
        keys = ({"idempotency-key": f"k{number}"} for number in range(100))
        crowd = [asyncio.create_task(it.json("POST", CREATE, IN, headers=key)) for key in keys]

        def asked() -> int:
            first = [msgspec.json.decode(call.body, type=AdmissionQueries) for call in apac.calls]
            waiting = it.front._admission_batchers[2][1].waiting if first else 0
            return waiting + sum(len(batch.asks) for batch in first)

        await until(lambda: asked() == 100)
        go_on.set()
        assert await asyncio.gather(*crowd) == [(200, {"node": "europe"})] * 100
        assert len(batches) <= 2
        assert sum(len(batch.asks) for batch in batches) == 100


def test_a_crowd_waits_for_a_fuller_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_batcher.time, "monotonic", lambda: 0.0)
    client = cast(Any, None)
    door = admission_batcher.AdmissionBatcher(
        2, lambda limits: client, b"s", lambda raw: None, lambda: 0
    )
    door._begun = 0.0
    door._last = admission_batcher.MANY - 1
    assert door._pause() == admission_batcher.SPACING_S
    door._last = admission_batcher.MANY
    assert door._pause() == 2 * admission_batcher.SPACING_S
    ask = AdmissionQuery("acct_demo", False, "0" * 32, "0" * 32, True)
    door._queue.extend((1, ask, cast(Any, None)) for _ in range(ASKS_MAX))
    assert door._pause() == 0.0, "it is full"


async def test_waiting_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission_batcher, "WAITING_MAX", 0)
    async with access(tmp_path) as it:
        shedding(it.nodes[1])
        status, answer = await pay(it, IN)
        assert (status, answer["error"]["code"]) == (503, "overloaded")
        assert it.nodes[1].calls == []


async def test_a_node_without_room_says_so_and_is_asked_about_the_key(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        europe, apac = it.nodes
        batches = shedding(apac)
        told = apac.answer
        apac.usage["shedding"] = False

        def answer(call: Call) -> Any:
            return (503, {FULL_UP: "1"}, b"") if call.path == CREATE else told(call)

        apac.answer = answer
        assert await pay(it, IN) == (200, {"node": "europe"})
        assert [call.path for call in apac.calls] == [CREATE, PATH]
        assert apac.calls[0].headers[CAN_ASK] == MAY_ASK
        assert [ask.identity for ask in batches[0].asks] == [key_identity("acct_demo", False, "k1")]
        assert CAN_ASK in europe.calls[0].headers


async def test_what_it_has_room_for_after_all_it_must_answer(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        apac = it.nodes[1]
        shedding(apac, "send")
        told = apac.answer
        apac.usage["shedding"] = False

        def answer(call: Call) -> Any:
            full = call.headers.get(CAN_ASK) == MAY_ASK
            return (503, {FULL_UP: "1"}, b"") if full else told(call)

        apac.answer = answer
        assert await pay(it, IN) == (200, {"node": "apac"})
        assert [call.path for call in apac.calls] == [CREATE, PATH, CREATE]
        assert apac.calls[2].headers[CAN_ASK] == HAS_ASKED


async def test_what_there_is_room_for_by_the_report_is_sent_at_once(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        apac = it.nodes[1]
        shedding(apac)
        apac.usage |= {"room": 2, "under_way": 5}
        await it.front.node_monitor.ask_all()
        seen = it.front.node_monitor
        assert seen.shedding(2) and seen.has_room(2)
        for _ in range(2):
            seen.sent(2)
        assert not seen.has_room(2), "what was sent since the report counts"
        seen.answered(2)
        seen.answered(2)
        assert not seen.has_room(2), "until a report says that it is gone"
        apac.usage["under_way"] = 4
        await seen.ask_all()
        assert seen.has_room(2)
        for _ in range(6):
            seen.sent(2)
        await seen.ask_all()
        assert not seen.has_room(2), "and so does what it has not read yet"
        apac.answer = lambda call: (
            sealed(call, [["send"]]) if call.path == PATH else (200, {}, {"node": "apac"})
        )
        for _ in range(6):
            seen.answered(2)
        assert await pay(it, IN) == (200, {"node": "apac"})


async def test_a_node_that_shed_lately_is_still_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with access(tmp_path) as it:
        monkeypatch.setattr(node_monitor, "SHEDDING_MS", 3_600_000)
        apac = it.nodes[1]
        shedding(apac)
        await it.front.node_monitor.ask_all()
        apac.usage["shedding"] = False
        await it.front.node_monitor.ask_all()
        assert it.front.node_monitor.shedding(2)
        monkeypatch.setattr(node_monitor, "SHEDDING_MS", 0)
        assert not it.front.node_monitor.shedding(2)


def test_a_key_that_a_node_would_not_take_is_left_to_it() -> None:
    who = Principal(Merchant("acct_1", "Shop"), "secret", False)
    assert ask_for(who, "k1", {}, elsewhere=True) is not None
    assert ask_for(who, "4242 4242 4242 4242", {}, elsewhere=True) is None
    code = "6211111111111111116"  # one of UnionPay's, with a card's check digit
    shown = {"payment_method_data": {"type": "unionpay", "code": code}}
    assert ask_for(who, "k1", shown, elsewhere=True) is not None
    assert ask_for(who, code, shown, elsewhere=True) is None
    assert ask_for(who, "k1", {**shown, "description": code}, elsewhere=True) is None


# --- what is sealed ---------------------------------------------------------------------------


async def test_each_batch_says_for_whom_and_when_it_is(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        batches = shedding(it.nodes[1])
        for key in ("k1", "k2"):
            assert await pay(it, IN, key) == (200, {"node": "europe"})
        first, second = batches
        assert first.node == second.node == 2
        assert abs(first.at_ms - now_ms()) < 60_000
        assert (first.asker, first.count) == (second.asker, second.count - 1)
        assert len(first.asker) == 32


async def test_the_time_is_the_node_s_own_where_it_is_known(tmp_path: Path) -> None:
    async with access(tmp_path) as it:
        batches = shedding(it.nodes[1])
        it.front.node_monitor._ahead_ms[2] = 3_600_000
        assert await pay(it, IN) == (200, {"node": "europe"})
        assert abs(batches[0].at_ms - now_ms() - 3_600_000) < 60_000


@pytest.mark.parametrize("forgery", ["none", "another secret", "another question", "altered"])
async def test_an_answer_that_is_not_the_node_s_lets_nobody_else_take_it(
    tmp_path: Path, forgery: str
) -> None:
    """Believed, a false refusal would charge twice; so the client is told to come again."""
    async with access(tmp_path) as it:
        europe, apac = it.nodes
        shedding(apac)
        refused = [["refused", "overloaded", 1]]
        earlier: list[Reply] = []

        def answer(call: Call) -> Reply:
            genuine = sealed(call, refused)
            if forgery == "none":
                return 200, {}, genuine[2]
            if forgery == "another secret":
                return sealed(call, refused, b"guessed")
            if forgery == "altered":
                return 200, genuine[1], genuine[2].replace(b"overloaded", b"draining")
            earlier.append(genuine)
            return earlier[0] if len(earlier) > 1 else (503, {}, {})

        apac.answer = answer
        status, said = await pay(it, IN)
        assert (status, said["error"]["code"]) == (503, "overloaded")
        if forgery == "another question":
            status, said = await pay(it, IN)
            assert (status, said["error"]["code"]) == (503, "overloaded")
        assert europe.calls == []
