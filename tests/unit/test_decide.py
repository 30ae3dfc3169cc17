"""What an outcome does: operation x state of the attempt x outcome."""

from typing import Any

import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Result, no_such_method, redirect
from bailiwick.ledger.postings import Posting
from bailiwick.orders import attempts
from bailiwick.orders.attempts import Attempt, AttemptNew
from bailiwick.resources.payments import outcomes as decide
from bailiwick.resources.payments.holds import voids
from bailiwick.resources.payments.outcomes import Step
from bailiwick.resources.payments.rows import Payment, Progress
from bailiwick.resources.payments.states import Change
from bailiwick.resources.refunds import outcome
from bailiwick.resources.refunds.rows import Refund
from tests.unit import payment_kit as kit
from tests.unit.payment_kit import LOOK, NOW

OPEN = sorted(attempts.OPEN)
HELD = {"state": "requires_capture", "amount_capturable": 1000, "open_attempt": None}
CAPTURE = kit.attempt(id="at_c", operation="capture", number=2)
VOID = kit.attempt(id="at_v", operation="void", number=2)
REFUND = kit.attempt(id="at_r", operation="refund", number=2, acts_on="re_1", amount=400)


def held(state: str, attempt: Attempt) -> Payment:
    values = {**HELD, "state": state, "open_attempt": attempt.id, "attempts": 2}
    return kit.payment(**values)


def paid(**values: Any) -> Payment:
    given: dict[str, Any] = {
        "state": "succeeded", "amount_received": 1000, "amount_refunding": 400,
        "open_attempt": None, "attempts": 2,
    }  # fmt: skip
    return kit.payment(**{**given, **values})


def charge(payment: Payment, attempt: Attempt, result: Result) -> Step | None:
    return decide.charge(payment, attempt, result, NOW + 5, LOOK)


def only_end(step: Step) -> tuple[str, int | None]:
    assert step.attempt_ends is not None and len(step.attempt_ends) == 1
    return step.attempt_ends[0].state, step.attempt_ends[0].check_ms


def checked(step: Step | None) -> Step:
    """What every step has in common."""
    assert step is not None
    assert step.after.version == step.before.version + 1
    assert step.after.updated_ms == NOW + 5
    assert all(each.amount > 0 and each.debit != each.credit for each in step.postings or [])
    return step


# Charge


@pytest.mark.parametrize("state", OPEN)
def test_a_charge_that_took_the_money(state: str) -> None:
    step = checked(charge(kit.payment(), kit.attempt(state=state), kit.approved()))
    after = step.after
    assert (after.state, after.amount_received, after.amount_capturable) == ("succeeded", 1000, 0)
    assert (after.open_attempt, after.charge_attempt) == (None, "ch_1")
    assert (step.event, step.definite, step.error) == ("payment_intent.succeeded", True, None)
    assert only_end(step) == ("approved", None)
    assert step.postings == [Posting("receivable:bank", "merchant:acct_1", 1000)]


@pytest.mark.parametrize("state", OPEN)
def test_a_charge_that_only_holds_it(state: str) -> None:
    result = kit.approved(captured=False)
    step = checked(charge(kit.payment(), kit.attempt(state=state), result))
    after = step.after
    assert (after.state, after.amount_received, after.amount_capturable) == (
        "requires_capture", 0, 1000,
    )  # fmt: skip
    assert step.definite and step.postings is None and only_end(step) == ("approved", None)


def test_a_partial_approval_books_what_was_taken() -> None:
    step = checked(charge(kit.payment(), kit.attempt(), kit.approved(700)))
    assert step.after.amount_received == 700
    assert step.postings is not None and step.postings[0].amount == 700


@pytest.mark.parametrize("state", OPEN)
def test_a_declined_charge(state: str) -> None:
    result = kit.declined(decline_code="insufficient_funds", message="Not enough.")
    step = checked(charge(kit.payment(), kit.attempt(state=state), result))
    after = step.after
    assert (after.state, after.open_attempt) == ("requires_payment_method", None)
    assert after.progress.payment_method is None and after.amount_received == 0
    assert after.progress.last_error == step.error == {
        "type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds",
        "message": "Not enough.", "charge": "ch_1",
    }  # fmt: skip
    assert step.definite and step.postings is None and only_end(step) == ("declined", None)
    assert step.event == "payment_intent.payment_failed"


def test_an_unknown_payment_method_is_named() -> None:
    row = kit.attempt(payment_method="pm_mine")
    payment = kit.payment(progress=Progress(payment_method="pm_mine"))
    step = checked(charge(payment, row, no_such_method()))
    assert step.error == step.after.progress.last_error == {
        "type": "invalid_request_error", "code": "resource_missing", "param": "payment_method",
        "message": "No such PaymentMethod: 'pm_mine'", "charge": "ch_1",
    }  # fmt: skip
    assert only_end(step) == ("declined", None) and step.postings is None
    assert (step.after.state, step.after.open_attempt) == ("requires_payment_method", None)


def test_an_unsent_charge_is_closed_as_such() -> None:
    step = checked(charge(kit.payment(), kit.attempt(), kit.declined(detail="unsent")))
    assert only_end(step) == ("unsent", None)


@pytest.mark.parametrize("state", OPEN)
def test_an_unknown_charge_stays_open(state: str) -> None:
    payment = kit.payment()
    step = charge(payment, kit.attempt(state=state), kit.unknown())
    if state == "unknown":
        assert step is None, "known to be unknown: nothing new to write"
        return
    step = checked(step)
    assert step.after.state == "processing" and not step.definite and step.error is None
    assert step.after.open_attempt == "ch_1"
    assert step.postings is None and step.review is None
    assert only_end(step) == ("unknown", LOOK)


@pytest.mark.parametrize(
    "detail", ["amount_missing", "amount_mismatch", "currency_mismatch", "reference_mismatch"]
)
@pytest.mark.parametrize("state", OPEN)
def test_an_answer_that_is_not_ours_goes_before_a_person(state: str, detail: str) -> None:
    attempt = kit.attempt(state=state)
    step = checked(charge(kit.payment(), attempt, kit.unknown(detail)))
    assert step.review is not None and step.review.reason == detail
    assert not step.definite and step.postings is None and only_end(step) == ("unknown", LOOK)
    again = charge(step.after, kit.ended(step, attempt), kit.unknown(detail))
    assert again is None, "written once"


def test_the_payer_must_act() -> None:
    first = checked(charge(kit.payment(), kit.attempt(), kit.pending("https://bank/3ds")))
    assert first.after.state == "requires_action" and first.definite
    assert first.after.progress.action == redirect("https://bank/3ds")
    assert only_end(first) == ("pending", LOOK)
    row = kit.ended(first, kit.attempt())
    assert charge(first.after, row, kit.pending("https://bank/3ds")) is None
    done = checked(charge(first.after, row, kit.approved()))
    assert done.after.state == "succeeded" and done.after.progress.action is None


def test_a_pending_charge_is_waited_for() -> None:
    step = checked(charge(kit.payment(), kit.attempt(), kit.pending()))
    assert step.after.state == "processing" and not step.definite
    assert charge(step.after, kit.ended(step, kit.attempt()), kit.pending()) is None


@pytest.mark.parametrize("state", ["approved", "late"])
@pytest.mark.parametrize(
    "result", [kit.approved(), kit.declined(), kit.pending(), kit.unknown()], ids=str
)
def test_a_charge_that_has_ended_well_ends_once(state: str, result: Result) -> None:
    payment = paid(amount_refunding=0)
    assert charge(payment, kit.attempt(state=state), result) is None


@pytest.mark.parametrize("state", sorted(attempts.NO_CHARGE))
@pytest.mark.parametrize("result", [kit.declined(), kit.pending(), kit.unknown()], ids=str)
def test_a_charge_that_has_ended_without_stays_so(state: str, result: Result) -> None:
    payment = kit.payment(state="requires_payment_method", open_attempt=None)
    assert charge(payment, kit.attempt(state=state), result) is None


@pytest.mark.parametrize("state", sorted(attempts.NO_CHARGE))
@pytest.mark.parametrize("at", ["requires_payment_method", "canceled", "processing", "succeeded"])
def test_a_late_success_is_booked_apart(at: str, state: str) -> None:
    payment = kit.payment(state=at, open_attempt=None)
    step = checked(charge(payment, kit.attempt(state=state), kit.approved()))
    assert step.after.state == at and step.after.amount_received == 0
    assert step.postings == [Posting("receivable:bank", "unexpected:acct_1", 1000)]
    assert step.review is not None and step.review.reason == "late_success"
    assert only_end(step) == ("late", None) and step.event == "bailiwick.late_success"
    assert charge(step.after, kit.ended(step, kit.attempt()), kit.approved()) is None


def test_a_late_hold_is_only_shown() -> None:
    payment = kit.payment(state="canceled", open_attempt=None)
    result = kit.approved(captured=False)
    step = checked(charge(payment, kit.attempt(state="declined"), result))
    assert step.postings is None
    assert step.review is not None and step.review.reason == "late_authorization"


def test_a_void_under_way_owns_the_payment() -> None:
    payment = kit.payment(state="voiding", open_attempt="at_v")
    for result in (kit.approved(), kit.declined(), kit.unknown()):
        assert charge(payment, kit.attempt(state="pending"), result) is None


def test_the_next_gateway() -> None:
    new = AttemptNew("ch_2", 2, "charge", "other", 1000, 1, {}, key="key-1")
    payment = kit.payment()
    routed = kit.replace(
        payment.progress, routing={"gateway": "other"}, action=redirect("https://old")
    )
    result = kit.declined(retryable=True)
    step = checked(decide.next_attempt(payment, kit.attempt(), result, new, routed, NOW + 5))
    assert step.after.progress.routing == {"gateway": "other"}
    assert step.after.progress.action is None
    after = step.after
    assert (after.state, after.attempts, after.open_attempt, after.charge_attempt) == (
        "processing", 2, "ch_2", "ch_2",
    )  # fmt: skip
    assert step.attempt_new == new and not step.definite and only_end(step) == ("declined", None)
    with pytest.raises(ApiError):
        decide.next_attempt(paid(), kit.attempt(), result, new, routed, NOW)


# Capture


def capture(payment: Payment, attempt: Attempt, result: Result) -> Step | None:
    return decide.capture(payment, attempt, result, NOW + 5, LOOK)


@pytest.mark.parametrize("amount", [1000, 300])
def test_a_capture(amount: int) -> None:
    step = checked(capture(held("capturing", CAPTURE), CAPTURE, kit.approved(amount)))
    after = step.after
    assert (after.state, after.amount_received, after.amount_capturable) == ("succeeded", amount, 0)
    assert step.postings is not None and step.postings[0].amount == amount
    assert after.open_attempt is None and after.charge_attempt == "ch_1"


def test_a_refused_capture_leaves_the_hold() -> None:
    step = checked(capture(held("capturing", CAPTURE), CAPTURE, kit.declined("processing_error")))
    assert (step.after.state, step.after.amount_capturable) == ("requires_capture", 1000)
    assert step.definite and step.error is not None and step.error["code"] == "processing_error"


@pytest.mark.parametrize("code", ["expired", "charge_expired_for_capture"])
def test_a_hold_that_has_run_out_closes_the_payment(code: str) -> None:
    step = checked(capture(held("capturing", CAPTURE), CAPTURE, kit.declined(code)))
    assert (step.after.state, step.after.amount_capturable) == ("canceled", 0)
    assert step.after.progress.cancellation_reason == "expired"


def test_an_unknown_capture_keeps_everything() -> None:
    step = checked(capture(held("capturing", CAPTURE), CAPTURE, kit.unknown()))
    after = step.after
    assert (after.state, after.amount_capturable, after.open_attempt) == ("capturing", 1000, "at_c")
    assert not step.definite and only_end(step) == ("unknown", LOOK)


def test_a_late_capture_is_booked_apart() -> None:
    payment = kit.payment(state="canceled", open_attempt=None, attempts=2)
    row = kit.replace(CAPTURE, state="declined")
    step = checked(capture(payment, row, kit.approved()))
    assert step.postings is not None and step.postings[0].credit == "unexpected:acct_1"
    assert step.review is not None and step.review.reason == "late_success"
    assert capture(payment, kit.replace(CAPTURE, state="approved"), kit.declined()) is None


# Void


def void(payment: Payment, result: Result, charged: Attempt, row: Attempt = VOID) -> Step | None:
    return voids.void(payment, row, charged, result, NOW + 5, LOOK)


def test_a_void_of_a_hold() -> None:
    charged = kit.attempt(state="approved")
    step = checked(void(held("voiding", VOID), kit.approved(), charged))
    assert (step.after.state, step.after.amount_capturable) == ("canceled", 0)
    assert step.after.progress.canceled_ms == NOW + 5
    assert step.postings is None and only_end(step) == ("approved", None)


def test_a_void_of_an_open_charge_ends_that_too() -> None:
    payment = kit.payment(state="voiding", open_attempt="at_v", attempts=2)
    step = checked(void(payment, kit.approved(), kit.attempt(state="pending")))
    assert step.after.state == "canceled"
    ends = {end.id: end.state for end in step.attempt_ends or []}
    assert ends == {"at_v": "approved", "ch_1": "declined"}


def test_a_refused_void() -> None:
    step = checked(void(held("voiding", VOID), kit.declined("x"), kit.attempt(state="approved")))
    assert (step.after.state, step.after.open_attempt) == ("requires_capture", None)
    payment = kit.payment(state="voiding", open_attempt="at_v", attempts=2)
    step = checked(void(payment, kit.declined("x"), kit.attempt(state="pending")))
    assert (step.after.state, step.after.open_attempt) == ("processing", "ch_1")
    assert step.error is not None and step.definite


def forgoing(**progress: Any) -> Payment:
    payment = kit.payment(state="voiding", open_attempt="at_v", attempts=2)
    return kit.replace(payment, progress=kit.replace(payment.progress, forgoing=True, **progress))


def test_a_charge_that_must_not_wait_is_voided() -> None:
    new = AttemptNew("at_v", 2, "void", "bank", 1000, 1, {}, key="key-1")
    result = kit.pending("https://bank/3ds")
    step = checked(voids.forgo(kit.payment(), kit.attempt(), result, new, NOW + 5, LOOK))
    after = step.after
    assert (after.state, after.open_attempt, after.charge_attempt) == ("voiding", "at_v", "ch_1")
    assert (after.progress.action, after.attempts, step.attempt_new) == (None, 2, new)
    assert not step.definite and only_end(step) == ("pending", LOOK)
    assert charge(after, kit.attempt(state="pending"), kit.approved()) is None, "the void has it"


@pytest.mark.parametrize("result", [kit.approved(), kit.declined("expired")], ids=str)
def test_it_fails_once_the_void_is_certain(result: Result) -> None:
    charged = kit.attempt(state="pending")
    step = checked(void(forgoing(), result, charged))
    after = step.after
    assert (after.state, after.open_attempt) == ("requires_payment_method", None)
    assert after.progress.payment_method is None and not after.progress.forgoing
    assert step.error == after.progress.last_error
    assert step.error is not None and step.error["type"] == "card_error"
    assert step.error["code"] == step.error["decline_code"] == "authentication_required"
    assert step.definite and step.event == "payment_intent.payment_failed"
    assert [each.id for each in step.attempt_ends or []] == ["at_v", "ch_1"]
    late = charge(after, kit.ended(step, charged), kit.approved())
    assert late is not None and late.event == "bailiwick.late_success"


def test_if_that_void_is_refused_the_charge_is_open() -> None:
    step = checked(void(forgoing(), kit.declined("x"), kit.attempt(state="pending")))
    assert (step.after.state, step.after.open_attempt) == ("processing", "ch_1")
    assert not step.after.progress.forgoing and not step.definite and step.error is None
    unknown = checked(void(forgoing(), kit.unknown(), kit.attempt(state="pending")))
    assert unknown.after.state == "voiding" and unknown.after.progress.forgoing


def test_an_unknown_void_and_a_late_one() -> None:
    step = checked(void(held("voiding", VOID), kit.unknown(), kit.attempt(state="approved")))
    assert (step.after.state, step.after.amount_capturable) == ("voiding", 1000)
    late = checked(
        void(
            kit.payment(**HELD),
            kit.approved(),
            kit.attempt(state="approved"),
            kit.replace(VOID, state="declined"),
        )
    )
    assert late.postings is None
    assert late.review is not None and late.review.reason == "late_void"


# Refund


def refund(payment: Payment, row: Attempt, result: Result, of: Refund | None = None) -> Step | None:
    return outcome.refund(payment, row, of or kit.refund(), result, NOW + 5, LOOK)


def test_a_refund() -> None:
    step = checked(refund(paid(), REFUND, kit.approved(400)))
    assert (step.after.amount_refunding, step.after.amount_refunded) == (0, 400)
    assert step.postings == [Posting("merchant:acct_1", "receivable:bank", 400)]
    end = kit.refund_end(step)
    assert end is not None and end.state == "succeeded"


def test_a_failed_refund_gives_its_reservation_back() -> None:
    step = checked(refund(paid(), REFUND, kit.declined("insufficient_funds")))
    assert (step.after.amount_refunding, step.after.amount_refunded) == (0, 0)
    assert step.postings is None and step.error is not None
    end = kit.refund_end(step)
    assert end is not None
    assert end.details["failure_reason"] == "insufficient_funds"


@pytest.mark.parametrize("result", [kit.unknown(), kit.pending()], ids=str)
def test_an_undecided_refund_keeps_its_reservation(result: Result) -> None:
    step = checked(refund(paid(), REFUND, result))
    assert (step.after.amount_refunding, step.after.amount_refunded) == (400, 0)
    assert step.beside is None and step.postings is None
    assert step.definite is (result.outcome == "pending")


def test_a_refund_that_came_back() -> None:
    payment = paid(amount_refunding=0, amount_refunded=400)
    row = kit.replace(REFUND, state="approved")
    step = checked(refund(payment, row, kit.declined("lost"), kit.refund(state="succeeded")))
    assert step.after.amount_refunded == 0
    assert step.postings == [Posting("receivable:bank", "merchant:acct_1", 400)]
    assert refund(step.after, kit.ended(step, row), kit.declined("lost")) is None
    assert refund(payment, row, kit.approved(400)) is None


def test_a_refund_that_did_happen_after_all_goes_before_a_person() -> None:
    row = kit.replace(REFUND, state="declined")
    step = checked(refund(paid(amount_refunding=0), row, kit.approved(400)))
    assert step.review is not None and step.review.reason == "late_refund"
    assert step.after.amount_refunded == 0 and step.postings is None


def test_what_the_table_does_not_hold_does_not_happen() -> None:
    with pytest.raises(ApiError):
        decide.moved(kit.payment(state="canceled"), Change.CAPTURED, NOW)
    with pytest.raises(ApiError):
        charge(kit.payment(state="canceled"), kit.attempt(), kit.approved())


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    step = checked(charge(kit.payment(), kit.attempt(), kit.approved()))
    assert step.attempt_ends is not None
    kept = msgspec.to_builtins(step.attempt_ends[0])
    kept["result"] = msgspec.json.decode(kept["result"])
    assert kept["result"] == {"outcome": "approved", "amount": 1000, "currency": "EUR"}
    assert kept["provider_ref"] == kit.REF
