"""What requests may still change, and when not any more."""

from typing import Any

import msgspec
import pytest
from msgspec import UNSET

from bailiwick.base.errors import ApiError
from bailiwick.jurisdiction.assign import Assignment, Considered
from bailiwick.resources.payments import charging, create, editing, params
from bailiwick.resources.payments.methods import params as method_params
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


AUTOMATIC = {"enabled": True, "allow_redirects": "always"}


def automatic(**values: Any) -> Any:
    payment = draft(**values)
    details = msgspec.structs.replace(payment.details, automatic_methods=AUTOMATIC)
    return msgspec.structs.replace(payment, details=details)


def test_automatic_methods_need_an_address_to_come_back_to() -> None:
    with pytest.raises(ApiError, match="must provide a return_url") as refused:
        editing.dressed(automatic(), ConfirmPayment(), None)
    assert (refused.value.status, refused.value.param) == (400, "return_url")
    back = "https://shop.example/back"
    assert editing.dressed(automatic(), ConfirmPayment(return_url=back), None)
    stored = automatic(progress=Progress(payment_method="pm_card_visa", return_url=back))
    assert editing.dressed(stored, ConfirmPayment(), None)
    assert editing.dressed(draft(), ConfirmPayment(), None)


@pytest.mark.parametrize(
    ("automatic", "return_url", "needed"),
    [(None, None, False), ({"enabled": True}, None, True), ({"enabled": False}, None, False),
     ({"enabled": True, "allow_redirects": "never"}, None, False),
     (AUTOMATIC, None, True), (AUTOMATIC, "https://shop.example", False)],
)  # fmt: skip
def test_when_an_address_is_needed(
    automatic: dict[str, Any] | None, return_url: str | None, needed: bool
) -> None:
    assert params.needs_return(automatic, return_url) is needed


@pytest.mark.parametrize(
    ("more", "param"),
    [({"automatic_payment_methods": AUTOMATIC, "payment_method_types": ["card"]},
      "automatic_payment_methods"),
     ({"automatic_payment_methods": AUTOMATIC, "confirmation_method": "manual"},
      "automatic_payment_methods"),
     ({"allowed_payment_method_types": ["card"], "payment_method_types": ["card"]},
      "allowed_payment_method_types"),
     ({"automatic_payment_methods": AUTOMATIC, "confirm": True}, "return_url"),
     ({"error_on_requires_action": True}, "error_on_requires_action"),
     ({"off_session": True}, "off_session"), ({"amount": 49}, "amount")],
)  # fmt: skip
def test_what_contradicts_itself_is_refused(more: dict[str, Any], param: str) -> None:
    wish = {"amount": 500, "currency": "eur", **more}
    with pytest.raises(ApiError) as refused:
        params.refuse_unsupported(msgspec.convert(wish, CreatePayment))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "more",
    [{"off_session": True, "confirm": True}, {"error_on_requires_action": True, "confirm": True},
     {"confirmation_method": "manual"},
     {"automatic_payment_methods": {"enabled": False}, "payment_method_types": ["card"]},
     {"automatic_payment_methods": AUTOMATIC, "return_url": "https://a.example", "confirm": True}],
)  # fmt: skip
def test_what_does_not_is_taken(more: dict[str, Any]) -> None:
    wish = {"amount": 500, "currency": "eur", **more}
    params.refuse_unsupported(msgspec.convert(wish, CreatePayment))


def test_a_manual_payment_is_confirmed_by_the_server_alone() -> None:
    payment = draft()
    editing.check_key(payment, public=True)
    details = msgspec.structs.replace(payment.details, confirmation_method="manual")
    manual = msgspec.structs.replace(payment, details=details)
    editing.check_key(manual, public=False)
    with pytest.raises(ApiError, match="using your publishable key"):
        editing.check_key(manual, public=True)


BILLING = method_params.BillingDetails(
    name="Ann", phone=None, address=method_params.Address(country="DE", city=None)
)
WITH_BILLING = method_params.MethodData("card", method_params.CardToken("tok_visa"), BILLING)


def test_who_pays_goes_with_the_payment_method() -> None:
    kept = {"name": "Ann", "address": {"country": "DE"}}
    wish = msgspec.convert({"amount": 500, "currency": "eur"}, CreatePayment)
    wish = msgspec.structs.replace(wish, payment_method_data=WITH_BILLING)
    assert create.first_progress(wish, "tok_visa").billing == kept
    confirmed = ConfirmPayment(payment_method_data=WITH_BILLING)
    after = editing.dressed(draft(), confirmed, "tok_visa")
    assert after.progress.billing == kept
    assert editing.dressed(after, ConfirmPayment(), None).progress.billing == kept
    assert editing.dressed(after, ConfirmPayment(), "pm_card_visa").progress.billing is None
    assert updated(draft(), payment_method_data=WITH_BILLING).progress.billing == kept
    assert updated(after, payment_method="pm_card_visa").progress.billing is None
    assert updated(after, description="other").progress.billing == kept
    alone = method_params.MethodData("card", None, BILLING)
    assert updated(draft(), payment_method_data=alone).progress.billing == kept
