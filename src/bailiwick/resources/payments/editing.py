"""What requests change in a payment without moving money. Pure."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.base.errors import ApiError
from bailiwick.base.money import check_multiple, payment_amount, payment_currency
from bailiwick.interlink.refusals import NO_GATEWAY
from bailiwick.orders.transition import Transition
from bailiwick.resources.payments.charging import VAULT, with_vault
from bailiwick.resources.payments.methods.card import card_facts
from bailiwick.resources.payments.methods.params import billing_of, plain
from bailiwick.resources.payments.methods.tender import check, lacking, refuse_for_later, tender_of
from bailiwick.resources.payments.outcomes import Step, moved
from bailiwick.resources.payments.params import (
    CapturePayment,
    ConfirmPayment,
    UpdatePayment,
    needs_return,
    return_missing,
    types_of,
    vault_of,
    wishes_of,
)
from bailiwick.resources.payments.rows import Payment, Progress
from bailiwick.resources.payments.saved.payer import Saved
from bailiwick.resources.payments.states import Change, State
from bailiwick.routing.match import Routing, owned_elsewhere, transient
from bailiwick.serving.params import merged

_replace = msgspec.structs.replace
_BEFORE_CHARGE = (State.REQUIRES_PAYMENT_METHOD, State.REQUIRES_CONFIRMATION)


def dressed(
    payment: Payment, request: ConfirmPayment, method: str | None, saved: Saved | None = None
) -> Payment:
    """A payment with what its confirmation adds; ``saved``: by what it is charged, if saved."""
    progress = payment.progress
    changes: dict[str, Any] = {}
    if method is not None:
        changes["payment_method"] = method
    if method is not None or request.payment_method_data is not None:
        changes["billing"] = billing_of(request.payment_method_data)
    tender = None if method is not None else progress.tender
    tender = tender_of(request.payment_method_data, request.payment_method_options, tender)
    check(tender, payment.details.method_types)
    if tender is not None:
        changes["payment_method"] = method = None
    changes["tender"] = tender
    vault = vault_of(request) if saved is None else saved.vault
    changes["vaults"] = with_vault(progress.vaults, vault, method or progress.payment_method)
    changes["card"] = card_facts(
        request.payment_method_options,
        progress.card,
        None if saved is None else saved.fingerprint,
        another=method is not None or tender is not None,
    )
    if request.return_url is not None:
        changes["return_url"] = request.return_url
    for name in ("receipt_email", "setup_future_usage"):
        if getattr(request, name) is not UNSET:
            changes[name] = getattr(request, name)
    future = changes.get("setup_future_usage", progress.setup_future_usage)
    refuse_for_later(tender, future, request.off_session)
    if not isinstance(request.shipping, UnsetType):
        changes["shipping"] = plain(request.shipping)
    changes["wishes"] = wishes_of(request, progress.wishes)
    changes["no_action"] = request.error_on_requires_action
    if needs_return(payment.details.automatic_methods, request.return_url or progress.return_url):
        raise return_missing()
    _same_types(payment, request)
    if request.capture_method is not None:
        wanted = "manual" if request.capture_method == "manual" else "automatic"
        if wanted != payment.details.capture_method:
            raise ApiError.invalid(
                "capture_method is fixed when the PaymentIntent is created.",
                param="capture_method",
            )
    return _replace(payment, progress=_replace(progress, **changes))


def captured(payment: Payment, request: CapturePayment) -> Progress:
    """What a capture changes beside the money. Raises ApiError (400)."""
    if request.amount_to_capture is not None:
        check_multiple(request.amount_to_capture, payment.currency, "amount_to_capture")
    progress = payment.progress
    changes: dict[str, Any] = {"metadata": merged(progress.metadata, request.metadata)}
    for name in ("statement_descriptor", "statement_descriptor_suffix"):
        if getattr(request, name) is not None:
            changes[name] = getattr(request, name)
    return _replace(progress, **changes)


def updated(
    payment: Payment, request: UpdatePayment, now_ms: int, saved: Saved | None = None
) -> Step:
    """The step of an update; ``saved``: the payment method that it gives, if saved. Raises ApiError
    where a field may not be changed any more."""
    progress = payment.progress
    changes: dict[str, Any] = {"metadata": merged(progress.metadata, request.metadata)}
    for name in (
        "description",
        "receipt_email",
        "statement_descriptor",
        "statement_descriptor_suffix",
        "customer",
        "setup_future_usage",
    ):
        value = getattr(request, name)
        if value is not UNSET:
            changes[name] = value
    if not isinstance(request.shipping, UnsetType):
        changes["shipping"] = plain(request.shipping)
    columns: dict[str, Any] = {}
    change = Change.EDIT
    if not isinstance(request.amount, UnsetType):
        _before_charge(payment, "amount")
        payment_amount(request.amount, payment.currency, payment.details.method_types)
        columns["amount"] = request.amount
    if not isinstance(request.currency, UnsetType):
        _before_charge(payment, "currency")
        if payment_currency(request.currency) != payment.currency:
            raise ApiError.invalid(
                "The currency is fixed when the PaymentIntent is created: cancel it and create "
                "another.",
                param="currency",
            )
    _same_types(payment, request)
    method = method_given(request)
    before = None if isinstance(method, str) else progress.tender
    tender = tender_of(request.payment_method_data, request.payment_method_options, before)
    if tender != progress.tender:
        _before_charge(payment, "payment_method_data")
        check(tender, payment.details.method_types)
        changes["tender"] = tender
        if tender is not None:
            method, change = None, Change.DRESS
    refuse_for_later(tender, changes.get("setup_future_usage", progress.setup_future_usage), None)
    wishes = wishes_of(request, progress.wishes)
    if wishes != progress.wishes:
        _before_charge(payment, "payment_method_options[card]")
        changes["wishes"] = wishes
    vault = vault_of(request)
    if vault is not None:
        _before_charge(payment, VAULT)
    if saved is not None:
        vault = saved.vault
    if vault is not None:
        token = progress.payment_method if isinstance(method, UnsetType) else method
        changes["vaults"] = with_vault(progress.vaults, vault, token)
    known = card_facts(
        request.payment_method_options,
        progress.card,
        None if saved is None else saved.fingerprint,
        another=not isinstance(method, UnsetType),
    )
    if known != progress.card:
        _before_charge(payment, "payment_method_options[card]")
        changes["card"] = known
    if not isinstance(method, UnsetType):
        _before_charge(payment, "payment_method")
        changes |= {"payment_method": method, "billing": billing_of(request.payment_method_data)}
        dressed = method is not None or tender is not None
        change = Change.DRESS if dressed else Change.UNDRESS
    elif not isinstance(request.payment_method_data, UnsetType):
        _before_charge(payment, "payment_method_data")
        changes["billing"] = billing_of(request.payment_method_data)
    after = moved(payment, change, now_ms, progress=_replace(progress, **changes), **columns)
    event = "bailiwick.payment_intent.updated"
    return Transition(before=payment, after=after, event=event, definite=True)


def _same_types(payment: Payment, request: ConfirmPayment | UpdatePayment) -> None:
    types = types_of(request)
    if types is not None and tuple(types) != payment.details.method_types:
        older = request.payment_method_types is not None
        name = "payment_method_types" if older else "allowed_payment_method_types"
        raise ApiError.invalid(
            f"{name} is fixed when the PaymentIntent is created: cancel it and create another.",
            param=name,
        )


def method_given(request: UpdatePayment) -> str | None | UnsetType:
    """The payment method that an update brings; None: it takes it away."""
    if not isinstance(request.payment_method, UnsetType):
        return request.payment_method
    data = request.payment_method_data
    if not isinstance(data, UnsetType) and data.card is not None:
        return data.card.token
    return UNSET


def unknown_vault(vault: str) -> ApiError:
    """The answer when a payment's node has no gateway with the vault that a request names."""
    return ApiError.invalid(
        f"No gateway of this payment's node has the vault '{vault}'. Correct {VAULT}; without it "
        "the payment method belongs to the vault of the first gateway that it is sent to.",
        param=VAULT,
        code="vault_unknown",
    )


def _before_charge(payment: Payment, field: str) -> None:
    if payment.state not in _BEFORE_CHARGE:
        raise ApiError.invalid(
            f"{field} cannot be changed any more: the PaymentIntent has a status of "
            f"{payment.state}.",
            param=field,
            code="payment_intent_unexpected_state",
        )


def method_missing(request: str) -> ApiError:
    """The answer to a confirmation of nothing; ``request``: what should have brought it."""
    return ApiError.invalid(
        "You cannot confirm this PaymentIntent because it's missing a payment method: send "
        f"payment_method with {request}.",
        param="payment_method",
        code="payment_intent_unexpected_state",
    )


def too_many_attempts(attempts: int) -> ApiError:
    """What a payer's browser is told that has tried one method after the other."""
    return ApiError.invalid(
        f"This PaymentIntent was tried {attempts} times. A publishable key may not try it again: "
        "confirm it with the secret key, from your server.",
        code="payment_intent_attempts_exceeded",
    )


def check_key(payment: Payment, *, public: bool) -> None:
    """Refuse a payer's browser where each confirmation is the server's
    (https://docs.stripe.com/api/payment_intents/object, ``confirmation_method``).

    Raises:
        ApiError: 400.
    """
    if public and payment.details.confirmation_method == "manual":
        raise ApiError.invalid(
            f"This PaymentIntent {payment.id} cannot be confirmed using your publishable key "
            "because its confirmation_method is set to manual. Please use your secret key "
            "instead, or create a PaymentIntent with confirmation_method set to automatic.",
            code="payment_intent_invalid_parameter",
        )


def no_gateway(routing: Routing) -> ApiError:
    """Why a payment that is at home here cannot be charged: now, or ever."""
    why = reasons(routing)
    if transient(routing):
        return ApiError.unavailable(
            f"No gateway of this payment's node can take it now: {why}. Retry with the same "
            "Idempotency-Key.",
            code=NO_GATEWAY,
        )
    if routing.lacking:
        return lacking(routing.lacking)
    if owned_elsewhere(routing):
        return ApiError.invalid(
            f"No gateway of this payment's node that takes this payment can use this payment "
            f"method: {why}. Send one that was made at a provider of this node, with its vault in "
            f"{VAULT}.",
            param="payment_method",
            code="payment_method_unsupported",
        )
    return ApiError.invalid(
        f"No gateway of this payment's node takes this payment method, currency and amount: {why}.",
        param="payment_method_types",
        code="payment_method_unsupported",
    )


def reasons(routing: Routing) -> str:
    """Why no gateway was chosen, in one line."""
    found = [f"{each.gateway}: {each.reason}" for each in routing.considered]
    return "; ".join(found)[:500] or "none is configured"
