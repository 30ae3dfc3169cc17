"""What a payer's browser may do and see with a publishable key, and what it can't use up."""

import asyncio
import itertools
import json
import uuid
from typing import Any

import asyncpg
import pytest
from api_kit import Api, at_both

from bailiwick.resources import declared
from bailiwick.resources.payments import render
from bailiwick.resources.payments.routes import PAYERS_ATTEMPTS_MAX

AT = pytest.mark.parametrize("at", ["access", "node"])
SECRETS = {"metadata[internal]": "margin 12%", "description": "A book"}
HIDDEN = {"metadata", "customer", "node", "location", "assignment", "routing", "gateway",
          "provider_reference", "latest_charge", "amount_received", "charge"}  # fmt: skip


def pair(demo: dict[str, Any], at: str) -> tuple[Api, Api]:
    """The merchant's server and a payer's browser."""
    return at_both(demo)[at], at_both(demo, "publishable_key")[at]


def names_in(value: Any) -> set[str]:
    """All names of members, at every depth."""
    if isinstance(value, list):
        return set().union(*(names_in(each) for each in value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*(names_in(each) for each in value.values()))


def hidden_in(shown: Any) -> set[str]:
    return names_in(shown) & HIDDEN


@AT
def test_a_payer_reads_no_more_than_is_listed(demo: dict[str, Any], at: str) -> None:
    server, browser = pair(demo, at)
    _, payer = server.post("/v1/customers", **{"location[country]": "DE"})
    made = server.pay(confirm="false", customer=payer["id"], **SECRETS)
    path, secret = f"/v1/payment_intents/{made['id']}", made["client_secret"]
    assert made["customer"] == payer["id"]
    assert made["metadata"] == {"internal": "margin 12%"}
    status, shown = browser.get(path, client_secret=secret)
    assert status == 200 and not hidden_in(shown), shown
    status, done = browser.post(f"{path}/confirm", client_secret=secret)
    assert (status, done["status"]) == (200, "succeeded") and not hidden_in(done), done
    declined = server.pay(confirm="false", payment_method="pm_card_visa_chargeDeclined", **SECRETS)
    path, secret = f"/v1/payment_intents/{declined['id']}", declined["client_secret"]
    status, said = browser.post(f"{path}/confirm", client_secret=secret)
    assert status == 402 and said["error"]["code"] == "card_declined"
    assert not hidden_in(said), said
    status, shown = browser.get(path, client_secret=secret)
    assert shown["last_payment_error"]["code"] == "card_declined" and not hidden_in(shown)


def expansions() -> list[str]:
    """Every reference that any object can be asked to expand, one and two levels deep."""
    kinds = [names for each in declared("REFERENCES", "render") for names in each.values()]
    one = sorted(frozenset().union(*kinds))
    return [*one, *(f"{a}.{b}" for a, b in itertools.product(one, one)), "data", "customer"]


@AT
def test_a_payer_expands_nothing(demo: dict[str, Any], at: str) -> None:
    server, browser = pair(demo, at)
    paid = server.pay(**SECRETS)
    path, secret = f"/v1/payment_intents/{paid['id']}", paid["client_secret"]
    for wish in expansions():
        status, said = browser.ask("GET", path, {"client_secret": secret, "expand[0]": wish})
        assert (status, said["error"]["param"]) == (400, "expand"), (wish, said)
        status, said = browser.ask(
            "POST", f"{path}/confirm", {"client_secret": secret, "expand[0]": wish}
        )
        assert (status, said["error"]["param"]) == (400, "expand"), (wish, said)
    status, shown = server.ask("GET", path, {"client_secret": secret, "expand[0]": "latest_charge"})
    assert status == 200 and shown["latest_charge"]["object"] == "charge"


def test_a_new_field_is_private_until_it_is_listed() -> None:
    intent = {"id": "pi_1", "status": "succeeded", "brand_new": 1, "last_payment_error":
              {"code": "card_declined", "network": {"metadata": 1}}}  # fmt: skip
    for body in (intent, {"error": {"code": "x", "advice": 1, "payment_intent": intent}}):
        shown = json.loads(render.public(json.dumps(body).encode()))
        assert not names_in(shown) & {"brand_new", "network", "metadata", "advice"}


ROUTES = [
    ("GET", "/v1/payment_intents"), ("POST", "/v1/payment_intents"),
    ("POST", "/v1/payment_intents/{pi}"), ("POST", "/v1/payment_intents/{pi}/capture"),
    ("POST", "/v1/payment_intents/{pi}/cancel"), ("GET", "/v1/refunds"), ("POST", "/v1/refunds"),
    ("GET", "/v1/refunds/{re}"), ("POST", "/v1/refunds/{re}"), ("GET", "/v1/charges/{ch}"),
    ("GET", "/v1/events"), ("GET", "/v1/events/{evt}"), ("GET", "/v1/webhook_endpoints"),
    ("POST", "/v1/webhook_endpoints"), ("POST", "/v1/explain"), ("POST", "/v1/setup_intents"),
    ("GET", "/v1/setup_intents"), ("POST", "/v1/setup_intents/{seti}"),
    ("POST", "/v1/setup_intents/{seti}/cancel"), ("GET", "/v1/mandates/{mandate}"),
]  # fmt: skip


@AT
def test_everything_else_is_forbidden(demo: dict[str, Any], at: str) -> None:
    server, browser = pair(demo, at)
    paid = server.pay()
    _, refund = server.post("/v1/refunds", payment_intent=paid["id"], amount="1")
    _, events = server.get("/v1/events", limit="1")
    _, payer = server.post("/v1/customers", **{"location[country]": "DE"})
    _, setup = server.post(
        "/v1/setup_intents", customer=payer["id"], payment_method="pm_card_visa", confirm="true",
        **{"location[country]": "DE", "mandate_data[customer_acceptance][type]": "offline"},
    )  # fmt: skip
    ids = {
        "seti": setup["id"], "mandate": setup["mandate"],
        "pi": paid["id"], "ch": paid["latest_charge"], "re": refund["id"],
        "evt": events["data"][0]["id"],
    }  # fmt: skip
    for method, route in ROUTES:
        params = {"client_secret": paid["client_secret"]}
        status, said = browser.ask(method, route.format(**ids), params)
        assert (status, said["error"]["code"]) == (403, "permission_denied"), (method, route, said)


@AT
def test_a_client_secret_counts_whoever_sends_it(demo: dict[str, Any], at: str) -> None:
    server, browser = pair(demo, at)
    made = server.pay(confirm="false")
    other = server.pay(confirm="false")
    path = f"/v1/payment_intents/{made['id']}"
    for api, wrong in itertools.product(
        (server, browser),
        (other["client_secret"], "x", "\u00e9", "\U0001f4b3" * 9, made["client_secret"] + "x"),
    ):
        for status, said in (
            api.get(path, client_secret=wrong),
            api.post(f"{path}/confirm", client_secret=wrong),
            api.post_json(f"{path}/confirm", {"client_secret": wrong}),
        ):
            assert (status, said["error"]["code"]) == (404, "resource_missing"), (wrong, said)
    assert server.get(path)[1]["status"] == "requires_confirmation"
    status, done = server.post(f"{path}/confirm", client_secret=made["client_secret"])
    assert (status, done["status"]) == (200, "succeeded")


@AT
def test_payers_use_up_no_key_of_the_merchant(demo: dict[str, Any], at: str) -> None:
    server, browser = pair(demo, at)
    key = str(uuid.uuid4())
    first, second = server.pay(confirm="false"), server.pay(confirm="false")
    done = []
    for payment in (first, second):
        # Another payer with the same key, and the same again.
        for _ in range(2):
            status, shown = browser.ask(
                "POST",
                f"/v1/payment_intents/{payment['id']}/confirm",
                {"client_secret": payment["client_secret"]},
                Idempotency_Key=key,
            )
            assert (status, shown["status"], shown["id"]) == (200, "succeeded", payment["id"])
        done.append(shown)
    status, created = server.ask(
        "POST", "/v1/payment_intents",
        {"amount": "700", "currency": "eur", "location[country]": "DE"}, Idempotency_Key=key,
    )  # fmt: skip
    assert status == 200 and created["id"] not in {each["id"] for each in done}
    status, said = browser.ask(
        "POST", f"/v1/payment_intents/{first['id']}/confirm",
        {"client_secret": first["client_secret"], "return_url": "https://example.com"},
        Idempotency_Key=key,
    )  # fmt: skip
    assert (status, said["error"]["type"]) == (400, "idempotency_error")


@AT
def test_a_list_of_cards_cannot_be_tried_out(demo: dict[str, Any], at: str) -> None:
    server, browser = pair(demo, at)
    made = server.pay(confirm="false", payment_method="pm_card_visa_chargeDeclined")
    path, secret = f"/v1/payment_intents/{made['id']}", made["client_secret"]
    card = {"client_secret": secret, "payment_method": "pm_card_visa_chargeDeclined"}
    for _ in range(PAYERS_ATTEMPTS_MAX):
        assert browser.post(f"{path}/confirm", **card)[0] == 402
    status, said = browser.post(
        f"{path}/confirm", client_secret=secret, payment_method="pm_card_visa"
    )
    assert (status, said["error"]["code"]) == (400, "payment_intent_attempts_exceeded"), said
    assert asyncio.run(attempts_of(demo, made["id"])) == PAYERS_ATTEMPTS_MAX
    status, done = server.post(f"{path}/confirm", payment_method="pm_card_visa")
    assert (status, done["status"]) == (200, "succeeded")


async def attempts_of(demo: dict[str, Any], payment: str) -> int:
    node = next(each for each in demo["nodes"] if each["name"] == "europe")
    connection = await asyncpg.connect(node["dsn"])
    try:
        count = "SELECT count(*) FROM attempt WHERE subject = $1"
        return int(await connection.fetchval(count, payment))
    finally:
        await connection.close()


@AT
@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "JavaScript:alert(1)", "javascript://%0aalert(1)",
        "data:text/html,x", "data://x", "vbscript:x", "file:///etc/passwd", "blob:https://x",
        "about:blank", "//evil",
        "/relative", "evil", "https:evil", "https://", "https://a b", "https://a\tb", "\u00e9://x",
        "https://x\u0000", "view-source://x", "intent://x", "app://x",
        "com.example.app://paid",
    ],
)  # fmt: skip
def test_a_payer_is_sent_nowhere_strange(demo: dict[str, Any], at: str, url: str) -> None:
    server, browser = pair(demo, at)
    made = server.pay(confirm="false")
    confirm = f"/v1/payment_intents/{made['id']}/confirm"
    create = {"amount": "500", "currency": "eur", "location[country]": "DE", "return_url": url}
    for status, said in (
        server.post("/v1/payment_intents", **create),
        server.post("/v1/explain", **create),
        server.post(confirm, return_url=url),
        browser.post(confirm, return_url=url, client_secret=made["client_secret"]),
    ):
        assert status == 400 and said["error"]["param"] == "return_url", said


@AT
def test_a_payer_is_sent_back_to_a_shop(demo: dict[str, Any], at: str) -> None:
    server, _ = pair(demo, at)
    for url in (
        "https://shop.example/done?a=1#x",
        "http://localhost:3000/x",
        "HTTPS://SHOP.EXAMPLE",
    ):
        assert server.pay(return_url=url)["status"] == "succeeded"
