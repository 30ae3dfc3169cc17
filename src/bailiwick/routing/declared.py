"""What a channel declares, as it holds at one gateway: settings narrow it. Pure."""

import re

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation, Profile, Takes
from bailiwick.methods import every
from bailiwick.routing.match import GatewayFacts
from bailiwick.routing.settings import GatewaySettings


def profile_at(profile: Profile, settings: GatewaySettings) -> Profile:
    """What a channel declares, with the bounds that a gateway's settings give."""
    changes = {}
    if settings.visibility_ms is not None:
        changes["visibility_ms"] = settings.visibility_ms
    if settings.total_ms is not None:
        changes["total_ms"] = settings.total_ms
        changes["first_byte_ms"] = min(profile.first_byte_ms, settings.total_ms)
    return msgspec.structs.replace(profile, **changes) if changes else profile


def constant_facts(settings: GatewaySettings, profile: Profile) -> GatewayFacts:
    """What routing knows of a gateway while it is open."""
    currencies = frozenset(code.upper() for code in settings.currencies)
    if profile.currencies is not None:
        able = frozenset(profile.currencies)
        currencies = currencies & able if currencies else able
    return GatewayFacts(
        settings.name,
        settings.channel,
        settings.kind,
        "open",
        settings.mode == "live",
        settings.priority,
        settings.cost_bps,
        settings.cost_fixed,
        frozenset(code.upper() for code in settings.countries),
        currencies,
        {each: _ways(profile, each) for each in settings.methods if each in profile.methods},
        profile.manual_capture,
        settings.vault_name,
        profile.multiples,
        _shared_tokens(settings, profile),
        Operation.SETUP in profile.resolve,
    )


def _ways(profile: Profile, method: str) -> tuple[Takes, ...]:
    """In which ways a channel takes a type, each with the currencies that it is bound to."""
    known = every().get(method)
    if known is None or not known.currencies:
        return profile.methods[method]
    return tuple(
        each if each.currencies else msgspec.structs.replace(each, currencies=known.currencies)
        for each in profile.methods[method]
    )


def _shared_tokens(settings: GatewaySettings, profile: Profile) -> re.Pattern[str] | None:
    if settings.mode == "live" or profile.shared_tokens is None:
        return None
    return re.compile(profile.shared_tokens)


def check_part(
    profile: Profile, operation: Operation, amount: int, currency: str, whole: int
) -> None:
    """Refuse a capture or refund of a part of ``whole`` (minor units) where the provider can only
    do all of it, or cannot express it. Raises ApiError (400)."""
    if operation is Operation.VOID:
        return
    capturing = operation is Operation.CAPTURE
    param = "amount_to_capture" if capturing else "amount"
    unit = profile.multiples.get(currency, 1)
    if amount % unit:
        raise ApiError.invalid(
            f"{profile.title} takes only multiples of {unit} in {currency}.",
            param=param,
            code="parameter_invalid_integer",
        )
    parts = profile.partial_capture if capturing else profile.partial_refund
    if amount < whole and not parts:
        raise ApiError.invalid(
            f"{profile.title} can only {operation.value} the whole amount.",
            param=param,
            code="partial_amount_unsupported",
        )
