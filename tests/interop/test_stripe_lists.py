"""The stock Python SDK: lists over all nodes, and events."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import stripe

from tests.interop.conftest import QUIET_KEY, Demo
from tests.interop.kit import call
from tests.interop.test_stripe_python import pay

PLACES = ["DE", "IN", "BR"]
NODES = {"europe", "apac", "americas"}


@pytest.fixture(scope="module")
def early(quiet: stripe.StripeClient) -> list[stripe.PaymentIntent]:
    """Payments of a merchant that has no others: more than a page, over three nodes."""
    assert quiet.v1.payment_intents.list().data == []
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: pay(quiet, location={"country": PLACES[n % 3]}), range(18)))
    return sorted(made, key=lambda each: each.id)


@pytest.fixture(scope="module")
def made(
    quiet: stripe.StripeClient, early: list[stripe.PaymentIntent]
) -> list[stripe.PaymentIntent]:
    """The same and, in a later second, some more; oldest first."""
    second = int(time.time())
    while int(time.time()) == second:
        time.sleep(0.02)
    later = [pay(quiet, location={"country": PLACES[n % 3]}) for n in range(6)]
    return [*early, *sorted(later, key=lambda each: each.id)]


@pytest.mark.parametrize("limit", [1, 3, 10, 24, 100])
def test_pages_over_all_nodes(
    quiet: stripe.StripeClient, made: list[stripe.PaymentIntent], limit: int
) -> None:
    expected = [each.id for each in reversed(made)]
    first = quiet.v1.payment_intents.list({"limit": limit})
    assert first.has_more == (limit < len(made))
    assert [each.id for each in first.data] == expected[:limit]
    found = list(first.auto_paging_iter())
    assert [each.id for each in found] == expected
    assert {each["node"] for each in found} == NODES
    assert all(isinstance(each, stripe.PaymentIntent) for each in found)
    assert [each.created for each in found] == sorted((e.created for e in found), reverse=True)


@pytest.mark.parametrize("limit", [1, 5, 24])
def test_pages_backwards(
    quiet: stripe.StripeClient, made: list[stripe.PaymentIntent], limit: int
) -> None:
    page = quiet.v1.payment_intents.list({"limit": limit, "ending_before": made[0].id})
    assert [each.id for each in page.data] == [each.id for each in reversed(made[1 : limit + 1])]
    assert page.has_more == (limit < len(made) - 1)
    # Going backwards, the SDK gives the oldest first.
    assert [each.id for each in page.auto_paging_iter()] == [each.id for each in made[1:]]


def test_starting_after(quiet: stripe.StripeClient, made: list[stripe.PaymentIntent]) -> None:
    page = quiet.v1.payment_intents.list({"limit": 4, "starting_after": made[10].id})
    assert [each.id for each in page.data] == [each.id for each in reversed(made[6:10])]
    end = quiet.v1.payment_intents.list({"starting_after": made[0].id})
    assert (end.data, end.has_more) == ([], False)
    with pytest.raises(stripe.InvalidRequestError):
        quiet.v1.payment_intents.list({"starting_after": made[3].id, "ending_before": made[1].id})
    with pytest.raises(stripe.InvalidRequestError) as refused:
        quiet.v1.payment_intents.list({"starting_after": "somewhere"})
    assert refused.value.param == "starting_after"


def test_created_filters(
    quiet: stripe.StripeClient,
    early: list[stripe.PaymentIntent],
    made: list[stripe.PaymentIntent],
) -> None:
    border = early[-1].created
    intents = quiet.v1.payment_intents
    all_ids, early_ids = {each.id for each in made}, {each.id for each in early}

    def ids(page: stripe.ListObject[stripe.PaymentIntent]) -> set[str]:
        return {each.id for each in page.auto_paging_iter()}

    assert ids(intents.list({"created": {"lte": border}, "limit": 5})) == early_ids
    assert ids(intents.list({"created": {"gt": border}, "limit": 5})) == all_ids - early_ids
    assert ids(intents.list({"created": {"gte": border + 1}})) == all_ids - early_ids
    assert ids(intents.list({"created": {"lt": border + 1}})) == early_ids
    same = {each.id for each in made if each.created == border}
    assert ids(intents.list({"created": border})) == same
    assert ids(intents.list({"created": {"gt": border, "lt": border}})) == set()


def test_payments_of_one_customer(client: stripe.StripeClient) -> None:
    for place in PLACES:
        where: Any = {"location": {"country": place}}
        one, other = (client.v1.customers.create(where).id for _ in range(2))
        mine = [pay(client, customer=one, **where) for _ in range(2)]
        pay(client, customer=other, **where)
        found = list(client.v1.payment_intents.list({"customer": one}).auto_paging_iter())
        assert {each.id for each in found} == {each.id for each in mine}


def test_both_entrances_tell_the_same(demo: Demo, made: list[stripe.PaymentIntent]) -> None:
    bodies = [
        call("GET", access["url"] + "/v1/payment_intents?limit=7", QUIET_KEY).body
        for access in demo["access"]
    ]
    assert bodies[0] == bodies[1]
    assert len(made) == 24


def test_a_list_is_expanded(quiet: stripe.StripeClient, made: list[stripe.PaymentIntent]) -> None:
    page = quiet.v1.payment_intents.list({"limit": 3, "expand": ["data.latest_charge"]})
    assert [each.id for each in page.data] == [each.id for each in reversed(made[-3:])]
    assert all(isinstance(each.latest_charge, stripe.Charge) for each in page.data)


def test_refunds_are_listed(quiet: stripe.StripeClient, made: list[stripe.PaymentIntent]) -> None:
    given = [
        quiet.v1.refunds.create({"payment_intent": each.id, "amount": 7})
        for each in (made[0], made[1], made[2], made[0])
    ]
    listed = list(quiet.v1.refunds.list({"limit": 2}).auto_paging_iter())
    assert [each.id for each in listed] == sorted((each.id for each in given), reverse=True)
    assert all(isinstance(each, stripe.Refund) for each in listed)
    of_one = quiet.v1.refunds.list({"payment_intent": made[0].id})
    assert {each.id for each in of_one.data} == {given[0].id, given[3].id}
    by_charge = quiet.v1.refunds.list({"charge": str(made[1].latest_charge)})
    assert [each.id for each in by_charge.data] == [given[1].id]
    late = quiet.v1.refunds.list({"created": {"gt": given[-1].created + 5}})
    assert late.data == []


def test_events(quiet: stripe.StripeClient, made: list[stripe.PaymentIntent]) -> None:
    listed = list(quiet.v1.events.list({"limit": 20}).auto_paging_iter())
    ids = [each.id for each in listed]
    assert ids == sorted(set(ids), reverse=True)
    succeeded = [each for each in listed if each.type == "payment_intent.succeeded"]
    assert {each.data.object["id"] for each in succeeded} == {each.id for each in made}
    assert len(succeeded) == len(made)
    filtered = quiet.v1.events.list({"type": "payment_intent.succeeded", "limit": 100})
    assert [each.id for each in filtered.data] == [each.id for each in succeeded]
    several = quiet.v1.events.list(
        {"types": ["payment_intent.created", "payment_intent.succeeded"], "limit": 100}
    )
    assert len(several.data) == 2 * len(made)
    one = quiet.v1.events.retrieve(succeeded[0].id)
    assert isinstance(one, stripe.Event)
    assert isinstance(one.data.object, stripe.PaymentIntent)
    assert one.data.object.status == "succeeded"
    assert one.to_dict() == succeeded[0].to_dict()
    border = made[17].created
    late = quiet.v1.events.list({"created": {"gt": border}, "limit": 100})
    assert {each.id for each in late.data} == {each.id for each in listed if each.created > border}
