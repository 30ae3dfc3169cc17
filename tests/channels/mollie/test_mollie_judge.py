"""The Mollie channel held against what Mollie has published: its SDK, which makes the same requests
and reads the same answers, and the answers that the SDK's own tests have recorded."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from mollie.api.client import Client
from mollie.api.error import Error, ResponseError
from mollie.api.objects.capture import Capture
from mollie.api.objects.payment import Payment
from mollie.api.objects.refund import Refund
from msgspec.structs import replace

from bailiwick.channels.contract import (
    CallbackEvent,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Request,
    Resolve,
    Result,
)
from bailiwick.channels.mollie import CHANNEL, readings
from bailiwick_lab.channel_suite.cases import Answer
from bailiwick_lab.channel_suite.subject import CALLED
from tests.channels.kit import NOW_MS, asked, of, reply

ANSWERS: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())[
    "answers"
]
IT = of(CHANNEL)
ACCOUNT, ORDERS = IT.cases.account, IT.cases.instructions
CHARGE = IT.instruction(Operation.CHARGE)
KNOWN = "tr_7UhSN1zuXS"


class Wire:
    """Takes what the SDK sends, and answers it."""

    encoding = "utf-8"

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.status_code, self.text, self.headers = status, body.decode(), dict[str, str]()
        self.sent: list[Request] = []

    def request(self, method: str, url: str, **given: Any) -> "Wire":
        query, data = given["params"], given["data"]
        headers = {name.lower(): text for name, text in given["headers"].items()}
        address = f"{url}?{urlencode(query)}" if query else url
        self.sent.append(Request(method, address, headers, (data or "").encode()))
        return self

    def json(self) -> Any:
        return json.loads(self.text)


def client(wire: Wire) -> Client:
    made = Client(api_endpoint=ACCOUNT.base_url)
    made.set_api_key(ACCOUNT.secrets["api_key"])
    made._client = wire
    return made


def made(ask: Callable[[Client], object]) -> Request:
    """What the SDK sends for a call."""
    wire = Wire()
    with suppress(Error, KeyError):  # the answer is of no interest
        ask(client(wire))
    return wire.sent[0]


def same(theirs: Request, ours: Request | None) -> None:
    assert ours is not None
    mine, other = urlsplit(ours.url), urlsplit(theirs.url)
    assert (theirs.method, other.netloc, other.path) == (ours.method, mine.netloc, mine.path)
    assert sorted(parse_qsl(other.query)) == sorted(parse_qsl(mine.query))
    for name in ("authorization", "idempotency-key"):
        assert theirs.headers.get(name) == ours.headers.get(name)
    bodies = [json.loads(each.body) if each.body else None for each in (theirs, ours)]
    assert bodies[0] == bodies[1]


def payment(it: Client) -> Payment:
    return Payment({"id": KNOWN, "resource": "payment"}, it)


# Its SDK: what is sent


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_its_sdk_makes_the_same_request(order: Instruction) -> None:
    ours, key = CHANNEL.request(order, ACCOUNT), order.reference
    body = json.loads(ours.body) if ours.body else None
    calls: dict[Operation, Callable[[Client], object]] = {
        Operation.CHARGE: lambda it: it.payments.create(body, key),
        Operation.CAPTURE: lambda it: payment(it).captures.create(body, key),
        Operation.VOID: lambda it: it.payments.delete(KNOWN, key),
        Operation.REFUND: lambda it: payment(it).refunds.create(body, key),
    }
    same(made(calls[order.operation]), ours)


def test_its_sdk_asks_the_same() -> None:
    same(made(lambda it: it.methods.list()), CHANNEL.check(ACCOUNT, NOW_MS))
    for name, known in (("charge", CHARGE), ("void", ORDERS["void"])):
        query = CHANNEL.query(replace(known, provider_ref=KNOWN), ACCOUNT, Resolve.PROVIDER_ID)
        same(made(lambda it: it.payments.get(KNOWN)), query)
        assert CHANNEL.query(known, ACCOUNT, Resolve.REFERENCE) is None, name
    captures = CHANNEL.query(ORDERS["capture"], ACCOUNT, Resolve.REFERENCE)
    same(made(lambda it: payment(it).captures.list(limit=250)), captures)
    refunds = CHANNEL.query(ORDERS["refund"], ACCOUNT, Resolve.REFERENCE)
    same(made(lambda it: payment(it).refunds.list(limit=250)), refunds)


# Its SDK: what is read


def objects(case: Answer) -> Iterator[dict[str, Any]]:
    body = json.loads(case.reply.body)
    for each in body.get("_embedded", {"": [body]}).values():
        yield from each


def test_its_sdk_reads_the_same_of_every_answer() -> None:
    read = set()
    for case, _ in asked(IT):
        told, operation = case.says, case.instruction.operation
        if case.reply.status >= 400 or told.outcome is Outcome.UNKNOWN:
            continue
        found = next(each for each in objects(case) if each["id"] == told.provider_ref)
        kind = {"payment": Payment, "capture": Capture, "refund": Refund}[found["resource"]]
        theirs = kind(found, Client())
        assert theirs.id == told.provider_ref
        read.add(kind)
        if told.amount is not None:
            assert theirs.amount["currency"] == told.currency
            assert theirs.amount["value"] == f"{told.amount / 100:.2f}"
        if kind is Refund:
            assert theirs.is_refunded() == (told.outcome is Outcome.APPROVED)
        if kind is Payment and operation is Operation.CHARGE:
            ended = theirs.is_canceled() or theirs.is_expired() or theirs.is_failed()
            good = theirs.is_paid() or (theirs.is_authorized() and not case.instruction.automatic)
            outcome = Outcome.DECLINED if ended else Outcome.APPROVED if good else Outcome.PENDING
            assert told.outcome is outcome
            if told.action is not None and told.action.url is not None:
                assert told.action.url == theirs.checkout_url
    assert read == {Payment, Capture, Refund}


def test_it_knows_the_statuses_that_we_know() -> None:
    for kind in (Payment, Refund):
        statuses = {text for name, text in vars(kind).items() if name.startswith("STATUS_")}
        for status in statuses:
            order = CHARGE if kind is Payment else ORDERS["refund"]
            body = {
                "resource": kind.__name__.lower(),
                "id": "x",
                "status": status,
                "metadata": {"reference": order.reference},
            }
            told = CHANNEL.parse(order, reply(body, 201), ACCOUNT)
            assert told.outcome is not Outcome.UNKNOWN, status


def test_its_sdk_tells_the_same_errors() -> None:
    for case, request in asked(IT):
        if case.reply.status < 400 or request.method == "DELETE":
            continue
        with pytest.raises(ResponseError) as told:
            client(Wire(case.reply.status, case.reply.body)).payments.create({})
        assert told.value.status == case.reply.status
        if case.says.outcome is Outcome.DECLINED:
            assert case.says.message == str(told.value)


def test_the_fields_that_we_read_are_its_own() -> None:
    properties = {name for kind in (Payment, Capture, Refund) for name in dir(kind)}
    read = readings.TABLES.shapes["made"].members - {"_links"}
    ours = {re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", each) for each in read}
    # A capture has a status since captures can be asked for.
    assert ours <= properties
    told = {*ANSWERS["payment_rejected"], *ANSWERS["error_unauthorized"]}
    assert readings.TABLES.shapes["failure"].members <= told


# The answers that its tests have recorded


def recorded(name: str, **values: Any) -> dict[str, Any]:
    return {**ANSWERS[name], **values}


def own(order: Instruction) -> dict[str, Any]:
    return {"reference": order.reference}


def test_a_recorded_payment() -> None:
    open_ = CHANNEL.parse(
        CHARGE, reply(recorded("payment_single", metadata=own(CHARGE)), 201), ACCOUNT
    )
    assert (open_.outcome, open_.provider_ref) == (Outcome.PENDING, KNOWN)
    assert open_.action is not None
    assert open_.action.url == "https://www.mollie.com/payscreen/select-method/7UhSN1zuXS"
    other = CHANNEL.parse(CHARGE, reply(ANSWERS["payment_single"], 201), ACCOUNT)
    assert other == Result(Outcome.UNKNOWN, detail="reference_mismatch")


def test_a_recorded_cancellation() -> None:
    canceled = ANSWERS["payment_canceled"]
    told = CHANNEL.parse(ORDERS["void"], reply(canceled), ACCOUNT)
    assert told == Result(Outcome.APPROVED, KNOWN, 1000, "EUR")
    mine = recorded("payment_canceled", metadata=own(CHARGE))
    told = CHANNEL.parse_query(CHARGE, reply(mine), Resolve.PROVIDER_ID, ACCOUNT)
    assert (told.outcome, told.code) == (Outcome.DECLINED, "charge_canceled")


def test_recorded_captures_and_refunds() -> None:
    capture, refund = ORDERS["capture"], ORDERS["refund"]
    made = recorded("capture_single", metadata=own(capture))
    told = CHANNEL.parse(capture, reply(made, 201), ACCOUNT)
    # It was made with an order, long before captures had a status.
    assert told == Result(Outcome.UNKNOWN, "cpt_4qqhO89gsT", detail="unknown_status")
    told = CHANNEL.parse(capture, reply({**made, "status": "succeeded"}, 201), ACCOUNT)
    assert told == Result(Outcome.APPROVED, "cpt_4qqhO89gsT", 102799, "EUR")
    told = CHANNEL.parse_query(capture, reply(ANSWERS["captures_list"]), Resolve.REFERENCE, ACCOUNT)
    assert told.not_found
    pending = recorded("refund_single", metadata=own(refund))
    told = CHANNEL.parse(refund, reply(pending, 201), ACCOUNT)
    assert told == Result(Outcome.PENDING, "re_4qqhO89gsT", detail="pending")
    # There are more of them on the next page.
    told = CHANNEL.parse_query(refund, reply(ANSWERS["refunds_list"]), Resolve.REFERENCE, ACCOUNT)
    assert told == Result(Outcome.UNKNOWN, detail="not_listed")


@pytest.mark.parametrize(
    ("name", "outcome", "code"),
    [
        ("payment_rejected", Outcome.DECLINED, "invalid_amount"),
        ("error_unauthorized", Outcome.DECLINED, "processing_error"),
        ("customer_doesnotexist", Outcome.DECLINED, "invalid_request"),
        ("bad_request", Outcome.UNKNOWN, None),
        ("conflict_error", Outcome.UNKNOWN, None),
    ],
)
def test_recorded_errors(name: str, outcome: Outcome, code: str | None) -> None:
    told = CHANNEL.parse(CHARGE, reply(ANSWERS[name], ANSWERS[name]["status"]), ACCOUNT)
    assert (told.outcome, told.code) == (outcome, code)
    # As the answer to another status than it names it is none of Mollie's.
    told = CHANNEL.parse(CHARGE, reply(ANSWERS[name], 418), ACCOUNT)
    assert told.outcome is Outcome.UNKNOWN


def test_an_error_of_the_version_before_is_no_answer() -> None:
    told = CHANNEL.parse(CHARGE, reply(ANSWERS["v1_api_error"], 404), ACCOUNT)
    assert told.outcome is Outcome.UNKNOWN


# Callbacks


def test_the_documentation_s_callback_at_the_address_that_we_gave() -> None:
    """https://docs.mollie.com/overview/webhooks"""
    told = json.loads(CHANNEL.request(CHARGE, ACCOUNT).body)["webhookUrl"]
    assert told.partition("?")[0] == CHARGE.callback_url == CALLED
    headers = {"content-type": "application/x-www-form-urlencoded", "content-length": "16"}
    notice = Notice("POST", told, headers, b"id=tr_d0b0E3EA3v")
    said = CHANNEL.callback(notice, ACCOUNT, NOW_MS)
    known = "tr_d0b0E3EA3v"
    assert said == CallbackEvent(known, Operation.CHARGE, CHARGE.reference, known)
