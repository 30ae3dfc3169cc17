"""Blocks by which answers are read: declared places, and words for how things stand."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bailiwick.channels.blocks import requests, tables
from bailiwick.channels.blocks.tables import Seen, Shape, Tables
from bailiwick.channels.contract import (
    Account,
    CallbackRefused,
    CannotExpress,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Resolve,
    Result,
    redirect,
)

PROFILE = Profile("p", "P", {Operation.CHARGE: (Resolve.REFERENCE,)}, 1)
CODES = """
[charges]
approved = ["DONE"]
held = ["HELD"]
pending = ["OPEN"]
failed = ["NO"]
canceled = ["GONE"]
expired = ["LATE"]

[refunds]
failed = ["NO"]

[voids]
not_allowed = ["DONE"]

[reasons]
expired_card = ["R1"]

[fields.payment]
id = "id"
status = "state"
reference = "about.names.0?"
major = "sum.value"
currency = "sum.currency"
reason = "why#"
bank = "bank.name"
parts = "parts"
needs = ["id"]
fixed = { kind = "payment" }
"""
WHOLE = {
    "kind": "payment",
    "id": "p-1",
    "state": "DONE",
    "about": {"names": ["ch_1"]},
    "sum": {"value": "12.30", "currency": "eur"},
    "why": 51,
    "bank": {"name": "B"},
    "parts": [{"id": "7"}],
}
IN_BODY = Shape("part", {"id": "id"}, ("id",))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    folder = tmp_path_factory.mktemp("channel")
    (folder / "codes.toml").write_text(CODES, encoding="utf-8")
    return Tables.beside(str(folder / "__init__.py"))


def body(**other: object) -> bytes:
    return json.dumps({**WHOLE, **other}).encode()


def test_what_is_declared_is_read(known: Tables) -> None:
    found = known.shapes["payment"].read(body())
    assert found is not None
    assert (found.id, found.status, found.reference) == ("p-1", "DONE", "ch_1")
    assert (found.reason, found.more) == ("51", {"bank": "B"})
    assert found.money(PROFILE) == (1230, "EUR")
    assert IN_BODY.each(found.parts) == [Seen(id="7")]
    assert known.shapes["payment"].members >= {"kind", "about", "sum", "bank"}


@pytest.mark.parametrize(
    "other",
    [
        {"id": None},
        {"id": "with blanks"},
        {"id": ""},
        {"id": 1.5},
        {"id": 7},
        {"why": True},
        {"why": -1},
        {"kind": "refund"},
        {"state": 1},
        {"sum": "12.30"},
        {"sum": {"value": "much"}},
        {"bank": {"name": 1}},
        {"parts": {}},
    ],
)
def test_what_is_of_another_kind_is_not_read(known: Tables, other: dict[str, object]) -> None:
    shape = known.shapes["payment"]
    assert shape.read(body(**other)) is None
    assert shape.listed(b"[%s,%s]" % (body(), body(**other))) is None
    with pytest.raises(CallbackRefused, match="no payment in it"):
        shape.demand(body(**other))


@pytest.mark.parametrize("about", [None, "free text", 7, ["x"], {"names": 1}, {"names": [1]}])
def test_what_others_may_fill_as_they_like_is_none(known: Tables, about: object) -> None:
    found = known.shapes["payment"].read(body(about=about))
    assert found is not None and found.reference is None


def test_a_number_with_decimals_is_exact(known: Tables) -> None:
    text = body(sum={"value": 0, "currency": "EUR"})
    for value, minor in ((b"0.30", 30), (b"1e1", 1000), (b"20.0000000000000000001", None)):
        found = known.shapes["payment"].read(text.replace(b'"value": 0', b'"value": ' + value))
        assert found is not None and found.money(PROFILE) == (minor, "EUR")


@given(st.binary(max_size=60))
def test_whatever_comes_nothing_raises(given: bytes) -> None:
    for text in (given, b"[" * 100_000, b'{"id": 1e99999999999999999999}', b"{}", b"[]", b"7"):
        assert IN_BODY.read(text, "a.0") is None
        assert IN_BODY.listed(text, "a.0") is None


def test_a_list_that_is_not_there_and_one_that_cannot_be_read() -> None:
    assert IN_BODY.listed(b"{}", "items", []) == []
    assert IN_BODY.listed(b'{"items": null}', "items", []) == []
    assert IN_BODY.listed(b'{"items": 1}', "items", []) is None
    assert IN_BODY.listed(b'{"items": [{}]}', "items", []) is None


def test_only_ours_is_taken_of_a_list() -> None:
    mine, other = Seen(id="1", reference="ch_1"), Seen(id="2", reference="ch_2")
    assert tables.only([other, mine], "ch_1", whole=False) == mine
    for listed, whole, detail in (
        (None, True, "unreadable"),
        ([mine, mine], True, "several_listed"),
        ([other], False, "not_listed"),
        ([other], True, "not_found"),
    ):
        said = tables.only(listed, "ch_1", whole=whole)
        assert isinstance(said, Result) and said.outcome is Outcome.UNKNOWN
        assert (said.detail, said.not_found) == (detail, detail == "not_found")


@pytest.mark.parametrize(
    ("operation", "status", "automatic", "outcome", "code"),
    [
        (Operation.CHARGE, "DONE", True, Outcome.APPROVED, None),
        (Operation.CHARGE, "HELD", False, Outcome.APPROVED, None),
        (Operation.CHARGE, "HELD", True, Outcome.PENDING, None),
        (Operation.CHARGE, "OPEN", True, Outcome.PENDING, None),
        (Operation.CHARGE, "NO", True, Outcome.DECLINED, "card_declined"),
        (Operation.CHARGE, "GONE", True, Outcome.DECLINED, "charge_canceled"),
        (
            *(Operation.CHARGE, "LATE", True),
            *(Outcome.DECLINED, "payment_intent_payment_attempt_expired"),
        ),
        (Operation.CHARGE, "NEW WORD", True, Outcome.UNKNOWN, None),
        (Operation.REFUND, "NO", True, Outcome.DECLINED, "refund_failed"),
        (Operation.REFUND, "DONE", True, Outcome.UNKNOWN, None),
        (Operation.VOID, "DONE", True, Outcome.DECLINED, "void_not_allowed"),
    ],
)
def test_how_it_stands(
    known: Tables,
    operation: Operation,
    status: str,
    automatic: bool,
    outcome: Outcome,
    code: str | None,
) -> None:
    found = Seen(id="p-1", status=status, amount=5, currency="EUR", reason="R1")
    said = known.stands(PROFILE, operation, found, automatic=automatic)
    assert (said.outcome, said.code, said.provider_ref) == (outcome, code, "p-1")
    assert said.captured is (status != "HELD" or automatic)
    assert (said.amount == 5) == (outcome is Outcome.APPROVED)
    assert said.decline_code == ("expired_card" if code == "card_declined" else None)


def test_only_a_payer_has_something_to_do() -> None:
    known = Tables({"charges": {"OPEN": "pending"}, "captures": {"OPEN": "pending"}}, {})
    found, action = Seen(id="p-1", status="OPEN"), redirect("https://p.test/")
    said = known.stands(PROFILE, Operation.CHARGE, found, action=action)
    assert said == Result(Outcome.PENDING, "p-1", action=action, detail="open")
    said = known.stands(PROFILE, Operation.CAPTURE, found, action=action)
    assert said == Result(Outcome.PENDING, "p-1", detail="open")


def test_paths_name_what_is_known_and_nothing_breaks_out_of_them() -> None:
    account = Account("g", "https://p.test", {})
    asked = requests.look_up(account, {}, "/a/{known}?b={own}", known="x/../y?", own="c&d")
    assert asked is not None and asked.url == "https://p.test/a/x%2F..%2Fy%3F?b=c%26d"
    assert requests.look_up(account, {}, "/a/{known}", known=None, own="c") is None
    assert requests.look_up(account, {}, None, known="x") is None
    charge = Instruction(Operation.REFUND, "at_1", 1, "EUR", provider_ref="{x}/y")
    assert requests.of_charge("/a/{charge}/b", charge) == "/a/%7Bx%7D%2Fy/b"
    with pytest.raises(CannotExpress):
        requests.of_charge("/a/{charge}", Instruction(Operation.REFUND, "at_1", 1, "EUR"))


def test_where_the_words_lie_is_beside_the_channel(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Tables.beside(str(tmp_path / "__init__.py"))
