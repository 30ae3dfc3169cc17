"""A charge without an answer is given up by a reversal, which is sent until it is answered."""

from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    REFERENCE,
    Exchange,
    Instruction,
    Operation,
    Outcome,
    Permit,
    Reply,
    Request,
    Resolve,
    Result,
)
from bailiwick.orders.executor import PERMIT_NS
from bailiwick.resources.payments.params import CancelPayment, CapturePayment, ConfirmPayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import PROFILE, Bank, Lost, Region, balance, body, reviews
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

CHARGE, CAPTURE, VOID, REFUND = (
    Operation.CHARGE,
    Operation.CAPTURE,
    Operation.VOID,
    Operation.REFUND,
)
QUIET_MS = PERMIT_NS // 1_000_000 + PROFILE.total_ms
SURE_MS = QUIET_MS + PROFILE.visibility_ms


class Reversing(Bank):
    """A bank that takes reversals by our reference, and answers no questions.

    Further words for a void: ``nothing`` (it knows no such charge).
    """

    def __init__(self) -> None:
        ways = {CHARGE: (Resolve.REVERSAL,), **dict.fromkeys((CAPTURE, VOID, REFUND),
                                                             (Resolve.REPLAY,))}  # fmt: skip
        profile = msgspec.structs.replace(
            PROFILE, resolve=ways, reversal=True, contexts=True, replay_ms=30 * 86_400_000,
            callbacks=None,
        )  # fmt: skip
        super().__init__("bank", profile)
        self.sent: list[Instruction] = []

    async def send(self, instruction: Instruction, permit: Permit) -> Exchange:
        self.sent.append(instruction)
        return await super().send(instruction, permit)

    def carry_out(self, instruction: Instruction, word: str) -> Result:
        charge = instruction.charge_reference or ""
        if instruction.operation is VOID and instruction.provider_ref is None:
            if word == "nothing":
                return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
            if word == "refused":
                return Result(Outcome.UNKNOWN, detail="code_12")
            given_up = Result(Outcome.DECLINED, code="reversed")
            original, _ = self.done.get(charge, (instruction, given_up))
            self.done[charge] = (original, given_up)
        return super().carry_out(instruction, word)

    def query(self, *_: Any) -> Request | None:
        return None


@pytest.fixture
def bank() -> Reversing:
    return Reversing()


@pytest.fixture
def region(store: NodeStore, bank: Reversing) -> Region:
    return Region(store, bank)


def declined(answer: Any) -> dict[str, Any]:
    """The payment in an answer that nothing was charged."""
    assert answer.status == 402, bytes(answer.body)
    error = body(answer)["error"]
    assert (error["type"], error["code"]) == ("card_error", "processing_error")
    assert "reversed" in error["message"]
    shown: dict[str, Any] = error["payment_intent"]
    assert (shown["status"], shown["payment_method"]) == ("requires_payment_method", None)
    return shown


async def open_attempt(region: Region, identifier: str) -> str:
    payment = await region.store.payment(identifier)
    assert payment is not None and payment.open_attempt is not None
    return payment.open_attempt


# --- at once


@pytest.mark.parametrize("word", ["lost", "never", "wrong", "missing", "currency"])
@pytest.mark.parametrize("manual", [False, True])
async def test_what_is_not_known_is_reversed_at_once(
    region: Region, bank: Reversing, sql: asyncpg.Connection, word: str, manual: bool
) -> None:
    bank.script[CHARGE] = [word]
    values = {"capture_method": "manual"} if manual else {}
    first = await region.pay("k", **values)
    declined(first)
    assert [each.operation for each in bank.sent] == [CHARGE, VOID]
    charge, void = bank.sent
    assert (void.charge_reference, void.provider_ref) == (charge.reference, None)
    assert (void.automatic, void.original) == (not manual, charge.context)
    assert void.context is not None and charge.context is not None
    assert void.context.sequence > charge.context.sequence
    assert not void.repeat
    assert bank.taken() == 0 and await balance(sql, "%") == 0
    again = await region.pay("k", **values)
    assert again.replayed and bytes(again.body) == bytes(first.body)
    assert len(bank.sent) == 2
    told = {"amount_mismatch", "amount_missing", "currency_mismatch"}
    suspicious = word in ("wrong", "missing", "currency")
    assert bool(await reviews(sql) & told) is suspicious
    await sound(sql)


async def test_after_it_another_payment_method_pays(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE] = ["lost"]
    shown = declined(await region.pay("k"))
    done = body(
        await region.act("confirm", "c", shown["id"], ConfirmPayment(payment_method="pm_card_visa"))
    )
    assert done["status"] == "succeeded" and bank.taken() == 1000
    await sound(sql)


async def test_a_decline_or_an_unsent_charge_is_not_reversed(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE] = ["decline", "unsent"]
    for key in ("a", "b"):
        assert (await region.pay(key)).status == 402
    assert [each.operation for each in bank.sent] == [CHARGE, CHARGE]
    await sound(sql)


# --- a reversal that is not answered


@pytest.mark.parametrize("word", ["lost", "never", "unsent", "refused"])
async def test_it_is_repeated_until_it_is_answered(
    region: Region, bank: Reversing, sql: asyncpg.Connection, word: str
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["lost"], [word] * 3
    shown = body(await region.pay("k"))
    assert shown["status"] == "processing"
    void = await open_attempt(region, shown["id"])
    for _ in range(2):
        await region.resolve(void)
        assert body(await region.pay("k"))["status"] == "processing"
    await region.resolve(void, age_ms=3 * 86_400_000)
    declined(await region.pay("k"))
    voids = [each for each in bank.sent if each.operation is VOID]
    assert [each.repeat for each in voids] == [False, True, True, True]
    assert len({each.reference for each in voids}) == 1
    assert len({each.context for each in voids}) == 1
    assert bank.taken() == 0
    await sound(sql)


async def test_meanwhile_nothing_else_is_done(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["lost"], ["never"]
    shown = body(await region.pay("k"))
    for verb, wish in (("cancel", CancelPayment()), ("confirm", ConfirmPayment())):
        with pytest.raises(ApiError) as refused:
            await region.act(verb, verb, shown["id"], wish)
        assert refused.value.code == "payment_intent_unexpected_state"
    await region.resolve(shown["latest_charge"], age_ms=SURE_MS)
    assert len(bank.sent) == 2, "the reversal has it"
    await region.resolve(await open_attempt(region, shown["id"]))
    declined(await region.pay("k"))
    await sound(sql)


async def test_one_that_finds_nothing_counts_when_nothing_can_arrive_any_more(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["never"], ["nothing"] * 4
    shown = body(await region.pay("k"))
    void = await open_attempt(region, shown["id"])
    await region.resolve(void, age_ms=SURE_MS - 1)
    assert body(await region.pay("k"))["status"] == "processing"
    await region.resolve(void, age_ms=SURE_MS)
    declined(await region.pay("k"))
    await sound(sql)


async def test_a_person_is_asked_and_the_repeats_go_on(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["lost"], ["never", "never"]
    shown = body(await region.pay("k"))
    void = await open_attempt(region, shown["id"])
    await region.resolve(void, age_ms=200_000)
    assert await reviews(sql) == {"unresolved"}
    await region.resolve(void, age_ms=300_000)
    declined(await region.pay("k"))
    assert await reviews(sql) == set()
    await sound(sql)


# --- after a restart


@pytest.mark.parametrize("arrived", ["crash", "never"])
async def test_a_charge_that_a_dead_process_had_sent_is_reversed(
    region: Region, store: NodeStore, bank: Reversing, sql: asyncpg.Connection, arrived: str
) -> None:
    bank.script[CHARGE] = ["crash"]
    with pytest.raises(Lost):
        await region.pay("k")
    if arrived == "never":
        bank.done.clear()
    attempt = bank.sent[0].reference
    anew = Region(store, bank)
    await anew.resolve(attempt, age_ms=QUIET_MS - 1)
    assert len(bank.sent) == 1, "it may still be on its way"
    await anew.resolve(attempt, age_ms=QUIET_MS)
    assert [each.operation for each in bank.sent] == [CHARGE, VOID]
    declined(await anew.pay("k"))
    assert bank.taken() == 0
    await sound(sql)


async def test_a_reversal_that_a_dead_process_had_begun_is_repeated(
    region: Region, store: NodeStore, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["lost"], ["crash"]
    with pytest.raises(Lost):
        await region.pay("k")
    anew = Region(store, bank)
    shown = body(await anew.pay("k"))
    assert shown["status"] == "processing"
    await anew.resolve(await open_attempt(anew, shown["id"]))
    assert [each.repeat for each in bank.sent] == [False, False, True]
    declined(await anew.pay("k"))
    await sound(sql)


async def test_numbers_go_on_after_a_restart(region: Region, store: NodeStore) -> None:
    seen = []
    for number in range(5):
        bank = Reversing()
        await Region(store, bank).pay(f"k{number}")
        await Region(store, bank).pay(f"again{number}")
        seen += [each.context.sequence for each in bank.sent if each.context]
    assert sorted(set(seen)) == seen


# --- late answers


async def late(region: Region, bank: Reversing, reference: str, result: Result) -> None:
    request = Request("ISO8583", reference, {REFERENCE: reference}, b"")
    reply = Reply(200, {}, msgspec.json.encode(result))
    await region.callbacks.late(bank, request, reply)  # type: ignore[arg-type]


APPROVED = Result(Outcome.APPROVED, "b_late", 1000, "EUR")


async def test_an_approval_while_it_is_reversed_decides_nothing(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["lost"], ["never"]
    shown = body(await region.pay("k"))
    await late(region, bank, shown["latest_charge"], APPROVED)
    assert body(await region.pay("k"))["status"] == "processing"
    await region.resolve(await open_attempt(region, shown["id"]))
    declined(await region.pay("k"))
    assert await balance(sql, "%") == 0
    await sound(sql)


async def test_an_approval_after_the_reversal_is_booked_apart_and_reviewed(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE] = ["lost"]
    shown = declined(await region.pay("k"))
    for _ in range(2):
        await late(region, bank, shown["latest_charge"], APPROVED)
    assert await reviews(sql) == {"late_success"}
    assert await balance(sql, "unexpected:%") == -1000
    assert body(await region.pay("k"))["error"]["payment_intent"]["id"] == shown["id"]
    await sound(sql)


async def test_one_of_another_amount_is_only_reviewed(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE] = ["lost"]
    shown = declined(await region.pay("k"))
    wrong = msgspec.structs.replace(APPROVED, amount=999)
    await late(region, bank, shown["latest_charge"], wrong)
    assert await reviews(sql) == {"amount_mismatch"}
    assert await balance(sql, "%") == 0


async def test_the_reversal_s_own_answer_ends_it_when_it_comes(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    bank.script[CHARGE], bank.script[VOID] = ["lost"], ["lost"]
    shown = body(await region.pay("k"))
    void = await open_attempt(region, shown["id"])
    await late(region, bank, void, Result(Outcome.APPROVED, None, 1000, "EUR", captured=False))
    declined(await region.pay("k"))
    await late(region, bank, "ch_of_nobody", APPROVED)
    await sound(sql)


# --- what is repeated


@pytest.mark.parametrize("word", ["lost", "never"])
async def test_captures_and_refunds_are_repeated(
    region: Region, bank: Reversing, sql: asyncpg.Connection, word: str
) -> None:
    bank.script[CAPTURE], bank.script[REFUND] = [word], [word]
    held = body(await region.pay("k", capture_method="manual"))
    shown = body(await region.act("capture", "c", held["id"], CapturePayment()))
    assert shown["status"] == "processing"
    await region.resolve(await open_attempt(region, held["id"]))
    assert body(await region.act("capture", "c", held["id"], CapturePayment()))["status"] == (
        "succeeded"
    )
    wish = CreateRefund(payment_intent=held["id"])
    refund = body(await region.refund("r", wish))
    assert refund["status"] == "pending"
    await region.resolve(bank.sent[-1].reference)
    assert body(await region.refund("r", wish))["status"] == "succeeded"
    charge = bank.sent[0]
    for each in bank.sent[1:]:
        assert each.original == charge.context and each.provider_ref is not None
    assert [each.repeat for each in bank.sent] == [False, False, True, False, True]
    assert bank.taken() == 0
    await sound(sql)


async def test_a_hold_is_voided_by_what_the_bank_calls_it(
    region: Region, bank: Reversing, sql: asyncpg.Connection
) -> None:
    held = body(await region.pay("k", capture_method="manual"))
    gone = body(await region.act("cancel", "x", held["id"], CancelPayment()))
    assert gone["status"] == "canceled"
    charge, void = bank.sent
    assert void.provider_ref == f"b_{charge.reference}"
    assert void.original == charge.context
    await sound(sql)
