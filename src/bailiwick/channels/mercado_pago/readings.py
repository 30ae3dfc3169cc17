"""What Mercado Pago can do, and what its payments, refunds and errors mean for money."""

from decimal import Decimal
from typing import Annotated

import msgspec

from bailiwick.channels.blocks import amounts, parsing, refusals, signatures, times, words
from bailiwick.channels.contract import (
    Act,
    Action,
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    Takes,
    no_such_method,
    unknown,
)

_DAY_MS = 24 * 3_600_000
_SEEN = (Resolve.PROVIDER_ID, Resolve.REPLAY)
SIGNED = signatures.OfName("x-signature")
# The only currency of the accounts of a country, which requests do not name.
SITES = words.pairs("MLA ARS MLB BRL MLC CLP MCO COP MLM MXN MPE PEN MLU UYU")
METHODS = words.pairs("boleto bolbradesco oxxo oxxo pix pix")


def _slip(*needs: str) -> Takes:
    return Takes(Family.VOUCHER, needs, ("name",), lasts_ms=3 * _DAY_MS, holds=False)


PROFILE = Profile(
    name="mercado_pago",
    title="Mercado Pago",
    resolve={
        Operation.CHARGE: (
            Resolve.PROVIDER_ID,
            Resolve.REFERENCE,
            Resolve.REPLAY,
            Resolve.CALLBACK,
        ),
        Operation.CAPTURE: _SEEN,
        Operation.VOID: _SEEN,
        Operation.REFUND: _SEEN,
    },
    # How soon a payment is found by its reference is not said, nor how long keys are kept.
    visibility_ms=900_000,
    replay_ms=3_600_000,
    methods={
        "boleto": (_slip("name", "email", "tax_id", "address"),),
        "card": (Takes(needs=("email",), tells=("name", "tax_id")),),
        "oxxo": (_slip("email"),),
        "pix": (
            Takes(Family.SHOWN_CODE, ("email",), ("name", "tax_id"), lasts_ms=_DAY_MS, holds=False),
        ),
    },
    currencies=tuple(SITES.values()),
    # Whether it takes centavos of Colombia is not said.
    multiples={"COP": 100},
    # Seven days.
    hold_ms=156 * 3_600_000,
    secrets=("api_key", "callback_secret"),
    options=("currency",),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    callbacks_by_id=True,
)

_OPEN = ("in_process", "pending")
_ENDED = ("cancelled", "rejected")
_REFUNDS = {
    "approved": Outcome.APPROVED,
    "in_process": Outcome.PENDING,
    "cancelled": Outcome.DECLINED,
    "rejected": Outcome.DECLINED,
}
_REASONS = words.pairs(
    "cc_rejected_3ds_mandatory authentication_required"
    " cc_rejected_bad_filled_card_number incorrect_number"
    " cc_rejected_bad_filled_date invalid_expiry_month"
    " cc_rejected_bad_filled_security_code incorrect_cvc"
    " cc_rejected_blacklist merchant_blacklist cc_rejected_call_for_authorize call_issuer"
    " cc_rejected_card_disabled call_issuer cc_rejected_duplicated_payment duplicate_transaction"
    " cc_rejected_high_risk fraudulent cc_rejected_insufficient_amount insufficient_funds"
    " cc_rejected_max_attempts card_velocity_exceeded"
)
_NO_TOKEN = ("2006", "2062", "3003", "3008")
# The same was asked a moment before; another service of theirs did not answer.
_UNDECIDED = ("2001", "2004", "2007")

Number = Annotated[int, msgspec.Meta(ge=1, le=10**18)]


class Code(msgspec.Struct, frozen=True):
    """What the payer scans."""

    qr_code: str | None = None


class Point(msgspec.Struct, frozen=True):
    """Where the payer pays."""

    transaction_data: Code | None = None


class Slip(msgspec.Struct, frozen=True):
    """What the payer's slip has in bars."""

    content: str | None = None


class Details(msgspec.Struct, frozen=True):
    """More of a payment."""

    external_resource_url: str | None = None
    payment_method_reference_id: str | None = None


class Movement(msgspec.Struct, frozen=True):
    """A payment or a refund."""

    id: Number
    status: str | None = None
    status_detail: str | None = None
    transaction_amount: Decimal | None = None
    currency_id: str | None = None
    external_reference: str | None = None
    date_of_expiration: str | None = None
    point_of_interaction: Point | None = None
    barcode: Slip | None = None
    transaction_details: Details | None = None
    payment_id: Number | None = None
    amount: Decimal | None = None


class Page(msgspec.Struct, frozen=True):
    """Payments that were looked for."""

    results: list[Movement]


class Cause(msgspec.Struct, frozen=True):
    """What is wrong, by its number."""

    code: int | str
    description: str | None = None


class Fault(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong."""

    message: str
    error: str
    status: int | str
    cause: list[Cause] | None = None


class Person(msgspec.Struct, frozen=True):
    """Whose the account is."""

    site_id: str | None = None


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an answer says of what was asked for."""
    found = parsing.decode(reply.body, Movement)
    if found is None:
        return unknown("unreadable")
    if instruction.operation is Operation.REFUND:
        return _refund(instruction, found)
    charging = instruction.operation is Operation.CHARGE
    own = instruction.reference if charging else instruction.charge_reference
    if found.external_reference != own:
        return unknown("reference_mismatch")
    return _charge(instruction, found) if charging else _acted(instruction.operation, found)


def found_by(instruction: Instruction, reply: Reply) -> Result:
    """What the payments with our reference say: there is one at most."""
    page = parsing.decode(reply.body, Page)
    if page is None:
        return unknown("unreadable")
    own = [each for each in page.results if each.external_reference == instruction.reference]
    if len(own) == 1:
        return _charge(instruction, own[0])
    if own or page.results:
        return unknown("several_listed" if own else "reference_mismatch")
    return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")


def _charge(instruction: Instruction, found: Movement) -> Result:
    status, known = found.status or "", str(found.id)
    held = status == "authorized" and not instruction.automatic
    if held or status == "approved":
        return _approved(found, captured=not held)
    if status in _OPEN or status == "authorized":
        detail = parsing.word(found.status_detail) or status
        return Result(Outcome.PENDING, known, action=_action(found), detail=detail)
    if status == "rejected":
        reason = _REASONS.get(found.status_detail or "", "generic_decline")
        return refusals.declined(known, reason)
    if status == "cancelled":
        late = found.status_detail == "expired"
        code = "payment_intent_payment_attempt_expired" if late else "charge_canceled"
        return Result(Outcome.DECLINED, known, code=code, detail=status)
    # Of what was refunded, or is disputed, the money was taken before.
    return Result(Outcome.UNKNOWN, known, detail=parsing.word(status) or "unknown_status")


def _action(found: Movement) -> Action | None:
    ends = times.to_ms(found.date_of_expiration)
    code = ((found.point_of_interaction or Point()).transaction_data or Code()).qr_code
    if (text := parsing.shown(code)) is not None:
        return Action(Act.SHOWN_CODE, text=text, expires_ms=ends)
    details = found.transaction_details or Details()
    bars = (found.barcode or Slip()).content or details.payment_method_reference_id
    url = parsing.link(details.external_resource_url, https_only=True)
    if url is None:
        return None
    return Action(Act.VOUCHER, url=url, number=parsing.shown(bars), expires_ms=ends)


def _acted(operation: Operation, found: Movement) -> Result:
    """How a capture or void of a payment ended."""
    status, known = found.status or "", str(found.id)
    if status in (("approved",) if operation is Operation.CAPTURE else _ENDED):
        return _approved(found)
    if status in ("approved", "authorized", *_OPEN, *_ENDED):
        return Result(Outcome.DECLINED, known, code=f"{operation}_not_allowed", detail=status)
    return Result(Outcome.UNKNOWN, known, detail=parsing.word(status) or "unknown_status")


def _refund(instruction: Instruction, found: Movement) -> Result:
    if found.payment_id is None:
        return unknown("unreadable")
    known = f"{found.payment_id}/refunds/{found.id}"
    if instruction.provider_ref not in (str(found.payment_id), known):
        return unknown("reference_mismatch")
    outcome = _REFUNDS.get(found.status or "", Outcome.UNKNOWN)
    if outcome is Outcome.APPROVED:
        amount = amounts.from_major(PROFILE, found.amount, instruction.currency)
        return Result(outcome, known, amount, instruction.currency)
    code = "refund_failed" if outcome is Outcome.DECLINED else None
    return Result(outcome, known, code=code, detail=parsing.word(found.status) or "unknown_status")


def _approved(found: Movement, *, captured: bool = True) -> Result:
    currency = amounts.upper(found.currency_id)
    amount = amounts.from_major(PROFILE, found.transaction_amount, currency)
    return Result(Outcome.APPROVED, str(found.id), amount, currency, captured)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer that is no success."""
    fault = parsing.decode(reply.body, Fault)
    if fault is None or str(fault.status) != str(reply.status) or reply.status == 429:
        return unknown(parsing.not_answered(reply))
    cause = (fault.cause or [Cause("")])[0]
    code, operation = str(cause.code), instruction.operation
    if code in _UNDECIDED:
        return unknown(f"cause_{code}")
    if operation is Operation.CHARGE and code in _NO_TOKEN:
        return no_such_method()
    acts = operation in (Operation.CAPTURE, Operation.VOID)
    if acts and 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 409):
        # It may have been done by an earlier try: it is looked at.
        return Result(Outcome.PENDING, instruction.provider_ref, detail="looked_at")
    return refusals.refusal(reply, fault.error.lower(), cause.description or fault.message)
