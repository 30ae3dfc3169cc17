"""The stock Python SDK: customers and their payment methods, each where its place belongs."""

import uuid
from typing import Any

import pytest
import stripe

from bailiwick.base.ids import node_of
from tests.interop.conftest import Demo
from tests.interop.kit import Sink, until
from tests.interop.test_stripe_webhooks import genuine

VISA: Any = {"type": "card", "card": {"token": "pm_card_visa"}}


def person(**changes: Any) -> Any:
    return {
        "name": "Ann Example",
        "email": f"{uuid.uuid4().hex}@example.com",
        "address": {"line1": "Street 1", "city": "Berlin", "country": "DE"},
        "shipping": {"name": "Ann", "address": {"line1": "Street 2"}, "phone": "+49 30 1"},
        "preferred_locales": ["de", "en"],
        "metadata": {"order": "7"},
        "location": {"country": "DE"},
        **changes,
    }


@pytest.mark.parametrize(("country", "node"), [("DE", 2), ("IN", 1), ("BR", 3)])
def test_a_customer_s_life(quiet: stripe.StripeClient, demo: Demo, country: str, node: int) -> None:
    place = {"country": country}
    customers, methods = quiet.v1.customers, quiet.v1.payment_methods
    made = customers.create(person(location=place))
    assert isinstance(made, stripe.Customer) and made.address is not None
    assert (node_of(made.id), made.address.city, made.tax_exempt) == (node, "Berlin", "none")
    assert made.metadata is not None and made.metadata.to_dict() == {"order": "7"}
    assert customers.retrieve(made.id) == made
    assert made.email is not None
    assert [each.id for each in customers.list({"email": made.email})] == [made.id]

    cards = []
    for token in ("pm_card_visa", "tok_mastercard"):
        wish: Any = {"type": "card", "card": {"token": token}, "location": place}
        loose = methods.create(wish)
        cards.append(methods.attach(loose.id, {"customer": made.id}))
    visa, mastercard = cards
    assert visa.card is not None and mastercard.card is not None
    assert (visa.card.brand, visa.card.last4) == ("visa", "4242")
    assert visa.card.fingerprint != mastercard.card.fingerprint
    settings: Any = {"default_payment_method": visa.id}
    changed = customers.update(made.id, {"invoice_settings": settings, "phone": "+49 40 2"})
    assert changed.invoice_settings is not None
    assert changed.invoice_settings.default_payment_method == visa.id
    ids = [mastercard.id, visa.id]
    of_customer: Any = {"customer": made.id, "type": "card", "limit": 1}
    assert [each.id for each in methods.list(of_customer).auto_paging_iter()] == ids
    listed = customers.payment_methods.list(made.id, {"limit": 1})
    assert [each.id for each in listed.auto_paging_iter()] == ids
    assert customers.payment_methods.retrieve(made.id, visa.id).customer == made.id
    assert methods.update(visa.id, {"billing_details": {"name": "Ann"}}).billing_details.name
    assert methods.detach(visa.id).customer is None
    now = customers.retrieve(made.id, {"expand": ["invoice_settings.default_payment_method"]})
    assert now.invoice_settings is not None
    assert now.invoice_settings.default_payment_method is None

    gone = customers.delete(made.id)
    assert (gone.id, gone.deleted) == (made.id, True)
    assert customers.retrieve(made.id).to_dict() == gone.to_dict()
    assert methods.retrieve(mastercard.id).customer is None
    with pytest.raises(stripe.InvalidRequestError) as missing:
        customers.update(made.id, {"name": "B"})
    assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")


def test_customers_of_all_nodes_are_one_list(quiet: stripe.StripeClient) -> None:
    email = f"{uuid.uuid4().hex}@example.com"
    places = ("DE", "IN", "BR", "DE", "IN")
    made = [
        quiet.v1.customers.create(person(email=email, location={"country": country})).id
        for country in places
    ]
    wish: Any = {"email": email, "limit": 2}
    assert [each.id for each in quiet.v1.customers.list(wish).auto_paging_iter()] == made[::-1]


def test_the_same_key_makes_one(quiet: stripe.StripeClient) -> None:
    key: Any = {"idempotency_key": uuid.uuid4().hex}
    wish = person()
    first = quiet.v1.customers.create(wish, key)
    again = quiet.v1.customers.create(wish, key)
    assert again.last_response is not None and first.last_response is not None
    assert again.last_response.body == first.last_response.body
    with pytest.raises(stripe.IdempotencyError):
        quiet.v1.customers.create({**wish, "name": "Other"}, key)


def test_another_merchant_s_are_not_there(
    quiet: stripe.StripeClient, other: stripe.StripeClient
) -> None:
    mine = quiet.v1.customers.create(person())
    wish: Any = {**VISA, "location": {"country": "DE"}}
    theirs = other.v1.payment_methods.create(wish)
    for ask in (
        lambda: other.v1.customers.retrieve(mine.id),
        lambda: other.v1.customers.delete(mine.id),
        lambda: other.v1.payment_methods.attach(theirs.id, {"customer": mine.id}),
        lambda: quiet.v1.payment_methods.attach(theirs.id, {"customer": mine.id}),
        lambda: other.v1.payment_methods.list({"customer": mine.id}),
    ):
        with pytest.raises(stripe.InvalidRequestError) as missing:
            ask()
        assert missing.value.http_status == 404


def test_what_happens_is_told(quiet: stripe.StripeClient, sink: Sink) -> None:
    hook = quiet.v1.webhook_endpoints.create(
        {"url": f"{sink.url}/hook", "enabled_events": ["customer.created", "customer.deleted"]}
    )
    made = quiet.v1.customers.create(person())
    quiet.v1.customers.update(made.id, {"name": "B"})
    quiet.v1.customers.delete(made.id)
    until(lambda: len(sink.hits) == 2)
    told = [genuine(hit, hook.secret) for hit in sink.hits]
    assert [each.type for each in told] == ["customer.created", "customer.deleted"]
    for each in told:
        assert each.data.object["id"] == made.id
    assert told[1].data.object["name"] is None, "nothing is told of who was deleted"
    page = quiet.v1.events.list({"types": ["customer.updated"], "limit": 1})
    assert page.data[0].data.object["id"] == made.id
    quiet.v1.webhook_endpoints.delete(hook.id)
