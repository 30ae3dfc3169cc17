"""What a payment source does: the documented test tokens, and our own for faults.

Source of the table: Stripe's page "Testing" (https://docs.stripe.com/testing, sections cards by
brand, by country, declined payments, fraud prevention, disputes, refunds, available balance and
3D Secure). The names are used so that test suites written for it work here; each is
accepted as a payment method (``pm_card_``) and as a token (``tok_``), declines also without the
``visa_`` of their name. Where the page leaves the outcome to a merchant's own risk rules, the
default rules are assumed.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

from msgspec import Struct

from bailiwick_sandbox.bank.records import Charge, Decline
from bailiwick_sandbox.faults import FaultKind

Effect = Literal["approve", "decline", "action", "pending"]
Ending = Literal["", "approved", "declined"]


class Source(Struct, frozen=True):
    """What happens to a charge of this source.

    ``then`` is how an action or a pending charge ends, or that a declined one is approved after
    all; ``fault`` happens once to the first operation ``fault_on`` of each reference; ``disputes``
    are the reasons for which a charge is disputed once it is captured. ``absent`` says of an action
    what happens to a charge of a payer who is not there: it is declined, or approved, or approved
    if the payer has ``agreed`` to such charges. ``storable``: it is declined when it is charged,
    not when it is set up.
    """

    effect: Effect = "approve"
    decline: Decline | None = None
    then: Ending = ""
    refund: Literal["succeeded", "pending", "failed_later"] = "succeeded"
    increment: Literal["approve", "decline"] = "approve"
    fault: str = ""
    fault_on: str = "charge"
    disputes: tuple[str, ...] = ()
    absent: Literal["", "agreed", "approve"] = ""
    storable: bool = False


_DECLINED = "Your card was declined."
GENERIC = Decline("card_declined", "generic_decline", _DECLINED)
FUNDS = Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
LOST = Decline("card_declined", "lost_card", _DECLINED)
STOLEN = Decline("card_declined", "stolen_card", _DECLINED)
FRAUD = Decline("card_declined", "fraudulent", _DECLINED)
EXPIRED = Decline("expired_card", None, "Your card has expired.")
CVC = Decline("incorrect_cvc", None, "Your card's security code is incorrect.")
NUMBER = Decline("incorrect_number", None, "Your card number is incorrect.")
PROCESSING = Decline(
    "processing_error", None, "An error occurred while processing your card. Try again later."
)
VELOCITY = Decline(
    "card_declined",
    "card_velocity_exceeded",
    "Your card was declined for repeated attempts or for exceeding its limit.",
)
ABSENT = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
PAYER = Decline("card_declined", "authentication_failed", "The payer declined the payment.")

_APPROVED: Final = """
    visa visa_debit mastercard mastercard_debit mastercard_prepaid amex discover diners jcb
    unionpay cartesBancaires eftpos_au_visa_debit eftpos_au_mastercard_debit us
    ar br ca cl co cr ec mx pa py pe uy
    ae ae_mastercard at be bg by hr cy cz dk ee fi fr de gi gr hu ie it lv li lt lu mt nl no pl pt
    ro sa si sk es se ch gb gb_debit gb_mastercard
    au cn hk in jp my nz sg tw th_credit th_debit
    riskLevelElevated cvcCheckFail avsZipFail cvcCheckFailElevatedRisk avsZipFailElevatedRisk
    avsLine1Fail avsFail avsUnchecked domesticPricing bypassPending bypassPendingInternational
    createIssuerFraudRecord
    threeDSecureOptional threeDSecureOptionalProcessingError amex_threeDSecureNotSupported
"""

_DECLINES: Final = {
    "chargeDeclined": GENERIC,
    "chargeDeclinedInsufficientFunds": FUNDS,
    "chargeDeclinedLostCard": LOST,
    "chargeDeclinedStolenCard": STOLEN,
    "chargeDeclinedExpiredCard": EXPIRED,
    "chargeDeclinedIncorrectCvc": CVC,
    "chargeDeclinedIncorrectNumber": NUMBER,
    "chargeDeclinedProcessingError": PROCESSING,
    "chargeDeclinedVelocityLimitExceeded": VELOCITY,
    "chargeDeclinedFraudulent": FRAUD,
    "chargeCustomerFail": GENERIC,
    "chargeCustomerFailLostCard": LOST,
    "chargeCustomerFailStolenCard": STOLEN,
    "debit_chargeDeclinedInsufficientFunds": FUNDS,
    "radarBlock": FRAUD,
    "riskLevelHighest": FRAUD,
    "threeDSecureRequiredProcessingError": GENERIC,
}

_CARDS: Final[dict[str, Source]] = {
    "authenticationRequired": Source("action", then="approved"),
    "authenticationRequiredOnSetup": Source("action", then="approved", absent="agreed"),
    "authenticationRequiredSetupForOffSession": Source("action", then="approved", absent="approve"),
    "authenticationRequiredChargeDeclinedInsufficientFunds": Source(
        "action", decline=FUNDS, then="declined"
    ),
    "threeDSecure2Required": Source("action", then="approved"),
    "threeDSecureRequired": Source("action", then="approved"),
    "threeDSecureRequiredChargeDeclined": Source("action", decline=GENERIC, then="declined"),
    "pendingRefund": Source(refund="pending"),
    "refundFail": Source(refund="failed_later"),
    "createDispute": Source(disputes=("fraudulent",)),
    "createDisputeProductNotReceived": Source(disputes=("product_not_received",)),
    "createDisputeInquiry": Source(disputes=("inquiry",)),
    "createMultipleDisputes": Source(disputes=("fraudulent", "product_not_received")),
    "createCe3EligibleDispute": Source(disputes=("fraudulent",)),
    "createComplianceDispute": Source(disputes=("noncompliant",)),
}

# Our own; a pending charge ends after the setting ``settle_ms``.
_SPECIAL: Final[dict[str, Source]] = {
    "pending": Source("pending", then="approved"),
    "pending_fail": Source("pending", decline=GENERIC, then="declined"),
    "decline_then_success": Source("decline", decline=GENERIC, then="approved"),
    "no_callback": Source("pending", then="approved", fault="callback_drop"),
    "callback_drop": Source("pending", then="approved", fault="callback_drop"),
    "callback_shuffle": Source("pending", then="approved", fault="callback_shuffle"),
    "callback_forged_signature": Source(
        "pending", then="approved", fault="callback_forged_signature"
    ),
    "callback_stale": Source("pending", then="approved", fault="callback_stale"),
    "slow": Source(fault="latency"),
    "increment_decline": Source(increment="decline"),
}

# Faults of a later operation on the charge: pm_sandbox_refund_reset_after and so on.
_LATER: Final = ("increment", "capture", "void", "refund", "query", "setup")


def _table() -> dict[str, Source]:
    cards = {name: Source() for name in _APPROVED.split()}
    for name, decline in _DECLINES.items():
        storable = name.startswith("chargeCustomerFail")
        cards[name] = cards[f"visa_{name}"] = Source("decline", decline=decline, storable=storable)
    cards |= _CARDS
    table = {prefix + name: what for name, what in cards.items() for prefix in ("pm_card_", "tok_")}
    own: dict[str, Source] = {}
    for kind in get_args(FaultKind):
        own[kind] = Source(fault=kind)
        if kind in ("partial_approval", "callback_shuffle", "early_callback"):
            continue
        for operation in _LATER:
            own[f"{operation}_{kind}"] = Source(fault=kind, fault_on=operation)
    own |= _SPECIAL
    return table | {f"pm_sandbox_{name}": what for name, what in own.items()}


SOURCES: Final[dict[str, Source]] = _table()
PLAIN: Final = Source()
# What a payer does by itself who is asked to act, as a flow has it (``families``).
STEERING: Final[dict[str, Ending]] = {
    "pm_sandbox_acts": "approved",
    "pm_sandbox_declines": "declined",
    "pm_sandbox_silent": "",
    "pm_sandbox_late": "declined",
    "pm_sandbox_waits": "",
}


def source_behind(charge: Charge) -> Source:
    """What the source of a charge in the books does; one with a flow needs none."""
    if charge.family is None or charge.family.flow == "token":
        return SOURCES[charge.source]
    return PLAIN if charge.family.steered in ("", *STEERING) else SOURCES[charge.family.steered]


def agreed(source: Source, charge: Charge) -> bool:
    """Whether a payer who always authenticates may be charged without being there."""
    if source.absent == "agreed":
        return charge.agreement is not None
    return source.absent == "approve"


def describe() -> dict[str, dict[str, str]]:
    """The table for people and tools (GET /sources)."""
    listed = {}
    for token, source in SOURCES.items():
        told: dict[str, str] = {"effect": source.effect}
        for field in ("then", "fault", "absent"):
            if getattr(source, field):
                told[field] = getattr(source, field)
        if source.fault:
            told["fault_on"] = source.fault_on
        if source.refund != "succeeded":
            told["refund"] = source.refund
        if source.increment != "approve":
            told["increment"] = source.increment
        if source.disputes:
            told["disputes"] = " ".join(source.disputes)
        if source.decline:
            told["code"] = source.decline.code
            told["decline_code"] = source.decline.decline_code or ""
        listed[token] = told
    return listed
