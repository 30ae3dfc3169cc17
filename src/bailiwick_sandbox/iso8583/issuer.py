"""What is asked in a message, carried out in the books, and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import (
    CaptureRequest,
    Charge,
    ChargeRequest,
    Decline,
    RefundRequest,
    Refusal,
    ReversalRequest,
)
from bailiwick_sandbox.bank.reversals import reverse
from bailiwick_sandbox.bank.sources import SOURCES
from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.iso8583 import wire

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

APPROVED, PARTLY, INVALID, AMOUNT, NO_CARD = "00", "10", "12", "13", "14"
NOT_FOUND, NOT_HERE, SECURITY, DOWN, TWICE, BROKEN = "25", "57", "63", "91", "94", "96"
OPERATIONS: Final = {"010": "charge", "020": "charge", "040": "void", "042": "void"}
REFUND: Final = "20"
"""How the processing code of a refund begins; other advices (022) are completions."""

# Of the standard's list (ISO 4217), what this host takes.
_CURRENCIES: Final = {
    "036": "AUD", "124": "CAD", "156": "CNY", "344": "HKD", "356": "INR", "360": "IDR",
    "392": "JPY", "410": "KRW", "414": "KWD", "458": "MYR", "484": "MXN", "554": "NZD",
    "566": "NGN", "578": "NOK", "702": "SGD", "710": "ZAR", "752": "SEK", "756": "CHF",
    "764": "THB", "784": "AED", "826": "GBP", "840": "USD", "949": "TRY", "978": "EUR",
    "985": "PLN", "986": "BRL",
}  # fmt: skip
_DECLINES: Final = {
    "insufficient_funds": "51",
    "lost_card": "41",
    "stolen_card": "43",
    "fraudulent": "59",
    "expired_card": "54",
    "incorrect_cvc": "63",
    "incorrect_number": "14",
    "processing_error": "91",
    "card_velocity_exceeded": "65",
    "reversed": INVALID,  # its reversal was here before it
}
_REFUSALS: Final = {
    "source_unknown": NO_CARD,
    "amount_too_large": AMOUNT,
    "not_found": NOT_FOUND,
    "already_voided": NOT_FOUND,
    "not_reversible": INVALID,
    "expired": NOT_FOUND,
    "reference_mismatch": TWICE,
    "books_full": DOWN,
    "books_unavailable": DOWN,
}
_ECHOED: Final = ("3", "4", "7", "11", "32", "37", "41", "42", "49")
Fields = dict[str, str]


class Told(NamedTuple):
    """What is answered: a response code, and fields beside those of the request."""

    code: str
    fields: Fields | None = None


def operation_of(asked: Fields) -> str | None:
    """What a message asks for, as faults and counters name it; None: nothing known here."""
    kind = asked["t"][:3]
    if kind == "022":
        return "refund" if asked.get("3", "").startswith(REFUND) else "capture"
    return OPERATIONS.get(kind)


def own_fault(service: Service, ledger: Ledger, style: wire.Style, asked: Fields) -> Fault | None:
    """The fault of a charge's own source."""
    source = SOURCES.get(asked.get(style.token, ""))
    if source is None or not source.fault or source.fault_on != "charge":
        return None
    return service.own_fault(ledger, "charge", asked.get(wire.REFERENCE, ""), source.fault)


def carry_out(
    service: Service,
    ledger: Ledger,
    style: wire.Style,
    operation: str,
    asked: Fields,
    fault: Fault | None,
) -> Told:
    """Do what is asked, at once and whole."""
    try:
        amount, currency = int(asked["4"]), _CURRENCIES.get(asked["49"])
        if currency is None:
            return Told(INVALID)
        if operation == "charge":
            return _charge(service, ledger, style, asked, amount, currency, fault)
        if operation == "capture":
            return _capture(service, ledger, asked, amount)
        if operation == "refund":
            return _refund(service, ledger, asked, amount)
        return _reverse(service, ledger, asked)
    except Refusal as refusal:
        return Told(_REFUSALS.get(refusal.code, INVALID))
    except KeyError:
        return Told("30")  # a field is missing


def answer(asked: Fields, told: Told, lie: str = "") -> Fields:
    """The answer to a message; ``lie``: falsified on purpose."""
    kind = asked["t"]
    fields: Fields = {name: asked[name] for name in _ECHOED if name in asked}
    fields |= {"t": f"{kind[:2]}{int(kind[2]) + 1}0", "39": told.code, **(told.fields or {})}
    if lie == "wrong_amount":
        fields["4"] = f"{int(fields['4']) + 100:012d}"
    elif lie == "wrong_currency":
        fields["49"] = "978" if fields["49"] == "840" else "840"
    elif lie == "missing_amount":
        fields.pop("4", None)
    return fields


def _charge(
    service: Service,
    ledger: Ledger,
    style: wire.Style,
    asked: Fields,
    amount: int,
    currency: str,
    fault: Fault | None,
) -> Told:
    token, reference = asked[style.token], asked[wire.REFERENCE]
    source = SOURCES.get(token)
    if source is not None and (source.then or source.effect not in ("approve", "decline")):
        return Told(NOT_HERE)  # a payer who has to do something, or an answer that comes later
    percent = fault.params.percent if fault and fault.kind == "partial_approval" else 100
    request = ChargeRequest(reference, amount, currency, token, asked["t"][1] == "2")
    row, _ = service.books.charge(ledger, request, lambda _: "", percent=percent)
    if row.status == "declined":
        return Told(_declined(row.decline))
    if row.status == "voided":
        return Told(INVALID)
    fields = {"38": _approval(row)}
    if row.amount_authorized != row.amount:
        return Told(PARTLY, {**fields, "4": f"{row.amount_authorized:012d}"})
    return Told(APPROVED, fields)


def _capture(service: Service, ledger: Ledger, asked: Fields, amount: int) -> Told:
    request = CaptureRequest(asked[wire.REFERENCE], amount, final=True)
    charge = _original(ledger, asked)
    if charge is None:
        return Told(NOT_FOUND)
    row, _ = service.books.capture(ledger, charge, request)
    return Told(APPROVED, {"38": _approval(row)})


def _refund(service: Service, ledger: Ledger, asked: Fields, amount: int) -> Told:
    charge = _original(ledger, asked)
    if charge is None:
        return Told(NOT_FOUND)
    service.books.refund(ledger, RefundRequest(asked[wire.REFERENCE], charge, amount))
    return Told(APPROVED)


def _reverse(service: Service, ledger: Ledger, asked: Fields) -> Told:
    request = ReversalRequest(asked[wire.REFERENCE], asked[wire.ORIGINAL])
    reverse(service.books, ledger, request)
    return Told(APPROVED)


def _original(ledger: Ledger, asked: Fields) -> str | None:
    """The bank's id of the charge that a message is about."""
    found = ledger.references.get(asked[wire.ORIGINAL])
    return found[1] if found is not None and found[0] == "charge" else None


def _approval(row: Charge) -> str:
    """Six characters that stand for an approval, always the same for one charge."""
    return row.id[-6:].upper().rjust(6, "0")


def _declined(decline: Decline | None) -> str:
    code = "" if decline is None else decline.decline_code or decline.code
    return _DECLINES.get(code, "05")
