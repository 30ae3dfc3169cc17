"""The channel of PayPal held against what PayPal has published: its descriptions of its interfaces,
over every request and answer of the cases, and a callback that it has signed; and against the
requests of another implementation."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from msgspec.structs import replace

from bailiwick.base.ids import new_id, part_id
from bailiwick.channels.contract import (
    Account,
    CallbackRefused,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Request,
    Resolve,
)
from bailiwick.channels.paypal import CHANNEL, readings
from bailiwick_lab.channel_suite.subject import CALLED
from tests.channels.kit import NOW_MS, Published, of, reply, requests_of, validate

PUBLISHED = Published(__file__)
IT = of(CHANNEL)
ACCOUNT = IT.cases.account
STRANGE = {
    "garbage",
    "status_that_is_new",
    "capture_status_that_is_new",
    "refund_status_that_is_new",
    "token_ended",
}
"""Answers by which PayPal does not keep to its description, or is not asked by it."""
ORDERS: dict[str, Instruction] = IT.cases.instructions


# Its descriptions


def test_every_request_is_as_described() -> None:
    assert PUBLISHED.check_every_request(IT) == set(PUBLISHED.operations)


def test_every_answer_is_as_described() -> None:
    assert PUBLISHED.check_every_answer(IT, STRANGE) > 50


def test_headers_are_as_described() -> None:
    seen = set()
    for _, request in requests_of(IT):
        operation = PUBLISHED.operations[PUBLISHED.operation(request, ACCOUNT.base_url)]
        for name, schema in operation.get("headers", {}).items():
            validate(request.headers[name], schema)
            seen.add(name)
    assert seen == {"paypal-request-id", "prefer"}


@pytest.mark.parametrize("name", [name for name, each in ORDERS.items() if "known" not in name])
def test_a_body_without_what_is_required_is_not(name: str) -> None:
    request = CHANNEL.request(ORDERS[name], ACCOUNT)
    schema = PUBLISHED.operations[PUBLISHED.operation(request, ACCOUNT.base_url)].get("body")
    if schema is None:
        assert ORDERS[name].operation is Operation.VOID
        return
    sent = json.loads(request.body)
    for missing in schema.get("required", ()):
        with pytest.raises(jsonschema.ValidationError):
            validate({key: sent[key] for key in sent if key != missing}, schema)
    with pytest.raises(jsonschema.ValidationError):
        validate({**sent, "unknown": 1}, schema)


def test_keys_are_as_long_as_they_may_be_and_kept_for_longer_than_we_repeat() -> None:
    hours = re.search(r"stores keys for (\d+) hours", PUBLISHED.data["keys"]["checkout"])
    days = re.search(r"stores keys for (\d+) days", PUBLISHED.data["keys"]["payments"])
    assert hours is not None and days is not None
    kept_ms = 3_600_000 * min(int(hours[1]), 24 * int(days[1]))
    assert CHANNEL.profile.replay_ms < kept_ms
    keys = set()
    own = new_id("ch", 7, NOW_MS)
    schema = PUBLISHED.operations["POST /v2/checkout/orders"]["headers"]["paypal-request-id"]
    for number in range(1, 9):
        order = replace(
            ORDERS["complete"],
            reference=part_id("ch", own, number),
            steps=("complete",) * number,
        )
        key = CHANNEL.request(order, ACCOUNT).headers["paypal-request-id"]
        validate(key, schema)
        keys |= {key, order.reference}
    assert len(keys) == 16


ISSUES = readings.TABLES.words["issues"]
DONE_BEFORE = sorted(issue for issue, word in ISSUES.items() if word == "done_before")


def test_what_is_read_of_an_issue_is_of_an_issue_that_there_is() -> None:
    every = {issue for each in PUBLISHED.operations.values() for issue in each.get("issues", ())}
    for table in ("issues", "reasons"):
        assert set(readings.TABLES.words[table]) <= every


@pytest.mark.parametrize("issue", DONE_BEFORE)
def test_what_may_have_been_done_before_is_no_decline(issue: str) -> None:
    body = {"name": "UNPROCESSABLE_ENTITY", "message": "No.", "details": [{"issue": issue}]}
    for name in ("complete", "complete_hold", "capture", "refund"):
        told = CHANNEL.parse(ORDERS[name], reply(body, 422), ACCOUNT)
        assert told.outcome is Outcome.UNKNOWN


def test_every_other_issue_of_a_charge_is_definite() -> None:
    path = "POST /v2/checkout/orders/{id}/capture"
    issues = set(PUBLISHED.operations[path]["issues"]) - set(DONE_BEFORE)
    assert len(issues) > 40
    for issue in issues:
        body = {"name": "UNPROCESSABLE_ENTITY", "message": "No.", "details": [{"issue": issue}]}
        told = CHANNEL.parse(ORDERS["complete"], reply(body, 422), ACCOUNT)
        assert (told.outcome, told.message) == (Outcome.DECLINED, "No.")


# Another implementation


def ours(name: str) -> Request:
    if name == "token":
        return CHANNEL.prepare("token", ACCOUNT, NOW_MS)
    if name.endswith("_read"):
        known = ORDERS[name.replace("_read", "_known")]
        asked = CHANNEL.query(known, ACCOUNT, Resolve.PROVIDER_ID)
        assert asked is not None
        return asked
    return CHANNEL.request(ORDERS["charge" if name == "order" else name], ACCOUNT)


def place(url: str) -> str:
    """An address, but for the ids in it: what has a digit, and is no version."""
    parts = urlsplit(url)
    ids = r"(?=.*(\d|probe))(?!v\d$|oauth2$).+"
    parted = ["*" if re.fullmatch(ids, each) else each for each in parts.path.split("/")]
    return f"{parts.netloc}{'/'.join(parted)}"


@pytest.mark.parametrize("name", PUBLISHED.data["second"])
def test_another_implementation_asks_the_same_way(name: str) -> None:
    theirs, mine = PUBLISHED.data["second"][name], ours(name)
    assert (mine.method, place(mine.url)) == (theirs["method"], place(theirs["url"]))
    # It sends a key and a preference with look-ups, too, and a type where there is no body.
    needless = {"content-type"} if mine.body in (b"", b"{}") else set()
    needless |= {"paypal-request-id", "prefer"} if mine.method == "GET" else set()
    assert set(theirs["headers"]) - needless <= set(mine.headers)
    assert mine.headers.get("prefer", "return=representation") == "return=representation"
    if name == "token":
        assert mine.body == b"grant_type=client_credentials"
        assert "grant_type=client_credentials" in theirs["body"]
    elif name == "order":
        body = json.loads(mine.body)
        (unit,), (its_unit,) = body["purchase_units"], theirs["body"]["purchase_units"]
        assert set(unit) - {"description"} <= set(its_unit)
        assert body["intent"] == theirs["body"]["intent"]
        page, its_page = (
            each["payment_source"]["paypal"]["experience_context"]
            for each in (body, theirs["body"])
        )
        assert set(its_page) <= set(page)
        assert page["user_action"] == its_page["user_action"]
    elif theirs["body"] is not None:
        assert set(theirs["body"]) <= set(json.loads(mine.body))


# A callback that PayPal has signed


def told(**changes: Any) -> tuple[Notice, Account]:
    its = PUBLISHED.data["callback"]
    account = replace(
        ACCOUNT,
        secrets={**ACCOUNT.secrets, "webhook_certificate": its["certificate"]},
        options={"webhook_id": changes.pop("webhook_id", its["webhook_id"])},
    )
    body = changes.pop("body", its["body"]).encode()
    return Notice("POST", CALLED, {**its["headers"], **changes}, body), account


SIGNED_MS = 1_431_963_913_000


def test_its_signature_holds() -> None:
    notice, account = told()
    assert readings.SIGNED.check(notice, account, SIGNED_MS)
    assert not readings.SIGNED.check(notice, account, SIGNED_MS + 301_000)
    assert CHANNEL.callback(notice, account, SIGNED_MS) is None  # of an older interface


def test_its_certificate_may_be_the_second() -> None:
    notice, account = told()
    secrets = {**ACCOUNT.secrets, "webhook_certificate_2": account.secrets["webhook_certificate"]}
    assert readings.SIGNED.check(notice, replace(account, secrets=secrets), SIGNED_MS)
    with pytest.raises(CallbackRefused, match="webhook_certificate"):
        readings.SIGNED.check(notice, replace(account, secrets=ACCOUNT.secrets), SIGNED_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"webhook_id": "4JH86294D6297924H"},
        {"paypal-transmission-id": "dfb3be50-fd74-11e4-8bf3-77339302725c"},
        {"paypal-transmission-time": "2015-05-18T15:45:14Z"},
        {"paypal-auth-algo": "SHA1withRSA"},
        {"body": "{}"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_nothing_of_it_can_be_another(change: dict[str, Any]) -> None:
    notice, account = told(**change)
    with pytest.raises(CallbackRefused):
        readings.SIGNED.check(notice, account, SIGNED_MS)


def test_no_callback_decides_anything() -> None:
    """Its signature covers a checksum of the body, which proves nothing of it."""
    for case in IT.cases.callbacks:
        if case.says is not None:
            assert case.says.result is None
