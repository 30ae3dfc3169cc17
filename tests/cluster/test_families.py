"""Every way in which a payer meets a provider, through access, node and sandbox, to the money.

The payer's part is played at the provider's own page, or by words that steer the sandbox.
"""

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import pytest
from api_kit import Api, at_both
from chaos_kit import bailiwick

from tests.waiting import wait_until

BILLING = {
    f"payment_method_data[billing_details][{name}]": value
    for name, value in {
        "name": "Ann", "email": "ann@example.com", "phone": "+254700000001", "tax_id": "00000000000"
    }.items()
}  # fmt: skip
# type, place, currency, what else the request brings, and what the payer is told
WAYS: list[tuple[str, str, str, dict[str, str], str]] = [
    ("paypal", "DE", "eur", {}, "redirect_to_url"),
    ("ideal", "NL", "eur", {}, "redirect_to_url"),
    ("alipay", "DE", "eur", {}, "redirect_to_url"),
    ("wechat_pay", "SG", "cny", {}, "wechat_pay_display_qr_code"),
    ("wechat_pay", "SG", "cny", {"payment_method_data[wallet_id]": "openid-1"}, "open_in_app"),
    ("wechat_pay", "DE", "eur", {"payment_method_data[flow]": "redirect"}, "redirect_to_url"),
    ("pix", "BR", "brl", {}, "pix_display_qr_code"),
    ("paynow", "SG", "sgd", {}, "paynow_display_qr_code"),
    ("qris", "ID", "idr", {}, "display_qr_code"),
    ("upi", "IN", "inr", {"payment_method_data[virtual_address]": "ann@bank"}, "wait_for_payer"),
    ("upi", "IN", "inr", {"payment_method_data[flow]": "shown_code"},
     "upi_handle_redirect_or_display_qr_code"),
    ("boleto", "BR", "brl", BILLING, "boleto_display_details"),
    ("oxxo", "MX", "mxn", BILLING, "oxxo_display_details"),
    ("bank_transfer", "DE", "eur", {}, "display_bank_transfer_instructions"),
    ("blik", "PL", "pln", {"payment_method_options[blik][code]": "123451"}, "blik_authorize"),
    ("unionpay", "HK", "hkd", {"payment_method_data[code]": "6212345678901234501"},
     "wait_for_payer"),
]  # fmt: skip


def wish(method: str, country: str, currency: str, **more: str) -> dict[str, Any]:
    return {
        "amount": "500000", "currency": currency, "confirm": "true", "location[country]": country,
        "payment_method_types[0]": method, "payment_method_data[type]": method,
        "return_url": "https://shop.example/back", **more,
    }  # fmt: skip


def api(demo: dict[str, Any]) -> Api:
    return at_both(demo)["access"]


def ended(server: Api, identifier: str) -> dict[str, Any]:
    """A payment once it waits for nobody any more."""
    found: dict[str, Any] = {}

    def look() -> bool:
        found.update(server.get(f"/v1/payment_intents/{identifier}")[1])
        return found["status"] not in ("processing", "requires_action")

    wait_until(look)
    return found


def charge_at(demo: dict[str, Any], server: Api, payment: dict[str, Any]) -> dict[str, Any]:
    """What the provider's books say of a payment's charge."""
    with urllib.request.urlopen(f"{demo['sandbox']['url']}/books", timeout=30) as answer:
        books = json.load(answer)
    [row] = [each for each in books["charges"] if each["reference"] == payment["latest_charge"]]
    return dict(row)


def acts(demo: dict[str, Any], row: dict[str, Any], decision: str) -> None:
    """The payer presses a button on the provider's page."""
    url = f"{demo['sandbox']['url']}/{row['provider']}/pay/{row['id']}"
    body = urllib.parse.urlencode({"decision": decision}).encode()

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args: Any, **kwargs: Any) -> None:
            return None

    request = urllib.request.Request(url, body)
    try:
        answer = urllib.request.build_opener(Stay).open(request, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        assert answer.status in (200, 303), answer.read()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way[0]}-{way[4]}")
def test_a_payer_pays(demo: dict[str, Any], way: tuple[str, str, str, dict[str, str], str]) -> None:
    method, country, currency, more, told = way
    server = api(demo)
    status, made = server.post("/v1/payment_intents", **wish(method, country, currency, **more))
    assert status == 200, made
    assert (made["status"], made["next_action"]["type"]) == ("requires_action", told), made
    acts(demo, charge_at(demo, server, made), "approve")
    done = ended(server, made["id"])
    assert (done["status"], done["amount_received"]) == ("succeeded", 500000)
    assert done["next_action"] is None
    _, charge = server.get(f"/v1/charges/{done['latest_charge']}")
    assert charge["payment_method_details"]["type"] == method


def test_a_payer_says_no_and_pays_otherwise(demo: dict[str, Any]) -> None:
    server = api(demo)
    _, made = server.post("/v1/payment_intents", **wish("pix", "BR", "brl"))
    acts(demo, charge_at(demo, server, made), "decline")
    declined = ended(server, made["id"])
    assert declined["status"] == "requires_payment_method"
    assert declined["last_payment_error"]["code"]
    status, again = server.post(
        f"/v1/payment_intents/{made['id']}/confirm", **{"payment_method_data[type]": "pix"}
    )
    assert (status, again["status"]) == (200, "requires_action")
    acts(demo, charge_at(demo, server, again), "approve")
    assert ended(server, made["id"])["status"] == "succeeded"


def test_a_code_off_the_payer_s_phone_is_good_at_once_and_once(demo: dict[str, Any]) -> None:
    server = api(demo)
    code = {"payment_method_data[code]": f"28{time.time_ns() % 10**15:015d}2"}
    status, made = server.post("/v1/payment_intents", **wish("alipay", "DE", "eur", **code))
    assert (status, made["status"]) == (200, "succeeded"), made
    status, said = server.post("/v1/payment_intents", **wish("alipay", "DE", "eur", **code))
    assert (status, said["error"]["type"]) == (402, "card_error"), said


def test_a_payer_who_does_not_act_in_time(demo: dict[str, Any]) -> None:
    server = api(demo)
    silent = {"description": "[sandbox: silent]"}
    _, made = server.post("/v1/payment_intents", **wish("mpesa", "KE", "kes", **silent))
    status, made = server.post(
        "/v1/payment_intents",
        **wish("paynow", "SG", "sgd", **silent,
               **{"payment_method_data[expires_at]": str(int(time.time()) + 3)}),
    )  # fmt: skip
    assert status == 200, made
    shown = made["next_action"]["paynow_display_qr_code"]
    assert shown["expires_at"] <= int(time.time()) + 3
    done = ended(server, made["id"])
    assert done["status"] == "requires_payment_method"
    code = done["last_payment_error"]["code"]
    assert code in ("expired", "payment_intent_payment_attempt_expired")


def test_a_payer_who_pays_too_late_is_put_before_a_person(demo: dict[str, Any]) -> None:
    server = api(demo)
    late = {"description": "[sandbox: late]"}
    _, made = server.post("/v1/payment_intents", **wish("pix", "BR", "brl", **late))
    assert ended(server, made["id"])["status"] == "requires_payment_method"

    def told() -> bool:
        _, page = server.get("/v1/events", type="bailiwick.late_success", limit="100")
        return any(each["data"]["object"]["id"] == made["id"] for each in page["data"])

    wait_until(told)


def test_a_charge_that_was_never_answered_is_given_up_by_our_reference(
    demo: dict[str, Any],
) -> None:
    server = api(demo)
    fault = {"provider": "straits-wallet", "operation": "charge", "kind": "error_500_before",
             "times": 1}  # fmt: skip
    request = urllib.request.Request(
        f"{demo['sandbox']['url']}/faults", json.dumps(fault).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    urllib.request.urlopen(request, timeout=30).close()
    more = {"payment_method_data[code]": f"62{time.time_ns() % 10**16:016d}1",
            "payment_method_data[expires_at]": str(int(time.time()) + 3)}  # fmt: skip
    _, made = server.post("/v1/payment_intents", **wish("unionpay", "HK", "hkd", **more))
    assert made["status"] == "processing", made
    done = ended(server, made["id"])
    assert done["status"] == "requires_payment_method", done


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"payment_method_data[type]": "boleto", "payment_method_types[0]": "boleto"},
         "payment_method_data[billing_details][name]"),
        ({"payment_method_options[wechat_pay][client]": "web"},
         "payment_method_options[wechat_pay]"),
        ({"payment_method": "pm_card_visa"}, "payment_method_data"),
        ({"payment_method_data[expires_at]": "1"}, "payment_method_data[expires_at]"),
        ({"payment_method_data[card][token]": "tok_visa"}, "payment_method_data[card]"),
        ({"payment_method_data[code]": "123456", "payment_method_data[flow]": "shown_code"},
         "payment_method_data[code]"),
        ({"payment_method_types[0]": "card"}, "payment_method_data[type]"),
        ({"setup_future_usage": "off_session"}, "setup_future_usage"),
        ({"off_session": "true"}, "off_session"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(
    demo: dict[str, Any], more: dict[str, str], param: str
) -> None:
    status, said = api(demo).post("/v1/payment_intents", **{**wish("pix", "BR", "brl"), **more})
    assert (status, said["error"].get("param")) == (400, param), said


def test_the_books_agree(demo: dict[str, Any]) -> None:
    """All of the above, reversals too, compared with the providers' books."""
    said = json.loads(bailiwick("check", "--data", str(demo["data"]), "--json"))
    assert not said["violations"], said
