"""Charges of several steps: each is committed before it is sent, sent once, ended as declared."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    CallbackEvent,
    Instruction,
    Operation,
    Outcome,
    Resolve,
    Result,
)
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import steps as checked
from bailiwick.checker.places import NodePlace
from bailiwick.checker.reader import snapshot
from bailiwick.orders import steps
from bailiwick.orders.steps import STEPS_MAX
from bailiwick.resources.payments.params import CancelPayment
from bailiwick.resources.refunds.params import CreateRefund
from tests.postgres.node_kit import SURE_MS, Lost, Region, balance, body, reviews
from tests.postgres.rows_kit import sound
from tests.postgres.steps_kit import CHARGE, Orders, begun
from tests.store_kit import NodeStore

_replace = msgspec.structs.replace


@pytest.fixture
def bank() -> Orders:
    return Orders()


async def state(region: Region, payment: dict[str, Any]) -> tuple[str, str]:
    found = await region.store.payment(payment["id"])
    attempt = await region.store.attempt(payment["latest_charge"])
    assert found is not None and attempt is not None
    return found.state, attempt.state


async def test_an_order_is_completed_once_its_payer_has_approved(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    assert (made["status"], made["next_action"]["type"]) == ("requires_action", "redirect_to_url")
    charge = made["latest_charge"]
    await region.resolve(charge)
    assert await state(region, made) == ("requires_action", "pending"), "nothing new"
    bank.approve(charge)
    await region.resolve(charge)
    assert await state(region, made) == ("succeeded", "approved")
    assert bank.sent() == [(None, charge), ("complete", f"{charge}s2")]
    order, completed = bank.calls
    assert (completed.provider_ref, completed.before) == (f"order_{charge}", (f"order_{charge}",))
    assert _replace(completed, steps=(), before=(), provider_ref=None) == order
    attempt = await region.store.attempt(charge)
    assert attempt is not None and attempt.provider_ref == f"paid_{charge}"
    assert bank.taken() == 1000
    answer = body(await region.refund("r", CreateRefund(payment_intent=made["id"], amount=400)))
    assert answer["status"] == "succeeded"
    assert bank.calls[-1].provider_ref == f"paid_{charge}", "what was paid is refunded"
    await sound(sql)


async def test_what_needs_no_payer_goes_on_at_once(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    bank.at_once = True
    made = await begun(region)
    assert made["status"] == "succeeded"
    charge = made["latest_charge"]
    assert bank.sent() == [(None, charge), ("complete", f"{charge}s2")]
    types = [row[0] for row in await sql.fetch("SELECT type FROM event ORDER BY seq")]
    assert types == [
        "payment_intent.created", "payment_intent.processing", "payment_intent.succeeded",
    ]  # fmt: skip
    again = await begun(region)
    assert again == made and len(bank.calls) == 2, "a replay is answered, and nothing is sent"
    await sound(sql)


async def test_the_second_gateway_is_told_nothing_of_the_first_one_s_steps(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    class Unable(Orders):
        def state_of(self, instruction: Instruction) -> Result:
            if instruction.step is None:
                return super().state_of(instruction)
            return Result(Outcome.DECLINED, code="processing_error", retryable=True)

    first, second = Unable(), Orders("other")
    first.at_once, second.priority, second.vault = True, 2, first.vault
    region = Region(store, first, second)
    made = await begun(region)
    assert made.get("status") == "requires_action", made
    [sent] = second.calls
    assert (sent.steps, sent.before, sent.kept, sent.provider_ref) == ((), (), {}, None)
    assert sent.return_url == "https://shop/back"


# Unknowns


@pytest.mark.parametrize("word", ["lost", "never"])
async def test_an_unknown_order_ends_as_a_charge_does(
    region: Region, bank: Orders, sql: asyncpg.Connection, word: str
) -> None:
    bank.script[CHARGE] = [word]
    made = await begun(region)
    assert made["status"] == "processing"
    charge = made["latest_charge"]
    if word == "lost":
        bank.approve(charge)
        await region.resolve(charge)
        assert await state(region, made) == ("succeeded", "approved")
        assert bank.taken() == 1000
    else:
        await region.resolve(charge, age_ms=SURE_MS)
        assert await state(region, made) == ("requires_payment_method", "declined")
    await sound(sql)


async def test_an_unanswered_step_is_asked_about(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    bank.script[CHARGE] = ["lost"]
    await region.resolve(charge)
    assert await state(region, made) == ("processing", "unknown")
    await region.resolve(charge)
    assert await state(region, made) == ("succeeded", "approved")
    assert bank.taken_by == {charge: [f"{charge}s2"]}
    assert len(bank.sent()) == 2, "nothing was sent twice"
    await sound(sql)


@pytest.mark.parametrize("found", ["permitted", "unknown", "pending"])
async def test_a_step_that_did_not_arrive_is_repeated_where_repeats_are_recognised(
    region: Region, bank: Orders, sql: asyncpg.Connection, found: str
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    bank.script[CHARGE] = ["never"]
    await region.resolve(charge)
    await sql.execute("UPDATE attempt SET state = $1 WHERE id = $2", found, charge)
    await region.resolve(charge)
    assert await state(region, made) == ("succeeded", "approved")
    assert bank.taken_by == {charge: [f"{charge}s2"]}


async def test_a_step_that_did_not_arrive_is_not_repeated_where_they_are_not(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Orders(steps={"complete": (Resolve.PROVIDER_ID,)})
    region = Region(store, bank)
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    bank.script[CHARGE] = ["never"]
    await region.resolve(charge)
    await region.resolve(charge)
    assert await state(region, made) == ("processing", "unknown"), "it may still arrive"
    await region.resolve(charge, age_ms=SURE_MS)
    assert await state(region, made) == ("requires_payment_method", "declined")
    assert bank.taken() == 0 and len(bank.sent()) == 1
    await sound(sql)


async def test_a_step_is_not_given_up_while_it_can_be_repeated(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    """A node that was away for long comes back to it: the payer has approved."""
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    bank.script[CHARGE] = ["never"]
    await region.resolve(charge)
    await region.resolve(charge, age_ms=SURE_MS)
    assert await state(region, made) == ("succeeded", "approved")


async def test_a_step_that_is_too_old_to_be_repeated_ends(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    bank.script[CHARGE] = ["never"]
    await region.resolve(charge)
    old = "UPDATE attempt SET stepped_at = clock_timestamp() - interval '2 hours'"
    await sql.execute(f"{old}, last_permit_at = clock_timestamp() - interval '2 hours'")
    attempt = await region.store.attempt(charge)
    assert attempt is not None
    await region.resolver.resolve(attempt)
    assert await state(region, made) == ("requires_payment_method", "declined")
    assert bank.taken() == 0


async def test_a_step_has_a_replay_window_and_an_age_of_its_own(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    """The payer took long: the order is old, the step is not."""
    made = await begun(region)
    charge = made["latest_charge"]
    old = "permitted_at = permitted_at - interval '2 hours'"
    await sql.execute(f"UPDATE attempt SET {old}, last_permit_at = last_permit_at - interval '2 h'")
    before = await sql.fetchval("SELECT permitted_at FROM attempt")
    bank.approve(charge)
    bank.script[CHARGE] = ["never"]
    await region.resolve(charge)
    attempt = await region.store.attempt(charge)
    assert attempt is not None and attempt.age_ms < 60_000 and attempt.quiet_ms < 60_000
    assert await sql.fetchval("SELECT permitted_at FROM attempt") == before, "the first of all"
    await region.resolve(charge)
    assert await state(region, made) == ("succeeded", "approved")


async def test_a_process_that_dies_with_a_step_leaves_it_to_the_resolver(
    region: Region, bank: Orders, store: NodeStore, sql: asyncpg.Connection
) -> None:
    for word in ("crash", "crash"):
        made = await begun(region, f"k{len(bank.calls)}")
        charge = made["latest_charge"]
        bank.approve(charge)
        bank.script[CHARGE] = [word]
        with pytest.raises(Lost):
            await region.resolve(charge)
        assert await state(region, made) == ("processing", "permitted")
        other = Region(store, bank)
        due = await sql.fetchval(
            "SELECT next_check_at > clock_timestamp() FROM attempt WHERE id = $1", charge
        )
        assert due is not None, "it is looked at by itself, without a sweep"
        await other.resolve(charge)
        assert await state(other, made) == ("succeeded", "approved")
        assert bank.taken_by[charge] == [f"{charge}s2"]
    await sound(sql)


# Callbacks


async def told(region: Region, bank: Orders, result: Result | None, **values: Any) -> str:
    given = {"notice_id": f"n{now_ms()}", "operation": CHARGE, "result": result, **values}
    event = CallbackEvent(**given)
    genuine = {"signature": "genuine"}
    return await region.callbacks.take(bank.name, genuine, msgspec.json.encode(event))


def approved_by_payer(charge: str) -> Result:
    return Result(Outcome.PENDING, f"order_{charge}", step="complete")


async def test_a_callback_brings_the_step_too(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    said = await told(
        region, bank, approved_by_payer(charge), reference=charge, provider_ref=f"order_{charge}"
    )
    assert said == "taken"
    assert await state(region, made) == ("succeeded", "approved")


async def test_an_unsigned_one_has_the_provider_asked(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Orders(callbacks=None)
    region = Region(store, bank)
    made = await begun(region)
    charge = made["latest_charge"]
    assert await told(region, bank, approved_by_payer(charge), reference=charge) == "asked"
    assert bank.sent() == [(None, charge)], "the payer has not approved"
    bank.approve(charge)
    await told(region, bank, approved_by_payer(charge), reference=charge)
    [due] = await store.due(9, 1000)
    await region.resolver.resolve(due)
    assert await state(region, made) == ("succeeded", "approved")


async def test_callback_and_poll_at_once_make_one_call(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """Two processes of the node, each with a callback and a look of its own, many times."""
    bank = Orders()
    regions = [Region(store, bank), Region(store, bank)]
    for number in range(12):
        made = await begun(regions[0], f"k{number}")
        charge = made["latest_charge"]
        bank.approve(charge)
        said = approved_by_payer(charge)
        work = [
            each
            for region in regions
            for each in (
                region.resolve(charge),
                told(region, bank, said, reference=charge, notice_id=f"{number}-{id(region)}"),
            )
        ]
        done = await asyncio.gather(*work, return_exceptions=True)
        assert not [each for each in done if isinstance(each, BaseException)], done
        assert bank.taken_by[charge] == [f"{charge}s2"]
    assert len(bank.sent()) == 24
    await sound(sql)


async def test_late_and_repeated_news_of_the_steps_before_decide_nothing(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    bank.script[CHARGE] = ["lost"]
    await region.resolve(charge)
    order = f"order_{charge}"
    open_still = Result(Outcome.PENDING, order, action=bank.state_of(bank.calls[0]).action)
    for number, result in enumerate((approved_by_payer(charge), open_still)):
        said = await told(
            region, bank, result, reference=charge, provider_ref=order, notice_id=f"a{number}"
        )
        assert said in ("taken", "asked")
        assert (await state(region, made))[0] == "processing"
    await region.resolve(charge)
    assert await state(region, made) == ("succeeded", "approved")
    refused = Result(Outcome.DECLINED, order, code="expired")
    for number, result in enumerate((approved_by_payer(charge), refused)):
        said = await told(
            region, bank, result, reference=charge, provider_ref=order, notice_id=f"b{number}"
        )
        assert said == "taken", "of what is known, and over"
    assert await state(region, made) == ("succeeded", "approved")
    assert len(bank.sent()) == 2 and await reviews(sql) <= {"contradiction"}


async def test_a_callback_about_another_object_contradicts(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    await region.resolve(charge)
    strange = Result(Outcome.DECLINED, "paid_another", code="x")
    said = await told(region, bank, strange, reference=charge, provider_ref="paid_another")
    assert said == "contradicts"
    assert await reviews(sql) == {"reference_mismatch"}


async def test_both_ids_are_known_where_callbacks_name_nothing_else(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Orders(callbacks_by_id=True)
    region = Region(store, bank)
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    said = approved_by_payer(charge)
    assert await told(region, bank, said, provider_ref=f"order_{charge}") == "taken"
    assert await state(region, made) == ("succeeded", "approved")
    known = await sql.fetch("SELECT provider_ref FROM known_object ORDER BY 1")
    assert [row[0] for row in known] == [f"order_{charge}", f"paid_{charge}"]
    again = Result(Outcome.APPROVED, f"paid_{charge}", 1000, "EUR")
    assert await told(region, bank, again, provider_ref=f"paid_{charge}") == "taken"
    assert bank.taken() == 1000 and not await reviews(sql)


async def test_the_first_answer_that_comes_late_does_not_undo_the_step(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    """The payer approves, and a callback tells so, while the order's own answer is under way."""
    gate = bank.hold_back()
    paying = asyncio.ensure_future(begun(region))
    while not bank.calls:
        await asyncio.sleep(0)
    charge = bank.calls[0].reference
    bank.approve(charge)
    await told(region, bank, approved_by_payer(charge), reference=charge)
    made = await paying
    gate.set()
    assert made["latest_charge"] == charge
    assert await state(region, made) == ("succeeded", "approved")
    assert bank.sent() == [(None, charge), ("complete", f"{charge}s2")]
    assert region.executor.inflight == {}
    await sound(sql)


async def test_an_answer_to_an_earlier_step_is_not_taken_for_one_to_the_next(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    """In another process than the one that went on."""
    bank = Orders()
    here, there = Region(store, bank), Region(store, bank)
    gate = bank.hold_back()
    paying = asyncio.ensure_future(begun(here))
    while not bank.calls:
        await asyncio.sleep(0)
    charge = bank.calls[0].reference
    bank.approve(charge)
    bank.script[CHARGE] = ["lost"]
    await told(there, bank, approved_by_payer(charge), reference=charge)
    gate.set()
    made = await paying
    assert await state(here, made) == ("processing", "unknown"), "not requires_action"
    await here.resolve(charge)
    assert await state(here, made) == ("succeeded", "approved")
    assert bank.taken_by == {charge: [f"{charge}s2"]}


# What the payer leaves undone


async def test_what_is_left_undone_is_given_up_by_not_completing_it(
    region: Region, bank: Orders, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    later = now_ms() + 25 * 3_600_000
    monkeypatch.setattr("bailiwick.resources.payments.methods.giving_up.now_ms", lambda: later)
    await region.resolve(charge)
    assert await state(region, made) == ("requires_payment_method", "declined")
    assert bank.sent() == [(None, charge)], "no void: nothing is taken before it is completed"
    bank.approve(charge)
    await told(region, bank, approved_by_payer(charge), reference=charge)
    assert bank.sent() == [(None, charge)], "not any more"
    assert bank.taken() == 0
    await sound(sql)


async def test_a_payer_who_approves_at_the_last_moment_has_paid(
    region: Region, bank: Orders, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    later = now_ms() + 25 * 3_600_000
    monkeypatch.setattr("bailiwick.resources.payments.methods.giving_up.now_ms", lambda: later)
    bank.approve(charge)
    bank.script[CHARGE] = ["lost"]
    await region.resolve(charge)
    assert await state(region, made) == ("processing", "unknown")
    stale = await region.store.attempt(charge)
    assert stale is not None
    await region.resolver._given_up(
        _replace(
            stale, state="pending", instruction=msgspec.Raw(msgspec.json.encode(bank.calls[0]))
        )
    )
    assert await state(region, made) == ("processing", "unknown"), "the step is under way"
    await region.resolve(charge)
    assert await state(region, made) == ("succeeded", "approved")


async def test_a_client_cancels_what_waits_at_once(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    answer = body(await region.act("cancel", "c", made["id"], CancelPayment()))
    assert answer["status"] == "canceled"
    assert await state(region, made) == ("canceled", "declined")
    bank.approve(charge)
    await told(region, bank, approved_by_payer(charge), reference=charge)
    assert bank.sent() == [(None, charge)] and bank.taken() == 0
    await sound(sql)


async def test_a_cancel_and_the_step_at_once_have_one_winner(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    bank = Orders()
    here, there = Region(store, bank), Region(store, bank)
    ends = set()
    for number in range(10):
        made = await begun(here, f"k{number}")
        charge = made["latest_charge"]
        bank.approve(charge)

        async def cancel(made: dict[str, Any] = made, number: int = number) -> None:
            with contextlib.suppress(ApiError):
                await here.act("cancel", f"c{number}", made["id"], CancelPayment())

        await asyncio.gather(cancel(), there.resolve(charge))
        end = await state(here, made)
        taken = len(bank.taken_by.get(charge, []))
        assert (end, taken) in {(("canceled", "declined"), 0), (("succeeded", "approved"), 1)}
        ends.add(end)
    await sound(sql)


async def test_nobody_is_to_act(region: Region, bank: Orders, sql: asyncpg.Connection) -> None:
    said = await begun(region, error_on_requires_action=True)
    assert said["error"]["code"] == "authentication_required"
    [order] = bank.calls
    attempt = await region.store.attempt(order.reference)
    assert attempt is not None and attempt.state == "declined"
    bank.approve(order.reference)
    await told(region, bank, approved_by_payer(order.reference), reference=order.reference)
    assert len(bank.calls) == 1


# What the checker sees


async def wrong(dsn: str) -> list[str]:
    found = Findings().of(checked.steps_committed)
    async with snapshot(NodePlace("europe", dsn)) as db:
        await checked.steps_committed(db, found)
    assert found.compared
    return [each.wrong for each in found.violations]


async def test_the_checker_sees_a_step_that_was_not_committed(
    region: Region, bank: Orders, sql: asyncpg.Connection, dsn: str
) -> None:
    made = await begun(region)
    charge = made["latest_charge"]
    bank.approve(charge)
    await region.resolve(charge)
    assert await wrong(dsn) == []
    await sql.execute("UPDATE attempt SET stepped_at = NULL")
    await begun(region, "k2")
    bank.at_once = True
    await begun(region, "k3")
    assert await wrong(dsn) == ["has steps, and none was permitted"]
    await sql.execute("UPDATE attempt SET stepped_at = permitted_at, seq = 1 WHERE id = $1", charge)
    assert await wrong(dsn) == ["0 steps, 2 instructions of it in events"]


# Bounds


async def test_steps_do_not_go_on_for_ever(store: NodeStore, sql: asyncpg.Connection) -> None:
    class Endless(Orders):
        def state_of(self, instruction: Instruction) -> Result:
            step = f"s{len(instruction.steps)}"
            return Result(Outcome.PENDING, f"x{len(instruction.steps)}", step=step)

    names = {f"s{number}": (Resolve.PROVIDER_ID,) for number in range(2 * STEPS_MAX)}
    bank = Endless(steps=names)
    region = Region(store, bank)
    made = await begun(region)
    assert made["status"] == "processing"
    assert len(bank.calls) == STEPS_MAX + 1
    assert len({each.key for each in bank.calls}) == STEPS_MAX + 1
    attempt = await region.store.attempt(made["latest_charge"])
    assert attempt is not None and len(steps.current(attempt).before) == STEPS_MAX
    await sound(sql)


@pytest.mark.parametrize(
    "said",
    [
        Result(Outcome.PENDING, "x", step="undeclared"),
        Result(Outcome.APPROVED, "x", 1000, "EUR", step="complete"),
        Result(Outcome.PENDING, "x", step="complete", kept={"a": "b" * 9_000}),
    ],
    ids=["undeclared", "of_something_decided", "too_much"],
)
async def test_a_step_that_is_none_is_not_taken(
    store: NodeStore, sql: asyncpg.Connection, said: Result
) -> None:
    class Strange(Orders):
        def state_of(self, instruction: Instruction) -> Result:
            return said

    bank = Strange()
    region = Region(store, bank)
    made = await begun(region)
    assert await state(region, made) == ("processing", "unknown")
    assert len(bank.calls) == 1 and await balance(sql, "%") == 0


async def test_a_step_of_another_operation_is_not_taken(
    region: Region, bank: Orders, sql: asyncpg.Connection
) -> None:
    bank.at_once = True
    made = await begun(region)
    bank.done.clear()
    result = Result(Outcome.PENDING, "re_1", step="complete")
    bank.script[Operation.REFUND] = ["pending"]
    refund = body(await region.refund("r", CreateRefund(payment_intent=made["id"], amount=100)))
    assert refund["status"] == "pending"
    reference = bank.calls[-1].reference
    await told(region, bank, result, reference=reference, operation=Operation.REFUND)
    assert len(bank.calls) == 3


async def test_many_at_once(store: NodeStore, sql: asyncpg.Connection) -> None:
    """Steps share batches with each other and with all else."""
    bank = Orders()
    region = Region(store, bank)
    made = await asyncio.gather(*(begun(region, f"k{number}") for number in range(40)))
    bank.at_once = True
    for each in made:
        bank.approve(each["latest_charge"])
    looks = [region.resolve(each["latest_charge"]) for each in made]
    pays = [begun(region, f"at-once-{number}") for number in range(20)]
    await asyncio.gather(*looks, *pays)
    found = await sql.fetch("SELECT state::text, count(*) FROM payment GROUP BY 1")
    assert [tuple(row) for row in found] == [("succeeded", 60)]
    assert bank.taken() == 60 * 1000 and all(len(keys) == 1 for keys in bank.taken_by.values())
    assert await balance(sql, "merchant:%") == -60 * 1000
    await sound(sql)
