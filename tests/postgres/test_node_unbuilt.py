"""A request that a channel cannot build: a definite no that says why, with nothing sent."""

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    Account,
    CannotExpress,
    Exchange,
    Instruction,
    NotPrepared,
    Operation,
    Permit,
    Phase,
    Request,
    Resolve,
)
from bailiwick.resources.payments.params import CancelPayment, CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import PROFILE, Bank, Region, balance, body, paid, reviews
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore


class Mute(Bank):
    """A bank whose channel cannot say some things."""

    error: Exception = CannotExpress("No cents are known here; send a whole euro.", "amount")
    mute = frozenset({Operation.CHARGE})

    def request(self, instruction: Instruction, account: Account) -> Request:
        if instruction.operation in self.mute:
            raise self.error
        return super().request(instruction, account)


class Senseless(Bank):
    """A bank whose channel makes requests that are none."""

    async def exchange(self, request: Request, permit: Permit | None = None) -> Exchange:
        return Exchange(Phase.UNSENT, None, "invalid_request")


async def test_the_client_reads_why(store: NodeStore, sql: asyncpg.Connection) -> None:
    bank = Mute()
    answer = await Region(store, bank).pay("k")
    assert answer.status == 400
    error = body(answer)["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "amount"
    assert error["message"] == "No cents are known here; send a whole euro."
    intent = error.pop("payment_intent")
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"] == error
    (attempt,) = await store.attempts(intent["id"])
    assert attempt.state == "unsent"
    assert bank.calls == [] and bank.seen == [], "the gateway is not at fault"
    await sound(sql)


@pytest.mark.parametrize("kind", ["mute", "defect", "senseless", "lacking", "not prepared"])
async def test_another_gateway_may_be_able(
    store: NodeStore, sql: asyncpg.Connection, kind: str
) -> None:
    first = Senseless() if kind == "senseless" else Mute()
    if isinstance(first, Mute) and kind == "defect":
        first.error = KeyError("a field of ours")
    if isinstance(first, Mute) and kind == "not prepared":
        first.error = NotPrepared("token")
    if kind == "lacking":
        # It ran out between the choice of the gateway and the call.
        first = Bank()
        first.lacking = "token is lacking: it has ended; wait"
    region = Region(store, first, Bank("other", priority=2))
    answer = await paid(region, "k")
    assert answer["routing"]["gateway"] == "other"
    rows = await store.attempts(answer["id"])
    assert [row.state for row in rows] == ["unsent", "approved"]
    assert first.calls == []
    await sound(sql)


async def test_without_what_it_needs_a_provider_is_not_asked(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    ways = dict.fromkeys(Operation, (Resolve.REFERENCE, Resolve.REPLAY))
    bank = Bank("bank", msgspec.structs.replace(PROFILE, resolve=ways, replay_ms=600_000))
    other = Bank("other", priority=2)
    region = Region(store, bank, other)
    bank.script[Operation.CHARGE] = ["lost"]
    shown = await paid(region, "k")
    bank.lacking = "token is lacking: it has ended; wait"
    await region.resolve(shown["latest_charge"], age_ms=60_000)
    assert body(await region.pay("k"))["status"] == "processing"
    assert (bank.queries, len(bank.calls), other.calls) == ([], 1, [])
    bank.lacking = None
    await region.resolve(shown["latest_charge"])
    assert body(await region.pay("k"))["status"] == "succeeded"
    assert bank.taken() == 1000
    await sound(sql)


@pytest.mark.parametrize("kind", ["defect", "senseless"])
async def test_a_defect_is_not_told_as_a_provider_that_is_away(
    store: NodeStore, sql: asyncpg.Connection, kind: str
) -> None:
    bank = Senseless() if kind == "senseless" else Mute()
    if isinstance(bank, Mute):
        bank.error = KeyError("a field of ours")
    answer = await Region(store, bank).pay("k")
    assert answer.status == 402
    error = body(answer)["error"]
    assert "defect" in error["message"] and "nothing was sent" in error["message"]
    assert "field of ours" not in str(error)
    assert bank.seen == []
    await sound(sql)


async def test_captures_voids_and_refunds_too(store: NodeStore, sql: asyncpg.Connection) -> None:
    bank = Mute()
    bank.mute = frozenset({Operation.CAPTURE, Operation.VOID, Operation.REFUND})
    bank.error = CannotExpress("It cannot be said.")
    region = Region(store, bank)
    held = await paid(region, "h", capture_method="manual")
    taken = await paid(region, "t")
    for answer in (
        await region.act("capture", "c", held["id"], CapturePayment()),
        await region.act("cancel", "x", held["id"], CancelPayment()),
        await region.refund("r", CreateRefund(payment_intent=taken["id"])),
    ):
        error = body(answer)["error"]
        assert (answer.status, error["type"]) == (400, "invalid_request_error")
        assert error["message"] == "It cannot be said."
    payment = await store.payment(held["id"])
    assert payment is not None and payment.state == "requires_capture"
    again = await store.payment(taken["id"])
    assert again is not None and (again.amount_refunding, again.amount_refunded) == (0, 0)
    assert await balance(sql, "merchant:%") == -1000
    await sound(sql)


async def test_a_part_that_cannot_be_expressed_is_refused_before_anything_is_written(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Bank("bank", msgspec.structs.replace(PROFILE, multiples={"EUR": 10}))
    region = Region(store, bank)
    held = await paid(region, "h", capture_method="manual")
    taken = await paid(region, "t")
    for work, param in (
        (region.act("capture", "c", held["id"], CapturePayment(405)), "amount_to_capture"),
        (region.refund("r", CreateRefund(payment_intent=taken["id"], amount=405)), "amount"),
    ):
        with pytest.raises(ApiError, match="multiples of 10") as refused:
            await work
        assert (refused.value.status, refused.value.param) == (400, param)
    assert len(await store.attempts(held["id"])) == len(await store.attempts(taken["id"])) == 1
    await sound(sql)


async def test_what_can_be_built_no_more_stays_unknown_and_is_looked_at(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """It may have been sent by an earlier version: that is no proof that nothing was."""
    ways = dict.fromkeys(Operation, (Resolve.REPLAY,))
    bank = Mute("bank", msgspec.structs.replace(PROFILE, resolve=ways, replay_ms=600_000))
    bank.mute = frozenset()
    bank.script[Operation.CHARGE] = ["lost"]
    region = Region(store, bank)
    answer = await paid(region, "k")
    bank.mute = frozenset({Operation.CHARGE})
    await region.resolve(answer["latest_charge"], age_ms=121_000)
    attempt = await store.attempt(answer["latest_charge"])
    assert attempt is not None and (attempt.state, attempt.replays) == ("unknown", 0)
    assert await reviews(sql) == {"unresolved"}
    bank.mute = frozenset()
    await region.resolve(answer["latest_charge"])
    assert body(await region.pay("k"))["status"] == "succeeded"
    assert await reviews(sql) == set()
    await sound(sql)
