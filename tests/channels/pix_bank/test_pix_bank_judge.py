"""The channel of Pix held against what the central bank has published: its description of the
interface, over every request and answer of the cases, its examples, and its codes."""

import json
import re
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import pytest
from msgspec.structs import replace

from bailiwick.base.ids import new_id, part_id
from bailiwick.channels.blocks.forms import emv, references
from bailiwick.channels.contract import (
    CallbackEvent,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Request,
    Resolve,
    Result,
    agreed,
)
from bailiwick.channels.pix_bank import CHANNEL
from bailiwick_lab.channel_suite.subject import CALLED
from tests.channels.kit import NOW_MS, Published, of, reply, requests_of, validate

PUBLISHED = Published(__file__)
EXAMPLES: dict[str, Any] = PUBLISHED.data["examples"]
IT = of(CHANNEL)
ACCOUNT = IT.cases.account
CHARGE, VOID, REFUND = (
    IT.instruction(each) for each in (Operation.CHARGE, Operation.VOID, Operation.REFUND)
)
TXID = references.bare(CHARGE.reference)
STRANGE = {
    "garbage",
    "paid_at_once",
    "removed_but_paid",
    "status_that_is_new",
    "refund_status_that_is_new",
    "void_read_unknown_status",
    "no_such_address",
}
"""Answers by which no bank keeps to the description."""


# Its description


def test_every_request_is_as_described() -> None:
    assert PUBLISHED.check_every_request(IT) == set(PUBLISHED.operations)


def test_every_answer_is_as_described() -> None:
    assert PUBLISHED.check_every_answer(IT, STRANGE) > 40


def places(request: Request) -> dict[str, str]:
    """What stands in the places that an operation's path leaves open."""
    name = PUBLISHED.operation(request, ACCOUNT.base_url)
    path = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", name.partition(" ")[2])
    found = re.fullmatch(path, urlsplit(request.url).path)
    assert found is not None
    return found.groupdict()


def fit(request: Request) -> None:
    """The description's patterns are of the whole value, though they do not say so."""
    described = PUBLISHED.operations[PUBLISHED.operation(request, ACCOUNT.base_url)]["path"]
    found = places(request)
    assert set(found) == set(described)
    for name, value in found.items():
        validate(value, described[name])
        assert re.fullmatch(described[name]["pattern"], value), f"{name}: {value}"


def test_ids_have_the_form_that_is_described() -> None:
    for _, request in requests_of(IT):
        fit(request)
    for number in range(1, 200):
        own = new_id("ch", number, NOW_MS + number)
        for reference in (own, part_id("ch", own, number), part_id("at", own, number)):
            fit(CHANNEL.request(replace(CHARGE, reference=reference), ACCOUNT))
            fit(CHANNEL.request(replace(REFUND, reference=reference), ACCOUNT))
            assert references.own(references.bare(reference)) == reference


def test_amounts_have_the_form_that_is_described() -> None:
    described = PUBLISHED.operations["PUT /api/cob/{txid}"]["body"]["properties"]["valor"]
    pattern = described["properties"]["original"]["pattern"]
    for amount in (1, 10, 99, 100, 3700, 99_999_999, 999_999_999_999):
        body = json.loads(CHANNEL.request(replace(CHARGE, amount=amount), ACCOUNT).body)
        assert re.fullmatch(pattern, body["valor"]["original"])


@pytest.mark.parametrize("order", [CHARGE, VOID, REFUND], ids=lambda order: str(order.operation))
def test_a_body_without_what_is_required_is_not(order: Instruction) -> None:
    request = CHANNEL.request(order, ACCOUNT)
    schema = PUBLISHED.operations[PUBLISHED.operation(request, ACCOUNT.base_url)]["body"]
    sent = json.loads(request.body)
    for name in schema.get("required", ()):
        with pytest.raises(jsonschema.ValidationError):
            validate({key: sent[key] for key in sent if key != name}, schema)
    with pytest.raises(jsonschema.ValidationError):
        validate({**sent, "desconhecido": 1}, schema)


def test_the_token_is_asked_for_what_the_operations_need() -> None:
    wanted = {each for it in PUBLISHED.operations.values() for each in it["security"]}
    form = CHANNEL.prepare("token", ACCOUNT, NOW_MS).body.decode()
    assert {each.partition("=")[0]: each for each in form.split("&")}["scope"] == (
        "scope=" + "+".join(sorted(wanted))
    )


def test_a_refund_s_body_is_the_one_of_its_example() -> None:
    sent = CHANNEL.request(replace(REFUND, amount=789), ACCOUNT).body
    assert json.loads(sent) == EXAMPLES["devolucaoSolicitada1"]


# Its examples


def test_a_charge_that_is_open() -> None:
    body = {**EXAMPLES["cobResponse1"], "txid": TXID}
    told = CHANNEL.parse(CHARGE, reply(body, 201), ACCOUNT)
    assert told == Result(Outcome.PENDING, detail="open")  # it has no code to show
    (code, *_) = PUBLISHED.data["codes"]
    told = CHANNEL.parse(CHARGE, reply({**body, "pixCopiaECola": code}, 201), ACCOUNT)
    assert told.action is not None
    assert told.action.text == code
    told = CHANNEL.parse(CHARGE, reply(EXAMPLES["cobResponse1"], 201), ACCOUNT)
    assert (told.outcome, told.detail) == (Outcome.UNKNOWN, "reference_mismatch")


def test_a_charge_that_was_paid_more_than_asked() -> None:
    body = {**EXAMPLES["cobResponse2"], "txid": TXID}
    body["pix"] = [{**each, "txid": TXID} for each in body["pix"]]
    told = CHANNEL.parse_query(CHARGE, reply(body), Resolve.REFERENCE, ACCOUNT)
    assert told == Result(Outcome.APPROVED, body["pix"][0]["endToEndId"], 11000, "BRL")
    asked = replace(CHARGE, amount=10000)
    assert agreed(asked, told, CHANNEL.profile).detail == "amount_mismatch"
    told = CHANNEL.parse_query(VOID, reply(body), Resolve.REFERENCE, ACCOUNT)
    assert (told.outcome, told.not_found) == (Outcome.DECLINED, False)


@pytest.mark.parametrize(
    ("name", "outcome", "amount"),
    [
        ("devolucaoResponse1", Outcome.PENDING, 789),
        ("devolucaoResponse2", Outcome.DECLINED, None),
    ],
)
def test_a_refund(name: str, outcome: Outcome, amount: int | None) -> None:
    body = {**EXAMPLES[name], "id": references.bare(REFUND.reference)}
    for told in (
        CHANNEL.parse(REFUND, reply(body, 201), ACCOUNT),
        CHANNEL.parse_query(REFUND, reply(body), Resolve.REFERENCE, ACCOUNT),
    ):
        assert (told.outcome, told.provider_ref) == (outcome, body["rtrId"])
        assert told.amount == amount
        assert told.message == body.get("motivo")


@pytest.mark.parametrize("name", [each for each in EXAMPLES if each.endswith("Example1")])
def test_errors(name: str) -> None:
    body = EXAMPLES[name]
    for order in (CHARGE, REFUND):
        told = CHANNEL.parse(order, reply(body, body["status"]), ACCOUNT)
        sure = body["status"] < 500
        assert told.outcome is (Outcome.DECLINED if sure else Outcome.UNKNOWN)
        assert told.message == (body["detail"] if sure else None)
        told = CHANNEL.parse_query(
            order, reply(body, body["status"]), Resolve.REFERENCE, IT.cases.account
        )
        assert (told.outcome, told.not_found) == (Outcome.UNKNOWN, body["status"] == 404)


def told_of(*paid: dict[str, Any]) -> CallbackEvent | None:
    body = json.dumps({"pix": paid}).encode()
    return CHANNEL.callback(Notice("POST", CALLED, {}, body), ACCOUNT, NOW_MS)


@pytest.mark.parametrize("name", ["pixWebhook1", "pixWebhook2"])
def test_webhooks(name: str) -> None:
    paid = EXAMPLES[name]
    assert told_of(paid) is None
    told = told_of({**paid, "txid": TXID})
    assert told is not None
    assert (told.operation, told.reference) == (Operation.CHARGE, CHARGE.reference)
    assert told.result is None


def test_a_webhook_of_a_refund() -> None:
    paid = EXAMPLES["pixWebhook1"]
    back = {**paid["devolucoes"], "id": references.bare(REFUND.reference)}
    for backs in (back, [back]):
        told = told_of({**paid, "txid": TXID, "devolucoes": backs})
        assert told is not None
        assert (told.operation, told.reference) == (Operation.REFUND, REFUND.reference)
        assert told.result is None


# Its codes


def test_codes() -> None:
    codes = PUBLISHED.data["codes"]
    assert len(codes) == 3
    for code in codes:
        assert emv.code(code, "986") == code
        assert emv.code(code[:-1] + ("0" if code[-1] != "0" else "1"), "986") is None
