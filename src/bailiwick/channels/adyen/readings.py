"""What Adyen can do, and what its result codes, errors and events mean for money."""

from typing import Annotated, Literal

import msgspec
from msgspec.structs import replace

from bailiwick.channels.blocks import amounts, marked, parsing, refusals, sealed, times, words
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
    ON_CHARGES,
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
    redirect,
    unknown,
)

# docs.adyen.com/development-resources/webhooks/secure-webhooks/verify-hmac-signatures
SIGNED = sealed.OfFields(
    fields=(
        *("pspReference", "originalReference", "merchantAccountCode", "merchantReference"),
        *("amount.value", "amount.currency", "eventCode", "success"),
    ),
    signature="additionalData.hmacSignature",
    inside="notificationItems.0.NotificationRequestItem",
    secrets=("hmac_key", "hmac_key_2"),
)
BROUGHT = ("redirectResult",)
_PAGE = (
    Takes(Family.REDIRECT, returns=True, holds=False, return_step="details", return_params=BROUGHT),
)
_SHOWN = (Takes(Family.SHOWN_CODE, holds=False),)
PROFILE = Profile(
    name="adyen",
    title="Adyen",
    resolve=dict.fromkeys(ON_CHARGES, (Resolve.REPLAY, Resolve.CALLBACK)),
    steps={"details": (Resolve.REPLAY, Resolve.CALLBACK)},
    visibility_ms=0,  # never used: Adyen answers no questions
    replay_ms=6 * 24 * 3_600_000,  # keys are good for 7 days at least
    methods={
        **dict.fromkeys(("alipay", "dana", "gcash", "ideal"), _PAGE),
        "blik": (Takes(Family.PRESENTED_CODE, needs=("code",), holds=False),),
        "card": (Takes(),),
        "paynow": _SHOWN,
        "pix": _SHOWN,
        "wechat_pay": _SHOWN,
    },
    # https://docs.adyen.com/development-resources/currency-codes, but for CNH.
    currencies=tuple(
        "AED ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BMD BND BOB BRL BSD BWP BYN BZD CAD CHF "
        "CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF "
        "GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT "
        "LAK LKR LYD MAD MDL MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD "
        "OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SEK SGD SHP SLE SOS SRD "
        "STN SVC SZL THB TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VND VUV WST XAF XCD XCG XOF "
        "XPF YER ZAR ZMW".split()
    ),
    exponents={"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2},
    reversal=True,
    secrets=("api_key", "hmac_key"),
    options=("merchant_account", "return_url"),
    callbacks=SIGNED,
    callbacks_by_id=True,
)
# https://docs.adyen.com/development-resources/refusal-reasons, by refusalReasonCode.
_REASONS = words.pairs(
    "3 call_issuer 4 processing_error 6 expired_card 7 invalid_amount 8 incorrect_number "
    "9 issuer_not_available 10 card_not_supported 11 authentication_required 12 insufficient_funds "
    "14 fraudulent 20 fraudulent 22 fraudulent 23 transaction_not_allowed 24 incorrect_cvc "
    "25 restricted_card 26 revocation_of_authorization 28 card_velocity_exceeded "
    "29 card_velocity_exceeded 31 fraudulent 32 incorrect_zip 38 authentication_required"
)
EVENTS = words.pairs(
    "AUTHORISATION charge OFFER_CLOSED charge CAPTURE capture CAPTURE_FAILED capture "
    "CANCELLATION void TECHNICAL_CANCEL void REFUND refund REFUND_FAILED refund "
    "REFUNDED_REVERSED refund"
)
_UNDONE = ("OFFER_CLOSED", "CAPTURE_FAILED", "REFUND_FAILED", "REFUNDED_REVERSED")


class Amount(msgspec.Struct, frozen=True):
    """An amount in Adyen's minor units."""

    value: Minor
    currency: str


class Item(msgspec.Struct, frozen=True, rename="camel"):
    """The only thing in a callback: its fields that are signed."""

    psp_reference: Id
    merchant_account_code: str
    event_code: Annotated[str, msgspec.Meta(pattern=r"^[A-Z_]{1,64}\Z")]
    amount: Amount
    success: Literal["true", "false"]
    merchant_reference: str = ""
    original_reference: Annotated[str, msgspec.Meta(max_length=255, pattern=r"^[!-~]*\Z")] = ""


class Told(msgspec.Struct, frozen=True, rename="camel"):
    """A callback."""

    notification_items: Annotated[list[dict[str, Item]], msgspec.Meta(max_length=1)]


class NextAction(msgspec.Struct, frozen=True, rename="camel"):
    """What the payer has to do."""

    type: str
    qr_code_data: str | None = None
    expires_at: str | None = None
    method: str | None = None
    url: str | None = None


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to a payment, or to what is asked of one: both have a part of these."""

    result_code: str | None = None
    status: str | None = None
    psp_reference: Id | None = None
    amount: Amount | None = None
    merchant_reference: str | None = None
    reference: str | None = None
    payment_psp_reference: str | None = None
    payment_reference: str | None = None
    refusal_reason: str | None = None
    refusal_reason_code: str | None = None
    action: NextAction | None = None


class Fault(msgspec.Struct, frozen=True, rename="camel"):
    """The body of an answer that says what is wrong."""

    error_code: str
    error_type: str
    message: str | None = None


def charge(instruction: Instruction, reply: Reply) -> Result:
    """The answer to a charge."""
    found = parsing.decode(reply.body, Answer) or Answer()
    own = marked.spelt(instruction.reference, instruction.automatic)
    # What a payer brings may be about anything: that it is about this charge has to be said.
    fine = (own,) if instruction.step is not None else (None, own)
    if found.result_code is not None and found.merchant_reference not in fine:
        return unknown("reference_mismatch")
    if found.result_code == "Authorised":
        amount, currency = _told(found.amount)
        known, captured = found.psp_reference, instruction.automatic
        return Result(Outcome.APPROVED, known, amount, currency, captured)
    if found.result_code in ("Cancelled", "Error", "Refused") and found.psp_reference:
        reason = _REASONS.get(found.refusal_reason_code or "", "generic_decline")
        said = refusals.declined(found.psp_reference, reason)
        return replace(said, message=parsing.sentence(found.refusal_reason))
    sent_on = instruction.family is Family.REDIRECT and found.result_code == "RedirectShopper"
    if sent_on or found.result_code in ("Pending", "PresentToShopper", "Received"):
        # The id that its event will have may be another.
        action = None if found.action is None else _action(found.action)
        return Result(Outcome.PENDING, action=action, detail=(found.result_code or "").lower())
    return unknown("unreadable" if found.result_code is None else "undecided_status")


def received(instruction: Instruction, reply: Reply) -> Result:
    """The answer to a capture, void or refund: it is received, and how it ends is told later."""
    found = parsing.decode(reply.body, Answer)
    if found is None or found.status != "received" or found.psp_reference is None:
        return unknown("unreadable")
    charge = instruction.charge_reference or ""
    asked = (
        (found.reference, instruction.reference),
        (found.payment_psp_reference, instruction.provider_ref),
        (found.payment_reference, marked.spelt(charge, instruction.automatic)),
    )
    if any(theirs not in (None, ours) for theirs, ours in asked):
        return unknown("reference_mismatch")
    amount, currency = _told(found.amount)
    return Result(Outcome.PENDING, found.psp_reference, amount, currency, detail="received")


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer by which nothing was done, or that does not tell."""
    fault = parsing.decode(reply.body, Fault)
    if fault is None or fault.error_type not in ("validation", "security", "configuration"):
        return unknown(parsing.not_answered(reply))
    # 704: the same is being done, or was; 0: an unknown error.
    if parsing.header(reply.headers, "transient-error") == "true" or fault.error_code in (
        "0",
        "704",
    ):
        return unknown("in_progress")
    if instruction.step is not None:
        # Whatever the payer brought, it is no reason to end a charge that may be paid yet.
        strange = fault.error_type == "validation" and reply.status in (400, 422)
        said = Result(Outcome.PENDING, detail="result_invalid")
        return said if strange else unknown(parsing.not_answered(reply))
    charging = instruction.operation is Operation.CHARGE
    if charging and reply.status == 422 and fault.error_code in ("800", "803"):
        return no_such_method()
    return refusals.refusal(reply, "invalid_request", fault.message)


def told(item: Item, operation: Operation, captured: bool) -> Result:
    """What an event says; that something was undone later may come under another id."""
    if item.success == "true" and item.event_code not in _UNDONE:
        amount, currency = _told(item.amount)
        return Result(Outcome.APPROVED, item.psp_reference, amount, currency, captured)
    known = None if item.event_code in _UNDONE else item.psp_reference
    if item.event_code == "OFFER_CLOSED":
        code = "payment_intent_payment_attempt_expired"
        return Result(Outcome.DECLINED, code=code, detail="expired")
    if operation is Operation.CHARGE:
        return refusals.declined(known, "generic_decline")
    return Result(Outcome.DECLINED, known, code=f"{operation}_failed", detail="failed")


def _told(found: Amount | None) -> tuple[int | None, str | None]:
    return (None, None) if found is None else amounts.told(PROFILE, found.value, found.currency)


def _action(found: NextAction) -> Action | None:
    until, text = times.to_ms(found.expires_at), parsing.shown(found.qr_code_data)
    if found.type == "await":
        return Action(Act.WAIT, expires_ms=until)
    if found.type == "redirect" and found.method in (None, "GET"):
        return redirect(parsing.link(found.url, https_only=True))
    coded = found.type == "qrCode" and text is not None
    return Action(Act.SHOWN_CODE, text=text, expires_ms=until) if coded else None
