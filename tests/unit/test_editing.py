"""What requests may still change, and when not any more."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from bailiwick.base.errors import ApiError
from bailiwick.jurisdiction.assign import Assignment, Considered
from bailiwick.resources.payments import charging, create, editing
from bailiwick.resources.payments.params import ConfirmPayment, CreatePayment, UpdatePayment
from bailiwick.resources.payments.rows import Progress
from bailiwick.resources.payments.states import State
from bailiwick.resources.refunds import commands
from bailiwick.resources.refunds.params import UpdateRefund
from bailiwick.routing.match import Considered as PriorHomeCheck
from bailiwick.routing.match import Kind, Routing
from tests.unit import payment_kit as kit

NOW = kit.NOW + 1


def draft(**values: Any) -> Any:
    given: dict[str, Any] = {"state": "requires_confirmation", "attempts": 0,
                             "open_attempt": None, "charge_attempt": None}  # fmt: skip
    return kit.payment(**{**given, **values})


def updated(payment: Any, **values: Any) -> Any:
    step = editing.updated(payment, UpdatePayment(**values), NOW)
    assert step.after.version == payment.version + 1 and step.definite
    assert step.postings is None and step.attempt_new is None
    return step.after


def test_an_absent_field_stays_and_an_empty_one_goes() -> None:
    payment = draft(progress=Progress(description="old", receipt_email="a@example.com"))
    after = updated(payment, receipt_email=None)
    assert after.progress.description == "old" and after.progress.receipt_email is None
    assert updated(payment, description="new").progress.description == "new"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (UNSET, {"a": "1", "b": "2"}),
        (None, {}),
        ({"a": ""}, {"b": "2"}),
        ({"c": "3"}, {"a": "1", "b": "2", "c": "3"}),
        ({"a": "9", "b": ""}, {"a": "9"}),
    ],
)
def test_metadata_is_merged(given: Any, expected: dict[str, str]) -> None:
    payment = draft(progress=Progress(metadata={"a": "1", "b": "2"}))
    assert updated(payment, metadata=given).progress.metadata == expected


def test_metadata_names_are_bounded() -> None:
    with pytest.raises(ApiError, match="at most 40"):
        updated(draft(), metadata={"x" * 41: "1"})


def test_methods_dress_and_undress() -> None:
    bare = draft(state="requires_payment_method", progress=Progress())
    dressed = updated(bare, payment_method="pm_card_visa")
    assert (dressed.state, dressed.progress.payment_method) == (
        "requires_confirmation", "pm_card_visa",
    )  # fmt: skip
    undressed = updated(dressed, payment_method=None)
    assert (undressed.state, undressed.progress.payment_method) == (
        "requires_payment_method", None,
    )  # fmt: skip


@pytest.mark.parametrize("state", [state.value for state in State])
@pytest.mark.parametrize(
    "change", [{"amount": 500}, {"currency": "eur"}, {"payment_method": "pm_card_visa"}],
    ids=["amount", "currency", "payment_method"],
)  # fmt: skip
def test_what_the_charge_depends_on_is_fixed_with_it(state: str, change: dict[str, Any]) -> None:
    payment = draft(state=state)
    if state in ("requires_payment_method", "requires_confirmation"):
        after = updated(payment, **change)
        assert after.amount == change.get("amount", 1000)
        return
    with pytest.raises(ApiError) as refused:
        updated(payment, **change)
    assert refused.value.param == next(iter(change))


@pytest.mark.parametrize("state", [state.value for state in State])
def test_words_may_change_at_any_time(state: str) -> None:
    after = updated(draft(state=state), description="new", metadata={"a": "1"})
    assert after.state == state and after.progress.description == "new"
    money = ("amount", "amount_capturable", "amount_received", "amount_refunding",
             "amount_refunded", "open_attempt", "charge_attempt")  # fmt: skip
    assert all(getattr(after, name) == getattr(draft(state=state), name) for name in money)


def test_the_currency_never_changes() -> None:
    assert updated(draft(), currency="EUR").currency == "EUR"
    with pytest.raises(ApiError, match="fixed when the PaymentIntent is created"):
        updated(draft(), currency="usd")


def test_a_confirmation_adds_what_it_brings() -> None:
    request = ConfirmPayment(return_url="https://shop.example/back", receipt_email="a@b.example")
    after = editing.dressed(draft(), request, "pm_card_mastercard")
    assert after.progress.payment_method == "pm_card_mastercard"
    assert after.progress.return_url == "https://shop.example/back"
    kept = editing.dressed(draft(), ConfirmPayment(), None)
    assert kept.progress.payment_method == "pm_card_visa"
    with pytest.raises(ApiError, match="capture_method is fixed"):
        editing.dressed(draft(), ConfirmPayment(capture_method="manual"), None)
    same = draft()
    assert editing.dressed(same, ConfirmPayment(capture_method="automatic_async"), None) == same


@pytest.mark.parametrize(
    ("received", "amount", "free", "code"),
    [(0, 10, 0, "charge_not_refundable"), (1000, 10, 0, "charge_already_refunded"),
     (1000, 401, 400, "amount_too_large")],
)  # fmt: skip
def test_refunds_that_cannot_be(received: int, amount: int, free: int, code: str) -> None:
    with pytest.raises(ApiError) as refused:
        commands.check(draft(amount_received=received), amount, free)
    assert refused.value.code == code


def test_refunds_that_can_be() -> None:
    commands.check(draft(amount_received=1000), 400, 400)


def test_a_refund_s_words_move_no_money() -> None:
    row = kit.refund(details={"reason": "duplicate", "metadata": {"a": "1"}})
    payment = draft(state="succeeded", amount_received=1000, amount_refunding=400)
    step = commands.updated(payment, row, UpdateRefund(metadata={"b": "2"}), NOW)
    end = kit.refund_end(step)
    assert end is not None
    assert end.details == {"reason": "duplicate", "metadata": {"a": "1", "b": "2"}}
    assert end.state == "pending" and step.after.amount_refunding == 400


def test_the_first_progress() -> None:
    request = msgspec.convert(
        {"amount": 5, "currency": "eur", "description": "d", "metadata": {"a": "1"},
         "shipping": {"name": "n", "address": {"city": "c"}}},
        CreatePayment,
    )  # fmt: skip
    made = create.first_progress(request, "pm_card_visa")
    assert (made.payment_method, made.description, made.metadata) == (
        "pm_card_visa", "d", {"a": "1"},
    )  # fmt: skip
    assert made.shipping is not None and made.shipping["address"] == {"city": "c"}


def test_what_is_shown_of_an_assignment_is_bounded() -> None:
    others = tuple(Considered(n, f"n{n}", "not_allowed", "x") for n in range(2, 1_000))
    allowed = tuple(Considered(n, f"a{n}", "not_reached", "x") for n in range(2_000, 2_100))
    home = Considered(1, "europe", "chosen", "the home")
    shown = create.assignment_shown(Assignment(3, 1, 1, "DE", "free", (home, *allowed, *others)))
    assert shown["name"] == "europe" and shown["epoch"] == 3
    assert len(shown["considered"]) == charging.CONSIDERED_MAX
    looked = tuple(PriorHomeCheck(f"g{n}", "in reserve", "x", Kind.ABLE) for n in range(100))
    routing = Routing("g0", "priority", looked)
    assert len(charging.routing_shown(routing)["considered"]) == charging.CONSIDERED_MAX
    assert editing.reasons(Routing(None, "priority", looked)).startswith("g0: x; ")
    assert editing.reasons(Routing(None, "priority", ())) == "none is configured"
