"""The Razorpay channel held against what Razorpay has published: its SDK, which makes the same
requests and checks our signatures, the answers that the SDK's tests have recorded, and the types of
its other SDK."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import razorpay
import requests
from msgspec.structs import replace
from razorpay.errors import BadRequestError, SignatureVerificationError

from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import Instruction, Operation, Outcome, Request, Resolve, Result
from bailiwick.channels.razorpay import CHANNEL, readings
from bailiwick_lab.channel_suite.cases import Callback
from tests.channels.kit import NOW_MS, of, reply

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())
RECORDED, FIELDS, WORDS = PUBLISHED["recorded"], PUBLISHED["fields"], PUBLISHED["words"]
IT = of(CHANNEL)
ACCOUNT = IT.cases.account
CHARGE, REFUND = (IT.instruction(each) for each in (Operation.CHARGE, Operation.REFUND))
CARD, DEBIT = (IT.cases.instructions[each] for each in ("card", "debit"))


class Session(requests.Session):
    """Takes what the SDK sends."""

    def __init__(self, status: int = 200, answer: object = None) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.status, self.answer = status, {} if answer is None else answer

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.sent.append(request)
        made = requests.Response()
        made.status_code, made._content = self.status, json.dumps(self.answer).encode()
        made.url, made.request = str(request.url), request
        return made


def client(session: Session) -> Any:
    keys = (ACCOUNT.secrets["key_id"], ACCOUNT.secrets["key_secret"])
    return razorpay.Client(session=session, auth=keys)


def same(made: requests.PreparedRequest, ours: Request) -> None:
    theirs, mine = urlsplit(str(made.url)), urlsplit(ours.url)
    assert (made.method, theirs.path) == (ours.method, mine.path)
    assert sorted(parse_qsl(theirs.query)) == sorted(parse_qsl(mine.query))
    assert made.headers["Authorization"] == ours.headers["authorization"]
    body = made.body or b""
    assert (json.loads(body) if body and body != "{}" else None) == (
        json.loads(ours.body) if ours.body else None
    )


# Its SDK


@pytest.mark.parametrize("order", IT.cases.instructions.values(), ids=IT.cases.instructions)
def test_its_sdk_makes_the_same_request(order: Instruction) -> None:
    session, ours = Session(), CHANNEL.request(order, ACCOUNT)
    body = json.loads(ours.body)
    made = client(session)
    if order.step is not None:
        made.payment.createRecurring(body)
    elif order.payment_method_type == "card" and order.operation is Operation.CHARGE:
        made.order.create(body)
    elif order.operation is Operation.CHARGE:
        made.payment_link.create(body)
    else:
        key = {"X-Refund-Idempotency": order.reference}
        made.payment.refund(order.provider_ref, body, headers=key)
        assert (
            session.sent[0].headers["X-Refund-Idempotency"]
            == (ours.headers["x-refund-idempotency"])
        )
    same(session.sent[0], ours)


def test_its_sdk_asks_the_same() -> None:
    session, known = Session(), replace(REFUND, provider_ref="rfnd_1")
    made = client(session)
    made.payment.all({"count": 1})
    made.payment_link.all({"reference_id": CHARGE.reference})
    made.refund.fetch("rfnd_1")
    made.payment.fetch_multiple_refund(REFUND.provider_ref, {"count": 100})
    made.order.all({"receipt": CARD.reference})
    made.order.payments(DEBIT.before[0])
    ours = (
        CHANNEL.check(ACCOUNT, NOW_MS),
        CHANNEL.query(CHARGE, ACCOUNT, Resolve.REFERENCE),
        CHANNEL.query(known, ACCOUNT, Resolve.PROVIDER_ID),
        CHANNEL.query(REFUND, ACCOUNT, Resolve.REFERENCE),
        CHANNEL.query(CARD, ACCOUNT, Resolve.REFERENCE),
        CHANNEL.query(DEBIT, ACCOUNT, Resolve.PROVIDER_ID),
    )
    for theirs, mine in zip(session.sent, ours, strict=True):
        assert mine is not None
        same(theirs, mine)


@pytest.mark.parametrize("case", IT.cases.callbacks, ids=lambda case: str(case.name))
def test_its_sdk_checks_our_signatures(case: Callback) -> None:
    notice = IT.signed(case)
    check = client(Session()).utility.verify_webhook_signature
    made, secret = notice.headers["x-razorpay-signature"], ACCOUNT.secrets["callback_secret"]
    assert check(notice.body.decode(), made, secret)
    with pytest.raises(SignatureVerificationError):
        check(notice.body.decode() + " ", made, secret)


def test_we_and_its_sdk_read_the_same_error() -> None:
    body = RECORDED["bad_request_error"]
    with pytest.raises(BadRequestError, match=body["error"]["description"]):
        client(Session(400, body)).payment_link.create({})
    told = CHANNEL.parse(CHARGE, reply(body, 400), ACCOUNT)
    assert (told.outcome, told.message) == (Outcome.DECLINED, body["error"]["description"])


# What its tests have recorded


def own(link: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**link, "reference_id": CHARGE.reference, **more}


def test_a_link_that_was_paid() -> None:
    theirs = RECORDED["fake_payment_link"]
    wanted = Result(Outcome.APPROVED, "pay_Fo49sHbQ78PCMI", 100, "INR")
    assert CHANNEL.parse(CHARGE, reply(own(theirs)), ACCOUNT) == wanted
    listed = reply({"payment_links": [own(theirs)]})
    assert CHANNEL.parse_query(CHARGE, listed, Resolve.REFERENCE, ACCOUNT) == wanted
    assert CHANNEL.parse(CHARGE, reply(theirs), ACCOUNT).outcome is Outcome.UNKNOWN


def test_a_link_that_was_cancelled() -> None:
    told = CHANNEL.parse(CHARGE, reply(own(RECORDED["cancel_payment_link"])), ACCOUNT)
    assert (told.outcome, told.code) == (Outcome.DECLINED, "charge_canceled")


def test_a_list_of_links() -> None:
    theirs = RECORDED["payment_link_collection"]
    told = CHANNEL.parse_query(CHARGE, reply(theirs), Resolve.REFERENCE, ACCOUNT)
    assert (told.outcome, told.not_found) == (Outcome.UNKNOWN, False)
    for each, wanted in zip(theirs["payment_links"], ("pending", "declined"), strict=True):
        listed = reply({"payment_links": [own(each)]})
        told = CHANNEL.parse_query(CHARGE, listed, Resolve.REFERENCE, ACCOUNT)
        assert told.outcome == wanted
        assert (told.action is not None) == (wanted == "pending")


def test_an_order_and_its_debit() -> None:
    theirs = {**RECORDED["fake_order"], "receipt": CARD.reference}
    told = CHANNEL.parse(CARD, reply(theirs), ACCOUNT)
    assert told == Result(Outcome.PENDING, theirs["id"], detail="ordered", step="debit")
    begun = RECORDED["fake_create_recurring"]
    order = replace(DEBIT, before=(begun["razorpay_order_id"],))
    wanted = Result(Outcome.PENDING, begun["razorpay_payment_id"], detail="created")
    assert CHANNEL.parse(order, reply(begun), ACCOUNT) == wanted
    assert CHANNEL.parse(DEBIT, reply(begun), ACCOUNT).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", ["fake_payment", "fake_captured_payment"])
def test_a_payment_of_an_order(name: str) -> None:
    theirs = RECORDED[name]
    told = CHANNEL.parse_query(DEBIT, reply({"items": [theirs]}), Resolve.PROVIDER_ID, ACCOUNT)
    assert told.provider_ref == theirs["id"]
    assert (told.outcome is Outcome.APPROVED) == (theirs["status"] == "captured")


def test_refunds() -> None:
    theirs = RECORDED["fake_refund"]
    order = replace(REFUND, reference=theirs["receipt"], amount=theirs["amount"])
    wanted = Result(Outcome.APPROVED, "rfnd_FP8DDKxqJif6ca", 300100, "INR")
    assert CHANNEL.parse(order, reply(theirs), ACCOUNT) == wanted
    listed = reply({**RECORDED["refund_collection"], "items": [theirs]})
    assert CHANNEL.parse_query(order, listed, Resolve.REFERENCE, ACCOUNT) == wanted
    assert CHANNEL.parse_query(order, reply(theirs), Resolve.PROVIDER_ID, ACCOUNT) == wanted
    listed = reply(RECORDED["refund_collection"])
    told = CHANNEL.parse_query(order, listed, Resolve.REFERENCE, ACCOUNT)
    assert (told.outcome, told.detail) == (Outcome.UNKNOWN, "not_listed")


def test_its_events_of_no_interest() -> None:
    body = json.dumps(RECORDED["fake_payment_authorized_webhook"]).encode()
    notice = IT.signed(Callback("recorded", body))
    assert CHANNEL.callback(notice, ACCOUNT, NOW_MS) is None


# The types of its other SDK


def test_the_fields_that_we_send() -> None:
    for order in IT.cases.instructions.values():
        sent = set(json.loads(CHANNEL.request(order, ACCOUNT).body))
        kind = "link_request" if order.operation is Operation.CHARGE else "refund_request"
        if order.payment_method_type == "card" and order.operation is Operation.CHARGE:
            kind = "order_request" if order.step is None else "debit_request"
        assert sent <= set(FIELDS[kind])


def test_the_fields_that_we_read() -> None:
    for name, known in (
        ("payment_link", "link"),
        ("refund", "refund"),
        ("link_payment", "link_payment"),
        ("order", "order"),
        ("payment", "payment"),
    ):
        # The id of what was paid by a link stands in events alone.
        read = set(readings.SHAPES[name].paths.values()) - {"id"}
        assert read <= set(FIELDS[known]), name


def test_its_words() -> None:
    for word in WORDS["link"]:
        told = readings.paid(Seen(id="plink_1", status=word), [])
        known = told.outcome is not Outcome.UNKNOWN
        assert known == (word not in ("partially_paid", "paid")), word
    for word in WORDS["payment"]:
        told = readings.settled([Seen(id="pay_1", status=word)])
        assert (told.outcome is not Outcome.UNKNOWN) == (word != "refunded"), word
    for word in WORDS["refund"]:
        told = readings.stands("refund", Seen(id="rfnd_1", status=word))
        assert told.outcome is not Outcome.UNKNOWN, word
