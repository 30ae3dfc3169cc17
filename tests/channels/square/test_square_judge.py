"""The Square channel held against what Square has published: the description of its API, and its
own SDK, which makes the same requests, reads the same answers and events, and checks signatures."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from msgspec.structs import replace
from square import Square
from square.core.api_error import ApiError
from square.core.client_wrapper import SyncClientWrapper
from square.types.payment import Payment
from square.types.payment_refund import PaymentRefund
from square.types.payment_updated_event import PaymentUpdatedEvent
from square.types.refund_updated_event import RefundUpdatedEvent
from square.utils.webhooks_helper import verify_signature

from bailiwick.channels.contract import (
    CallbackRefused,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Request,
    Resolve,
)
from bailiwick.channels.square import CHANNEL, readings
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import CALLED
from tests.channels.kit import NOW_MS, Published, asked, of, reply

PUBLISHED = Published(__file__)
for found in PUBLISHED.operations.values():
    # An error's schema is that of the operation's answers, whatever the status.
    found["answers"] = dict.fromkeys(map(str, range(200, 600)), found["answers"]["200"])
IT = of(CHANNEL)
ACCOUNT, ORDERS = IT.cases.account, IT.cases.instructions
CHARGE, HOLD, REFUND = (ORDERS[name] for name in ("charge", "hold", "refund"))
PAYMENT, BACK = "R2B3Z8WMVt3EAmzYWLZvz7Y69EbZY", "refund_1"


# Its description


def test_every_request_is_one_of_its_operations() -> None:
    assert PUBLISHED.check_every_request(IT) == set(PUBLISHED.operations)


def test_every_answer_is_one_of_its_answers() -> None:
    assert PUBLISHED.check_every_answer(IT, strange=set()) == len(IT.cases.answers)


def test_what_is_sent_with_a_charge_is_needed() -> None:
    """Without what it requires a request is none of its own: the description can judge."""
    body = json.loads(CHANNEL.request(CHARGE, ACCOUNT).body)
    for name in PUBLISHED.operations["POST /v2/payments"]["body"]["required"]:
        spoiled = json.dumps({key: value for key, value in body.items() if key != name}).encode()
        request = replace(CHANNEL.request(CHARGE, ACCOUNT), body=spoiled)
        with pytest.raises(Exception, match="is a required property"):
            PUBLISHED.check(request, ACCOUNT.base_url)


def test_the_errors_that_we_know_are_its_own() -> None:
    codes = set(PUBLISHED.data["codes"])
    assert set(readings.TABLES.words["reasons"]) <= codes
    assert set(readings.TABLES.words["categories"]) <= set(PUBLISHED.data["categories"])
    seen = {
        (each["category"], each["code"])
        for case in IT.cases.answers
        for each in json.loads(case.reply.body).get("errors", ())
    }
    assert {code for _, code in seen} <= codes
    assert {category for category, _ in seen} <= set(PUBLISHED.data["categories"])


def test_it_has_the_fields_that_we_read() -> None:
    for ours, theirs in (("payment", Payment), ("refund", PaymentRefund)):
        assert readings.TABLES.shapes[ours].members <= set(theirs.model_fields)


# Its SDK: what is sent


def client(sent: list[Request], status: int = 200, body: bytes = b"{}") -> Square:
    def answered(request: httpx.Request) -> httpx.Response:
        headers = {name.lower(): text for name, text in request.headers.items()}
        sent.append(Request(request.method, str(request.url), headers, request.content))
        return httpx.Response(status, content=body)

    wire = httpx.Client(transport=httpx.MockTransport(answered))
    return Square(token=ACCOUNT.secrets["api_key"], base_url=ACCOUNT.base_url, httpx_client=wire)


def made(ask: Callable[[Square], object]) -> Request:
    """What the SDK sends for a call."""
    sent: list[Request] = []
    with suppress(ApiError):  # the answer is of no interest
        ask(client(sent))
    return sent[0]


def same(theirs: Request, ours: Request | None) -> None:
    assert ours is not None
    mine, other = urlsplit(ours.url), urlsplit(theirs.url)
    assert (theirs.method, other.netloc, other.path) == (ours.method, mine.netloc, mine.path)
    assert sorted(parse_qsl(other.query)) == sorted(parse_qsl(mine.query))
    for name in ("authorization", "square-version"):
        assert theirs.headers[name] == ours.headers[name]
    bodies = [json.loads(each.body) if each.body else {} for each in (theirs, ours)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_its_sdk_makes_the_same_request(order: Instruction) -> None:
    ours = CHANNEL.request(order, ACCOUNT)
    body = json.loads(ours.body)
    calls: dict[Operation, Callable[[Square], object]] = {
        Operation.CHARGE: lambda it: it.payments.create(**body),
        Operation.CAPTURE: lambda it: it.payments.complete(PAYMENT),
        Operation.VOID: lambda it: it.payments.cancel(PAYMENT),
        Operation.REFUND: lambda it: it.refunds.refund_payment(**body),
    }
    if order.provider_ref is None and order.operation is Operation.VOID:
        assert body == {"idempotency_key": order.charge_reference}
        calls[Operation.VOID] = lambda it: it.payments.cancel_by_idempotency_key(**body)
    same(made(calls[order.operation]), ours)


def test_its_sdk_asks_the_same() -> None:
    place = ACCOUNT.options["location_id"]
    check = made(lambda it: list(it.payments.list(location_id=place, limit=1)))
    same(check, CHANNEL.check(ACCOUNT, NOW_MS))
    for order in (CHARGE, ORDERS["capture"], ORDERS["void"]):
        known = replace(order, provider_ref=PAYMENT)
        same(
            made(lambda it: it.payments.get(PAYMENT)),
            CHANNEL.query(known, ACCOUNT, Resolve.PROVIDER_ID),
        )
    known = replace(REFUND, provider_ref=BACK)
    query = CHANNEL.query(known, ACCOUNT, Resolve.PROVIDER_ID)
    same(made(lambda it: it.refunds.get(BACK)), query)


def test_we_speak_the_version_that_its_sdk_speaks() -> None:
    theirs = SyncClientWrapper(base_url="x", token="t", httpx_client=httpx.Client())
    version = theirs.get_headers()["Square-Version"]
    assert CHANNEL.check(ACCOUNT, NOW_MS).headers["square-version"] == version


# Its SDK: what is read


def test_its_sdk_reads_the_same_of_every_answer() -> None:
    read = set()
    for case, _ in asked(IT):
        body, told = json.loads(case.reply.body), case.says
        if case.reply.status != 200 or told.outcome is not Outcome.APPROVED:
            continue
        kind = "refund" if case.instruction.operation is Operation.REFUND else "payment"
        theirs = (PaymentRefund if kind == "refund" else Payment)(**body[kind])
        assert theirs.amount_money is not None
        assert (theirs.id, theirs.amount_money.amount) == (told.provider_ref, told.amount)
        assert theirs.amount_money.currency == told.currency
        read.add(kind)
    assert read == {"payment", "refund"}


ERRORS = [case for case in IT.cases.answers if case.reply.status >= 400 and case.way is None]


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: str(case.name))
def test_its_sdk_tells_the_same_errors(case: Answer) -> None:
    wire = client([], case.reply.status, case.reply.body)
    with pytest.raises(ApiError) as told:
        wire.payments.create(source_id="cnon:1", idempotency_key="1")
    fault = told.value.errors[0]
    assert told.value.status_code == case.reply.status
    if case.says.outcome is Outcome.DECLINED and case.says.detail != "no_such_method":
        assert case.says.message == fault.detail
    if case.says.code == "card_declined":
        assert fault.category == "PAYMENT_METHOD_ERROR"


# Its SDK: callbacks


def checked(notice: Notice, secret: str) -> bool:
    return verify_signature(
        request_body=notice.body.decode(),
        signature_header=notice.headers["x-square-hmacsha256-signature"],
        signature_key=secret,
        notification_url=CALLED,
    )


def test_its_sdk_takes_our_signatures_and_reads_the_events() -> None:
    secret, read = ACCOUNT.secrets["callback_secret"], set()
    for case in IT.cases.callbacks:
        notice = IT.signed(case)
        assert checked(notice, secret)
        assert not checked(notice, "another")
        body = json.loads(case.body)
        if case.says is None:
            continue
        refunded = body["type"].startswith("refund.")
        event: Any = (RefundUpdatedEvent if refunded else PaymentUpdatedEvent)(**body)
        found = event.data.object.refund if refunded else event.data.object.payment
        assert (event.event_id, found.id) == (case.says.notice_id, case.says.provider_ref)
        read.add(body["type"])
    assert read == {"payment.created", "payment.updated", "refund.created", "refund.updated"}


def test_what_its_sdk_refuses_we_refuse() -> None:
    case = next(each for each in IT.cases.callbacks if each.says is not None)
    good, secret = IT.signed(case), ACCOUNT.secrets["callback_secret"]
    for body in (good.body + b" ", good.body.replace(b"1000", b"9000")):
        notice = replace(good, body=body)
        assert not checked(notice, secret)
        with pytest.raises(CallbackRefused):
            CHANNEL.callback(notice, ACCOUNT, NOW_MS)


# The event of https://developer.squareup.com/reference/square/webhooks/payment.updated, in short.
EVENT: dict[str, Any] = {
    "merchant_id": "6SSW7HV8K2ST5",
    "type": "payment.updated",
    "event_id": "6a8f5f28-54a1-4eb0-a98a-3111513fd4fc",
    "created_at": "2020-02-06T21:27:34.308Z",
    "data": {
        "type": "payment",
        "id": "KkAkhdMsgzn59SM8A89WgKwekxLZY",
        "object": {
            "payment": {
                "id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY",
                "amount_money": {"amount": 100, "currency": "USD"},
                "status": "COMPLETED",
            }
        },
    },
}


def test_the_documentation_s_event() -> None:
    def said(**of_payment: str) -> Any:
        payment = {**EVENT["data"]["object"]["payment"], **of_payment}
        data = {**EVENT["data"], "object": {"payment": payment}}
        notice = Notice("POST", CALLED, {}, json.dumps({**EVENT, "data": data}).encode())
        return CHANNEL.callback(readings.SIGNED.sign(notice, ACCOUNT, NOW_MS), ACCOUNT, NOW_MS)

    assert said() is None  # of another use of the account
    told = said(reference_id=CHARGE.reference)
    assert (told.operation, told.reference) == (Operation.CHARGE, CHARGE.reference)
    assert (told.result.outcome, told.result.amount) == (Outcome.APPROVED, 100)
    told = said(reference_id=f"{HOLD.reference}-hold")
    assert (told.operation, told.reference) == (Operation.CAPTURE, None)
    assert told.charge == told.provider_ref == "hYy9pRFVxpDsO1FB05SunFWUe9JZY"


def test_no_other_answer_of_a_charge_is_taken_for_the_hold_s() -> None:
    body = json.loads(next(c for c in IT.cases.answers if c.name == "held").reply.body)
    assert CHANNEL.parse(HOLD, reply(body), ACCOUNT).outcome is Outcome.APPROVED
    assert CHANNEL.parse(CHARGE, reply(body), ACCOUNT).outcome is Outcome.UNKNOWN
