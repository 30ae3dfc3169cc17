"""The stock Python SDK: a card set up without a payment, and charged without its payer."""

import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
import stripe

from bailiwick.base.ids import node_of
from tests.interop.conftest import Demo
from tests.interop.kit import until

DE: Any = {"country": "DE"}
EUROPE = 2


def test_a_setup_s_life(quiet: stripe.StripeClient, demo: Demo) -> None:
    api = quiet.v1
    who = until(lambda: at_home(api))
    wish: Any = {
        "customer": who,
        "confirm": True,
        "payment_method": "pm_card_authenticationRequiredOnSetup",
        "return_url": "https://shop.example/back",
        "mandate_data": {
            "customer_acceptance": {
                "type": "online",
                "online": {"ip_address": "192.0.2.7", "user_agent": "Mozilla/5.0"},
            }
        },
        "location": DE,
    }
    made = until(lambda: unless_elsewhere(lambda: api.setup_intents.create(wish)))
    assert isinstance(made, stripe.SetupIntent) and made.status == "requires_action"
    assert made.next_action is not None and made.next_action.redirect_to_url is not None
    url = made.next_action.redirect_to_url.url
    assert url is not None
    approve(url)
    done = until(lambda: _succeeded(api.setup_intents.retrieve(made.id)))
    assert [each.id for each in api.payment_methods.list({"customer": who})] == [
        done.payment_method
    ]
    mandate = api.mandates.retrieve(str(done.mandate))
    assert (mandate.status, mandate.payment_method) == ("active", done.payment_method)
    assert mandate.customer_acceptance.online is not None
    assert mandate.customer_acceptance.online.ip_address == "192.0.2.7"
    pay: Any = {
        "amount": 1999,
        "currency": "eur",
        "customer": who,
        "payment_method": done.payment_method,
        "off_session": True,
        "confirm": True,
        "location": DE,
    }
    assert api.payment_intents.create(pay).status == "succeeded"
    assert [each.id for each in api.setup_intents.list({"customer": who})] == [made.id]


def at_home(api: Any) -> str | None:
    """A customer at the node with jurisdiction: a busy one is passed over, as no money moves."""
    made = api.customers.create({"name": "Ann", "location": DE})
    return made.id if node_of(made.id) == EUROPE else None


def unless_elsewhere(make: Callable[[], stripe.SetupIntent]) -> stripe.SetupIntent | None:
    """The same of what is made for it."""
    try:
        return make()
    except stripe.InvalidRequestError as refused:
        if refused.code != "customer_elsewhere":
            raise
        return None


def _succeeded(found: stripe.SetupIntent) -> stripe.SetupIntent | None:
    return found if found.status == "succeeded" else None


def approve(url: str) -> None:
    """Approve on the bank's page; the shop that it leads back to is none."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    opener = urllib.request.build_opener(Stay)
    with pytest.raises(urllib.error.HTTPError) as redirected:
        opener.open(url, data=b"decision=approve", timeout=30)
    assert redirected.value.code == 303


def test_a_declined_setup_raises_and_can_be_tried_again(quiet: stripe.StripeClient) -> None:
    api = quiet.v1
    wish: Any = {"payment_method": "pm_card_chargeDeclined", "confirm": True, "location": DE}
    with pytest.raises(stripe.CardError) as refused:
        api.setup_intents.create(wish)
    error = refused.value.error
    assert error is not None and error.setup_intent is not None
    intent = error.setup_intent
    assert (refused.value.code, intent.status) == ("card_declined", "requires_payment_method")
    again = api.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    assert again.status == "succeeded"
    spare: Any = {"location": DE, "description": "spare"}
    gone = api.setup_intents.create(spare)
    api.setup_intents.update(gone.id, {"metadata": {"a": "1"}})
    ended = api.setup_intents.cancel(gone.id, {"cancellation_reason": "abandoned"})
    assert (ended.status, ended.cancellation_reason) == ("canceled", "abandoned")
