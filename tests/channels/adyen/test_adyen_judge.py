"""The Adyen channel held against what Adyen has published: its description of its API and of its
webhooks, their examples, its own library's check of a signature, and answers that were recorded."""

import json
from typing import Any

import jsonschema
import pytest
from Adyen.util import generate_notification_sig, is_valid_hmac_notification
from msgspec.structs import replace

from bailiwick.base.ids import new_id, part_id
from bailiwick.channels.adyen import CHANNEL, readings
from bailiwick.channels.contract import (
    Account,
    CallbackRefused,
    Notice,
    Operation,
    Outcome,
    Result,
    agreed,
)
from bailiwick_lab.channel_suite.cases import Callback
from tests.channels.kit import NOW_MS, Published, of, reply, validate

PUBLISHED = Published(__file__)
EXAMPLES: dict[str, Any] = PUBLISHED.data["examples"]
EVENTS: dict[str, Any] = PUBLISHED.data["events"]
IT = of(CHANNEL)
ACCOUNT = IT.cases.account
CHARGE, REFUND = (IT.instruction(each) for each in (Operation.CHARGE, Operation.REFUND))
KEY = ACCOUNT.secrets["hmac_key"]
STRANGE = {"result_tomorrow", "html", "refund_but_not_received"}


# Its description


def test_each_request_is_as_described() -> None:
    assert PUBLISHED.check_every_request(IT) == set(PUBLISHED.operations)


def test_each_answer_is_as_described() -> None:
    assert PUBLISHED.check_every_answer(IT, STRANGE) > 40


@pytest.mark.parametrize("order", IT.cases.instructions.values(), ids=IT.cases.instructions)
def test_what_it_requires_is_there(order: Any) -> None:
    request = CHANNEL.request(order, ACCOUNT)
    schema = PUBLISHED.operations[PUBLISHED.check(request, ACCOUNT.base_url)]["body"]
    sent = json.loads(request.body)
    for name in schema["required"]:
        with pytest.raises(jsonschema.ValidationError):
            validate({key: sent[key] for key in sent if key != name}, schema)
    with pytest.raises(jsonschema.ValidationError):
        validate({**sent, "amounts": 1}, schema)


def test_its_example_of_a_stored_card_is_what_we_send() -> None:
    theirs = EXAMPLES["post-payments-subscription-payment"]
    stored, shopper = theirs["paymentMethod"]["storedPaymentMethodId"], theirs["shopperReference"]
    order = replace(CHARGE, payment_method=f"tok_{stored}_{shopper}")
    ours = json.loads(CHANNEL.request(order, ACCOUNT).body)
    same = ("paymentMethod", "shopperReference", "shopperInteraction")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    assert {*theirs} <= {*ours}


def test_references_are_as_it_allows_and_come_back() -> None:
    for number in range(1, 50):
        own = new_id("ch", number, NOW_MS + number)
        for reference in (own, part_id("ch", own, number)):
            for automatic in (True, False):
                order = replace(CHARGE, reference=reference, automatic=automatic)
                sent = json.loads(CHANNEL.request(order, ACCOUNT).body)["reference"]
                assert len(sent) <= 80 and ":" not in sent
                told = taken(item(merchantReference=sent))
                assert told is not None and told.result is not None
                assert (told.reference, told.result.captured) == (reference, automatic)


def test_its_examples_of_a_page_are_what_we_send() -> None:
    ideal, back = (IT.cases.instructions[name] for name in ("ideal", "details"))
    theirs, ours = EXAMPLES["post-payments-ideal"], json.loads(CHANNEL.request(ideal, ACCOUNT).body)
    assert theirs["paymentMethod"] == ours["paymentMethod"] and {*theirs} == {*ours}
    theirs = EXAMPLES["post-payments-details-00.redirect"]
    back = replace(back, kept=theirs["details"])
    assert json.loads(CHANNEL.request(back, ACCOUNT).body) == theirs


# The answers of its description


def test_its_examples_of_a_page_are_read() -> None:
    ideal, back = (IT.cases.instructions[name] for name in ("ideal", "details"))
    theirs = EXAMPLES["post-payments-ideal-200"]
    told = CHANNEL.parse(ideal, reply(theirs), ACCOUNT)
    assert told.action is not None and told.action.url == theirs["action"]["url"]
    theirs = EXAMPLES["post-payments-details-00.redirect-200"]
    # It does not say whose it is: the event does.
    assert CHANNEL.parse(back, reply(theirs), ACCOUNT).outcome is Outcome.UNKNOWN
    told = CHANNEL.parse(back, reply({**theirs, "merchantReference": back.reference}), ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.APPROVED, theirs["pspReference"])


def test_the_examples_of_a_charge() -> None:
    for name in (
        "post-payments-card-direct-200",
        "post-payments-subscription-first-transaction-200",
    ):
        body = {**EXAMPLES[name], "merchantReference": CHARGE.reference}
        told = CHANNEL.parse(CHARGE, reply(body), ACCOUNT)
        assert told.outcome is Outcome.APPROVED
        # Without the amount it is not booked.
        assert agreed(CHARGE, told, CHANNEL.profile).detail == "amount_missing"
        amount = {"currency": CHARGE.currency, "value": CHARGE.amount}
        told = CHANNEL.parse(CHARGE, reply({**body, "amount": amount}), ACCOUNT)
        assert agreed(CHARGE, told, CHANNEL.profile) == told


def test_the_examples_that_need_the_payer_are_not_taken_for_an_end() -> None:
    for name in ("ideal", "card-3d-secure-2-web", "card-3d-secure-redirect"):
        told = CHANNEL.parse(CHARGE, reply(EXAMPLES[f"post-payments-{name}-200"]), ACCOUNT)
        assert told.outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "name", ["captures-capture", "refunds-refund", "cancels-cancel-with-psp-reference"]
)
def test_the_examples_of_what_is_received(name: str) -> None:
    theirs = EXAMPLES[f"post-payments-paymentPspReference-{name}-201"]
    kind = {"ca": "capture", "re": "refund"}[name[:2]] if "cancel" not in name else "void"
    order = replace(
        IT.instruction(Operation(kind)),
        reference=theirs["reference"],
        provider_ref=theirs["paymentPspReference"],
    )
    told = CHANNEL.parse(order, reply(theirs, 201), ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.PENDING, theirs["pspReference"])
    assert CHANNEL.parse(IT.instruction(Operation(kind)), reply(theirs, 201), ACCOUNT).outcome is (
        Outcome.UNKNOWN
    )


def test_the_example_of_a_cancel_by_our_reference() -> None:
    theirs = EXAMPLES["post-cancels-cancel-with-own-reference-201"]
    order = replace(
        IT.cases.of("give_up"),
        reference=theirs["reference"],
        charge_reference=theirs["paymentReference"],
        automatic=True,
    )
    told = CHANNEL.parse(order, reply(theirs, 201), ACCOUNT)
    assert (told.outcome, told.provider_ref) == (Outcome.PENDING, theirs["pspReference"])


def test_the_examples_of_errors() -> None:
    seen = {}
    for status in (400, 401, 403, 422, 500):
        told = CHANNEL.parse(CHARGE, reply(EXAMPLES[f"generic-{status}"], status), ACCOUNT)
        seen[status] = (told.outcome, told.detail)
    refused, credentials = (Outcome.DECLINED, "refused"), (Outcome.DECLINED, "credentials")
    assert seen == {
        400: refused,
        401: credentials,
        403: credentials,
        422: refused,
        500: (Outcome.UNKNOWN, "http_500"),
    }


@pytest.mark.parametrize("name", PUBLISHED.data["recorded"])
def test_what_was_recorded(name: str) -> None:
    """By others, with an older version: the same result codes and errors."""
    body = PUBLISHED.data["recorded"][name]
    told = CHANNEL.parse(CHARGE, reply(body, body.get("status", 200)), ACCOUNT)
    if name.startswith("successful"):
        assert told.outcome is Outcome.APPROVED
    elif name.startswith("failed_unknown") or body.get("status") == 500:
        assert told.outcome is Outcome.UNKNOWN
    else:
        assert told.outcome is Outcome.DECLINED


# Callbacks


def item(**fields: Any) -> dict[str, Any]:
    theirs = EVENTS["AUTHORISATION"]["notificationItems"][0]["NotificationRequestItem"]
    account = ACCOUNT.options["merchant_account"]
    return {**theirs, "merchantAccountCode": account, "additionalData": {}, **fields}


def signed(body: dict[str, Any]) -> Notice:
    return IT.signed(Callback("made", json.dumps(body).encode()))


def taken(one: dict[str, Any]) -> Any:
    body = {"live": "false", "notificationItems": [{"NotificationRequestItem": one}]}
    return CHANNEL.callback(signed(body), ACCOUNT, NOW_MS)


def test_its_published_signature() -> None:
    theirs = PUBLISHED.data["signature"]
    body = json.dumps(theirs["body"]).encode()
    account = replace(ACCOUNT, secrets={"hmac_key": theirs["key"]})
    notice = Notice("POST", "https://node.test/", {}, body)
    assert readings.SIGNED.check(notice, account, NOW_MS)
    made = readings.SIGNED.sign(notice, account, NOW_MS)
    assert json.loads(made.body) == theirs["body"]
    # It is of another use of the account.
    assert CHANNEL.callback(notice, account, NOW_MS) is None
    with pytest.raises(CallbackRefused):
        CHANNEL.callback(replace(notice, body=body.replace(b"1130", b"1131")), account, NOW_MS)


@pytest.mark.parametrize("case", IT.cases.callbacks, ids=lambda case: str(case.name))
def test_we_and_its_library_agree_on_signatures(case: Callback) -> None:
    body = json.loads(IT.signed(case).body)
    assert is_valid_hmac_notification(body, KEY)
    assert not is_valid_hmac_notification(body, KEY[::-1])


@pytest.mark.parametrize("name", EVENTS)
def test_what_its_library_has_signed_we_believe(name: str) -> None:
    one = EVENTS[name]["notificationItems"][0]["NotificationRequestItem"]
    one = {**one, "merchantAccountCode": ACCOUNT.options["merchant_account"]}
    mine = "ch" if readings.TABLES.word("events", name) == "charge" else "at"
    one["merchantReference"] = new_id(mine, 1, NOW_MS)
    made = generate_notification_sig(one, KEY).decode()
    one["additionalData"] = {**one.get("additionalData", {}), "hmacSignature": made}
    body = {**EVENTS[name], "notificationItems": [{"NotificationRequestItem": one}]}
    notice = Notice("POST", "https://node.test/", {}, json.dumps(body).encode())
    told = CHANNEL.callback(notice, ACCOUNT, NOW_MS)
    if name not in readings.TABLES.words["events"]:
        assert told is None
        return
    assert told is not None and told.reference == one["merchantReference"]
    good = one["success"] == "true" and name in ("AUTHORISATION", "CAPTURE", "CANCELLATION")
    good = good or name == "TECHNICAL_CANCEL"
    assert told.result is not None
    assert told.result.outcome is (Outcome.APPROVED if good else Outcome.DECLINED)


@pytest.mark.parametrize("name", EVENTS)
def test_its_events_are_as_described_and_of_no_use_unsigned(name: str) -> None:
    notice = Notice("POST", "https://node.test/", {}, json.dumps(EVENTS[name]).encode())
    with pytest.raises(CallbackRefused):
        CHANNEL.callback(notice, ACCOUNT, NOW_MS)


def test_the_callbacks_of_the_cases_are_as_described() -> None:
    schemas = PUBLISHED.data["event_schemas"]
    for case in IT.cases.callbacks:
        if case.says is not None:
            kind = case.says.notice_id.partition(":")[0]
            validate(json.loads(case.body), schemas[kind])


def test_its_result_codes() -> None:
    """Each one of its description is read as one of ours, or known to be none."""
    schema = PUBLISHED.operations["POST /payments"]["answers"]["200"]
    undecided = set()
    for code in schema["properties"]["resultCode"]["enum"]:
        body = {"resultCode": code, "pspReference": "JLCMPCQ8HXSKGK82"}
        if CHANNEL.parse(CHARGE, reply(body), ACCOUNT) == Result(
            Outcome.UNKNOWN, detail="undecided_status"
        ):
            undecided.add(code)
    assert undecided == {
        *("AuthenticationFinished", "AuthenticationNotRequired", "ChallengeShopper"),
        *("IdentifyShopper", "PartiallyAuthorised", "RedirectShopper", "Success"),
    }


def test_its_types_of_payment_methods() -> None:
    known = set(PUBLISHED.data["types"])
    assert {*readings.TABLES.words["types"].values(), "scheme"} <= known


def test_two_accounts_do_not_hear_of_each_other() -> None:
    other = Account("g", ACCOUNT.base_url, ACCOUNT.secrets, options={"merchant_account": "Other"})
    body = {"live": "false", "notificationItems": [{"NotificationRequestItem": item()}]}
    assert CHANNEL.callback(signed(body), other, NOW_MS) is None
