"""The Checkout.com channel held against what Checkout.com has published: the description of its
API, and its own SDK, which makes the same requests and reads the same errors."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import checkout_sdk
import pytest
import requests
from checkout_sdk.common.enums import PaymentSourceType
from checkout_sdk.environment import Environment
from checkout_sdk.exception import CheckoutApiException
from checkout_sdk.http_client_interface import HttpClientBuilderInterface
from checkout_sdk.payments import payments as sdk
from checkout_sdk.payments.payment_apm import RequestAlipayPlusSource, RequestIdealSource
from msgspec.structs import replace

from bailiwick.channels.checkout_com import CHANNEL, readings
from bailiwick.channels.contract import (
    Instruction,
    Operation,
    Outcome,
    Reply,
    Request,
    Resolve,
    agreed,
)
from bailiwick_lab.channel_suite.cases import Answer
from tests.channels.kit import NOW_MS, Published, asked, of, reply, validate

PUBLISHED = Published(__file__)
EXAMPLES: dict[str, Any] = PUBLISHED.data["examples"]
IT = of(CHANNEL)
ACCOUNT = IT.cases.account
CHARGE, CAPTURE = (IT.instruction(each) for each in (Operation.CHARGE, Operation.CAPTURE))

# Its description


def test_each_request_is_as_described() -> None:
    """But for the sources of the wallets, which the description lacks; the SDK has them."""
    seen = {"GET /payments"}
    for name, request in every_request():
        if name in ("ideal", "alipay") or name.startswith(("ideal_", "alipay_")):
            continue
        seen.add(PUBLISHED.check(request, ACCOUNT.base_url))
    assert seen == set(PUBLISHED.operations)


def every_request() -> list[tuple[str, Request]]:
    made = [
        (name, CHANNEL.request(order, ACCOUNT)) for name, order in IT.cases.instructions.items()
    ]
    return [*made, *((case.name, request) for case, request in asked(IT))]


def test_each_answer_is_as_described() -> None:
    strange = {"status_that_is_new", "without_an_id", "html", "refund_without_an_action"}
    strange |= {"invalid_s_words_at_a_gateway"}
    assert PUBLISHED.check_every_answer(IT, strange) > 50


def test_its_statuses() -> None:
    """Each of its description is read as one of ours, or known to be none."""
    undecided = set()
    for status in PUBLISHED.data["statuses"]:
        body = {"id": "pay_1", "status": status, "reference": CHARGE.reference}
        told = CHANNEL.parse_query(CHARGE, reply(body), Resolve.PROVIDER_ID, ACCOUNT)
        if told.outcome is Outcome.UNKNOWN:
            undecided.add(status)
    assert undecided == {"Card Verified", "Paid", "Partially Refunded", "Refunded"}
    assert set(readings.TABLES.words["types"].values()) <= set(PUBLISHED.data["action_types"])


def test_its_examples() -> None:
    theirs = EXAMPLES["payment"]
    order = replace(CHARGE, reference=theirs["reference"])
    told = CHANNEL.parse(order, reply(theirs, 201), ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.APPROVED, theirs["id"])
    assert agreed(order, told, CHANNEL.profile) == told
    assert CHANNEL.parse(CHARGE, reply(theirs, 201), ACCOUNT).outcome is Outcome.UNKNOWN
    validate(EXAMPLES["request"]["source"], {"type": "object", "required": ["type", "token"]})


@pytest.mark.parametrize("name", PUBLISHED.data["recorded"])
def test_what_was_recorded(name: str) -> None:
    body = PUBLISHED.data["recorded"][name]
    order = replace(CHARGE, reference=body.get("reference") or CHARGE.reference)
    if name.startswith("successful_capture"):
        told = CHANNEL.parse(
            replace(CAPTURE, reference=body["reference"]), reply(body, 202), ACCOUNT
        )
        assert (told.outcome, told.provider_ref) == (Outcome.PENDING, body["action_id"])
    elif name.startswith("error"):
        told = CHANNEL.parse(CHARGE, reply(body, 422), ACCOUNT)
        known = body.get("error_codes")
        assert told.outcome is (Outcome.DECLINED if known else Outcome.UNKNOWN)
        assert told.code == (known[0] if known else None)
    elif "action_id" in body:
        told = CHANNEL.parse(order, reply({**body, "reference": order.reference}, 201), ACCOUNT)
        assert (told.outcome, told.amount) == (Outcome.APPROVED, body["amount"])
    else:
        told = CHANNEL.parse_query(order, reply(body), Resolve.PROVIDER_ID, ACCOUNT)
        wanted = Outcome.APPROVED if body["approved"] else Outcome.DECLINED
        assert (told.outcome, told.provider_ref) == (wanted, body["id"])


# Its SDK


class Session(requests.Session):
    """Takes what the SDK sends, and answers what it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[requests.PreparedRequest] = []
        self.answer = Reply(200, {}, b"{}")

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.sent.append(request)
        made = requests.Response()
        made.status_code = self.answer.status
        made.headers.update({**self.answer.headers, "content-type": "application/json"})
        made._content = self.answer.body
        made.url, made.request = str(request.url), request
        return made


class Builder(HttpClientBuilderInterface):
    def __init__(self, session: Session) -> None:
        self.session = session

    def get_client(self) -> requests.Session:
        return self.session


def client(session: Session) -> Any:
    made = checkout_sdk.CheckoutSdk.builder().secret_key("sk_sbox_m73dzbpy7cf3gfd46xr4yj5xo4e")
    made = made.environment(Environment.sandbox()).environment_subdomain("12345678")
    return made.http_client_builder(Builder(session)).build().payments


def theirs(order: Instruction, session: Session) -> requests.PreparedRequest:
    """The same order, by the SDK."""
    payments, key = client(session), order.reference
    known = order.provider_ref or ""
    ours = json.loads(CHANNEL.request(order, ACCOUNT).body)
    if order.operation is Operation.CHARGE:
        payments.request_payment(_payment(order, ours), key)
    elif order.operation is Operation.CAPTURE:
        asked_for = sdk.CaptureRequest()
        asked_for.amount, asked_for.reference = order.amount, order.reference
        asked_for.capture_type = sdk.CaptureType.FINAL if order.final else sdk.CaptureType.NON_FINAL
        payments.capture_payment(known, asked_for, key)
    elif order.operation is Operation.REFUND:
        back = sdk.RefundRequest()
        back.amount, back.reference = order.amount, order.reference
        payments.refund_payment(known, back, key)
    else:
        void = sdk.VoidRequest()
        void.reference = order.reference
        payments.void_payment(known, void, key)
    return session.sent[-1]


def _payment(order: Instruction, ours: dict[str, Any]) -> sdk.PaymentRequest:
    made = sdk.PaymentRequest()
    token = order.payment_method or ""
    if order.payment_method_type == "ideal":
        made.source = RequestIdealSource()
    elif order.payment_method_type == "alipay":
        made.source = RequestAlipayPlusSource.request_alipay_plus_cn_source()
    elif token.startswith("src_"):
        made.source = sdk.PaymentRequestIdSource()
        made.source.id = token
    else:
        made.source = sdk.PaymentRequestTokenSource()
        made.source.token = token
    made.amount, made.currency = order.amount, order.currency
    made.reference, made.capture = ours["reference"], order.automatic
    made.processing_channel_id = ACCOUNT.options["processing_channel_id"]
    if order.return_url is not None:
        made.success_url = made.failure_url = order.return_url
        if order.payment_method is not None:
            made.three_ds = sdk.ThreeDsRequest()
            made.three_ds.enabled = made.three_ds.attempt_n3d = True
    if order.off_session:
        made.payment_type, made.merchant_initiated = sdk.PaymentType.RECURRING, True
    return made


@pytest.mark.parametrize("order", IT.cases.instructions.values(), ids=IT.cases.instructions)
def test_its_sdk_makes_the_same_request(order: Instruction) -> None:
    made, ours = theirs(order, Session()), CHANNEL.request(order, ACCOUNT)
    assert (made.method, urlsplit(made.url).path) == (ours.method, urlsplit(ours.url).path)
    assert json.loads(made.body or "") == json.loads(ours.body)
    assert made.headers["Cko-Idempotency-Key"] == ours.headers["cko-idempotency-key"]
    for name in ("Authorization", "Accept", "Content-Type"):
        scheme = ours.headers[name.lower()].partition(" ")[0]
        assert made.headers[name].startswith(scheme), name


@pytest.mark.parametrize("way", [Resolve.PROVIDER_ID, Resolve.REFERENCE])
@pytest.mark.parametrize("order", [CHARGE, CAPTURE], ids=["charge", "capture"])
def test_its_sdk_asks_the_same(order: Instruction, way: Resolve) -> None:
    ours = CHANNEL.query(replace(order, provider_ref="pay_1"), ACCOUNT, way)
    if ours is None:
        assert order.operation is not Operation.CHARGE
        return
    session = Session()
    payments = client(session)
    if order.operation is not Operation.CHARGE:
        payments.get_payment_actions("pay_1")
    elif way is Resolve.PROVIDER_ID:
        payments.get_payment_details("pay_1")
    else:
        query = sdk.PaymentsQueryFilter()
        query.limit, query.reference = 10, order.reference
        payments.get_payments_list(query)
    made, mine = urlsplit(session.sent[-1].url), urlsplit(ours.url)
    assert (session.sent[-1].method, made.path) == (ours.method, mine.path)
    assert sorted(parse_qsl(made.query)) == sorted(parse_qsl(mine.query))


@pytest.mark.parametrize(
    "case",
    [each for each in IT.cases.answers if each.reply.status >= 400 and each.way is None],
    ids=lambda case: str(case.name),
)
def test_we_and_its_sdk_read_the_same_errors(case: Answer) -> None:
    session = Session()
    session.answer = case.reply
    with pytest.raises(CheckoutApiException) as raised:
        theirs(case.instruction, session)
    codes = raised.value.error_details
    if case.says.detail == "refused" and case.reply.status == 422:
        assert codes is not None and codes[0] == case.says.code
    if not codes and case.reply.status == 422:
        assert case.says.outcome is Outcome.UNKNOWN


def test_its_types_of_sources() -> None:
    assert {*readings.TABLES.words["sources"].values()} <= {
        each.value for each in PaymentSourceType
    }


def test_its_events() -> None:
    """The event of its description, of a payment of ours."""
    data = {**EXAMPLES["event"], "reference": CHARGE.reference}
    body = json.dumps(
        {"id": "evt_az5sblvku4ge3dwpztvyizgcau", "type": "payment_approved", "data": data}
    )
    case = replace(IT.cases.callbacks[0], body=body.encode())
    told = CHANNEL.callback(IT.signed(case), ACCOUNT, NOW_MS)
    assert told is not None and told.result is not None
    assert (told.reference, told.provider_ref) == (CHARGE.reference, data["id"])
    assert (told.result.outcome, told.result.amount) == (Outcome.APPROVED, data["amount"])
