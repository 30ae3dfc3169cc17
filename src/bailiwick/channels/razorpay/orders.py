"""What is asked of Razorpay: payment links, orders that are paid by a card's token, refunds, and
how all that stands."""

import re
from urllib.parse import quote, urlencode

from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.contract import CannotExpress, Instruction, Operation, Resolve
from bailiwick.channels.razorpay.readings import PROFILE

_TOKEN = re.compile(r"^tok_(cust_[A-Za-z0-9]{1,40})_(token_[A-Za-z0-9]{1,40})\Z")
_PAGE = 100


def asked(instruction: Instruction) -> tuple[str, dict[str, object]]:
    """Where an operation, or its step, is asked for, and by what.

    Raises:
        CannotExpress: no provider id of the payment, or a card that cannot be charged so.
    """
    value = amounts.to_provider(PROFILE, instruction.amount, instruction.currency)
    body: dict[str, object] = {"amount": value}
    if instruction.operation is Operation.REFUND:
        path = f"/v1/payments/{quote(parsing.charge_id(instruction), safe='')}/refund"
        return path, {**body, "speed": "normal", "receipt": instruction.reference}
    body["currency"] = instruction.currency
    if instruction.payment_method_type != "card":
        return "/v1/payment_links", {**body, **_link(instruction)}
    stored = _stored(instruction)
    if instruction.step is not None:
        order = _order(instruction) or parsing.charge_id(instruction)
        return "/v1/payments/create/recurring", {**body, **stored, "order_id": order}
    return "/v1/orders", {**body, "receipt": instruction.reference, "payment_capture": True}


def look_up(instruction: Instruction, way: Resolve) -> str | None:
    """Where to see how it stands; None where it cannot be seen in this way."""
    known, reference = instruction.provider_ref, instruction.reference
    if instruction.operation is Operation.REFUND:
        if known and way is Resolve.PROVIDER_ID:
            return f"/v1/refunds/{quote(known, safe='')}"
        listed = f"/v1/payments/{quote(known or '', safe='')}/refunds?count={_PAGE}"
        return listed if known and way is Resolve.REFERENCE else None
    if instruction.step is not None:
        order = _order(instruction)
        paid = f"/v1/orders/{quote(order or '', safe='')}/payments"
        return paid if order and way is Resolve.PROVIDER_ID else None
    if way is not Resolve.REFERENCE:
        return None
    if instruction.payment_method_type == "card":
        return f"/v1/orders?{urlencode({'receipt': reference})}"
    return f"/v1/payment_links?{urlencode({'reference_id': reference})}"


def _order(instruction: Instruction) -> str | None:
    return instruction.before[-1] if instruction.before else instruction.provider_ref


def _stored(instruction: Instruction) -> dict[str, object]:
    named = _TOKEN.match(instruction.payment_method or "")
    if named is None:
        raise CannotExpress(
            "Razorpay charges cards by its own tokens only; nothing was sent. Give the customer's "
            "and the token's id as tok_cust_..._token_....",
            param="payment_method",
        )
    who = instruction.payer
    if who is None or not who.email or not who.phone:
        raise CannotExpress(
            "Razorpay has to know the payer's e-mail address and phone number; nothing was sent. "
            "Give them.",
            param="payment_method_data[billing_details]",
        )
    return {
        "email": who.email,
        "contact": who.phone,
        "customer_id": named[1],
        "token": named[2],
        "recurring": True,
    }


def _link(instruction: Instruction) -> dict[str, object]:
    by_upi, who = instruction.payment_method_type == "upi", instruction.payer
    body: dict[str, object] = {
        "reference_id": instruction.reference,
        "accept_partial": False,
        "upi_link": by_upi,
        "notify": {"sms": False, "email": False},
        "reminder_enable": False,
    }
    if not by_upi:
        shown = {"netbanking": "0", "card": "0", "upi": "0", "wallet": "1"}
        body["options"] = {"checkout": {"method": shown}}
    if instruction.expires_ms is not None:
        body["expire_by"] = instruction.expires_ms // 1000
    if instruction.return_url is not None:
        body |= {"callback_url": instruction.return_url, "callback_method": "get"}
    if who is not None:
        given = {"name": who.name, "email": who.email, "contact": who.phone}
        body["customer"] = {key: value for key, value in given.items() if value}
    return body
