"""The Stripe channel against an independent peer, through all of Bailiwick.

The peer is localstripe, a program of its own in an environment of its own. Between it and the node
stands the proxy of ``quirks``, which adds what the peer lacks. What happened is read back at
the peer itself, by the official SDK.
"""

import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
import uv

from bailiwick_lab.servers.ports import free_port
from tests.interop.conftest import PEER_COUNTRY, PEER_GATEWAY, PEER_NODE, Demo
from tests.interop.kit import Books, call, until
from tests.interop.quirks import API_KEY, CALLBACK_SECRET, Quirks

HERE = Path(__file__).parent
LOCK = HERE / "localstripe.lock"
Register = Callable[..., None]


@pytest.fixture(scope="module")
def program(cache: Path) -> Path:
    """The Python of an environment that holds the peer, as locked."""
    folder = cache / "localstripe"
    python = folder / "bin" / "python"
    installed = folder / "installed"
    lock = LOCK.read_bytes()
    if not installed.exists() or installed.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        tool = uv.find_uv_bin()
        for command in (
            ["venv", "--python", sys.executable, str(folder)],
            ["pip", "install", "--python", str(python), "--require-hashes", "-r", str(LOCK)],
        ):
            subprocess.run([tool, "--quiet", *command], check=True, timeout=600)
        installed.write_bytes(lock)
    return python


@pytest.fixture(scope="module")
def peer(program: Path, quirks: Quirks) -> Iterator[str]:
    """Address of the running peer, to which the proxy now passes on."""
    port = free_port([])
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [
            str(program), "-P", str(HERE / "loopback.py"),
            "localstripe", "--port", str(port), "--from-scratch",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip

    def answers() -> bool:
        assert process.poll() is None, "the peer has ended"
        try:
            return call("GET", f"{url}/v1/payment_intents", API_KEY).status == 200
        except OSError:
            return False

    try:
        until(answers)
        quirks.peer = url
        yield url
    finally:
        quirks.peer = ""
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="module")
def at_peer(peer: str) -> stripe.StripeClient:
    """The official SDK, straight to the peer."""
    return stripe.StripeClient(API_KEY, base_addresses={"api": peer})


@pytest.fixture
def register(peer: str) -> Iterator[Register]:
    """Have the peer call back to an address, signing with a secret, until the test ends."""

    def registered(url: str, secret: str, *events: str) -> None:
        form = [("url", url), ("secret", secret)]
        form += [("events[]", event) for event in events]
        assert call("POST", f"{peer}/_config/webhooks/node", form=form).status == 200

    yield registered
    registered("http://127.0.0.1:9/", "none", "none")


def pay(client: stripe.StripeClient, **changes: Any) -> stripe.PaymentIntent:
    order: Any = {
        "amount": 4200,
        "currency": "cad",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "location": {"country": PEER_COUNTRY},
        "description": "an order",
        "return_url": "https://shop.example/back",
        **changes,
    }
    return client.v1.payment_intents.create(order)


def provider_id(client: stripe.StripeClient, payment: stripe.PaymentIntent) -> str:
    charge = client.v1.charges.retrieve(str(payment.latest_charge))
    assert charge["gateway"] == PEER_GATEWAY
    return str(charge["provider_reference"])


def theirs(
    client: stripe.StripeClient, at_peer: stripe.StripeClient, payment: stripe.PaymentIntent
) -> stripe.PaymentIntent:
    """The payment as the peer has it."""
    found = at_peer.v1.payment_intents.retrieve(
        provider_id(client, payment), {"expand": ["latest_charge"]}
    )
    assert found.metadata["bailiwick_reference"] == payment.latest_charge
    return found


def payments_at(at_peer: stripe.StripeClient) -> int:
    return len(list(at_peer.v1.payment_intents.list({"limit": 100}).auto_paging_iter()))


def refunds_of(at_peer: stripe.StripeClient, payment: stripe.PaymentIntent) -> list[int]:
    listed = at_peer.v1.refunds.list({"payment_intent": payment.id})
    return sorted(each.amount for each in listed.data)


def settled(
    client: stripe.StripeClient, payment: stripe.PaymentIntent, status: str
) -> stripe.PaymentIntent:
    until(lambda: client.v1.payment_intents.retrieve(payment.id).status == status)
    return client.v1.payment_intents.retrieve(payment.id)


def test_charge(client: stripe.StripeClient, at_peer: stripe.StripeClient, books: Books) -> None:
    before, mark = payments_at(at_peer), uuid.uuid4().hex
    paid = pay(client, description=mark)
    assert (paid.status, paid.amount_received) == ("succeeded", 4200)
    assert (paid["node"], paid["routing"]["gateway"]) == (PEER_NODE, PEER_GATEWAY)
    found = theirs(client, at_peer, paid)
    assert (found.status, found.amount, found.currency) == ("succeeded", 4200, "cad")
    assert found.metadata["bailiwick_payment"] == paid.id
    assert isinstance(found.latest_charge, stripe.Charge)
    assert found.latest_charge.captured
    assert payments_at(at_peer) == before + 1
    assert books.having(description=mark) == []


@pytest.mark.parametrize(("asked", "taken"), [(None, 4200), (1500, 1500)])
def test_capture(
    client: stripe.StripeClient, at_peer: stripe.StripeClient, asked: int | None, taken: int
) -> None:
    held = pay(client, capture_method="manual")
    assert (held.status, held.amount_capturable) == ("requires_capture", 4200)
    assert theirs(client, at_peer, held).status == "requires_capture"
    done = client.v1.payment_intents.capture(
        held.id, {} if asked is None else {"amount_to_capture": asked}
    )
    assert (done.status, done.amount_received) == ("succeeded", taken)
    found = theirs(client, at_peer, done)
    assert found.status == "succeeded"
    assert "bailiwick_capture" in found.metadata
    # The peer books the rest of the hold as a refund.
    assert refunds_of(at_peer, found) == ([] if taken == 4200 else [4200 - taken])


def test_cancel(client: stripe.StripeClient, at_peer: stripe.StripeClient) -> None:
    held = pay(client, capture_method="manual")
    gone = client.v1.payment_intents.cancel(held.id, {"cancellation_reason": "duplicate"})
    assert (gone.status, gone.amount_capturable) == ("canceled", 0)
    assert theirs(client, at_peer, held).status == "canceled"


def test_refund(client: stripe.StripeClient, at_peer: stripe.StripeClient) -> None:
    paid = pay(client)
    part = client.v1.refunds.create({"payment_intent": paid.id, "amount": 1000})
    assert (part.status, part.amount) == ("succeeded", 1000)
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 3201})
    rest = client.v1.refunds.create({"payment_intent": paid.id})
    assert rest.amount == 3200
    assert refunds_of(at_peer, theirs(client, at_peer, paid)) == [1000, 3200]


def test_a_refund_that_the_provider_refuses(
    client: stripe.StripeClient, at_peer: stripe.StripeClient, quirks: Quirks
) -> None:
    paid = pay(client)
    known = provider_id(client, paid)
    # Somebody refunds at the provider itself, of which we know nothing.
    body = f"payment_intent={known}&amount=3000".encode()
    answer, _ = quirks.answer("POST", "/v1/refunds", None, body)
    assert answer.status == 200
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.refunds.create({"payment_intent": paid.id})
    assert refused.value.code == "amount_too_large"
    assert refunds_of(at_peer, theirs(client, at_peer, paid)) == [3000]
    (failed,) = client.v1.refunds.list({"payment_intent": paid.id}).data
    assert failed.status == "failed"
    # What was reserved for it is free again.
    assert client.v1.refunds.create({"payment_intent": paid.id, "amount": 1200}).amount == 1200


def test_decline(client: stripe.StripeClient, at_peer: stripe.StripeClient, books: Books) -> None:
    before, mark = payments_at(at_peer), uuid.uuid4().hex
    with pytest.raises(stripe.CardError) as declined:
        pay(client, payment_method="pm_card_chargeCustomerFail", description=mark)
    assert declined.value.code == "card_declined"
    assert declined.value.error is not None
    intent = declined.value.error.payment_intent
    assert intent is not None
    assert intent["status"] == "requires_payment_method"
    assert payments_at(at_peer) == before + 1
    # The bank said no: no other gateway is tried.
    assert books.having(description=mark) == []


def test_a_success_without_its_amount_is_unknown(
    client: stripe.StripeClient, at_peer: stripe.StripeClient, quirks: Quirks
) -> None:
    before = payments_at(at_peer)
    quirks.without_amounts = True
    try:
        paid = pay(client)
        assert (paid.status, paid.amount_received) == ("processing", 0)
        with pytest.raises(stripe.StripeError):
            client.v1.payment_intents.cancel(paid.id)
        # It is asked again, and stays what it is as long as the answer says no amount.
        asked = len([each for each in quirks.calls if each[0] == "GET"])
        until(lambda: len([each for each in quirks.calls if each[0] == "GET"]) >= asked + 2)
        assert client.v1.payment_intents.retrieve(paid.id).status == "processing"
    finally:
        quirks.without_amounts = False
    done = settled(client, paid, "succeeded")
    assert done.amount_received == 4200
    assert theirs(client, at_peer, done).status == "succeeded"
    assert payments_at(at_peer) == before + 1


def taken(demo: Demo, outcome: str) -> float:
    """Callbacks that the node has counted with this outcome."""
    (node,) = (each for each in demo["nodes"] if each["name"] == PEER_NODE)
    lines = call("GET", node["url"] + "/metrics").body.decode().splitlines()
    wanted = f'callbacks_total{{outcome="{outcome}"}} '
    return sum(float(line.rpartition(" ")[2]) for line in lines if wanted in line)


def test_callbacks_of_the_peer_are_verified(
    client: stripe.StripeClient, demo: Demo, register: Register
) -> None:
    """Signed by the peer itself, through access to the node."""
    url = f"{demo['base_url']}/v1/nodes/{PEER_NODE}/callbacks/{PEER_GATEWAY}"
    before = taken(demo, "taken")
    register(url, CALLBACK_SECRET)
    paid = pay(client)
    until(lambda: taken(demo, "taken") == before + 1)
    again = client.v1.payment_intents.retrieve(paid.id)
    assert again.to_dict() == paid.to_dict()

    refused = taken(demo, "400")
    register(url, "whsec_forged")
    pay(client)
    until(lambda: taken(demo, "400") == refused + 1)
    assert taken(demo, "taken") == before + 1


def test_a_callback_ends_what_nothing_else_can(
    client: stripe.StripeClient,
    at_peer: stripe.StripeClient,
    demo: Demo,
    quirks: Quirks,
    register: Register,
) -> None:
    """The answer is lost and the provider repeats its stored 500: only its callback tells."""
    before = payments_at(at_peer)
    (node,) = (each for each in demo["nodes"] if each["name"] == PEER_NODE)
    quirks.callback_url = f"{node['url']}/v1/callbacks/{PEER_GATEWAY}"
    quirks.lose_answers = True
    try:
        register(f"{quirks.url}/callback", CALLBACK_SECRET, "payment_intent.succeeded")
        lost = pay(client)
        assert (lost.status, lost.amount_received) == ("processing", 0)
        done = settled(client, lost, "succeeded")
    finally:
        quirks.lose_answers = False
        quirks.callback_url = ""
    assert done.amount_received == 4200
    found = theirs(client, at_peer, done)
    assert found.status == "succeeded"
    assert payments_at(at_peer) == before + 1
    # The provider's id came with the callback: the payment can be given back.
    refund = client.v1.refunds.create({"payment_intent": done.id})
    assert (refund.status, refunds_of(at_peer, found)) == ("succeeded", [4200])
