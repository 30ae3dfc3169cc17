"""The stock Python SDK: webhook endpoints, and deliveries judged by its own checker."""

import uuid

import pytest
import stripe

from tests.interop.conftest import Demo
from tests.interop.kit import Hit, Sink, call, until
from tests.interop.test_stripe_python import pay


def genuine(hit: Hit, secret: str | None) -> stripe.Event:
    assert secret is not None
    signature = hit.headers["Stripe-Signature"]
    event: stripe.Event = stripe.Webhook.construct_event(hit.body, signature, secret)
    return event


def test_the_life_of_an_endpoint(client: stripe.StripeClient, demo: Demo, sink: Sink) -> None:
    endpoints = client.v1.webhook_endpoints
    made = endpoints.create(
        {
            "url": sink.url + "/hook",
            "enabled_events": ["payment_intent.succeeded"],
            "description": "shop",
            "metadata": {"team": "a"},
        }
    )
    assert isinstance(made, stripe.WebhookEndpoint)
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    assert (made.status, made.enabled_events) == ("enabled", ["payment_intent.succeeded"])
    read = endpoints.retrieve(made.id)
    assert (read.url, read.description) == (made.url, "shop")
    assert getattr(read, "secret", None) is None
    assert made.id in [each.id for each in endpoints.list().auto_paging_iter()]
    changed = endpoints.update(
        made.id, {"enabled_events": ["*"], "disabled": True, "metadata": {"team": ""}}
    )
    assert (changed.status, changed.enabled_events) == ("disabled", ["*"])
    assert changed.to_dict()["metadata"] == {}
    # Every node has it, as it is now.
    for node in demo["nodes"]:
        shown = call("GET", f"{node['url']}/v1/webhook_endpoints/{made.id}", demo["secret_key"])
        assert shown.json()["status"] == "disabled"
    gone = endpoints.delete(made.id)
    assert gone.deleted
    with pytest.raises(stripe.InvalidRequestError) as missing:
        endpoints.retrieve(made.id)
    assert missing.value.http_status == 404
    with pytest.raises(stripe.InvalidRequestError):
        endpoints.delete(made.id)


def test_endpoints_are_paged(other: stripe.StripeClient, sink: Sink) -> None:
    endpoints = other.v1.webhook_endpoints
    made = {
        endpoints.create({"url": f"{sink.url}/{n}", "enabled_events": ["*"]}).id for n in range(3)
    }
    try:
        page = endpoints.list({"limit": 1})
        assert (len(page.data), page.has_more) == (1, True)
        found = [each.id for each in page.auto_paging_iter()]
        assert len(found) == 3
        assert set(found) == made
    finally:
        for each in made:
            endpoints.delete(each)


@pytest.mark.parametrize(
    ("url", "events", "param"),
    [
        ("ftp://shop.example/", ["*"], "url"),
        ("https://user:word@shop.example/", ["*"], "url"),
        ("https://shop.example/", ["Not An Event"], "enabled_events[0]"),
        ("https://shop.example/", [], "enabled_events"),
    ],
)
def test_endpoints_that_cannot_be(
    client: stripe.StripeClient, url: str, events: list[str], param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.webhook_endpoints.create({"url": url, "enabled_events": events})  # type: ignore[typeddict-item]
    assert refused.value.param == param


def test_one_key_makes_one_endpoint(client: stripe.StripeClient, sink: Sink) -> None:
    endpoints, key = client.v1.webhook_endpoints, uuid.uuid4().hex
    made, again = (
        endpoints.create(
            {"url": sink.url + "/once", "enabled_events": ["*"]}, {"idempotency_key": key}
        )
        for _ in range(2)
    )
    try:
        assert made.id == again.id
        listed = [each for each in endpoints.list().data if each.url == made.url]
        assert len(listed) == 1
    finally:
        endpoints.delete(made.id)


@pytest.mark.parametrize("country", ["DE", "IN", "BR"])
def test_deliveries_are_genuine(client: stripe.StripeClient, sink: Sink, country: str) -> None:
    endpoint = client.v1.webhook_endpoints.create(
        {"url": sink.url, "enabled_events": ["payment_intent.succeeded", "refund.updated"]}
    )
    try:
        paid = pay(client, location={"country": country})
        refund = client.v1.refunds.create({"payment_intent": paid.id, "amount": 5})
        until(lambda: len(sink.about(paid.id)) == 2)
        first, second = (genuine(hit, endpoint.secret) for hit in sink.about(paid.id))
        events = {event.type: event for event in (first, second)}
        assert set(events) == {"payment_intent.succeeded", "refund.updated"}
        event = events["payment_intent.succeeded"]
        assert isinstance(event.data.object, stripe.PaymentIntent)
        assert (event.data.object.id, event.data.object.amount_received) == (paid.id, 1999)
        assert isinstance(events["refund.updated"].data.object, stripe.Refund)
        assert events["refund.updated"].data.object.id == refund.id
        stored = client.v1.events.retrieve(event.id)
        assert stored.to_dict()["data"] == event.to_dict()["data"]
        hit = sink.about(paid.id)[0]
        for secret, body in ((endpoint.secret, hit.body + b" "), ("whsec_other", hit.body)):
            with pytest.raises(stripe.SignatureVerificationError):
                genuine(Hit(body, hit.headers), secret)
    finally:
        client.v1.webhook_endpoints.delete(endpoint.id)


def test_a_failed_delivery_is_repeated(client: stripe.StripeClient, sink: Sink) -> None:
    endpoint = client.v1.webhook_endpoints.create(
        {"url": sink.url, "enabled_events": ["payment_intent.succeeded"]}
    )
    sink.statuses.append(500)
    try:
        paid = pay(client)
        until(lambda: len(sink.about(paid.id)) == 2)
        events = [genuine(hit, endpoint.secret) for hit in sink.about(paid.id)]
        assert len({event.id for event in events}) == 1
        assert len({hit.body for hit in sink.about(paid.id)}) == 1
        later = pay(client)
        until(lambda: sink.about(later.id))  # a third would have come before it
        assert len(sink.about(paid.id)) == 2
    finally:
        client.v1.webhook_endpoints.delete(endpoint.id)


def test_only_what_was_asked_for(
    client: stripe.StripeClient, other: stripe.StripeClient, sink: Sink
) -> None:
    """Not other types, not other merchants' events, nothing once disabled."""
    endpoints = client.v1.webhook_endpoints
    endpoint = endpoints.create({"url": sink.url, "enabled_events": ["payment_intent.canceled"]})
    try:
        pay(client)
        stranger = pay(other, confirm=False)
        other.v1.payment_intents.cancel(stranger.id)
        mine = pay(client, confirm=False)
        client.v1.payment_intents.cancel(mine.id)
        until(lambda: sink.about(mine.id))
        endpoints.update(endpoint.id, {"disabled": True})
        silent = pay(client, confirm=False)
        client.v1.payment_intents.cancel(silent.id)
        later = endpoints.create({"url": sink.url, "enabled_events": ["payment_intent.succeeded"]})
        try:
            paid = pay(client)
            until(lambda: sink.about(paid.id))
        finally:
            endpoints.delete(later.id)
        assert [hit.event["payment"] for hit in sink.hits] == [mine.id, paid.id]
    finally:
        endpoints.delete(endpoint.id)
