"""The checker's join between our rows and the providers' books."""

from typing import Any

import msgspec
import pytest

from bailiwick.checker import providers
from bailiwick.checker.books import (
    Books,
    Capture,
    Charge,
    Completion,
    Family,
    Refund,
    Row,
    Setup,
    Void,
)
from bailiwick.checker.findings import Findings
from bailiwick.checker.kinds import steps, test_data
from bailiwick.checker.providers import Joined
from bailiwick.checker.tables import Attempt, Payment, Tables

NOW = 1_000_000


def payment(state: str = "succeeded", received: int = 500, **more: Any) -> Payment:
    given = {"capturable": 0, "refunding": 0, "refunded": 0, "charge_attempt": "ch_1", **more}
    return Payment("pi_1", state, 500, "EUR", received=received, **given)


def attempt(name: str = "ch_1", operation: str = "charge", state: str = "approved") -> Attempt:
    return Attempt(name, "pi_1", operation, "bank", state, 500, "EUR", None, 10, False)


def charge(reference: str = "ch_1", status: str = "captured", **more: Any) -> Charge:
    captured = 500 if status == "captured" else 0
    given = {"amount": 500, "currency": "EUR", "amount_captured": captured, **more}
    return Charge("p", f"id {reference}", reference, status=status, created=20, updated=20, **given)


def wrong(
    paid: Payment,
    attempts: list[Attempt],
    charges: list[Charge],
    others: list[Row] | None = None,
    found: dict[str, str | None] | None = None,
) -> set[str]:
    rest = others or []
    books = Books(
        {"p": {}},
        charges,
        [row for row in rest if isinstance(row, Capture)],
        [row for row in rest if isinstance(row, Void)],
        [row for row in rest if isinstance(row, Refund)],
        setups=[row for row in rest if isinstance(row, Setup)],
    )
    tables = Tables({paid.id: paid}, {each.id: each for each in attempts}, {})
    where = {"bank": "p"} if found is None else found
    joined = Joined("n", tables, books.by_reference(), NOW, where, frozenset(books.providers))
    findings = Findings()
    for invariant in providers.BETWEEN:
        invariant(joined, findings.of(invariant))
    return {each.name for each in findings.all() if each.count}


def late(name: str = "ch_2", reviewed: bool = True, operation: str = "charge") -> Attempt:
    return Attempt(name, "pi_1", operation, "bank", "late", 500, "EUR", None, 10, reviewed)


HELD = payment("requires_capture", 0, capturable=500)
FAILED = payment("requires_payment_method", 0)
CANCELED = payment("canceled", 0)
VOID = attempt("at_2", "void")
REFUNDING = Attempt("at_2", "pi_1", "refund", "bank", "unknown", 100, "EUR", "re_1", 1, False)
GOOD = {
    "paid": (payment(), [attempt()], [charge()]),
    "held": (HELD, [attempt()], [charge(status="authorized")]),
    "expired": (HELD, [attempt()], [charge(status="voided", void_reason="expired")]),
    "declined": (FAILED, [attempt(state="declined")], [charge(status="declined")]),
    "never sent": (FAILED, [attempt(state="unsent")], []),
    "unknown": (payment("processing", 0), [attempt(state="unknown")], [charge()]),
    "late": (payment(), [attempt(), late()], [charge(), charge("ch_2")]),
    "voided": (
        CANCELED,
        [attempt(), VOID],
        [charge(status="voided")],
        [Void("p", "at_2", 30, "id ch_1")],
    ),
    "late capture": (
        HELD,
        [attempt(), late("at_2", operation="capture")],
        [charge()],
        [Capture("p", "at_2", 30, "id ch_1", 500, "EUR")],
    ),
    "late void": (
        HELD,
        [attempt(), late("at_2", operation="void")],
        [charge(status="voided", void_reason="requested")],
        [Void("p", "at_2", 30, "id ch_1")],
    ),
    "late refund": (
        payment(),
        [attempt(), late("at_2", operation="refund")],
        [charge(amount_refunded=500)],
        [Refund("p", "at_2", "id ch_1", 500, "EUR", "succeeded", 30, 30)],
    ),
    "refund under way": (
        payment(refunding=100),
        [attempt(), REFUNDING],
        [charge(amount_refunded=100)],
        [Refund("p", "at_2", "id ch_1", 100, "EUR", "succeeded", 30, 30)],
    ),
}  # fmt: skip
BAD = {
    "lost charge": (payment(), [attempt()], [],
                    {"attempts_match_books", "succeeded_means_one_charge"}),
    "another amount": (payment(), [attempt()], [charge(amount=501)], {"attempts_match_books"}),
    "another currency": (payment(), [attempt()], [charge(currency="USD")],
                         {"attempts_match_books"}),
    "captured twice": (payment(), [attempt(), attempt("ch_2")], [charge(), charge("ch_2")],
                       {"one_live_charge", "succeeded_means_one_charge"}),
    "late without review": (payment(), [attempt(), late(reviewed=False)],
                            [charge(), charge("ch_2")],
                            {"attempts_match_books", "one_live_charge",
                             "succeeded_means_one_charge"}),
    "5xx taken for a failure": (FAILED, [attempt(state="declined")], [charge()],
                                {"failed_means_no_charge"}),
    "canceled and charged": (CANCELED, [attempt()], [charge()], {"failed_means_no_charge"}),
    "less than received": (payment(), [attempt()], [charge(amount_captured=400)],
                           {"succeeded_means_one_charge"}),
    "only held": (payment(), [attempt()], [charge(status="authorized")],
                  {"succeeded_means_one_charge"}),
    "refund of theirs": (payment(), [attempt()], [charge(amount_refunded=1)],
                         {"refunds_match_books"}),
    "more than captured": (payment(refunded=600), [attempt()], [charge(amount_refunded=600)],
                           {"refunds_match_books"}),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_what_is_right_is_green(name: str) -> None:
    assert wrong(*GOOD[name]) == set()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named(name: str) -> None:
    paid, attempts, charges, expected = BAD[name]
    assert wrong(paid, attempts, charges) == expected  # type: ignore[arg-type]


def test_another_provider_and_another_operation_are_seen() -> None:
    assert wrong(payment(), [attempt()], [charge()], found={"bank": "q"}) == set()  # no books
    paid = (payment(), [attempt(), attempt("at_2", "capture")], [charge()])
    refund = Refund("p", "at_2", "id ch_1", 500, "EUR", "succeeded", 30, 30)
    assert wrong(*paid, [refund]) == {"attempts_match_books"}
    elsewhere = Capture("p", "at_2", 30, "id ch_1", 500, "EUR")
    assert wrong(*paid, [elsewhere]) == set()
    assert wrong(*paid) == {"attempts_match_books"}


SETUPS: dict[str, tuple[str, list[str], bool]] = {
    "set up": ("approved", ["stored"], True),
    "declined": ("declined", ["declined"], True),
    "given up": ("declined", ["voided"], True),
    "never sent": ("unsent", [], True),
    "not known": ("unknown", ["stored"], True),
    "late": ("late", ["stored"], True),
    "not in the books": ("approved", [], False),
    "twice in the books": ("approved", ["stored", "stored"], False),
    "stored, and declined for us": ("declined", ["stored"], False),
    "declined, and set up for us": ("approved", ["declined"], False),
    "waits, and set up for us": ("approved", ["action_required"], False),
}


@pytest.mark.parametrize("name", SETUPS)
def test_setups_are_in_the_books_as_they_are_for_us(name: str) -> None:
    state, statuses, right = SETUPS[name]
    ours = Attempt("se_1", "seti_1", "setup", "bank", state, 0, "XXX", None, 10, state == "late")
    theirs: list[Row] = [
        Setup("p", f"id {number}", "se_1", status, 20, 20) for number, status in enumerate(statuses)
    ]
    found = wrong(payment(), [attempt(), ours], [charge()], theirs)
    assert found == (set() if right else {"attempts_match_books"})


def test_a_setup_without_review_or_under_another_name_is_seen() -> None:
    ours = Attempt("se_1", "seti_1", "setup", "bank", "late", 0, "XXX", None, 10, False)
    theirs: list[Row] = [Setup("p", "id 1", "se_1", "stored", 20, 20)]
    assert wrong(payment(), [attempt(), ours], [charge()], theirs) == {"attempts_match_books"}
    charged = [charge(), charge("se_1", amount=0, currency="XXX")]
    found = wrong(payment(), [attempt(), msgspec.structs.replace(ours, state="unknown")], charged)
    assert "attempts_match_books" in found


def test_books_that_changed_after_the_snapshot_are_set_aside() -> None:
    young = charge()
    young = Charge(**{**{name: getattr(young, name) for name in young.__struct_fields__},
                      "updated": NOW + 1})  # fmt: skip
    assert wrong(FAILED, [attempt(state="declined")], [young]) == set()


def test_calls_that_nobody_permitted() -> None:
    findings = Findings()
    found = findings.of(providers.no_call_without_attempt)
    rows: dict[str, list[Row]] = {
        "known": [charge("known")],
        "early": [charge("early")],
        "foreign": [charge("foreign")],
        "in review": [charge("in review")],
        "ch_1_2": [charge("ch_1_2")],
        "young": [Void("p", "young", NOW, "x")],
    }
    permitted = {"known": 10, "early": 500}
    reviewed = frozenset({"in review"})
    gone = {test_data.part("pi_1")}
    providers.no_call_without_attempt(
        rows, permitted, reviewed, NOW, 100, found, lambda each: test_data.part(each) in gone
    )
    assert [each.id for each in found.violations] == ["early", "foreign"]
    assert found.compared == 5


def test_a_check_that_compared_nothing_is_a_violation() -> None:
    found = Findings().of(providers.one_live_charge)
    found.require_rows(0)
    assert found.count == 0
    found.require_rows(3)
    assert found.count == 1
    assert "at most one" in found.rule.lower()


@pytest.mark.parametrize(
    ("row", "wrong"),
    [
        ({}, None),
        ({"reference": "ch_1s3"}, "no such step"),
        ({"reference": "ch_1"}, "no such step"),
        ({"reference": "ch_1s1"}, "no such step"),
        ({"reference": "ch_none" + "s2"}, "no such attempt"),
        ({"reference": "ch_gone" + "s2"}, None),
        ({"created": 400}, "600 ms before it was permitted"),
        ({"created": 990}, None),
        ({"created": 99_999}, None),
    ],
)
def test_completions(row: dict[str, Any], wrong: str | None) -> None:
    given = {"provider": "bank", "reference": "ch_1s2", "created": 1_001, "charge": "x", **row}
    found = Findings().of(steps.steps_match_books)
    steps.steps_match_books(
        [Completion(**given)], {"ch_1": (1, 1_000)}, {"ch_1": 500}, 50_000, 20, found,
        lambda reference: reference == "ch_gone",
    )  # fmt: skip
    told = [each.wrong for each in found.violations]
    assert told == [] if wrong is None else wrong in told[0]


def test_a_charge_is_completed_once() -> None:
    rows = [
        Completion(provider=provider, reference=f"ch_1s{number}", created=2_000, charge="x")
        for provider, number in (("bank", 2), ("bank", 3), ("other", 2))
    ]
    found = Findings().of(steps.steps_match_books)
    steps.steps_match_books(rows, {"ch_1": (2, 1_000)}, {"ch_1": 500}, 50_000, 0, found)
    assert [each.id for each in found.violations] == ["ch_1s3"]


@pytest.mark.parametrize("status", ["action_required", "approved"])
@pytest.mark.parametrize(("completes", "seen"), [("", {"failed_means_no_charge"}), ("x", set())])
def test_what_was_never_completed_is_no_charge(status: str, completes: str, seen: set[str]) -> None:
    failed = payment("requires_payment_method", 0, charge_attempt="ch_1")
    row = charge(status=status, family=Family(completes))
    assert wrong(failed, [attempt(state="declined")], [row]) == seen
