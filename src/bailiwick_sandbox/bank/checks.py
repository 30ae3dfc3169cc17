"""What the bank checks in a request, and the words in which it refuses."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from bailiwick_sandbox.bank import currencies
from bailiwick_sandbox.bank.records import Charge, ChargeRequest, Refusal, SetupRequest
from bailiwick_sandbox.bank.sources import SOURCES, Source, source_behind
from bailiwick_sandbox.families.wire import Family

T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_FIELD = re.compile(r"field `([^`]*)`$")


def decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """Read a JSON body; raises Refusal 400 naming the field."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        text = str(error)
        at = _AT.search(text)
        field = at or _FIELD.search(text)
        message = text[: at.start()] if at else text
        raise Refusal(
            400, "invalid_request", message, field.group(1)[:100] if field else None
        ) from None


@lru_cache(4096)
def return_problem(url: str) -> str | None:
    """Why the payer cannot be sent to this address, if so."""
    parts = _split(url)
    if parts is None or parts[0] not in ("http", "https"):
        return "must be an http or https address"
    return None


@lru_cache(4096)
def callback_problem(url: str, allowed: tuple[str, ...]) -> str | None:
    """Why this address is not called, if so: loopback and the hosts of the settings only."""
    parts = _split(url)
    if parts is None or parts[0] not in ("http", "https"):
        return "must be an http or https address"
    host = parts[1]
    if host == "localhost" or "*" in allowed or host in allowed:
        return None
    try:
        if ip_address(host).is_loopback:
            return None
    except ValueError:
        pass
    return f"the host {host[:100]} is not called; add it to server.callback_hosts"


def _split(url: str) -> tuple[str, str] | None:
    if not url.isascii() or not url.isprintable() or " " in url:
        return None
    try:
        parts = urlsplit(url)
        return (parts.scheme, parts.hostname) if parts.hostname else None
    except ValueError:
        return None


def source_of(name: str) -> Source:
    """What a source does; raises Refusal for one that is none."""
    found = SOURCES.get(name)
    if found is None:
        raise Refusal(
            400, "source_unknown", "No such test source; GET /sources lists them.", "source"
        )
    return found


def same_charge(row: Charge, request: ChargeRequest) -> bool:
    """Whether a repeated request asks for what the row was made from."""
    return (
        row.amount == request.amount
        and row.currency == request.currency
        and row.source == request.source
        and row.capture == request.capture
        and row.return_url == request.return_url
        and row.callback_url == request.callback_url
        and row.description == request.description
        and row.overcapture == request.overcapture
        and row.store == request.store
        and row.off_session == request.off_session
        and row.agreement == request.agreement
        and not row.setup
        and same_family(row.family, request)
    )


def same_family(family: Family | None, request: ChargeRequest) -> bool:
    """The same of how the payer pays."""
    kept = family or Family()
    sent = (request.method or "", request.flow, request.code, request.payer, request.expires_at)
    known = (kept.method, kept.flow, kept.code, kept.payer, kept.expires_at)
    return (*known, kept.completes) == (*sent, request.completes)


def same_setup(row: Charge, request: SetupRequest) -> bool:
    """The same of a setup."""
    asked = (request.source, request.return_url, request.callback_url)
    return row.setup and (row.source, row.return_url, row.callback_url) == asked


def check_agreement(first: Charge | None, request: ChargeRequest) -> None:
    """Refuse an agreement that this payer never gave; ``first``: the charge that it names."""
    if request.agreement is None:
        return
    if first is None or first.source != request.source or not (first.store and first.approved_at):
        raise Refusal(422, "agreement_unknown", "No such agreement.", "agreement")


def check_currency(accepted: list[str] | None, currency: str) -> None:
    """Refuse a currency that is none, or none of those accepted (nothing: all are)."""
    if not currencies.known(currency):
        raise Refusal(
            400, "currency_unknown", f"{currency[:10]!r} is no active ISO 4217 code.", "currency"
        )
    if accepted is not None and currency.upper() not in accepted:
        names = ", ".join(accepted)
        raise Refusal(400, "currency_not_supported", f"Only {names} here.", "currency")


def mismatch(reference: str) -> Refusal:
    """The refusal of a reference that was used for something else."""
    return Refusal(
        409,
        "reference_mismatch",
        f"The reference {reference} was used for a different request.",
        "reference",
    )


def check_increment(charge: Charge, amount: int) -> None:
    """Refuse to hold more of what is not held, is captured in part, or whose payer has no more."""
    if charge.status != "authorized":
        raise not_open(charge, "not_incrementable")
    if charge.amount_captured:
        raise Refusal(422, "already_captured", "A part of the charge is captured already.")
    if amount <= charge.amount_authorized:
        held = charge.amount_authorized
        raise Refusal(422, "amount_too_small", f"The authorization is {held} already.", "amount")
    if source_behind(charge).increment == "decline":
        raise Refusal(422, "card_declined", "The increase was declined.")


def not_open(charge: Charge, otherwise: str) -> Refusal:
    """The refusal of a capture or void of a charge in the wrong state."""
    if charge.void_reason == "expired":
        return Refusal(422, "expired", "The authorization has expired.")
    if charge.status == "captured":
        return Refusal(422, "already_captured", "The charge is captured already.")
    if charge.status == "voided":
        return Refusal(422, "already_voided", "The charge is voided already.")
    return Refusal(422, otherwise, f"The charge is {charge.status}.")
