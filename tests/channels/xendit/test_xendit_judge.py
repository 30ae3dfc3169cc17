"""The Xendit channel held against what Xendit has published: its SDK, which makes the same requests
and reads the same answers, and the examples of the SDK's documents."""

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import xendit
from msgspec.structs import replace
from xendit.apis import PaymentRequestApi, RefundApi
from xendit.payment_request.model.e_wallet_channel_code import EWalletChannelCode
from xendit.payment_request.model.error import Error
from xendit.payment_request.model.payment_callback import PaymentCallback
from xendit.payment_request.model.payment_request_parameters import PaymentRequestParameters
from xendit.payment_request.model.payment_request_status import PaymentRequestStatus
from xendit.payment_request.model.virtual_account_channel_code import VirtualAccountChannelCode
from xendit.refund.model.create_refund import CreateRefund
from xendit.refund.model.refund_callback import RefundCallback

from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import CallbackEvent, Instruction, Operation, Outcome, Resolve
from bailiwick.channels.xendit import CHANNEL, readings
from bailiwick_lab.channel_suite.cases import Answer, Callback
from tests.channels.kit import NOW_MS, asked, of, reply

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())
IT = of(CHANNEL)
ACCOUNT, ORDERS = IT.cases.account, IT.cases.instructions
CHARGE, REFUND = (IT.instruction(each) for each in (Operation.CHARGE, Operation.REFUND))
FALLBACK = "UNKNOWN_ENUM_VALUE"


class Pool:
    """Takes what the SDK sends, and answers it."""

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.sent: list[tuple[str, str, dict[str, str], Any]] = []
        self.status, self.data, self.reason = status, body, ""

    def request(self, method: str, url: str, **given: Any) -> "Pool":
        if given.get("fields"):
            url += "?" + "&".join(f"{key}={value}" for key, value in given["fields"])
        headers = {key.lower(): value for key, value in given["headers"].items()}
        self.sent.append((method, url, headers, given.get("body")))
        return self

    def getheaders(self) -> dict[str, str]:
        return {}

    def getheader(self, name: str, default: Any = None) -> Any:
        return default


def client(pool: Pool) -> xendit.ApiClient:
    made = xendit.ApiClient(xendit.Configuration(host=ACCOUNT.base_url))
    made.configuration.api_key = ACCOUNT.secrets["api_key"]
    made.rest_client.pool_manager = pool
    return made


def made(ask: Callable[[xendit.ApiClient], object]) -> tuple[str, str, dict[str, str], Any]:
    """What the SDK sends for a call."""
    pool = Pool()
    with suppress(xendit.XenditSdkException, TypeError):  # the answer is of no interest
        ask(client(pool))
    return pool.sent[0]


def same(theirs: tuple[str, str, dict[str, str], Any], ours: Any) -> None:
    method, url, headers, body = theirs
    mine, other = urlsplit(ours.url), urlsplit(url)
    assert (method, other.path) == (ours.method, mine.path)
    assert sorted(parse_qsl(other.query)) == sorted(parse_qsl(mine.query))
    for name in ("authorization", "idempotency-key"):
        assert headers.get(name) == ours.headers.get(name)
    sent = None if body is None else json.loads(body, parse_int=float)
    assert timed(sent) == timed(json.loads(ours.body, parse_int=float) if ours.body else None)


def timed(value: Any) -> Any:
    """With instants for their texts: the SDK spells them in another way."""
    if isinstance(value, dict):
        return {key: timed(each) for key, each in value.items()}
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value


# Its SDK: what is sent


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_its_sdk_makes_the_same_request(order: Instruction) -> None:
    ours, key = CHANNEL.request(order, ACCOUNT), order.reference
    body = json.loads(ours.body, parse_int=float)
    if order.operation is Operation.REFUND:
        same(
            made(lambda it: RefundApi(it).create_refund(key, create_refund=CreateRefund(**body))),
            ours,
        )
        return
    parameters = PaymentRequestParameters._from_openapi_data(
        **body, _configuration=client(Pool()).configuration, _spec_property_naming=True
    )
    assert FALLBACK not in json.dumps(parameters.to_dict(), default=str)
    same(
        made(
            lambda it: PaymentRequestApi(it).create_payment_request(
                key, payment_request_parameters=parameters
            )
        ),
        ours,
    )


def test_its_sdk_asks_the_same() -> None:
    known = replace(CHARGE, provider_ref="pr-1"), replace(REFUND, provider_ref="rfd-1")
    pairs: list[tuple[Callable[[Any], object], Any]] = [
        (
            lambda it: PaymentRequestApi(it).get_all_payment_requests(limit=1),
            CHANNEL.check(ACCOUNT, NOW_MS),
        ),
        (
            lambda it: PaymentRequestApi(it).get_payment_request_by_id("pr-1"),
            CHANNEL.query(known[0], ACCOUNT, Resolve.PROVIDER_ID),
        ),
        (
            lambda it: PaymentRequestApi(it).get_all_payment_requests(
                reference_id=[CHARGE.reference]
            ),
            CHANNEL.query(CHARGE, ACCOUNT, Resolve.REFERENCE),
        ),
        (
            lambda it: RefundApi(it).get_refund("rfd-1"),
            CHANNEL.query(known[1], ACCOUNT, Resolve.PROVIDER_ID),
        ),
    ]
    for ask, ours in pairs:
        same(made(ask), ours)


def test_its_sdk_can_list_refunds_of_a_request() -> None:
    ours = CHANNEL.query(REFUND, ACCOUNT, Resolve.REFERENCE)
    assert ours is not None
    names = RefundApi(client(Pool())).get_all_refunds_endpoint.attribute_map.values()
    assert {name for name, _ in parse_qsl(urlsplit(ours.url).query)} <= set(names)


@pytest.mark.parametrize("name", ["dana", "gcash", "grabpay", "linkaja", "ovo", "shopeepay"])
def test_its_sdk_knows_the_wallets(name: str) -> None:
    order = replace(CHARGE, payment_method_type=name)
    method = json.loads(CHANNEL.request(order, ACCOUNT).body)["payment_method"]
    assert EWalletChannelCode(method["ewallet"]["channel_code"]).value == name.upper()


def test_its_sdk_knows_the_banks_of_the_page() -> None:
    known = set(VirtualAccountChannelCode.allowed_values[("value",)].values())
    page = (IT.folder / "page.md").read_text()
    named = set(page.partition("virtual accounts are made at: ")[2].partition(". It")[0].split("`"))
    banks = {each for each in named if each.replace("_", "").isalpha() and each.isupper()}
    assert len(banks) == 9 and banks <= known


# Its SDK: what is answered

READ = [(case, ours) for case, ours in asked(IT) if case.reply.status in (200, 201)]


def theirs(case: Answer, path: str) -> Any:
    """An answer as the SDK reads it; None where it cannot."""
    it = client(Pool(200, case.reply.body))
    listing = case.way is Resolve.REFERENCE
    refunding = case.instruction.operation is Operation.REFUND
    try:
        if refunding:
            api = RefundApi(it)
            return api.get_all_refunds() if listing else api.get_refund("rfd-1")
        other = PaymentRequestApi(it)
        if listing:
            return other.get_all_payment_requests()
        return other.get_payment_request_by_id("pr-1")
    except (xendit.XenditSdkException, ValueError, TypeError):
        return None


@pytest.mark.parametrize(("case", "ours"), READ, ids=[case.name for case, _ in READ])
def test_we_and_its_sdk_read_the_same(case: Answer, ours: Any) -> None:
    found, says = theirs(case, urlsplit(ours.url).path), case.says
    if found is None:
        assert says.detail in ("unreadable", "unknown_status")
        return
    listed = list(found.data) if case.way is Resolve.REFERENCE else [found]
    own = [each for each in listed if each.get("reference_id") == case.instruction.reference]
    if says.provider_ref is None:
        assert len(own) != 1
        return
    (one,) = own
    assert one.id == says.provider_ref
    if says.amount is not None:
        assert says.outcome is Outcome.APPROVED
        assert says.amount == round(one.amount * 100)
        assert says.currency == getattr(one.currency, "value", one.currency)


def test_every_status_of_its_sdk_is_known() -> None:
    words = set(PaymentRequestStatus.allowed_values[("value",)].values()) - {FALLBACK}
    for word in words:
        told = readings.stands(CHARGE, Seen(id="pr-1", status=word))
        decided = told.outcome is not Outcome.UNKNOWN
        assert decided == (word not in ("UNKNOWN", "VOIDED", "AWAITING_CAPTURE")), word


def test_its_errors() -> None:
    """Those that a repeat may be told of something that was done are no refusals."""
    words = [word for word in Error.allowed_values[("error_code",)].values() if word]
    open_ = [
        word
        for word in words
        if CHANNEL.parse(CHARGE, reply({"error_code": word, "message": ""}, 400), ACCOUNT).outcome
        is Outcome.UNKNOWN
    ]
    assert sorted(open_) == [
        "DUPLICATE_ERROR",
        "DUPLICATE_REFERENCE",
        "IDEMPOTENCY_ERROR",
        "PROCESSOR_ERROR",
        "PROCESSOR_TIMEOUT",
        "SERVER_ERROR",
    ]


# The examples of its documents


def test_its_requests_are_as_ours() -> None:
    for name, order in (("wallet", "charge"), ("code", "qris"), ("account", "transfer")):
        example = PUBLISHED["requests"][name]
        ours = json.loads(CHANNEL.request(ORDERS[order], ACCOUNT).body)
        method = example["payment_method"]
        method.pop("reference_id", None)
        assert set(example) - {"metadata"} <= set(ours)
        assert {key: method[key] for key in ("type", "reusability")}.items() <= (
            ours["payment_method"].items()
        )
        kind = method["type"].lower()
        inner, mine = method[kind], ours["payment_method"][kind]
        assert inner["channel_code"] == mine["channel_code"]
        assert set(inner.get("channel_properties", ())) <= set(mine["channel_properties"])


@pytest.mark.parametrize("name", ["payment", "refund"])
def test_its_events(name: str) -> None:
    event = json.loads(json.dumps(PUBLISHED["events"][name]))
    order = CHARGE if name == "payment" else REFUND
    headers = {"x-callback-token": ACCOUNT.secrets["callback_token"]}
    notice = IT.signed(Callback("theirs", json.dumps(event).encode(), headers=headers))
    assert CHANNEL.callback(notice, ACCOUNT, NOW_MS) is None  # its reference is none of ours
    data = event["data"]
    data["reference_id"] = order.reference
    notice = IT.signed(Callback("ours", json.dumps(event).encode(), headers=headers))
    known = data["payment_request_id"] if name == "payment" else data["id"]
    named = f"{event['event']}:{data['id']}"
    assert CHANNEL.callback(notice, ACCOUNT, NOW_MS) == CallbackEvent(
        named, order.operation, order.reference, known
    )


@pytest.mark.parametrize("case", [each for each in IT.cases.callbacks if each.says is not None])
def test_its_sdk_reads_our_events(case: Callback) -> None:
    event = json.loads(case.body)
    kind = PaymentCallback if event["event"].startswith("payment") else RefundCallback
    read = kind._from_openapi_data(
        **event, _configuration=client(Pool()).configuration, _spec_property_naming=True
    )
    assert case.says is not None and case.says.notice_id == f"{read.event}:{read.data.id}"
