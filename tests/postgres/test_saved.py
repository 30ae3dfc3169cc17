"""Payments by a customer and its saved payment methods: whose they are, and what is sent."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick.base.ids import new_id
from bailiwick.channels.base import Operation
from tests.postgres.lists_kit import One, Site, site
from tests.postgres.node_kit import Bank, Banks
from tests.postgres.test_customers import DE, IN, attached, customer, method, post

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
    assert paid["payment_method_options"] == {"card": {"vault": "second"}}
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
    assert done["payment_method_options"] == {"card": {"vault": "second"}}
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
