"""Charges over whole nodes: lists, what is noted on one of them, what is refused by name."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick.base.ids import new_id, node_of
from bailiwick.channels.contract import Operation
from tests.postgres.lists_kit import Site, site
from tests.postgres.test_lists import PAID, customer, pay

PATH = "/v1/charges"


@pytest.fixture
async def three(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """Three nodes."""
    async with site(server_dsn, tmp_path, ("europe", "apac", "americas")) as made:
        yield made


@pytest.fixture
async def one(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    """One node."""
    async with site(server_dsn, tmp_path, ("europe",)) as made:
        yield made


async def tried(it: Site, declines: int, place: str = "DE") -> tuple[str, list[str]]:
    """A payment that was declined so often before it was taken; it and its charges."""
    made = await pay(it, **{"location[country]": place})
    node = next(each for each in it.nodes if each.name == made["node"])
    node.bank.script[Operation.CHARGE] = ["decline"] * declines
    charges = []
    for at in range(declines + 1):
        path = f"/v1/payment_intents/{made['id']}/confirm"
        status, said = await it.ask("POST", path, {"payment_method": "pm_card_visa"})
        assert status == (402 if at < declines else 200), said
        intent = said["error"]["payment_intent"] if status == 402 else said
        charges.append(intent["latest_charge"])
    return made["id"], charges


async def test_every_charge_comes_once(three: Site) -> None:
    made: list[str] = []
    for at, place in enumerate(["DE", "IN", "US", "DE", "IN", "DE"]):
        made += (await tried(three, at % 3, place))[1]
        await pay(three)  # without a charge
    made.sort(reverse=True)
    assert len(made) == 12 and len(set(made)) == 12
    for limit in (1, 2, 5, 100):
        assert await three.walk(PATH, limit=limit) == made
        assert (
            await three.walk(PATH, "ending_before", limit=limit, ending_before=made[-1])
            == (made[-2::-1])
        )
        assert await three.walk(PATH, limit=limit, partial="allow") == made
    for cursor in made:  # also between the charges of one payment
        status, page = await three.ask("GET", PATH, {"starting_after": cursor, "limit": 100})
        assert status == 200
        assert [each["id"] for each in page["data"]] == made[made.index(cursor) + 1 :]
    assert await three.walk(PATH, limit=5, at=three.nodes[0]) == [
        each for each in made if node_of(each) == three.nodes[0].number
    ]
    _, page = await three.ask("GET", PATH, {"limit": 100})
    for each in page["data"]:
        assert each == (await three.ask("GET", f"{PATH}/{each['id']}"))[1]
    assert {each["status"] for each in page["data"]} == {"succeeded", "failed"}


async def test_filters(three: Site) -> None:
    payment, charges = await tried(three, 2)
    who = await customer(three, "IN")
    mine = await pay(three, **PAID, customer=who, **{"location[country]": "IN"})
    for wish, found in (
        ({"payment_intent": payment}, charges[::-1]),
        ({"payment_intent": payment, "limit": 1}, charges[::-1]),
        ({"customer": who}, [mine["latest_charge"]]),
        ({"customer": who, "payment_intent": payment}, []),
        ({"customer": "cus_2"}, []),
        ({"created[gte]": mine["created"]}, None),
        ({"created[lt]": mine["created"] - 600}, []),
    ):  # fmt: skip
        walked = await three.walk(PATH, **wish)
        assert walked == sorted(walked if found is None else found, reverse=True), wish
    back = await three.walk(PATH, "ending_before", ending_before=charges[0], payment_intent=payment)
    assert back == [each for each in sorted(charges) if each > charges[0]]
    status, page = await three.ask("GET", PATH, {"expand[]": "data.payment_intent", "limit": 1})
    assert page["data"][0]["payment_intent"]["id"] == mine["id"]
    for wish, code, param in (
        ({"payment_intent": new_id("pi", 1, 1_700_000_000_000)}, 404, "payment_intent"),
        ({"payment_intent": charges[0]}, 404, "payment_intent"),
        ({"starting_after": payment}, 400, "starting_after"),
        ({"starting_after": new_id("ch", 1, 1)}, 400, "starting_after"),
        ({"transfer_group": "x"}, 400, "transfer_group"),
        ({"expand[]": "data.refunds"}, 400, "expand"),
    ):  # fmt: skip
        status, said = await three.ask("GET", PATH, wish)
        assert (status, said["error"]["param"]) == (code, param), wish
    assert await three.walk(PATH) != []
    for key in ("sk_test_other", "sk_live_first"):
        status, page = await three.ask("GET", PATH, key=key)
        assert (status, page["data"]) == (200, [])


ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")
NOTES = {
    "description": "third try", "receipt_email": "payer@example.com", "metadata[order]": "9",
    "shipping[name]": "A. Payer", "shipping[address][line1]": "Street 1",
}  # fmt: skip


async def test_an_update_is_one_move_of_the_payment(three: Site) -> None:
    payment, (first, last) = await tried(three, 1, "IN")
    path = f"/v1/payment_intents/{payment}"
    await three.ask("POST", path, {"metadata[a]": "1", "description": "of the payment"})
    before = (await three.ask("GET", path))[1]
    events = await three.walk("/v1/events", limit=100)
    headers = {"idempotency-key": "note-1"}
    status, noted = await three.ask("POST", f"{PATH}/{first}", NOTES, headers=headers)
    assert status == 200, noted
    assert noted["object"] == "charge" and noted["id"] == first and noted["status"] == "failed"
    assert noted["metadata"] == {"a": "1", "order": "9"}
    assert (noted["description"], noted["receipt_email"]) == ("third try", "payer@example.com")
    assert noted["shipping"]["address"] == dict.fromkeys(ADDRESS) | {"line1": "Street 1"}
    assert (await three.ask("GET", f"{PATH}/{first}"))[1] == noted
    again = await three.ask("POST", f"{PATH}/{first}", NOTES, headers=headers)
    assert again == (200, noted), "replayed"
    status, other = await three.ask("POST", f"{PATH}/{last}", NOTES, headers=headers)
    assert (status, other["error"]["type"]) == (400, "idempotency_error")
    _, page = await three.ask("GET", "/v1/events", {"limit": 100})
    new = [each for each in page["data"] if each["id"] not in events]
    assert [each["type"] for each in new] == ["charge.updated"]
    assert new[0]["data"]["object"] == noted and new[0]["payment"] == payment
    assert (await three.ask("GET", path))[1] == before, "the payment says what it said"
    assert (await three.ask("GET", f"{PATH}/{last}"))[1]["description"] == "of the payment"
    # Its own from now on; what was not noted still follows the payment.
    await three.ask("POST", path, {"metadata[b]": "2", "description": "changed"})
    assert (await three.ask("GET", f"{PATH}/{first}"))[1] == noted
    wish = {"metadata": "", "description": "", "expand[]": "payment_intent"}
    status, noted = await three.ask("POST", f"{PATH}/{first}", wish)
    assert (status, noted["metadata"], noted["description"]) == (200, {}, None)
    assert noted["payment_intent"]["metadata"] == {"a": "1", "b": "2"}
    assert noted["receipt_email"] == "payer@example.com"


async def test_what_is_refused(one: Site) -> None:
    _payment, charges = await tried(one, 0)
    path = f"{PATH}/{charges[0]}"
    for wish, param, said in (
        ({"customer": "cus_1"}, "customer", "update the PaymentIntent"),
        ({"fraud_details[user_report]": "fraudulent"}, "fraud_details", "report it"),
        ({"transfer_group": "g"}, "transfer_group", "no transfers"),
        ({"amount": "5"}, "amount", "unknown"),
    ):  # fmt: skip
        status, body = await one.ask("POST", path, wish)
        assert (status, body["error"]["param"]) == (400, param)
        assert said in body["error"]["message"]
    for at in (None, one.nodes[0]):
        for key, code in (("sk_test_first", 400), ("sk_test_nobody", 401)):
            status, body = await one.ask("POST", PATH, {"amount": 5}, at=at, key=key)
            assert status == code
            status, body = await one.ask("POST", f"{path}/capture", at=at, key=key)
            assert status == code
        status, body = await one.ask("POST", PATH, {"amount": 5, "source": "tok_visa"}, at=at)
        assert "create a PaymentIntent" in body["error"]["message"]
        status, body = await one.ask("POST", f"{path}/capture", at=at)
        assert "/v1/payment_intents/{id}/capture" in body["error"]["message"]
    assert (await one.ask("POST", path, NOTES, key="sk_test_other"))[0] == 404
    assert (await one.ask("POST", f"{PATH}/{new_id('ch', 1, 1)}", NOTES))[0] == 404
    assert len(await one.walk("/v1/events")) == 4, "nothing was noted"


async def test_so_many_charges_may_have_notes(one: Site) -> None:
    _payment, charges = await tried(one, 10)
    said: list[Any] = [await one.ask("POST", f"{PATH}/{each}", NOTES) for each in charges]
    assert [status for status, _ in said] == [200] * 10 + [400]
    assert "At most 10 charges" in said[-1][1]["error"]["message"]
    assert (await one.ask("POST", f"{PATH}/{charges[3]}", {"description": "more"}))[0] == 200
