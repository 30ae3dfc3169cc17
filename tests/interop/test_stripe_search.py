"""The stock Python SDK: charges listed and annotated, payments and charges searched."""

import pytest
import stripe

from tests.interop.kit import until
from tests.interop.test_stripe_python import pay

PLACES = ["DE", "IN", "BR"]


@pytest.fixture(scope="module")
def made(client: stripe.StripeClient) -> list[stripe.PaymentIntent]:
    """Payments of one customer at three nodes, newest first; searchable."""
    found = [
        pay(client, customer="cus_searched", location={"country": PLACES[n % 3]},
            metadata={"order": f"s-{n}", "lot": "A \"7\""})
        for n in range(6)
    ]  # fmt: skip
    query = {"query": "customer:'cus_searched'", "limit": 100}
    until(lambda: len(client.v1.payment_intents.search(query).data) == 6)  # type: ignore[arg-type]
    until(lambda: len(client.v1.charges.search(query).data) == 6)  # type: ignore[arg-type]
    return sorted(found, key=lambda each: each.id, reverse=True)


def test_payments_are_searched_over_all_nodes(
    client: stripe.StripeClient, made: list[stripe.PaymentIntent]
) -> None:
    query = "customer:'CUS_searched' AND status:'succeeded'"
    for limit in (1, 4, 100):
        first = client.v1.payment_intents.search({"query": query, "limit": limit})
        assert isinstance(first, stripe.SearchResultObject)
        assert first.has_more == (limit < 6)
        found = list(first.auto_paging_iter())
        assert [each.id for each in found] == [each.id for each in made]
        assert all(isinstance(each, stripe.PaymentIntent) for each in found)
    (one,) = client.v1.payment_intents.search({"query": 'metadata["order"]:"s-3"'}).data
    assert one.metadata["order"] == "s-3"
    quoted = client.v1.payment_intents.search(
        {"query": r'customer:"cus_searched" metadata["lot"]:"a \"7\"" -metadata["order"]:"s-0"',
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
    listed = list(charges.list({"customer": "cus_searched", "limit": 4}).auto_paging_iter())
    assert [each.id for each in listed] == [each.latest_charge for each in made]
    assert all(isinstance(each, stripe.Charge) for each in listed)
    (of_one,) = charges.list({"payment_intent": made[2].id}).data
    assert of_one.payment_intent == made[2].id
    noted = charges.update(of_one.id, {"metadata": {"parcel": "p-1"}, "description": "sent"})
    expected = {"order": made[2].metadata["order"], "lot": 'A "7"', "parcel": "p-1"}
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
