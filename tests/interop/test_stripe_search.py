"""The stock Python SDK: charges listed and annotated, payments and charges searched."""

from typing import Any

import pytest
import stripe

from tests.interop.kit import until
from tests.interop.test_stripe_python import pay

PLACES = ["DE", "IN", "BR"]


@pytest.fixture(scope="module")
def made(client: stripe.StripeClient) -> list[stripe.PaymentIntent]:
    """Payments of one customer of each of three nodes, newest first; searchable."""
    places: list[Any] = [{"location": {"country": place}} for place in PLACES]
    customers = [client.v1.customers.create(place).id for place in places]
    found = [
        pay(client, customer=customers[n % 3], **places[n % 3],
            metadata={"order": f"s-{n}", "lot": "A \"7\"", "of": "searched"})
        for n in range(6)
    ]  # fmt: skip
    query = {"query": "metadata['of']:'searched'", "limit": 100}
    until(lambda: len(client.v1.payment_intents.search(query).data) == 6)  # type: ignore[arg-type]
    until(lambda: len(client.v1.charges.search(query).data) == 6)  # type: ignore[arg-type]
    return sorted(found, key=lambda each: each.id, reverse=True)


def test_payments_are_searched_over_all_nodes(
    client: stripe.StripeClient, made: list[stripe.PaymentIntent]
) -> None:
    query = "metadata['of']:'SEARCHED' AND status:'succeeded'"
    for limit in (1, 4, 100):
        first = client.v1.payment_intents.search({"query": query, "limit": limit})
        assert isinstance(first, stripe.SearchResultObject)
        assert first.has_more == (limit < 6)
        found = list(first.auto_paging_iter())
        assert [each.id for each in found] == [each.id for each in made]
        assert all(isinstance(each, stripe.PaymentIntent) for each in found)
    query = f"customer:'{made[0].customer}' status:'succeeded'"
    of_one = client.v1.payment_intents.search({"query": query})
    assert [each.id for each in of_one.data] == [made[0].id, made[3].id]
    (one,) = client.v1.payment_intents.search({"query": 'metadata["order"]:"s-3"'}).data
    assert one.metadata["order"] == "s-3"
    quoted = client.v1.payment_intents.search(
        {"query": r'metadata["of"]:"searched" metadata["lot"]:"a \"7\"" -metadata["order"]:"s-0"',
         "expand": ["total_count", "data.latest_charge"]}
    )  # fmt: skip
    assert quoted.total_count == len(quoted.data) == 5
    assert all(isinstance(each.latest_charge, stripe.Charge) for each in quoted.data)
    with pytest.raises(stripe.InvalidRequestError, match="at character 16") as refused:
        client.v1.payment_intents.search({"query": "amount>1 status=1"})
    assert refused.value.param == "query"


def test_charges_are_listed_annotated_and_searched(
    client: stripe.StripeClient, made: list[stripe.PaymentIntent]
) -> None:
    charges = client.v1.charges
    for at in range(3):
        of: Any = {"customer": made[at].customer, "limit": 1}
        listed = list(charges.list(of).auto_paging_iter())
        expected_ids = [made[at].latest_charge, made[at + 3].latest_charge]
        assert [each.id for each in listed] == expected_ids
    assert all(isinstance(each, stripe.Charge) for each in listed)
    (of_one,) = charges.list({"payment_intent": made[2].id}).data
    assert of_one.payment_intent == made[2].id
    noted = charges.update(of_one.id, {"metadata": {"parcel": "p-1"}, "description": "sent"})
    order = made[2].metadata["order"]
    expected = {"order": order, "lot": 'A "7"', "of": "searched", "parcel": "p-1"}
    assert noted.metadata.to_dict() == expected
    events = client.v1.events.list({"type": "charge.updated", "limit": 1}).data
    assert events[0].data.object["id"] == of_one.id
    query = {"query": "metadata['parcel']:'p-1' status:'succeeded' refunded:'false'"}
    found = until(lambda: charges.search(query).data)  # type: ignore[arg-type]
    assert [each.id for each in found] == [of_one.id]
    client.v1.refunds.create({"charge": of_one.id})
    query = {"query": "metadata['parcel']:'p-1' refunded:'true'"}
    assert until(lambda: charges.search(query).data)[0].refunded  # type: ignore[arg-type]
    with pytest.raises(stripe.InvalidRequestError, match="create a PaymentIntent"):
        charges.create({"amount": 500, "currency": "eur", "source": "tok_visa"})
    with pytest.raises(stripe.InvalidRequestError, match="captured by its payment"):
        charges.capture(of_one.id)
