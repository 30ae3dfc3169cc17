"""Payment methods set up without a payment: confirmed, given up; attached, and agreed to."""

import asyncio
import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from msgspec.structs import replace

from bailiwick.base.ids import new_id
from bailiwick.channels.contract import Instruction, Operation
from bailiwick.resources.setup_intents.states import State
from bailiwick.store.statements import migrations
from tests.postgres.hooks_kit import endpoint
from tests.postgres.lists_kit import Site, site
from tests.postgres.node_kit import Bank, Banks, reviews
from tests.postgres.setups_kit import (
    NOW,
    SETUPS,
    VISA,
    ann,
    asked,
    get,
    refusal,
    resolve,
    setup,
    shop,
    tell,
)
from tests.postgres.test_customers import IN, attached, broken, events, method, post, sound
from tests.waiting import until

__all__ = ["shop"]
AGREED = {
    "mandate_data[customer_acceptance][type]": "online",
    "mandate_data[customer_acceptance][accepted_at]": "1790000000",
    "mandate_data[customer_acceptance][online][ip_address]": "192.0.2.7",
    "mandate_data[customer_acceptance][online][user_agent]": "Mozilla/5.0 (Ann's)",
}
BILLING = {
    "payment_method_data[type]": "card",
    "payment_method_data[card][token]": "pm_card_visa",
    "payment_method_data[billing_details][name]": "Ann B.",
    "payment_method_data[billing_details][email]": "ann@example.com",
}


async def cards_of(shop: Site, who: str) -> list[Any]:
    found: list[Any] = (await get(shop, f"/v1/customers/{who}/payment_methods"))["data"]
    return found


# From nothing to a payment without the payer


async def test_a_card_is_set_up_and_charged_without_its_payer(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    made = await setup(shop, customer=who, description="for later", **{"metadata[a]": "1"})
    assert (made["status"], made["usage"], made["payment_method"]) == (
        "requires_payment_method", "off_session", None,
    )  # fmt: skip
    path = f"{SETUPS}/{made['id']}"
    done = await post(shop, f"{path}/confirm", **VISA)
    assert (done["status"], done["last_setup_error"]) == ("succeeded", None)
    assert done["latest_attempt"].startswith("setatt_")
    card = done["payment_method"]
    (kept,) = await cards_of(shop, who)
    assert (kept["id"], kept["customer"], kept["card"]["last4"]) == (card, who, "4242")
    assert kept["card"]["vault"] == "bank"
    told = asked(one)
    assert [(each.payment_method, each.amount, each.currency) for each in told] == [
        ("pm_card_visa", 0, "XXX")
    ]
    assert await get(shop, path) == done
    assert await events(shop, made["id"]) == [
        ("setup_intent.created", 1),
        ("bailiwick.setup_intent.processing", 2),
        ("setup_intent.succeeded", 3),
    ]
    assert await events(shop, card) == [
        ("bailiwick.payment_method.created", 1), ("payment_method.attached", 2),
    ]  # fmt: skip
    pay = {"amount": "900", "currency": "eur", "customer": who, "payment_method": card}
    paid = await post(shop, "/v1/payment_intents", **pay, confirm="true", off_session="true",
                      **{"location[country]": "DE"})  # fmt: skip
    assert paid["status"] == "succeeded"
    (charge,) = asked(one, Operation.CHARGE)
    assert charge.agreement == f"agr_{done['latest_attempt']}"
    assert "pm_card_visa" not in json.dumps(await get(shop, "/v1/events", limit="100"))
    await sound(one)


async def test_created_and_confirmed_at_once(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    sql = await asyncpg.connect(one.dsn)
    to = await endpoint(sql, "acct_1", "https://shop.example/hook")
    await one.node.endpoints.load(one.node.store)
    done = await post(shop, SETUPS, key="k1", customer=who, confirm="true", **BILLING,
                      **{"location[country]": "DE"})  # fmt: skip
    assert done["status"] == "succeeded"
    again = await post(shop, SETUPS, key="k1", customer=who, confirm="true", **BILLING,
                       **{"location[country]": "DE"})  # fmt: skip
    assert again == done and len(asked(one)) == 1
    (kept,) = await cards_of(shop, who)
    assert kept["billing_details"]["name"] == "Ann B."
    owed = await sql.fetch(
        "SELECT subject, seq FROM delivery WHERE endpoint = $1 ORDER BY subject, seq", to
    )
    await sql.close()
    assert [tuple(row) for row in owed] == [
        (kept["id"], 2), (done["id"], 1), (done["id"], 2),
    ]  # fmt: skip
    await sound(one)


async def test_without_a_customer_it_is_set_up_and_attached_later(shop: Site) -> None:
    one = shop.nodes[0]
    done = await setup(shop, **NOW)
    card = await get(shop, f"/v1/payment_methods/{done['payment_method']}")
    assert (done["status"], card["customer"]) == ("succeeded", None)
    who = await ann(shop)
    await post(shop, f"/v1/payment_methods/{card['id']}/attach", customer=who)
    await post(shop, "/v1/payment_intents", amount="900", currency="eur", customer=who,
               payment_method=card["id"], confirm="true", off_session="true",
               **{"location[country]": "DE"})  # fmt: skip
    (charge,) = asked(one, Operation.CHARGE)
    assert charge.agreement == f"agr_{done['latest_attempt']}"
    await sound(one)


async def test_a_payment_method_that_we_keep_is_set_up(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    loose, owned = (await method(shop))["id"], (await attached(shop, who))["id"]
    for card in (loose, owned):
        done = await setup(shop, customer=who, payment_method=card, confirm="true")
        assert (done["status"], done["payment_method"]) == ("succeeded", card)
    assert {each["id"] for each in await cards_of(shop, who)} == {loose, owned}
    assert (await events(shop, loose))[-1] == ("payment_method.attached", 2)
    assert (await events(shop, owned))[-1] == ("bailiwick.payment_method.set_up", 3)
    await sound(one)


async def test_until_it_is_set_up_nothing_is_paid_with_it(shop: Site) -> None:
    who = await ann(shop)
    made = await setup(shop, customer=who, **VISA)
    card = made["payment_method"]
    assert (made["status"], await cards_of(shop, who)) == ("requires_confirmation", [])
    pay = {"amount": "900", "currency": "eur", "customer": who, "payment_method": card,
           "location[country]": "DE"}  # fmt: skip
    gone = (400, "payment_method_unexpected_state", "payment_method")
    assert await refusal(shop, pay, "/v1/payment_intents") == gone
    assert await refusal(shop, {"customer": who, "payment_method": card}) == gone
    status, said = await shop.ask("POST", f"/v1/payment_methods/{card}/attach", {"customer": who})
    assert (status, said["error"]["code"]) == (400, "payment_method_unexpected_state")
    done = await post(shop, f"{SETUPS}/{made['id']}/confirm")
    assert (done["status"], done["payment_method"]) == ("succeeded", card)
    await sound(shop.nodes[0])


# Declines, waiting, unknowns


async def test_a_decline_attaches_nothing_and_may_be_tried_again(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    one.bank.script[Operation.SETUP] = ["decline"]
    status, said = await shop.ask("POST", SETUPS, {"customer": who, **NOW, **AGREED,
                                                   "location[country]": "DE"})  # fmt: skip
    error = said["error"]
    assert (status, error["type"], error["code"]) == (402, "card_error", "card_declined")
    intent = error["setup_intent"]
    assert (intent["status"], intent["payment_method"], intent["mandate"]) == (
        "requires_payment_method", None, None,
    )  # fmt: skip
    assert intent["last_setup_error"]["code"] == "card_declined"
    assert await cards_of(shop, who) == []
    assert (await events(shop, intent["id"]))[-1] == ("setup_intent.setup_failed", 2)
    done = await post(shop, f"{SETUPS}/{intent['id']}/confirm", **VISA)
    assert (done["status"], done["last_setup_error"], done["mandate"]) == ("succeeded", None, None)
    (kept,) = await cards_of(shop, who)
    assert kept["id"] == done["payment_method"]
    await sound(one)


async def test_a_token_that_the_provider_does_not_know_is_an_error_of_the_request(
    shop: Site,
) -> None:
    one = shop.nodes[0]
    one.bank.script[Operation.SETUP] = ["unheard"]
    status, said = await shop.ask("POST", SETUPS, {**NOW, "location[country]": "DE"})
    error = said["error"]
    assert (status, error["code"], error["param"]) == (400, "resource_missing", "payment_method")
    assert "pm_card_visa" not in json.dumps(said)
    assert error["setup_intent"]["status"] == "requires_payment_method"


async def test_a_publishable_key_has_so_many_tries(shop: Site) -> None:
    one = shop.nodes[0]
    made = await setup(shop)
    path = f"{SETUPS}/{made['id']}/confirm"
    key = {"key": "pk_test_first"}
    assert (await shop.ask("POST", path, VISA, **key))[0] == 404, "not without its secret"
    wish = {**VISA, "client_secret": made["client_secret"]}
    one.bank.script[Operation.SETUP] = ["decline"] * 10
    for _ in range(10):
        status, said = await shop.ask("POST", path, wish, **key)
        assert (status, "metadata" in said["error"]["setup_intent"]) == (402, False)
    assert await refusal(shop, wish, path, **key) == (400, "setup_intent_attempts_exceeded", "")
    seen = await shop.ask(
        "GET", path.removesuffix("/confirm"), {"client_secret": made["client_secret"]}, **key
    )
    assert (seen[0], "metadata" in seen[1], "customer" in seen[1]) == (200, False, False)
    assert (await post(shop, path, **VISA))["status"] == "succeeded"


async def test_the_payer_acts_and_the_callback_ends_it(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    one.bank.script[Operation.SETUP] = ["act"]
    waits = await setup(shop, customer=who, return_url="https://shop.example/back", **NOW)
    assert (waits["status"], waits["next_action"]) == ("requires_action", {
        "type": "redirect_to_url",
        "redirect_to_url": {"url": "https://bank/act", "return_url": "https://shop.example/back"},
    })  # fmt: skip
    assert await cards_of(shop, who) == []
    done = one.bank.decide(waits["latest_attempt"], "approve")
    for _ in range(2):
        await tell(one, waits["latest_attempt"], done)
    now = await get(shop, f"{SETUPS}/{waits['id']}")
    (kept,) = await cards_of(shop, who)
    assert (now["status"], now["payment_method"], now["next_action"]) == (
        "succeeded", kept["id"], None,
    )  # fmt: skip
    await sound(one)


@pytest.mark.parametrize("word", ["lost", "never", "wrong", "currency", "missing"])
async def test_an_unknown_ends_by_asking_and_once(shop: Site, word: str) -> None:
    one, who = shop.nodes[0], await ann(shop)
    one.bank.script[Operation.SETUP] = [word]
    unsure = await setup(shop, customer=who, **NOW)
    assert (unsure["status"], await cards_of(shop, who)) == ("processing", [])
    code = await refusal(shop, {}, f"{SETUPS}/{unsure['id']}/cancel")
    assert code == (400, "setup_intent_unexpected_state", "")
    if word == "never":
        one.bank.carry_out(
            Instruction(Operation.SETUP, unsure["latest_attempt"], 0, "XXX"), "approve"
        )
    for _ in range(2):
        await resolve(one, unsure["latest_attempt"])
    now = await get(shop, f"{SETUPS}/{unsure['id']}")
    assert now["status"] == "succeeded"
    assert [each["id"] for each in await cards_of(shop, who)] == [now["payment_method"]]
    await sound(one)


async def test_a_success_after_a_no_is_put_before_a_person(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    one.bank.script[Operation.SETUP] = ["decline"]
    _, said = await shop.ask("POST", SETUPS, {"customer": who, **NOW, "location[country]": "DE"})
    intent = said["error"]["setup_intent"]
    await tell(one, intent["latest_attempt"], one.bank.decide(intent["latest_attempt"], "approve"))
    now = await get(shop, f"{SETUPS}/{intent['id']}")
    assert (now["status"], await cards_of(shop, who)) == ("requires_payment_method", [])
    assert (await events(shop, intent["id"]))[-1] == ("bailiwick.late_setup", 3)
    sql = await asyncpg.connect(one.dsn)
    assert await reviews(sql) == {"late_setup"}
    await sql.close()


# Given up


async def test_what_nobody_has_begun_is_closed_at_once(shop: Site) -> None:
    for given in ({}, VISA):
        made = await setup(shop, **given)
        path = f"{SETUPS}/{made['id']}/cancel"
        gone = await post(shop, path, cancellation_reason="abandoned")
        assert (gone["status"], gone["cancellation_reason"]) == ("canceled", "abandoned")
        assert await refusal(shop, {}, path) == (400, "setup_intent_unexpected_state", "")
        assert (await events(shop, made["id"]))[-1] == ("setup_intent.canceled", 2)
    assert shop.nodes[0].bank.calls == []


async def test_what_waits_for_the_payer_is_given_up_at_the_provider(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    one.bank.script[Operation.SETUP] = ["act"]
    waits = await setup(shop, customer=who, **NOW, **AGREED)
    gone = await post(shop, f"{SETUPS}/{waits['id']}/cancel")
    assert (gone["status"], gone["next_action"]) == ("canceled", None)
    (void,) = asked(one, Operation.VOID)
    assert (void.provider_ref, void.amount, void.currency) == (
        f"b_{waits['latest_attempt']}", 0, "XXX",
    )  # fmt: skip
    assert await cards_of(shop, who) == []
    await sound(one)


async def test_a_cancellation_that_is_refused_leaves_it_as_it_was(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    one.bank.script[Operation.SETUP] = ["act"]
    one.bank.script[Operation.VOID] = ["decline"]
    waits = await setup(shop, customer=who, **NOW)
    status, said = await shop.ask("POST", f"{SETUPS}/{waits['id']}/cancel")
    assert (status, said["error"]["setup_intent"]["status"]) == (400, "processing")
    one.bank.decide(waits["latest_attempt"], "approve")
    await resolve(one, waits["latest_attempt"])
    now = await get(shop, f"{SETUPS}/{waits['id']}")
    assert now["status"] == "succeeded" and len(await cards_of(shop, who)) == 1
    await sound(one)


async def test_an_unknown_cancellation_ends_by_asking(shop: Site) -> None:
    one = shop.nodes[0]
    one.bank.script[Operation.SETUP] = ["act"]
    one.bank.script[Operation.VOID] = ["lost"]
    waits = await setup(shop, **NOW)
    unsure = await post(shop, f"{SETUPS}/{waits['id']}/cancel")
    assert unsure["status"] == "processing"
    (void,) = asked(one, Operation.VOID)
    await resolve(one, void.reference)
    assert (await get(shop, f"{SETUPS}/{waits['id']}"))["status"] == "canceled"
    await sound(one)


# Mandates


async def test_what_the_payer_agreed_to_is_a_mandate(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    done = await setup(shop, customer=who, **NOW, **AGREED)
    told = await get(shop, f"/v1/mandates/{done['mandate']}")
    assert told == {
        "id": done["mandate"],
        "object": "mandate",
        "customer_acceptance": {
            "accepted_at": 1790000000,
            "type": "online",
            "online": {"ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0 (Ann's)"},
        },
        "livemode": False,
        "multi_use": {},
        "on_behalf_of": None,
        "payment_method": done["payment_method"],
        "payment_method_details": {"card": {}, "type": "card"},
        "single_use": None,
        "status": "active",
        "type": "multi_use",
    }
    assert await events(shop, done["mandate"]) == [
        ("bailiwick.mandate.created", 1), ("mandate.updated", 2),
    ]  # fmt: skip
    wish = {"expand[0]": "payment_method"}
    assert (await get(shop, f"/v1/mandates/{done['mandate']}", **wish))["payment_method"]["id"]
    for key in ("sk_test_other", "sk_live_first"):
        assert (await shop.ask("GET", f"/v1/mandates/{done['mandate']}", key=key))[0] == 404
    await sound(one)


async def test_erasing_a_customer_erases_what_its_setups_keep(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    done = await setup(shop, customer=who, confirm="true", **BILLING, **AGREED)
    waits = await setup(shop, customer=who, **BILLING)
    assert (await shop.ask("DELETE", f"/v1/customers/{who}"))[0] == 200
    assert (await shop.ask("GET", f"/v1/mandates/{done['mandate']}"))[0] == 404
    sql = await asyncpg.connect(one.dsn)
    for text in ("Ann B.", "ann@example.com", "192.0.2.7", "Mozilla/5.0"):
        for query in (
            "SELECT count(*) FROM record WHERE details LIKE '%' || $1 || '%'",
            (
                "SELECT count(*) FROM personal_event WHERE body || coalesce(answer, '')"
                " LIKE '%' || $1 || '%'"
            ),
            (
                "SELECT count(*) FROM event WHERE concat(body, content, instruction, answer_body)"
                " LIKE '%' || $1 || '%'"
            ),
        ):
            assert await sql.fetchval(query, text) == 0, (text, query)
    await sql.close()
    assert await refusal(shop, {}, f"{SETUPS}/{waits['id']}/confirm") == (
        400, "resource_missing", "customer",
    )  # fmt: skip
    await sound(one)


@pytest.mark.parametrize("what", ["erased", "detached", "changed"])
async def test_what_happens_meanwhile_is_kept(shop: Site, what: str) -> None:
    """A payment method that is changed while its provider is asked keeps the change; one that is
    gone comes not back."""
    one, who = shop.nodes[0], await ann(shop)
    card = (await attached(shop, who))["id"]
    gate = one.bank.hold_back()
    asking = asyncio.ensure_future(setup(shop, customer=who, payment_method=card, confirm="true"))
    await until(lambda: bool(one.bank.calls))
    if what == "erased":
        assert (await shop.ask("DELETE", f"/v1/customers/{who}"))[0] == 200
    elif what == "detached":
        await post(shop, f"/v1/payment_methods/{card}/detach")
    else:
        await post(shop, f"/v1/payment_methods/{card}", **{"metadata[a]": "1"})
    gate.set()
    assert (await asking)["status"] == "succeeded"
    if what == "changed":
        (kept,) = await cards_of(shop, who)
        assert kept["metadata"] == {"a": "1"}
        assert (await events(shop, card))[-1] == ("bailiwick.payment_method.set_up", 4)
    else:
        assert (await get(shop, f"/v1/payment_methods/{card}"))["customer"] is None
    await sound(one)


async def test_a_record_that_changes_while_it_is_written_is_read_again(shop: Site) -> None:
    one, who = shop.nodes[0], await ann(shop)
    card = (await attached(shop, who))["id"]
    gate = one.bank.hold_back()
    asking = asyncio.ensure_future(setup(shop, customer=who, payment_method=card, confirm="true"))
    await until(lambda: bool(one.bank.calls))
    sql, see = await asyncpg.connect(one.dsn), await asyncpg.connect(one.dsn)
    try:
        async with sql.transaction():
            await sql.fetch("SELECT FROM record WHERE id = $1 FOR UPDATE", card)
            gate.set()
            await until(lambda: _waits(see))
            body = await sql.fetchval("SELECT body FROM personal_event WHERE subject = $1", card)
            await sql.execute(
                "UPDATE record SET version = version + 1,"
                " details = replace(details, '\"metadata\":{}', '\"metadata\":{\"b\":\"2\"}')"
                " WHERE id = $1", card)  # fmt: skip
            await sql.execute(
                "INSERT INTO event (id, subject, seq, merchant, livemode, type, writer, created_ms)"
                " VALUES ($1, $2, 3, 'acct_1', false, 'payment_method.updated', 1, 1)",
                new_id("evt", 1, 1), card)  # fmt: skip
            await sql.execute("INSERT INTO personal_event VALUES ($1, 3, $2)", card, body)
        assert (await asking)["status"] == "succeeded"
    finally:
        await sql.close()
        await see.close()
    (kept,) = await cards_of(shop, who)
    assert kept["metadata"] == {"b": "2"}, "nothing is overwritten"
    assert (await events(shop, card))[-1] == ("bailiwick.payment_method.set_up", 4)
    await sound(one)


async def _waits(sql: asyncpg.Connection) -> bool:
    return bool(
        await sql.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0"
        )
    )


# Edited, listed, refused


async def test_what_may_be_changed_and_when(shop: Site) -> None:
    who, other = await ann(shop), await ann(shop)
    made = await setup(shop)
    path = f"{SETUPS}/{made['id']}"
    changed = await post(shop, path, customer=who, description="x", **VISA, **{"metadata[a]": "1"})
    card = changed["payment_method"]
    assert (changed["status"], changed["customer"], changed["metadata"]) == (
        "requires_confirmation", who, {"a": "1"},
    )  # fmt: skip
    assert await refusal(shop, {"customer": other}, path) == (
        400, "resource_missing", "payment_method",
    )  # fmt: skip
    bare = await post(shop, path, payment_method="")
    assert (bare["status"], bare["payment_method"]) == ("requires_payment_method", None)
    again = await post(shop, path, payment_method=card)
    assert (again["status"], again["payment_method"]) == ("requires_confirmation", card)
    assert await refusal(shop, {"payment_method_types[0]": "wallet"}, path) == (
        400, "parameter_invalid", "payment_method_types",
    )  # fmt: skip
    await post(shop, f"{path}/confirm")
    assert (await post(shop, path, description="later"))["description"] == "later"
    assert await refusal(shop, VISA, path) == (
        400, "setup_intent_unexpected_state", "payment_method",
    )  # fmt: skip
    assert await refusal(shop, {"customer": ""}, path) == (
        400, "setup_intent_unexpected_state", "customer",
    )  # fmt: skip
    assert await refusal(shop, {}, f"{path}/confirm") == (400, "setup_intent_unexpected_state", "")
    await sound(shop.nodes[0])


async def test_lists_go_by_customer_and_payment_method(shop: Site) -> None:
    who = await ann(shop)
    first = await setup(shop, customer=who, **NOW)
    second = await setup(shop, customer=who)
    third = await setup(shop)
    ids = [each["id"] for each in (third, second, first)]
    assert await shop.walk(SETUPS, limit=1) == ids
    assert await shop.walk(SETUPS, limit=1, cursor="ending_before", ending_before=ids[-1]) == (
        [ids[1], ids[0]]
    )
    assert await shop.walk(SETUPS, customer=who) == ids[1:]
    assert await shop.walk(SETUPS, payment_method=first["payment_method"]) == ids[2:]
    assert (await shop.ask("GET", SETUPS, key="sk_test_other"))[1]["data"] == []


async def test_others_see_nothing_and_what_is_expanded_is_read(shop: Site) -> None:
    who = await ann(shop)
    done = await setup(shop, customer=who, **NOW)
    path = f"{SETUPS}/{done['id']}"
    for key in ("sk_test_other", "sk_live_first"):
        assert (await shop.ask("GET", path, key=key))[0] == 404
        assert (await shop.ask("POST", f"{path}/cancel", key=key))[0] == 404
    wish = {"expand[0]": "customer", "expand[1]": "payment_method", "expand[2]": "mandate"}
    shown = await get(shop, path, **wish)
    assert (shown["customer"]["name"], shown["payment_method"]["object"], shown["mandate"]) == (
        "Ann", "payment_method", None,
    )  # fmt: skip
    more = await setup(shop, customer=who, **NOW, **{"expand[0]": "payment_method.customer"})
    assert more["payment_method"]["customer"]["name"] == "Ann"
    listed = await get(shop, SETUPS, **{"expand[0]": "data.payment_method"})
    assert {each["payment_method"]["object"] for each in listed["data"]} == {"payment_method"}


async def test_what_is_not_theirs_or_not_done_is_refused_by_name(shop: Site) -> None:
    who, other = await ann(shop), await ann(shop)
    others = (await attached(shop, other))["id"]
    absent = (400, "resource_missing", "customer")
    for given in ("cus_1", new_id("cus", 1, 1)):
        assert await refusal(shop, {"customer": given, **NOW}) == absent
    assert await refusal(shop, {"customer": who, "payment_method": others}) == (
        400, "resource_missing", "payment_method",
    )  # fmt: skip
    assert await refusal(shop, {"payment_method": others}) == (
        400, "parameter_missing", "customer",
    )  # fmt: skip
    assert await refusal(shop, {**IN, "customer": who}) == (400, "customer_elsewhere", "customer")
    assert await refusal(shop, {"confirm": "true"}) == (
        400, "setup_intent_unexpected_state", "payment_method",
    )  # fmt: skip
    for name, value in {
        "single_use[amount]": "1", "attach_to_self": "true", "flow_directions[0]": "inbound",
        "on_behalf_of": "acct_2", "confirmation_token": "ctoken_1", "customer_account": "acct_3",
        "payment_method_configuration": "pmc_1", "excluded_payment_method_types[0]": "card",
    }.items():  # fmt: skip
        param = name.partition("[")[0]
        assert await refusal(shop, {name: value}) == (400, "parameter_unsupported", param)
    for name, value in {
        "payment_method_options[card][moto]": "true", "usage": "never",
    }.items():  # fmt: skip
        assert (await refusal(shop, {name: value}))[0] == 400
    assert await refusal(shop, AGREED) == (400, "parameter_invalid", "mandate_data")
    half = {k: v for k, v in AGREED.items() if "[online]" not in k}
    assert await refusal(shop, {**NOW, **half}) == (
        400, "parameter_missing", "mandate_data[customer_acceptance][online]",
    )  # fmt: skip
    automatic = {"automatic_payment_methods[enabled]": "true"}
    assert await refusal(shop, {**NOW, **automatic}) == (400, "parameter_missing", "return_url")
    assert await refusal(shop, {**NOW, "payment_method_types[0]": "wallet"}) == (
        400, "payment_method_unsupported", "payment_method_types",
    )  # fmt: skip
    assert shop.nodes[0].bank.calls == []


async def test_a_gateway_that_cannot_set_up_is_passed_over(shop: Site) -> None:
    one = shop.nodes[0]
    plain = Bank("plain", priority=1)
    ways = {op: how for op, how in plain.profile.resolve.items() if op is not Operation.SETUP}
    plain.profile = replace(plain.profile, resolve=ways)
    able = Bank("able", priority=2)
    one.use(Banks(plain, able))
    done = await setup(shop, **NOW)
    assert done["status"] == "succeeded" and plain.calls == []
    assert [each.operation for each in able.calls] == [Operation.SETUP]
    assert done["routing"]["considered"][1]["reason"] == (
        "cannot set up payment methods without a payment"
    )
    able.usage = "closed"
    assert await refusal(shop, NOW) == (503, "no_gateway", "")


@pytest.mark.parametrize(
    ("plant", "seen"),
    [
        ("UPDATE setup SET version = version + 1", "setups_told"),
        ("UPDATE setup SET attempts = 2", "setups_told"),
        ("UPDATE attempt SET amount = 1 WHERE subject LIKE 'seti%'", "setups_told"),
        ("UPDATE setup SET state = 'requires_payment_method'", "setups_follow_attempts"),
        ("UPDATE setup SET state = 'processing'", "setups_follow_attempts"),
        ("UPDATE attempt SET state = 'declined'", "setups_follow_attempts"),
        ("UPDATE setup SET open_attempt = setup_attempt", "setups_follow_attempts"),
        ("UPDATE record SET merchant = 'acct_2' WHERE id LIKE 'pm%'", "setups_keep_records"),
        (
            ("UPDATE record SET details = replace(details, '\"active\"', '\"pending\"')"
            " WHERE id LIKE 'mandate%'"),
            "setups_keep_records",
        ),
        (
            ("UPDATE record SET details = replace(details, '\"metadata\"',"
            " '\"setup\":\"x\",\"metadata\"') WHERE id LIKE 'pm%'"),
            "setups_keep_records",
        ),
        ("DELETE FROM setup", "tenants_match"),
        ("DELETE FROM idempotency_key WHERE object LIKE 'seti%'", "keys_claimed"),
    ],
    ids=["version", "attempts", "money", "undone", "stuck", "declined", "open", "merchant",
         "mandate", "unset", "parent", "key"],
)  # fmt: skip
async def test_the_checker_sees_what_is_wrong(shop: Site, plant: str, seen: str) -> None:
    one = shop.nodes[0]
    await setup(shop, customer=await ann(shop), **NOW, **AGREED)
    await sound(one)
    sql = await asyncpg.connect(one.dsn)
    await sql.execute(plant)
    await sql.close()
    assert seen in await broken(one)


def test_every_state_is_a_word_of_the_database() -> None:
    text = dict(migrations())["0017_setups"]
    assert all(f"'{state.value}'" in text for state in State)


async def test_who_pays_by_a_token_is_kept_and_nothing_is_dropped(shop: Site) -> None:
    """What comes beside a token says who pays by it; beside a method that is saved, nothing may."""
    who = await ann(shop)
    billing = {name: value for name, value in BILLING.items() if "[card]" not in name}
    made = await setup(shop, customer=who, **NOW, **billing)
    (kept,) = await cards_of(shop, who)
    assert kept["billing_details"]["name"] == "Ann B."
    for both in ({**NOW, **BILLING}, {**NOW, "payment_method": made["payment_method"], **billing}):
        said = await refusal(shop, {"customer": who, **both})
        assert said[::2] == (400, "payment_method_data")


async def test_a_strict_place_s_setup_is_read_in_its_region(
    server_dsn: str, tmp_path: Path
) -> None:
    async with site(server_dsn, tmp_path, ("europe", "apac"), region="apac") as it:
        _, strict = await it.ask("POST", SETUPS, {"location[country]": "DE"}, at=it.nodes[0])
        _, free = await it.ask("POST", SETUPS, {"location[country]": "BR"})
        status, said = await it.ask("GET", f"{SETUPS}/{strict['id']}")
        assert (status, said["error"]["code"]) == (421, "wrong_region")
        assert await it.ask("GET", f"{SETUPS}/{free['id']}") == (200, free)
