"""The stock Python SDK as a client: only its key and its address are ours.

What an answer claims is compared with the books of the providers, not with itself.
"""

import base64
import hashlib
import importlib.metadata
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stripe

from tests.interop.conftest import Demo
from tests.interop.kit import Books, call, until


def order(**changes: Any) -> Any:
    """A payment of 19.99 EUR by a payer in Germany, confirmed at once."""
    return {
        "amount": 1999,
        "currency": "eur",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "location": {"country": "DE"},
        **changes,
    }


def pay(client: stripe.StripeClient, **changes: Any) -> stripe.PaymentIntent:
    return client.v1.payment_intents.create(order(**changes))


def charge_of(books: Books, payment: stripe.PaymentIntent) -> dict[str, Any]:
    assert isinstance(payment.latest_charge, str)
    return books.charge(payment.latest_charge)


def test_the_installed_sdk_is_the_published_one() -> None:
    distribution = importlib.metadata.distribution("stripe")
    listed = distribution.files
    assert listed is not None
    known = set()
    for file in listed:
        if file.hash is None:
            continue
        path = Path(str(file.locate()))
        known.add(path.resolve())
        digest = hashlib.new(file.hash.mode, path.read_bytes()).digest()
        found = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        assert found == file.hash.value, f"{file} was changed"
    assert len(known) > 1000
    package = Path(stripe.__file__).parent
    assert not {file.resolve() for file in package.rglob("*.py")} - known, "files were added"


# --- create, confirm, capture, cancel --------------------------------------------------------


@pytest.mark.parametrize(
    ("country", "currency", "node"),
    [("DE", "eur", "europe"), ("IN", "inr", "apac"), ("BR", "brl", "americas")],
)
def test_create_and_confirm_at_once(
    client: stripe.StripeClient, books: Books, country: str, currency: str, node: str
) -> None:
    paid = pay(client, currency=currency, location={"country": country}, metadata={"a b": "ü&="})
    assert isinstance(paid, stripe.PaymentIntent)
    assert (paid.status, paid.amount_received, paid.amount_capturable) == ("succeeded", 1999, 0)
    assert paid.metadata.to_dict() == {"a b": "ü&="}
    assert paid["node"] == node
    assert paid["location"]["country"] == country
    row = charge_of(books, paid)
    assert row["provider"] == paid["routing"]["gateway"]
    assert (row["status"], row["amount"], row["amount_captured"]) == ("captured", 1999, 1999)
    assert row["currency"].lower() == currency


def test_create_then_confirm(client: stripe.StripeClient, books: Books) -> None:
    intents = client.v1.payment_intents
    point = {"coordinates": "48.137,11.575"}
    asked: Any = {"amount": 700, "currency": "usd", "location": point}
    created = intents.create(asked)
    assert (created.status, created.latest_charge) == ("requires_payment_method", None)
    assert created["location"]["source"] == "coordinates"
    changed = intents.update(created.id, {"amount": 800, "metadata": {"order": "7"}})
    assert (changed.amount, changed.metadata.to_dict()) == (800, {"order": "7"})
    confirmed = intents.confirm(created.id, {"payment_method": "pm_card_mastercard"})
    assert (confirmed.id, confirmed.status) == (created.id, "succeeded")
    row = charge_of(books, confirmed)
    assert (row["source"], row["amount_captured"]) == ("pm_card_mastercard", 800)
    again = intents.retrieve(created.id)
    assert again.to_dict() == confirmed.to_dict()
    with pytest.raises(stripe.InvalidRequestError) as refused:
        intents.confirm(created.id, {"payment_method": "pm_card_visa"})
    assert refused.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(("asked", "taken"), [(None, 1999), (1250, 1250)])
def test_manual_capture(
    client: stripe.StripeClient, books: Books, asked: int | None, taken: int
) -> None:
    held = pay(client, capture_method="manual")
    assert (held.status, held.amount_capturable, held.amount_received) == (
        "requires_capture",
        1999,
        0,
    )
    assert charge_of(books, held)["status"] == "authorized"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.capture(held.id, {"amount_to_capture": 2000})
    assert refused.value.param == "amount_to_capture"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.capture(held.id, {"final_capture": False})
    assert refused.value.param == "final_capture"
    wish: Any = {"metadata": {"picked": "yes"}}
    done = client.v1.payment_intents.capture(
        held.id, wish if asked is None else {**wish, "amount_to_capture": asked}
    )
    assert done.metadata["picked"] == "yes"
    assert (done.status, done.amount_received, done.amount_capturable) == ("succeeded", taken, 0)
    row = charge_of(books, done)
    assert (row["status"], row["amount_captured"]) == ("captured", taken)
    assert [capture["amount"] for capture in row["captures"]] == [taken]


def test_cancel_before_confirmation(client: stripe.StripeClient, books: Books) -> None:
    mark = uuid.uuid4().hex
    created = pay(client, confirm=False, description=mark)
    assert created.status == "requires_confirmation"
    gone = client.v1.payment_intents.cancel(created.id, {"cancellation_reason": "abandoned"})
    assert (gone.status, gone.cancellation_reason) == ("canceled", "abandoned")
    assert gone.canceled_at is not None
    assert books.having(description=mark) == []


def test_cancel_of_held_money_is_a_void(client: stripe.StripeClient, books: Books) -> None:
    held = pay(client, capture_method="manual")
    gone = client.v1.payment_intents.cancel(held.id)
    assert (gone.status, gone.amount_capturable) == ("canceled", 0)
    row = charge_of(books, held)
    assert (row["status"], len(row["voids"]), row["captures"]) == ("voided", 1, [])
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.capture(held.id)


# --- refunds ---------------------------------------------------------------------------------


def test_refunds(client: stripe.StripeClient, books: Books) -> None:
    paid = pay(client)
    assert isinstance(paid.latest_charge, str)
    part = client.v1.refunds.create(
        {"payment_intent": paid.id, "amount": 500, "reason": "duplicate", "metadata": {"n": "1"}}
    )
    assert isinstance(part, stripe.Refund)
    assert (part.status, part.amount, part.reason) == ("succeeded", 500, "duplicate")
    assert (part.payment_intent, part.charge) == (paid.id, paid.latest_charge)
    with pytest.raises(stripe.InvalidRequestError) as over:
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 1500})
    assert (over.value.param, over.value.http_status) == ("amount", 400)
    rest = client.v1.refunds.create({"charge": paid.latest_charge})
    assert rest.amount == 1499
    with pytest.raises(stripe.InvalidRequestError) as nothing:
        client.v1.refunds.create({"payment_intent": paid.id})
    assert nothing.value.code == "charge_already_refunded"
    row = charge_of(books, paid)
    assert sorted(each["amount"] for each in row["refunds"]) == [500, 1499]
    assert row["amount_refunded"] == 1999
    charge = client.v1.charges.retrieve(paid.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (1999, True)
    assert client.v1.refunds.retrieve(part.id).to_dict()["metadata"] == {"n": "1"}
    changed = client.v1.refunds.update(part.id, {"metadata": {"n": "2"}})
    assert changed.to_dict()["metadata"] == {"n": "2"}


def test_fifty_refunds_at_once_give_back_no_more_than_was_taken(
    client: stripe.StripeClient, books: Books
) -> None:
    paid = pay(client, amount=5000)

    def refund(_: int) -> str:
        try:
            made = client.v1.refunds.create({"payment_intent": paid.id, "amount": 300})
        except stripe.InvalidRequestError as error:
            return str(error.code)
        return str(made.status)

    with ThreadPoolExecutor(50) as pool:
        answers = Counter(pool.map(refund, range(50)))
    assert answers["succeeded"] == 16
    assert answers["amount_too_large"] == 34
    row = charge_of(books, paid)
    assert (row["amount_refunded"], len(row["refunds"])) == (4800, 16)


def test_refunds_that_end_later(client: stripe.StripeClient, books: Books) -> None:
    paid = pay(client, payment_method="pm_card_pendingRefund")
    made = client.v1.refunds.create({"payment_intent": paid.id})
    assert made.status == "pending"
    until(lambda: client.v1.refunds.retrieve(made.id).status == "succeeded")

    paid = pay(client, payment_method="pm_card_refundFail")
    made = client.v1.refunds.create({"payment_intent": paid.id})
    failed = until(
        lambda: [each for each in [client.v1.refunds.retrieve(made.id)] if each.status == "failed"]
    )
    assert failed[0].failure_reason
    (row,) = charge_of(books, paid)["refunds"]
    assert row["status"] == "failed"


# --- one key, one effect ---------------------------------------------------------------------


def test_the_same_key_is_answered_byte_for_byte(
    client: stripe.StripeClient, books: Books, demo: Demo
) -> None:
    key, mark = uuid.uuid4().hex, uuid.uuid4().hex
    asked = order(description=mark)
    first, second = (
        client.v1.payment_intents.create(asked, {"idempotency_key": key}) for _ in range(2)
    )
    assert first.last_response is not None
    assert second.last_response is not None
    assert second.last_response.body == first.last_response.body
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert second.last_response.headers["Idempotent-Replayed"] == "true"
    # A later change of the payment does not change what the key is told; nor does the entrance.
    client.v1.refunds.create({"payment_intent": first.id})
    form = [
        ("amount", "1999"),
        ("currency", "eur"),
        ("confirm", "true"),
        ("payment_method", "pm_card_visa"),
        ("location[country]", "DE"),
        ("description", mark),
    ]
    for access in demo["access"]:
        url = access["url"] + "/v1/payment_intents"
        raw = call("POST", url, demo["secret_key"], form, {"Idempotency-Key": key})
        assert raw.status == 200
        assert raw.body.decode() == first.last_response.body
        assert raw.headers["idempotent-replayed"] == "true"
    assert len(books.having(description=mark)) == 1


def test_a_key_with_another_request_is_refused(client: stripe.StripeClient) -> None:
    key = uuid.uuid4().hex
    client.v1.payment_intents.create(order(), {"idempotency_key": key})
    with pytest.raises(stripe.IdempotencyError) as refused:
        client.v1.payment_intents.create(order(amount=2000), {"idempotency_key": key})
    assert refused.value.http_status == 400
    assert refused.value.request_id
    assert refused.value.headers is not None
    assert refused.value.headers["Stripe-Should-Retry"] == "false"


def test_a_declined_key_stays_declined(client: stripe.StripeClient, books: Books) -> None:
    key, mark = uuid.uuid4().hex, uuid.uuid4().hex
    asked = order(payment_method="pm_card_visa_chargeDeclined", description=mark)
    bodies = []
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            client.v1.payment_intents.create(asked, {"idempotency_key": key})
        bodies.append(declined.value.http_body)
    assert bodies[0] == bodies[1]
    assert len(books.having(description=mark)) == 1


# --- what a payer may see, and what can be expanded -------------------------------------------


def test_the_client_secret_opens_one_payment(
    client: stripe.StripeClient, payer: stripe.StripeClient
) -> None:
    created = pay(client, confirm=False, metadata={"internal": "note"})
    secret = created.client_secret
    assert secret is not None
    intents = payer.v1.payment_intents
    seen = intents.retrieve(created.id, {"client_secret": secret})
    assert (seen.id, seen.status) == (created.id, "requires_confirmation")
    assert "internal" not in str(seen)
    wrong: list[Any] = [{}, {"client_secret": "no"}, {"client_secret": pay(client).client_secret}]
    for params in wrong:
        with pytest.raises(stripe.InvalidRequestError) as refused:
            intents.retrieve(created.id, params)
        assert refused.value.http_status == 404
    with pytest.raises(stripe.InvalidRequestError):
        intents.confirm(created.id, {"payment_method": "pm_card_visa"})
    proof: Any = {"client_secret": secret}
    paid = intents.confirm(created.id, proof)
    assert paid.status == "succeeded"
    assert "internal" not in str(paid)
    for forbidden in (
        lambda: intents.create(order()),
        lambda: intents.list(),
        lambda: intents.capture(created.id),
        lambda: payer.v1.refunds.create({"payment_intent": created.id}),
        lambda: payer.v1.events.list(),
    ):
        with pytest.raises(stripe.PermissionError) as denied:
            forbidden()
        assert denied.value.http_status == 403


def test_a_payer_uses_up_none_of_the_servers_keys(
    client: stripe.StripeClient, payer: stripe.StripeClient
) -> None:
    key = f"order-{uuid.uuid4()}"
    created = client.v1.payment_intents.create(
        {"amount": 1500, "currency": "eur", "location": {"country": "DE"}}
    )
    params: Any = {"payment_method": "pm_card_visa", "client_secret": created.client_secret}
    options: Any = {"idempotency_key": key}
    confirmed = payer.v1.payment_intents.confirm(created.id, params, options)
    assert confirmed.status == "succeeded"
    again = payer.v1.payment_intents.confirm(created.id, params, options)
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    other: Any = {
        "amount": 1600, "currency": "eur", "payment_method": "pm_card_visa", "confirm": True,
        "location": {"country": "DE"},
    }  # fmt: skip
    assert client.v1.payment_intents.create(other, options).status == "succeeded"


def test_expansion(client: stripe.StripeClient) -> None:
    paid = pay(client, expand=["latest_charge"])
    assert isinstance(paid.latest_charge, stripe.Charge)
    assert (paid.latest_charge.paid, paid.latest_charge.amount_captured) == (True, 1999)
    assert paid.latest_charge.payment_intent == paid.id
    read = client.v1.payment_intents.retrieve(paid.id, {"expand": ["latest_charge"]})
    assert isinstance(read.latest_charge, stripe.Charge)
    refund = client.v1.refunds.create(
        {"payment_intent": paid.id, "amount": 1, "expand": ["payment_intent", "charge"]}
    )
    for each in (
        refund,
        client.v1.refunds.retrieve(refund.id, {"expand": ["payment_intent", "charge"]}),
    ):
        assert isinstance(each.payment_intent, stripe.PaymentIntent)
        assert isinstance(each.charge, stripe.Charge)
        assert each.payment_intent.id == paid.id
        assert each.charge.amount_refunded == 1
    charge = client.v1.charges.retrieve(paid.latest_charge.id, {"expand": ["payment_intent"]})
    assert isinstance(charge.payment_intent, stripe.PaymentIntent)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.retrieve(paid.id, {"expand": ["latest_charge.everything"]})
    assert refused.value.param == "expand"


# --- the SDK's other styles --------------------------------------------------------------------


@pytest.fixture
def module(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "api_key", demo["secret_key"])
    monkeypatch.setattr(stripe, "api_base", demo["base_url"])


@pytest.mark.usefixtures("module")
def test_module_style(books: Books) -> None:
    held = stripe.PaymentIntent.create(**order(capture_method="manual"))
    assert held.capture(amount_to_capture=1000).amount_received == 1000
    refund = stripe.Refund.create(payment_intent=held.id, amount=400)
    assert refund.status == "succeeded"
    row = charge_of(books, stripe.PaymentIntent.retrieve(held.id))
    assert (row["amount_captured"], row["amount_refunded"]) == (1000, 400)
    created = stripe.PaymentIntent.create(**order(confirm=False))
    assert stripe.PaymentIntent.modify(created.id, description="new").description == "new"
    assert created.refresh().description == "new"
    assert created.confirm().status == "succeeded"
    assert stripe.PaymentIntent.cancel(pay_later().id).status == "canceled"
    assert stripe.PaymentIntent.list(limit=1).data[0].status == "canceled"


def pay_later() -> stripe.PaymentIntent:
    return stripe.PaymentIntent.create(**order(confirm=False))


async def test_asynchronous_style(demo: Demo, books: Books) -> None:
    http_client = stripe.AIOHTTPClient()
    client = stripe.StripeClient(
        demo["secret_key"], base_addresses={"api": demo["base_url"]}, http_client=http_client
    )
    try:
        intents = client.v1.payment_intents
        held = await intents.create_async(order(capture_method="manual"))
        done = await intents.capture_async(held.id, {"amount_to_capture": 900})
        assert (done.status, done.amount_received) == ("succeeded", 900)
        refund = await client.v1.refunds.create_async({"payment_intent": held.id})
        assert refund.amount == 900
        with pytest.raises(stripe.CardError):
            await intents.create_async(order(payment_method="pm_card_visa_chargeDeclined"))
        found = [
            each.id async for each in (await intents.list_async({"limit": 2})).auto_paging_iter()
        ]
        assert held.id in found
        assert charge_of(books, held)["amount_refunded"] == 900
    finally:
        await http_client.close_async()  # type: ignore[no-untyped-call]


def test_the_account_is_the_key_s_own(quiet: stripe.StripeClient) -> None:
    own = quiet.v1.accounts.retrieve_current()
    assert isinstance(own, stripe.Account) and own.charges_enabled
    assert quiet.v1.accounts.retrieve(own.id) == own
    with pytest.raises(stripe.PermissionError):
        quiet.v1.accounts.retrieve("acct_1ForeignForeign")
    with pytest.raises(stripe.InvalidRequestError, match="Stripe-Account"):
        quiet.v1.refunds.list(options={"stripe_account": own.id})
    with pytest.raises(stripe.InvalidRequestError, match="Invalid Stripe API version"):
        quiet.v1.refunds.list(options={"stripe_version": "2020-08-27"})
