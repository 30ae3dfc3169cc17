"""The stock Python SDK: declines, what a payer has to do first, and every class of error."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import stripe

from bailiwick_lab.servers.ports import free_port
from tests.interop.conftest import Demo
from tests.interop.kit import Books, call, until
from tests.interop.test_stripe_python import charge_of, pay
from tests.waiting import PATIENCE_S

# https://docs.stripe.com/testing, "Declined payments": token, code, decline code.
DOCUMENTED = [
    ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
    ("pm_card_visa_chargeDeclinedLostCard", "card_declined", "lost_card"),
    ("pm_card_visa_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", None),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", None),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_declined", "card_velocity_exceeded"),
    ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
    ("pm_card_radarBlock", "card_declined", "fraudulent"),
    ("tok_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
]


def decline(client: stripe.StripeClient, token: str, mark: str) -> stripe.CardError:
    with pytest.raises(stripe.CardError) as declined:
        pay(client, payment_method=token, description=mark)
    return declined.value


@pytest.mark.parametrize(("token", "code", "decline_code"), DOCUMENTED)
def test_documented_declines(
    client: stripe.StripeClient, books: Books, token: str, code: str, decline_code: str | None
) -> None:
    mark = uuid.uuid4().hex
    error = decline(client, token, mark)
    assert (error.http_status, error.code) == (402, code)
    assert error.request_id
    assert error.headers is not None
    assert error.headers["Stripe-Should-Retry"] == "false"
    assert error.error is not None
    assert error.error.decline_code == decline_code
    assert error.user_message
    intent = error.error.payment_intent
    assert intent is not None
    assert (intent["status"], intent["amount_received"]) == ("requires_payment_method", 0)
    assert intent["last_payment_error"]["code"] == code
    rows = books.having(description=mark)
    # Only where the provider says that it cannot is the next gateway asked.
    assert len({row["provider"] for row in rows}) == len(rows)
    assert len(rows) > 1 if code == "processing_error" else len(rows) == 1
    assert {row["status"] for row in rows} == {"declined"}
    again = client.v1.payment_intents.retrieve(intent["id"])
    assert (again.status, again.payment_method) == ("requires_payment_method", None)
    charge = client.v1.charges.retrieve(str(again.latest_charge))
    assert (charge.status, charge.paid, charge.failure_code) == ("failed", False, code)
    # Another card is a new attempt of the same payment.
    paid = client.v1.payment_intents.confirm(again.id, {"payment_method": "pm_card_visa"})
    assert (paid.status, paid.last_payment_error) == ("succeeded", None)
    assert charge_of(books, paid)["amount_captured"] == 1999


def test_every_declining_source_of_the_sandbox(
    client: stripe.StripeClient, demo: Demo, books: Books
) -> None:
    listed = call("GET", demo["sandbox"]["url"] + "/sources").json()
    sources = {
        token: told
        for token, told in listed.items()
        if told["effect"] == "decline" and token.startswith(("pm_card_", "tok_"))
    }
    assert len(sources) > 50
    mark = uuid.uuid4().hex

    def end(token: str) -> tuple[str, str, str]:
        error = decline(client, token, mark)
        assert error.error is not None
        return token, str(error.code), error.error.decline_code or ""

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(end, sources))
    expected = {(token, told["code"], told["decline_code"]) for token, told in sources.items()}
    assert found == expected
    rows = books.having(description=mark)
    assert {row["source"] for row in rows} == set(sources)
    assert {row["status"] for row in rows} == {"declined"}


# --- the payer's page ------------------------------------------------------------------------

BACK = "https://shop.example/back?order=7"


def sent_away(client: stripe.StripeClient, **changes: Any) -> tuple[stripe.PaymentIntent, str]:
    """A payment that waits for its payer, and the address of the page."""
    waiting = pay(
        client, payment_method="pm_card_threeDSecure2Required", return_url=BACK, **changes
    )
    assert waiting.status == "requires_action"
    assert waiting.next_action is not None
    redirect = waiting.next_action.redirect_to_url
    assert redirect is not None
    assert redirect.url is not None
    assert redirect.return_url == BACK
    return waiting, redirect.url


def press(url: str, button: str) -> dict[str, list[str]]:
    """Press a button of the page: the parameters with which the payer comes back."""
    page = call("GET", url)
    assert page.status == 200
    assert "19.99" in page.body.decode()
    pressed = call("POST", url, form=[("decision", button)])
    assert pressed.status == 303
    back = urlsplit(pressed.headers["location"])
    assert f"{back.scheme}://{back.netloc}{back.path}" == "https://shop.example/back"
    return parse_qs(back.query)


@pytest.mark.parametrize("capture_method", ["automatic", "manual"])
def test_an_approving_payer(client: stripe.StripeClient, books: Books, capture_method: str) -> None:
    waiting, url = sent_away(client, capture_method=capture_method)
    assert charge_of(books, waiting)["status"] == "action_required"
    returned = press(url, "approve")
    assert returned["order"] == ["7"]
    assert str(waiting.client_secret) not in str(returned)
    wanted = "succeeded" if capture_method == "automatic" else "requires_capture"
    until(lambda: client.v1.payment_intents.retrieve(waiting.id).status == wanted)
    paid = client.v1.payment_intents.retrieve(waiting.id)
    assert paid.next_action is None
    assert paid.amount_received == (1999 if wanted == "succeeded" else 0)
    assert charge_of(books, paid)["status"] == (
        "captured" if wanted == "succeeded" else "authorized"
    )


def test_a_declining_payer(client: stripe.StripeClient, books: Books) -> None:
    waiting, url = sent_away(client)
    press(url, "decline")
    until(
        lambda: client.v1.payment_intents.retrieve(waiting.id).status == "requires_payment_method"
    )
    refused = client.v1.payment_intents.retrieve(waiting.id)
    assert refused.last_payment_error is not None
    assert refused.last_payment_error.code == "card_declined"
    assert charge_of(books, refused)["status"] == "declined"
    paid = client.v1.payment_intents.confirm(waiting.id, {"payment_method": "pm_card_visa"})
    assert paid.status == "succeeded"


def test_cancel_while_the_payer_is_away(client: stripe.StripeClient, books: Books) -> None:
    waiting, url = sent_away(client)
    gone = client.v1.payment_intents.cancel(waiting.id)
    assert (gone.status, gone.next_action) == ("canceled", None)
    row = charge_of(books, waiting)
    assert (row["status"], row.get("amount_captured", 0)) == ("voided", 0)
    # The page has nothing left to press.
    call("POST", url, form=[("decision", "approve")])
    assert charge_of(books, waiting)["status"] == "voided"
    assert client.v1.payment_intents.retrieve(waiting.id).status == "canceled"


# --- classes of errors -----------------------------------------------------------------------


def test_another_merchants_things_do_not_exist(
    client: stripe.StripeClient, other: stripe.StripeClient
) -> None:
    paid = pay(client)
    refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 1})
    event = client.v1.events.list({"limit": 1}).data[0]
    intents = other.v1.payment_intents
    for hidden in (
        lambda: intents.retrieve(paid.id),
        lambda: intents.retrieve(paid.id, {"client_secret": str(paid.client_secret)}),
        lambda: intents.update(paid.id, {"description": "mine"}),
        lambda: intents.confirm(paid.id),
        lambda: intents.capture(paid.id),
        lambda: intents.cancel(paid.id),
        lambda: other.v1.refunds.create({"payment_intent": paid.id}),
        lambda: other.v1.refunds.create({"charge": str(paid.latest_charge)}),
        lambda: other.v1.refunds.retrieve(refund.id),
        lambda: other.v1.refunds.update(refund.id, {"metadata": {"a": "b"}}),
        lambda: other.v1.charges.retrieve(str(paid.latest_charge)),
        lambda: other.v1.events.retrieve(event.id),
    ):
        with pytest.raises(stripe.InvalidRequestError) as missing:
            hidden()
        assert (missing.value.http_status, missing.value.code) == (404, "resource_missing")
    for wish in ({"payment_intent": paid.id}, {"charge": str(paid.latest_charge)}):
        with pytest.raises(stripe.InvalidRequestError) as listed:
            other.v1.refunds.list(wish)
        assert (listed.value.http_status, listed.value.code) == (404, "resource_missing")


INVALID: list[tuple[dict[str, Any], str]] = [
    ({"amount": "12.5"}, "amount"),
    ({"amount": -1}, "amount"),
    ({"amount": 0}, "amount"),
    ({"currency": "xxq"}, "currency"),
    ({"location": {"country": "ZZ"}}, "location[country]"),
    ({"location": {"coordinates": "91,0"}}, "location[coordinates]"),
    ({"capture_method": "later"}, "capture_method"),
    ({"metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 40}]"),
    ({"amonut": 3}, "amonut"),
    ({"expand": ["client_secret"]}, "expand"),
    ({"payment_method": "4242424242424242"}, "payment_method"),
    ({"description": "card 4242 4242 4242 4242"}, "description"),
]


@pytest.mark.parametrize(("changes", "param"), INVALID)
def test_invalid_requests_name_the_parameter(
    client: stripe.StripeClient, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        pay(client, **changes)
    error = refused.value
    assert (error.http_status, error.param) == (400, param)
    assert error.request_id
    assert "4242424242424242" not in str(error.http_body).replace(" ", "")


def test_a_missing_parameter_is_named(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.create({"currency": "eur", "location": {"country": "DE"}})  # type: ignore[typeddict-item,typeddict-unknown-key]
    assert (refused.value.param, refused.value.code) == ("amount", "parameter_missing")


@pytest.mark.parametrize("key", ["sk_test_wrong", "", "sk_live_\u00e9"])
def test_a_wrong_key(demo: Demo, key: str) -> None:
    raw = call("GET", demo["base_url"] + "/v1/payment_intents", key.encode().decode("latin-1"))
    assert raw.status == 401
    stranger = stripe.StripeClient("sk_test_wrong", base_addresses={"api": demo["base_url"]})
    with pytest.raises(stripe.AuthenticationError) as refused:
        stranger.v1.payment_intents.list()
    assert refused.value.request_id
    assert key == "" or key not in str(refused.value.http_body).replace("sk_test_wrong", "")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/payment_intents/pi_nothing", 404),
        ("GET", "/v1/no_such_thing", 404),
        ("DELETE", "/v1/payment_intents", 405),
        ("POST", "/v1/payment_intents", 400),
        ("POST", "/v1/refunds", 400),
        ("GET", "/v1/payment_intents?limit=0", 400),
        ("GET", "/v1/payment_intents?limit=101", 400),
        ("GET", "/v1/payment_intents?nonsense=1", 400),
        ("GET", "/v1/events/evt_nothing", 404),
        ("GET", "/v1/webhook_endpoints/we_nothing", 404),
        ("DELETE", "/v1/webhook_endpoints/we_nothing", 404),
    ],
)
def test_every_error_says_whether_to_retry(demo: Demo, method: str, path: str, status: int) -> None:
    form = [("description", "")] if method == "POST" else None
    raw = call(method, demo["base_url"] + path, demo["secret_key"], form)
    assert raw.status == status
    assert raw.headers["stripe-should-retry"] == "false"
    assert raw.headers["request-id"].startswith("req_")
    error = raw.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]


@pytest.fixture
def slow_entrance(demo: Demo) -> Iterator[str]:
    """An access process that takes one request a second of a merchant."""
    port = free_port([])
    secret = Path(demo["data"]) / "secrets" / "internal"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "bailiwick", "access", "--world", demo["world"],
            "--listen", f"127.0.0.1:{port}", "--internal-secret-file", str(secret), "--rate", "1",
            "--status-listen", "",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"

    def ready() -> bool:
        try:
            return call("GET", url + "/readyz").status == 200
        except OSError:
            return False

    try:
        until(ready)
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def test_too_many_requests(demo: Demo, slow_entrance: str) -> None:
    hasty = stripe.StripeClient(
        demo["secret_key"], base_addresses={"api": slow_entrance}, max_network_retries=0
    )

    def ask(_: int) -> None:
        hasty.v1.payment_intents.list({"limit": 1})

    with ThreadPoolExecutor(30) as pool, pytest.raises(stripe.RateLimitError) as refused:
        list(pool.map(ask, range(30)))
    assert refused.value.http_status == 429
    assert refused.value.headers is not None
    # Nothing was done, so the SDK may go on by itself.
    assert refused.value.headers["Stripe-Should-Retry"] == "true"
    patient = stripe.StripeClient(
        demo["secret_key"], base_addresses={"api": slow_entrance}, max_network_retries=5
    )
    assert pay(patient).status == "succeeded"
