"""What a provider says of a charge whose payer comes by itself, of its void, and of its refund."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bailiwick.base.clock import now_ms
from bailiwick.base.ids import new_id
from bailiwick.channels.blocks import wallets
from bailiwick.channels.blocks.wallets import Said, Stands
from bailiwick.channels.contract import (
    Act,
    CallbackEvent,
    CannotExpress,
    Context,
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Resolve,
)

NOW_MS = 1_790_000_000_000
OWN, REFUND_ID = new_id("ch", 1, now_ms()), new_id("at", 1, now_ms())
PROFILE = Profile("p", "P", {Operation.CHARGE: (Resolve.REFERENCE,)}, 60_000)
CHARGE = Instruction(
    Operation.CHARGE, OWN, 100, "CNY", family=Family.PRESENTED_CODE, expires_ms=NOW_MS + 60_000,
    context=Context(NOW_MS, 1),
)  # fmt: skip
VOID = replace(CHARGE, operation=Operation.VOID, reference="at_1", charge_reference=OWN)
REFUND = replace(VOID, operation=Operation.REFUND, reference=REFUND_ID, charge_amount=300)
PAID = Stands("PAID", OWN, "t1", 100, "CNY")
GIVEN = Stands("GIVEN", REFUND_ID, "r1", 100, "CNY")
TOML = """
[charge]
insufficient_funds = ["POOR"]
[refund]
refund_failed = ["NO"]
[turned_away]
credentials = ["401 SIGN"]
rate_limited = ["1234"]
[waiting]
payer = ["403 PIN"]
[absent]
charge = ["404 NONE"]
refund = ["404 NO_REFUND"]
[charges]
done = ["PAID"]
waits = ["OPEN"]
failed = ["FAILED"]
closed = ["CLOSED"]
[refunds]
done = ["GIVEN"]
waits = ["ASKED"]
failed = ["KEPT"]
"""


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> wallets.Codes:
    folder: Path = tmp_path_factory.mktemp("channel")
    (folder / "codes.toml").write_text(TOML, encoding="utf-8")
    return wallets.Codes.beside(str(folder / "__init__.py"))


def said(stands: Stands = PAID, status: int = 200, code: str | None = None) -> Said:
    return Said(status, code, "Words.", stands)


# What is answered to an operation


def test_a_code_that_is_paid_at_once(codes: wallets.Codes) -> None:
    found = codes.done(CHARGE, said())
    assert (found.outcome, found.provider_ref, found.amount, found.currency) == (
        Outcome.APPROVED, "t1", 100, "CNY",
    )  # fmt: skip


@pytest.mark.parametrize("order", [CHARGE, VOID, REFUND], ids=lambda each: each.operation)
def test_what_is_told_of_another_is_unknown(codes: wallets.Codes, order: Instruction) -> None:
    other = REFUND_ID if order is CHARGE or order is VOID else OWN
    for reference in (None, "", other, new_id("ch", 1, now_ms())):
        for state in ("PAID", "GIVEN", "CLOSED", "KEPT"):
            stands = PAID._replace(reference=reference, state=state)
            for read in (codes.done, codes.looked_up):
                found = read(order, said(stands))
                assert (found.outcome, found.detail) == (Outcome.UNKNOWN, "reference_mismatch")
    nameless = replace(VOID, charge_reference=None)
    assert codes.done(nameless, said(PAID._replace(reference=None))).outcome is Outcome.UNKNOWN


def test_a_payer_who_is_asked_for_more(codes: wallets.Codes) -> None:
    still = PAID._replace(state="OPEN")
    for answer in (said(still), said(still, 202), said(PAID, 403, "PIN")):
        found = codes.done(CHARGE, answer)
        assert (found.outcome, found.detail) == (Outcome.PENDING, "waits_for_payer")
        assert found.action is not None and found.action.type is Act.WAIT
    for order in (VOID, REFUND):  # of these it decides nothing
        assert codes.done(order, said(PAID, 403, "PIN")).outcome is Outcome.UNKNOWN
        assert codes.done(order, said(GIVEN, 202)).outcome is Outcome.UNKNOWN


def test_what_was_not_looked_at(codes: wallets.Codes) -> None:
    for status, code, why in ((401, "SIGN", "credentials"), (1234, "ANY", "rate_limited")):
        for order in (CHARGE, VOID, REFUND):
            found = codes.done(order, said(PAID, status, code))
            assert (found.outcome, found.retryable, found.detail, found.message) == (
                Outcome.DECLINED, True, why, "Words.",
            )  # fmt: skip
    for status, code in ((400, "SIGN"), (401, "OTHER"), (401, None)):
        assert codes.done(CHARGE, said(PAID, status, code)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("status", [0, 204, 302, 401, 408, 409, 429, 500, 503, 40_004])
def test_statuses_by_which_it_may_have_been_done(codes: wallets.Codes, status: int) -> None:
    for order, code in ((CHARGE, "POOR"), (REFUND, "NO")):
        assert codes.done(order, said(PAID, status, code)).outcome is Outcome.UNKNOWN
        assert codes.done(order, said(PAID, 400, code)).outcome is Outcome.DECLINED
    assert codes.done(CHARGE, said(PAID, status)).detail == f"http_{status}"


# What a look-up says


def test_a_charge_that_is_looked_up(codes: wallets.Codes) -> None:
    def found(state: str | None) -> tuple[Outcome, str | None, str | None]:
        told = codes.looked_up(CHARGE, said(PAID._replace(state=state, message="Why.")))
        return told.outcome, told.detail, told.provider_ref

    assert found("PAID") == (Outcome.APPROVED, None, "t1")
    assert found("OPEN") == (Outcome.PENDING, "open", "t1")
    assert found("FAILED") == (Outcome.DECLINED, "declined", "t1")
    assert found("CLOSED") == (Outcome.DECLINED, "closed", "t1")
    for state in (None, "", "paid", "GIVEN", "NEW"):
        assert found(state) == (Outcome.UNKNOWN, "unknown_status", "t1")
    dear = codes.looked_up(CHARGE, said(PAID._replace(currency=None)))
    assert (dear.outcome, dear.detail) == (Outcome.UNKNOWN, "no_currency")


def test_a_void_is_looked_up_by_its_charge(codes: wallets.Codes) -> None:
    for state in ("FAILED", "CLOSED"):
        gone = codes.looked_up(VOID, said(PAID._replace(state=state)))
        assert (gone.outcome, gone.amount, gone.captured) == (Outcome.APPROVED, 100, False)
    for state in ("PAID", "OPEN"):
        assert codes.looked_up(VOID, said(PAID._replace(state=state))) == wallets.absent()
    new = codes.looked_up(VOID, said(PAID._replace(state="NEW")))
    assert (new.outcome, new.not_found) == (Outcome.UNKNOWN, False)


def test_a_refund_that_is_looked_up(codes: wallets.Codes) -> None:
    def found(state: str) -> tuple[Outcome, str | None]:
        told = codes.looked_up(REFUND, said(GIVEN._replace(state=state)))
        return told.outcome, told.detail

    assert found("GIVEN") == (Outcome.APPROVED, None)
    assert found("ASKED") == (Outcome.PENDING, "asked")
    assert found("KEPT") == (Outcome.DECLINED, "kept")
    assert found("PAID") == (Outcome.UNKNOWN, "unknown_status")


def test_what_is_not_there(codes: wallets.Codes) -> None:
    none, no_refund = said(PAID, 404, "NONE"), said(PAID, 404, "NO_REFUND")
    for order in (CHARGE, VOID):
        assert codes.looked_up(order, none).not_found
        assert not codes.looked_up(order, no_refund).not_found
    assert codes.looked_up(REFUND, no_refund).not_found
    assert not codes.looked_up(REFUND, none).not_found
    for status, code in ((400, "NONE"), (404, None), (404, "ELSE"), (200, "NONE")):
        assert not codes.looked_up(CHARGE, said(PAID, status, code)).not_found


# A payer who may still come


def test_a_void_that_finds_nothing_is_done_when_nobody_may_come() -> None:
    comes = (Family.SHOWN_CODE,)
    shown = replace(VOID, family=Family.SHOWN_CODE)
    for ahead_ms, may in ((0, True), (60_000, True), (119_999, True), (120_000, False)):
        order = replace(shown, context=Context(NOW_MS + ahead_ms, 2))
        assert wallets.may_come(PROFILE, order, comes) is may
        found = wallets.nothing_there(PROFILE, order, comes)
        assert found.outcome is (Outcome.UNKNOWN if may else Outcome.APPROVED)
    assert not wallets.may_come(PROFILE, VOID, comes)
    assert wallets.nothing_there(PROFILE, VOID, comes).outcome is Outcome.APPROVED
    assert wallets.not_there().outcome is Outcome.PENDING


# What is asked


def test_a_charge_is_named_by_our_reference() -> None:
    assert wallets.named(PROFILE, CHARGE) == wallets.named(PROFILE, VOID) == OWN
    for wrong in (None, "", "a" * 33, "a/b", "a b", "ä", "a\n"):
        with pytest.raises(CannotExpress, match="nothing was sent"):
            wallets.named(PROFILE, replace(VOID, charge_reference=wrong))


def test_a_refund_tells_both_amounts() -> None:
    assert wallets.given_back(PROFILE, REFUND) == (100, 300)
    for wrong in (replace(REFUND, charge_amount=None), replace(REFUND, currency="???")):
        with pytest.raises(CannotExpress):
            wallets.given_back(PROFILE, wrong)


def test_a_way_that_is_none_of_the_provider_s() -> None:
    known = {Family.PRESENTED_CODE: "pay"}
    assert wallets.way(PROFILE, CHARGE, known) == "pay"
    with pytest.raises(CannotExpress, match="no token"):
        wallets.way(PROFILE, replace(CHARGE, family=Family.TOKEN), known)


# What comes by itself


def test_callbacks_about_ours_alone(codes: wallets.Codes) -> None:
    paid = codes.event(Operation.CHARGE, "n1", PAID, dated=False)
    assert paid == CallbackEvent(
        "n1", Operation.CHARGE, OWN, "t1", codes.says(Operation.CHARGE, PAID), False
    )
    given = codes.event(Operation.REFUND, "n2", GIVEN, dated=True)
    assert given is not None and given.result is not None and given.dated
    asked = codes.event(Operation.CHARGE, "n3", PAID._replace(state="NEW"), dated=False)
    assert asked is not None and asked.result is None
    for operation, own in (
        (Operation.CHARGE, None), (Operation.CHARGE, REFUND_ID), (Operation.CHARGE, "order-1"),
        (Operation.REFUND, OWN), (Operation.REFUND, ""),
    ):  # fmt: skip
        assert codes.event(operation, "n4", PAID._replace(reference=own), dated=False) is None
