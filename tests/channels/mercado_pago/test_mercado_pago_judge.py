"""The Mercado Pago channel held against what Mercado Pago has published: its SDK for Python, which
makes the same requests and checks callbacks, and the requests and answers of its SDK for Java."""

import hashlib
import hmac
import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import mercadopago
import pytest
from mercadopago.config import RequestOptions
from mercadopago.http import HttpClient
from mercadopago.resources.status import PaymentStatus, RefundStatus
from mercadopago.webhook import InvalidWebhookSignatureError, WebhookSignatureValidator
from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.contract import (
    Account,
    Act,
    CallbackRefused,
    CannotExpress,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Reply,
    Request,
    Resolve,
    Result,
    agreed,
)
from bailiwick.channels.mercado_pago import CHANNEL, readings
from bailiwick_lab.channel_suite.subject import CALLED
from tests.channels.kit import NOW_MS, of, reply

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())
ANSWERS, FIELDS = PUBLISHED["answers"], PUBLISHED["fields"]
IT = of(CHANNEL)
ACCOUNT, ORDERS = IT.cases.account, IT.cases.instructions
CHARGE, REFUND = ORDERS["charge"], ORDERS["refund"]
PAYMENT, BACK = 17014025134, 1245678203


def of_currency(currency: str) -> Account:
    return replace(ACCOUNT, options={"currency": currency})


def in_currency(order: Instruction, currency: str) -> Instruction:
    return replace(order, currency=currency, amount=order.amount - order.amount % 100)


# Its SDK: what is sent


class Wire(HttpClient):  # type: ignore[misc,unused-ignore]
    """Takes what the SDK sends."""

    def __init__(self) -> None:
        self.sent: list[Request] = []

    def request(self, method: str, url: str, *_: Any, **given: Any) -> dict[str, Any]:
        query, data = given.get("params"), given.get("data")
        headers = {name.lower(): text for name, text in given["headers"].items()}
        address = f"{url}?{urlencode(query)}" if query else url
        self.sent.append(Request(method, address, headers, (data or "").encode()))
        return {"status": 200, "response": {}}


def made(ask: Callable[[Any, Any], object], key: str) -> Request:
    """What the SDK sends for a call."""
    wire = Wire()
    options = RequestOptions(custom_headers={"x-idempotency-key": key})
    ask(mercadopago.SDK(ACCOUNT.secrets["api_key"], http_client=wire), options)
    return wire.sent[0]


def same(theirs: Request, ours: Request | None) -> None:
    assert ours is not None
    mine, other = urlsplit(ours.url), urlsplit(theirs.url)
    assert (theirs.method, other.path) == (ours.method, mine.path)
    assert sorted(parse_qsl(other.query)) == sorted(parse_qsl(mine.query))
    assert theirs.headers["authorization"] == ours.headers["authorization"]
    if ours.method != "GET":
        assert theirs.headers["x-idempotency-key"] == ours.headers["x-idempotency-key"]
    bodies = [json.loads(each.body) if each.body else None for each in (theirs, ours)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_its_sdk_makes_the_same_request(order: Instruction) -> None:
    ours = CHANNEL.request(order, ACCOUNT)
    body = json.loads(ours.body)
    whole = body.get("transaction_amount")
    calls: dict[Operation, Callable[[Any, Any], object]] = {
        Operation.CHARGE: lambda it, how: it.payment().create(body, how),
        Operation.CAPTURE: lambda it, how: it.payment().capture(PAYMENT, whole, how),
        Operation.VOID: lambda it, how: it.payment().update(PAYMENT, body, how),
        Operation.REFUND: lambda it, how: it.refund().create(PAYMENT, body, how),
    }
    same(made(calls[order.operation], order.reference), ours)


def test_its_sdk_asks_the_same() -> None:
    same(made(lambda it, how: it.user().get(how), "x"), CHANNEL.check(ACCOUNT, NOW_MS))
    for name in ("charge", "capture", "void"):
        known = replace(ORDERS[name], provider_ref=str(PAYMENT))
        query = CHANNEL.query(known, ACCOUNT, Resolve.PROVIDER_ID)
        same(made(lambda it, how: it.payment().get(PAYMENT, how), "x"), query)
    named = {"external_reference": CHARGE.reference}
    query = CHANNEL.query(CHARGE, ACCOUNT, Resolve.REFERENCE)
    same(made(lambda it, how: it.payment().search(named, how), "x"), query)
    known = replace(REFUND, provider_ref=f"{PAYMENT}/refunds/{BACK}")
    query = CHANNEL.query(known, ACCOUNT, Resolve.PROVIDER_ID)
    same(made(lambda it, how: it.refund().get(PAYMENT, BACK, how), "x"), query)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_a_request_has_fields_that_its_sdk_has(order: Instruction) -> None:
    body = json.loads(CHANNEL.request(order, ACCOUNT).body)
    kinds = {Operation.CHARGE: "payment", Operation.VOID: "cancel"}
    assert set(body) <= set(FIELDS[kinds.get(order.operation, str(order.operation))])
    payer = body.get("payer", {})
    assert set(payer) <= set(FIELDS["payer"])
    for part in ("identification", "address"):
        assert set(payer.get(part, {})) <= set(FIELDS[part])


def test_the_requests_of_its_tests() -> None:
    theirs = PUBLISHED["requests"]
    assert json.loads(CHANNEL.request(ORDERS["void"], ACCOUNT).body) == theirs["cancelled"]
    assert json.loads(CHANNEL.request(ORDERS["capture"], ACCOUNT).body)["capture"] is True
    for name, own in (("card", "charge"), ("hold", "hold"), ("pix", "pix"), ("boleto", "boleto")):
        mine = json.loads(CHANNEL.request(ORDERS[own], ACCOUNT).body)
        assert set(mine) <= {*theirs[name], "external_reference", "date_of_expiration"}
        for shared in ("capture",) if name in ("card", "hold") else ("payment_method_id",):
            assert mine[shared] == theirs[name][shared]
        kinds = [type(each["transaction_amount"]) for each in (mine, theirs[name])]
        assert all(kind in (int, float) for kind in kinds)


# The currency of the account


@pytest.mark.parametrize("currency", readings.SITES.values())
def test_a_charge_is_sent_in_the_account_s_currency_alone(currency: str) -> None:
    order, account = in_currency(CHARGE, currency), of_currency(currency)
    sent = json.loads(CHANNEL.request(order, account).body, parse_float=str, parse_int=str)
    places = CURRENCIES[currency].iso_exponent
    assert sent["transaction_amount"] == f"{order.amount / 10**places:.{places}f}"
    paid = {
        **ANSWERS["card"],
        "external_reference": order.reference,
        "currency_id": currency,
        "transaction_amount": order.amount / 10**places,
    }
    told = CHANNEL.parse(order, reply(paid, 201), account)
    assert agreed(order, told, CHANNEL.profile) == told
    assert (told.outcome, told.amount, told.currency) == (Outcome.APPROVED, order.amount, currency)
    for other in set(readings.SITES.values()) - {currency}:
        with pytest.raises(CannotExpress) as refused:
            CHANNEL.request(order, of_currency(other))
        assert refused.value.param == "currency"


@pytest.mark.parametrize(("site", "currency"), readings.SITES.items())
def test_the_credential_check_knows_the_account_s_currency(site: str, currency: str) -> None:
    who = reply({"id": 1, "site_id": site})
    assert CHANNEL.parse_check(who, of_currency(currency)) is None
    wrong = "BRL" if currency != "BRL" else "ARS"
    assert f"takes {currency}" in str(CHANNEL.parse_check(who, of_currency(wrong)))


# The answers of its tests


def own(name: str, order: Instruction, **more: Any) -> Reply:
    return reply({**ANSWERS[name], "external_reference": order.reference, **more}, 201)


def test_a_code_and_a_slip() -> None:
    told = CHANNEL.parse(ORDERS["pix"], own("pix", ORDERS["pix"]), ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.PENDING, "21071815560")
    assert told.action is not None and told.action.type is Act.SHOWN_CODE
    data = ANSWERS["pix"]["point_of_interaction"]["transaction_data"]
    assert (told.action.text, told.action.expires_ms) == (data["qr_code"], 1644487810000)
    told = CHANNEL.parse(ORDERS["boleto"], own("boleto", ORDERS["boleto"]), ACCOUNT)
    assert told.action is not None and told.action.type is Act.VOUCHER
    slip = ANSWERS["boleto"]
    assert told.action.number == slip["barcode"]["content"]
    assert told.action.url == slip["transaction_details"]["external_resource_url"]
    assert told.detail == slip["status_detail"]


def test_a_card() -> None:
    order = replace(CHARGE, amount=1234)
    told = CHANNEL.parse(order, own("card", order), ACCOUNT)
    assert told == Result(Outcome.APPROVED, str(PAYMENT), 1234, "BRL")
    assert agreed(order, told, CHANNEL.profile) == told
    other = CHANNEL.parse(order, reply(ANSWERS["card"], 201), ACCOUNT)
    assert other == Result(Outcome.UNKNOWN, detail="reference_mismatch")
    void = replace(ORDERS["void"], amount=1234)
    gone = {**ANSWERS["cancelled"], "external_reference": void.charge_reference}
    told = CHANNEL.parse(void, reply(gone), ACCOUNT)
    assert (told.outcome, told.amount) == (Outcome.APPROVED, 1234)


def test_refunds() -> None:
    order = replace(REFUND, amount=1234)
    told = CHANNEL.parse(order, reply(ANSWERS["refund"], 201), ACCOUNT)
    assert told == Result(Outcome.APPROVED, f"{PAYMENT}/refunds/934723769", 1234, "BRL")
    first, second = ANSWERS["refunds"]
    half = replace(REFUND, amount=5000)
    assert CHANNEL.parse(half, reply(first, 201), ACCOUNT).outcome is Outcome.APPROVED
    assert CHANNEL.parse(half, reply(second, 201), ACCOUNT).detail == "reference_mismatch"


def test_looking_for_a_payment() -> None:
    found = ANSWERS["search"]["results"]
    order = replace(CHARGE, reference=found[0]["external_reference"], amount=1234)
    told = CHANNEL.parse_query(order, reply(ANSWERS["search"]), Resolve.REFERENCE, ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.APPROVED, str(found[0]["id"]))
    none = reply(ANSWERS["search_empty"])
    assert CHANNEL.parse_query(CHARGE, none, Resolve.REFERENCE, ACCOUNT).not_found


def test_an_error() -> None:
    told = CHANNEL.parse(CHARGE, reply(ANSWERS["token_error"], 400), ACCOUNT)
    assert (told.outcome, told.detail) == (Outcome.DECLINED, "no_such_method")
    assert CHANNEL.parse(CHARGE, reply(ANSWERS["token_error"], 402), ACCOUNT).outcome is (
        Outcome.UNKNOWN
    )


def statuses(of_: type) -> set[str]:
    return {text for name, text in vars(of_).items() if name.isupper()}


def test_it_knows_the_statuses_that_we_know() -> None:
    returned = {"refunded", "charged_back", "in_mediation"}
    for status in statuses(PaymentStatus):
        told = CHANNEL.parse(CHARGE, own("card", CHARGE, status=status), ACCOUNT)
        assert (told.outcome is Outcome.UNKNOWN) == (status in returned), status
    for status in statuses(RefundStatus):
        told = CHANNEL.parse(REFUND, reply({**ANSWERS["refund"], "status": status}, 201), ACCOUNT)
        assert told.outcome is not Outcome.UNKNOWN


def test_the_fields_that_we_read_are_its_own() -> None:
    told = {*ANSWERS["card"], *ANSWERS["boleto"], *ANSWERS["refund"]}
    shapes = readings.TABLES.shapes
    assert shapes["payment"].members | shapes["refund"].members <= told
    assert shapes["failure"].members == set(ANSWERS["token_error"])


# Its SDK: callbacks


def checked(notice: Notice, secret: str, about: str) -> bool:
    headers = notice.headers
    given = headers["x-signature"], headers.get("x-request-id")
    try:
        WebhookSignatureValidator.validate(*given, about, secret)
    except InvalidWebhookSignatureError:
        return False
    return True


def test_its_sdk_takes_our_signatures() -> None:
    secret = ACCOUNT.secrets["callback_secret"]
    for case in IT.cases.callbacks:
        notice = IT.signed(case)
        about = dict(parse_qsl(case.query)).get("data.id", "")
        assert checked(notice, secret, about)
        assert not checked(notice, "another", about)
        assert not checked(notice, secret, "17014025135")


def test_its_sdk_takes_seconds_and_so_do_we() -> None:
    """Its documentation has milliseconds, and its tolerance counts in seconds."""
    secret, number, about = ACCOUNT.secrets["callback_secret"], "1", str(PAYMENT)
    for off_s in (0, 290, 310):
        instant = NOW_MS // 1000 - off_s
        text = f"id:{about};request-id:{number};ts:{instant};"
        hashed = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        headers = {"x-signature": f"ts={instant},v1={hashed}", "x-request-id": number}
        notice = Notice("POST", f"{CALLED}?data.id={about}", headers, b"{}")
        late = off_s > 300
        assert readings.SIGNED.check(notice, ACCOUNT, NOW_MS) != late
        told = CHANNEL.callback(notice, ACCOUNT, NOW_MS)
        assert told is not None and told.dated == late
        with pytest.raises(InvalidWebhookSignatureError) if late else nullcontext():
            WebhookSignatureValidator.validate(
                headers["x-signature"],
                number,
                about,
                secret,
                tolerance_seconds=300,
                now=lambda: NOW_MS,
            )


# The values of its own test of signatures.
VECTOR = ("your_secret_key_here", "2066ca19-c6f1-498a-be75-1923005edd06", "1742505638683")


@pytest.mark.parametrize("about", ["17014025134", "ord01jq4s4ky8hwq6na5pxb65b3d3", ""])
def test_what_its_sdk_takes_and_refuses_we_do(about: str) -> None:
    secret, number, instant = VECTOR
    account = replace(ACCOUNT, secrets={"callback_secret": secret})
    bare = Notice("POST", f"{CALLED}?data.id={about}", {"X-Request-Id": number}, b"{}")
    signed = readings.SIGNED.sign(bare, account, int(instant))
    theirs = signed.headers["x-signature"]
    WebhookSignatureValidator.validate(theirs, number, about, secret)
    assert readings.SIGNED.check(signed, account, int(instant))
    assert not readings.SIGNED.check(signed, account, NOW_MS)
    hashed = theirs.partition("v1=")[2]
    for header in (f"v1={hashed}", f"ts={instant}", "this-is-garbage", theirs[:-1] + "x", ""):
        with pytest.raises(InvalidWebhookSignatureError):
            WebhookSignatureValidator.validate(header, number, about, secret)
        with pytest.raises(CallbackRefused):
            readings.SIGNED.check(
                replace(signed, headers={**signed.headers, "x-signature": header}), account, NOW_MS
            )
