"""Payments by a customer and its saved payment methods: whose they are, and what is sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.ids import new_id
from bailiwick.channels.contract import CallbackEvent, Operation
from bailiwick.orders import attempt_store
from bailiwick.orders.callbacks import Callbacks
from bailiwick.orders.resolver import Resolver
from tests.postgres.hooks_kit import endpoint
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.node_kit import Bank, Banks
from tests.postgres.test_customers import (
    DE,
    IN,
    attached,
    customer,
    events,
    method,
    post,
    sound,
)
from tests.waiting import until

PAY = {"amount": "1000", "currency": "eur", **DE}
INTENTS = "/v1/payment_intents"
OTHERS = ("sk_test_other", "sk_live_first")


@pytest.fixture
async def shop(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "apac")) as made:
        yield made


async def pay(shop: Site, **params: Any) -> Any:
    """A payment that must succeed, or wait to be confirmed."""
    return await post(shop, INTENTS, **{**PAY, **params})


async def ann(shop: Site, **params: Any) -> tuple[str, str]:
    """A customer and its card, by their ids."""
    made = await customer(shop)
    return made["id"], (await attached(shop, made["id"], **params))["id"]


async def refusal(
    shop: Site, params: dict[str, Any], path: str = INTENTS, **how: Any
) -> tuple[int, str, str]:
    status, said = await shop.ask("POST", path, params, **how)
    assert "error" in said, said
    return status, said["error"].get("code", ""), said["error"].get("param", "")


def sent(one: One) -> list[str | None]:
    """The tokens that the bank of a node was sent."""
    return [each.payment_method for each in one.bank.calls if each.operation is Operation.CHARGE]


async def test_a_saved_card_is_paid_with_by_its_token(shop: Site) -> None:
    who, card = await ann(shop)
    paid = await pay(shop, customer=who, payment_method=card, confirm="true")
    assert (paid["status"], paid["customer"], paid["payment_method"]) == ("succeeded", who, card)
    charge = (await shop.ask("GET", f"/v1/charges/{paid['latest_charge']}"))[1]
    assert (charge["customer"], charge["payment_method"]) == (who, card)
    assert sent(shop.nodes[0]) == ["pm_card_visa"]
    refund = await post(shop, "/v1/refunds", payment_intent=paid["id"])
    assert (refund["customer"], refund["payment_method"]) == (who, card)
    for path in (f"{INTENTS}/{paid['id']}", "/v1/charges", "/v1/events?limit=100", INTENTS):
        assert "pm_card_visa" not in json.dumps((await shop.ask("GET", path))[1]), path


async def test_it_is_confirmed_later_and_again_after_a_decline(shop: Site) -> None:
    who, card = await ann(shop)
    made = await pay(shop, customer=who, payment_method=card)
    assert (made["status"], made["payment_method"]) == ("requires_confirmation", card)
    one = shop.nodes[0]
    one.bank.script[Operation.CHARGE] = ["decline"]
    path = f"{INTENTS}/{made['id']}/confirm"
    status, said = await shop.ask("POST", path)
    assert (status, said["error"]["code"]) == (402, "card_declined")
    assert said["error"]["payment_intent"]["payment_method"] is None
    done = await post(shop, path, payment_method=card)
    assert (done["status"], done["payment_method"]) == ("succeeded", card)
    assert sent(one) == ["pm_card_visa", "pm_card_visa"]


async def test_a_provider_that_does_not_know_the_token_is_not_quoted(shop: Site) -> None:
    """What the answer names is the client's payment method, never the provider's token."""
    one = shop.nodes[0]
    who, card = await ann(shop)
    one.bank.script[Operation.CHARGE] = ["unheard"]
    wish = {**PAY, "customer": who, "payment_method": card, "confirm": "true"}
    status, said = await shop.ask("POST", INTENTS, wish)
    assert (status, said["error"]["code"]) == (400, "resource_missing")
    assert said["error"]["message"] == f"No such PaymentMethod: '{card}'"
    assert "pm_card_visa" not in json.dumps(said)


async def test_a_customer_alone_is_checked_and_kept(shop: Site) -> None:
    who, _ = await ann(shop)
    paid = await pay(shop, customer=who, payment_method="pm_card_visa", confirm="true")
    assert (paid["customer"], paid["payment_method"]) == (who, "pm_card_visa")
    assert await shop.walk(INTENTS, customer=who) == [paid["id"]]


async def test_what_is_not_there_or_another_s_is_refused(shop: Site) -> None:
    who, card = await ann(shop)
    nobody, nothing = new_id("cus", 1, 1), new_id("pm", 1, 1)
    absent = (400, "resource_missing", "customer")
    for given in ("cus_1", nobody, card, new_id("cus", 9, 1)):
        assert await refusal(shop, {**PAY, "customer": given}) == absent, given
        confirmed = {**PAY, "customer": given, "payment_method": "pm_card_visa", "confirm": "true"}
        assert await refusal(shop, confirmed) == absent, given
    _, said = await shop.ask("POST", INTENTS, {**PAY, "customer": nobody})
    assert said["error"]["message"] == f"No such customer: '{nobody}'"
    for key in OTHERS:
        assert await refusal(shop, {**PAY, "customer": who}, key=key) == absent
        alone = {**PAY, "payment_method": card}
        assert await refusal(shop, alone, key=key) == (400, "resource_missing", "payment_method")
    wish = {**PAY, "customer": who, "payment_method": nothing}
    assert await refusal(shop, wish) == (400, "resource_missing", "payment_method")
    assert shop.nodes[0].bank.calls == []


async def test_a_card_must_be_attached_to_the_payment_s_customer(shop: Site) -> None:
    who, card = await ann(shop)
    other, _ = await ann(shop)
    loose = (await method(shop))["id"]
    for given, expected in (
        ({"customer": other, "payment_method": card}, ("resource_missing", "payment_method")),
        ({"customer": who, "payment_method": loose}, ("resource_missing", "payment_method")),
        ({"payment_method": card}, ("parameter_missing", "customer")),
        ({"payment_method": loose}, ("payment_method_unexpected_state", "payment_method")),
    ):
        for more in ({}, {"confirm": "true"}):
            assert await refusal(shop, {**PAY, **given, **more}) == (400, *expected), given
    _, said = await shop.ask("POST", INTENTS, {**PAY, "customer": who, "payment_method": loose})
    assert said["error"]["message"] == (
        f"The customer does not have a payment method with the ID {loose}. The payment method must "
        "be attached to the customer."
    )
    data = {"payment_method_data[type]": "card", "payment_method_data[card][token]": card}
    token = "payment_method_data[card][token]"
    assert await refusal(shop, {**PAY, "customer": who, **data}) == (
        400, "parameter_invalid", token,
    )  # fmt: skip
    made = await pay(shop, customer=who)
    for path in (f"{INTENTS}/{made['id']}", f"{INTENTS}/{made['id']}/confirm"):
        assert await refusal(shop, data, path) == (400, "parameter_invalid", token)
    assert shop.nodes[0].bank.calls == []


async def test_what_was_detached_or_erased_is_used_no_more(shop: Site) -> None:
    who, card = await ann(shop)
    waiting = await pay(shop, customer=who, payment_method=card)
    paid = await post(shop, INTENTS, key="k-paid", **PAY, customer=who, payment_method=card,
                      confirm="true")  # fmt: skip
    await post(shop, f"/v1/payment_methods/{card}/detach")
    wish = {**PAY, "customer": who, "payment_method": card, "confirm": "true"}
    gone = (400, "payment_method_unexpected_state", "payment_method")
    assert await refusal(shop, wish) == gone
    assert await refusal(shop, {}, f"{INTENTS}/{waiting['id']}/confirm") == gone
    again = await post(shop, INTENTS, key="k-paid", **PAY, customer=who, payment_method=card,
                       confirm="true")  # fmt: skip
    assert again == paid, "what was done before is told"
    who, card = await ann(shop)
    waiting = await pay(shop, customer=who, payment_method=card)
    assert (await shop.ask("DELETE", f"/v1/customers/{who}"))[0] == 200
    wish = {**PAY, "customer": who, "payment_method": card, "confirm": "true"}
    assert await refusal(shop, wish) == (400, "resource_missing", "customer")
    assert await refusal(shop, {}, f"{INTENTS}/{waiting['id']}/confirm") == (
        400, "resource_missing", "customer",
    )  # fmt: skip
    assert len(sent(shop.nodes[0])) == 1


async def test_what_lives_at_another_node_is_refused_with_the_remedy(shop: Site) -> None:
    who, card = await ann(shop)
    there = {**PAY, **IN}
    apart = (400, "customer_elsewhere", "customer")
    assert await refusal(shop, {**there, "customer": who}) == apart
    assert await refusal(shop, {**there, "customer": who, "confirm": "true",
                                "payment_method": "pm_card_visa"}) == apart  # fmt: skip
    assert await refusal(shop, {**there, "payment_method": card}) == (
        400, "payment_method_elsewhere", "payment_method",
    )  # fmt: skip
    _, said = await shop.ask("POST", INTENTS, {**there, "customer": who})
    assert "node 'europe'" in said["error"]["message"] and "location" in said["error"]["message"]
    paid = await pay(shop, customer=who, payment_method=card, confirm="true")
    assert paid["node"] == "europe"


async def test_no_other_node_is_asked_for_a_customer_s_payment(shop: Site) -> None:
    """What any other node would refuse is not handed on: the key stays good."""
    europe, apac = shop.nodes
    wish = {"amount": "1000", "currency": "inr", "confirm": "true", **IN}
    who = (await customer(shop, **IN))["id"]
    apac.bank.usage = "closed"
    assert (await post(shop, INTENTS, **wish, payment_method="pm_card_visa"))["node"] == "europe"
    bound = {**wish, "customer": who, "payment_method": "pm_card_visa"}
    key = {"idempotency-key": "k-bound"}
    status, said = await shop.ask("POST", INTENTS, bound, headers=key)
    assert (status, said["error"]["code"]) == (503, "no_gateway")
    apac.bank.usage = "open"
    paid = await post(shop, INTENTS, key="k-bound", **bound)
    assert (paid["node"], paid["customer"]) == ("apac", who)
    assert len(sent(europe)) == 1


async def test_updates_keep_card_and_customer_together(shop: Site) -> None:
    who, card = await ann(shop)
    other, others = await ann(shop)
    made = await pay(shop)
    path = f"{INTENTS}/{made['id']}"
    assert await refusal(shop, {"customer": "cus_1"}, path) == (400, "resource_missing", "customer")
    assert await refusal(shop, {"payment_method": card}, path) == (
        400, "parameter_missing", "customer",
    )  # fmt: skip
    changed = await post(shop, path, customer=who, payment_method=card)
    assert (changed["customer"], changed["payment_method"]) == (who, card)
    assert changed["status"] == "requires_confirmation"
    assert (await post(shop, path, description="x", customer=who))["description"] == "x"
    assert await refusal(shop, {"customer": other}, path) == (
        400, "resource_missing", "payment_method",
    )  # fmt: skip
    assert await refusal(shop, {"customer": ""}, path) == (400, "parameter_missing", "customer")
    moved = await post(shop, path, customer=other, payment_method=others)
    assert (moved["customer"], moved["payment_method"]) == (other, others)
    assert (await post(shop, f"{path}/confirm"))["status"] == "succeeded"
    assert await refusal(shop, {"customer": who}, path) == (
        400, "resource_missing", "payment_method",
    )  # fmt: skip


async def test_a_saved_token_goes_to_its_own_vault_alone(shop: Site) -> None:
    one = shop.nodes[0]
    first, second = Bank("first", priority=1), Bank("second", priority=2)
    one.use(Banks(first, second))
    who, owned = await ann(shop, card__vault="second", card__token="tok_mine")
    paid = await pay(shop, customer=who, payment_method=owned, confirm="true")
    assert paid["payment_method_options"]["card"]["vault"] == "second"
    assert [each.payment_method for each in second.calls] == ["tok_mine"] and not first.calls
    wish = {**PAY, "customer": who, "payment_method": owned, "confirm": "true"}
    vault = "payment_method_options[card][vault]"
    assert await refusal(shop, {**wish, vault: "first"}) == (400, "parameter_invalid", vault)
    unsure = (await attached(shop, who, **{"card[token]": "tok_unsure"}))["id"]
    wish = {**PAY, "customer": who, "payment_method": unsure}
    assert await refusal(shop, {**wish, "confirm": "true"}) == (400, "vault_unknown", vault)
    made = await pay(shop, customer=who, payment_method=unsure)
    path = f"{INTENTS}/{made['id']}/confirm"
    assert await refusal(shop, {}, path) == (400, "vault_unknown", vault)
    done = await post(shop, path, **{vault: "second"})
    assert done["payment_method_options"]["card"]["vault"] == "second"
    assert [each.payment_method for each in second.calls] == ["tok_mine", "tok_unsure"]
    assert not first.calls
    shared = (await attached(shop, who))["id"]
    assert (await pay(shop, customer=who, payment_method=shared, confirm="true"))["status"] == (
        "succeeded"
    )
    second.usage = "closed"
    status, said = await shop.ask(
        "POST", INTENTS, {**PAY, "customer": who, "payment_method": owned, "confirm": "true"}
    )
    assert (status, said["error"]["code"]) == (503, "no_gateway"), "another account never sees it"
    assert [each.payment_method for each in first.calls] == ["pm_card_visa"]


async def test_a_next_gateway_gets_the_token_too(shop: Site) -> None:
    one = shop.nodes[0]
    first, second = Bank("first", priority=1), Bank("second", priority=2)
    one.use(Banks(first, second))
    who, card = await ann(shop)
    first.script[Operation.CHARGE] = ["retryable"]
    paid = await pay(shop, customer=who, payment_method=card, confirm="true")
    assert (paid["status"], paid["payment_method"]) == ("succeeded", card)
    assert [each.payment_method for each in second.calls] == ["pm_card_visa"]


async def test_explanations_know_saved_cards(shop: Site) -> None:
    who, card = await ann(shop, card__vault="bank", card__token="tok_mine")
    told = await post(shop, "/v1/explain", **PAY, customer=who, payment_method=card)
    assert told["routing"]["gateway"] == "bank"
    wish = {**PAY, "payment_method": card}
    assert await refusal(shop, wish, "/v1/explain") == (400, "parameter_missing", "customer")


async def test_payments_without_a_customer_ask_the_database_nothing_more(
    shop: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    store = shop.nodes[0].node.store

    def watch(name: str) -> None:
        old = getattr(store, name)

        async def seen(statement: str, *args: Any) -> Any:
            asked.append(statement)
            return await old(statement, *args)

        monkeypatch.setattr(store, name, seen)

    for name in ("row", "rows", "sure_row"):
        watch(name)
    await pay(shop, payment_method="pm_card_visa", confirm="true")
    assert [each for each in asked if each.startswith("record")] == []
    who, card = await ann(shop)
    asked.clear()
    await pay(shop, customer=who, payment_method=card, confirm="true")
    assert [each for each in asked if each.startswith("record")] == ["record_find"]


# Saved with a payment

SAVE = {"payment_method": "pm_card_visa", "setup_future_usage": "off_session", "confirm": "true"}


async def cards_of(shop: Site, who: str) -> list[Any]:
    status, listed = await shop.ask("GET", f"/v1/customers/{who}/payment_methods")
    assert status == 200, listed
    found: list[Any] = listed["data"]
    return found


async def test_a_payment_saves_its_card_for_its_customer(shop: Site) -> None:
    one = shop.nodes[0]
    who = (await customer(shop))["id"]
    sql = await asyncpg.connect(one.dsn)
    to = await endpoint(sql, "acct_1", "https://shop.example/hook")
    await one.node.endpoints.load(one.node.store)
    name = "payment_method_data[billing_details][name]"
    billing = {name: "Ann B.", "payment_method_data[type]": "card"}
    paid = await pay(shop, customer=who, **SAVE, **billing)
    card = paid["payment_method"]
    assert (paid["status"], paid["setup_future_usage"]) == ("succeeded", "off_session")
    assert await sql.fetch(
        "SELECT seq FROM delivery WHERE endpoint = $1 AND subject = $2", to, card
    ) == [(1,)]
    await sql.close()
    (kept,) = await cards_of(shop, who)
    assert (kept["id"], kept["customer"], kept["node"]) == (card, who, "europe")
    assert (kept["card"]["brand"], kept["card"]["last4"]) == ("visa", "4242")
    assert (kept["card"]["vault"], kept["billing_details"]["name"]) == ("bank", "Ann B.")
    assert kept["card"]["fingerprint"] == (await method(shop))["card"]["fingerprint"]
    charge = (await shop.ask("GET", f"/v1/charges/{paid['latest_charge']}"))[1]
    assert charge["payment_method"] == card
    assert await events(shop, card) == [("payment_method.attached", 1)]
    assert one.bank.calls[0].store
    again = await pay(shop, customer=who, payment_method=card, off_session="true", confirm="true")
    assert (again["status"], again["payment_method"]) == ("succeeded", card)
    told = one.bank.calls[1]
    assert (told.payment_method, told.off_session, told.store) == ("pm_card_visa", True, False)
    assert told.agreement == f"agr_{paid['latest_charge']}"
    wish = {"customer": who, "payment_method": card, "setup_future_usage": "on_session"}
    here = await pay(shop, confirm="true", **wish)
    assert here["payment_method"] == card and one.bank.calls[2].agreement is None
    assert len(await cards_of(shop, who)) == 1, "what is saved is not saved again"
    await sound(one)


async def test_nothing_is_saved_before_the_provider_has_said_yes(shop: Site) -> None:
    one = shop.nodes[0]
    who = (await customer(shop))["id"]
    one.bank.script[Operation.CHARGE] = ["decline", "act"]
    status, said = await shop.ask("POST", INTENTS, {**PAY, **SAVE, "customer": who})
    assert (status, said["error"]["code"]) == (402, "card_declined")
    assert await cards_of(shop, who) == []
    declined = said["error"]["payment_intent"]["id"]
    waiting = await post(shop, f"{INTENTS}/{declined}/confirm", payment_method="pm_card_visa")
    assert (waiting["status"], waiting["payment_method"]) == ("requires_action", "pm_card_visa")
    assert await cards_of(shop, who) == []
    charge = waiting["latest_charge"]
    done = one.bank.decide(charge, "approve")
    notice = CallbackEvent("n1", Operation.CHARGE, charge, done.provider_ref, done)
    body = msgspec.json.encode(notice)
    await Callbacks(one.node.machine).take("bank", {"signature": "genuine"}, body)
    paid = (await shop.ask("GET", f"{INTENTS}/{declined}"))[1]
    (kept,) = await cards_of(shop, who)
    assert (paid["status"], paid["payment_method"]) == ("succeeded", kept["id"])
    await sound(one)


async def test_an_unknown_outcome_saves_once_when_it_ends(shop: Site) -> None:
    one = shop.nodes[0]
    who = (await customer(shop))["id"]
    one.bank.script[Operation.CHARGE] = ["lost"]
    unsure = await pay(shop, customer=who, **SAVE)
    assert (unsure["status"], await cards_of(shop, who)) == ("processing", [])
    resolver = Resolver(one.node.machine, 0.01)
    for _ in range(2):
        attempt = await attempt_store.find(one.node.store, unsure["latest_charge"])
        assert attempt is not None
        await resolver.resolve(attempt)
    (kept,) = await cards_of(shop, who)
    paid = (await shop.ask("GET", f"{INTENTS}/{unsure['id']}"))[1]
    assert (paid["status"], paid["payment_method"]) == ("succeeded", kept["id"])
    await sound(one)


async def test_a_hold_saves_and_a_payment_without_customer_does_not(shop: Site) -> None:
    who = (await customer(shop))["id"]
    held = await pay(shop, customer=who, capture_method="manual", **SAVE)
    (kept,) = await cards_of(shop, who)
    assert (held["status"], held["payment_method"]) == ("requires_capture", kept["id"])
    nobody = await pay(shop, **SAVE)
    assert (nobody["status"], nobody["payment_method"]) == ("succeeded", "pm_card_visa")
    assert not shop.nodes[0].bank.calls[1].store
    made = await pay(shop, customer=who, payment_method="pm_card_mastercard")
    done = await post(shop, f"{INTENTS}/{made['id']}/confirm", setup_future_usage="on_session")
    assert [each["id"] for each in await cards_of(shop, who)] == [
        done["payment_method"], kept["id"],
    ]  # fmt: skip
    await sound(shop.nodes[0])


async def test_a_customer_has_room_for_so_many(shop: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    who, _ = await ann(shop)
    monkeypatch.setattr("bailiwick.resources.payments.saved.payer.METHODS_MAX", 1)
    full = (400, "parameter_invalid", "setup_future_usage")
    assert await refusal(shop, {**PAY, **SAVE, "customer": who}) == full
    assert shop.nodes[0].bank.calls == []


@pytest.mark.parametrize("crossing", [False, True], ids=["before", "meanwhile"])
async def test_a_customer_that_is_erased_meanwhile_gets_none(shop: Site, crossing: bool) -> None:
    """Who erases a customer and who saves for it take turns at its row."""
    one = shop.nodes[0]
    who = (await customer(shop))["id"]
    gate = one.bank.hold_back()
    paying = asyncio.ensure_future(pay(shop, customer=who, **SAVE))
    await until(lambda: bool(one.bank.calls))
    sql = await asyncpg.connect(one.dsn)
    try:
        if crossing:
            async with sql.transaction():
                await sql.fetch("SELECT FROM record WHERE id = $1 FOR UPDATE", who)
                gate.set()
                await until(lambda: _waits(sql))
                await sql.execute("UPDATE record SET details = '{}' WHERE id = $1", who)
        else:
            assert (await shop.ask("DELETE", f"/v1/customers/{who}"))[0] == 200
            gate.set()
        assert (await paying)["status"] == "succeeded"
        assert await sql.fetchval("SELECT count(*) FROM record WHERE id ^@ 'pm_'") == 0
    finally:
        await sql.close()
    if not crossing:
        await sound(one)


async def _waits(sql: asyncpg.Connection) -> bool:
    """Whether somebody waits for what this connection has locked."""
    return bool(
        await sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        )
    )


async def test_an_agreement_is_told_to_its_own_account_alone(shop: Site) -> None:
    one = shop.nodes[0]
    first, second = Bank("first", priority=1), Bank("second", priority=2)
    one.use(Banks(first, second))
    who = (await customer(shop))["id"]
    first.script[Operation.CHARGE] = ["retryable"]
    card = (await pay(shop, customer=who, **SAVE))["payment_method"]
    (kept,) = await cards_of(shop, who)
    assert kept["card"]["vault"] == "second", "of the one that took it"
    await pay(shop, customer=who, payment_method=card, off_session="true", confirm="true")
    assert [each.agreement is not None for each in second.calls] == [False, True]
    assert len(first.calls) == 1


async def test_an_erased_customer_leaves_no_saved_card(shop: Site) -> None:
    who = (await customer(shop))["id"]
    card = (await pay(shop, customer=who, **SAVE))["payment_method"]
    assert (await shop.ask("DELETE", f"/v1/customers/{who}"))[0] == 200
    assert (await shop.ask("GET", f"/v1/payment_methods/{card}"))[1].get("customer") is None
    await sound(shop.nodes[0])
