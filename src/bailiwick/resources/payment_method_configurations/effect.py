"""What a configuration does: which types of payment methods are on. Pure.

Each merchant has a configuration, the default one, from the beginning; it is written when it is
changed for the first time. See https://docs.stripe.com/payments/payment-method-configurations.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import derived_id
from bailiwick.base.tenancy import Owner
from bailiwick.records.configurations import Configuration, Configurations
from bailiwick.resources.payment_method_configurations import RESOURCE
from bailiwick.routing.available import available
from bailiwick.routing.match import GatewayFacts, Wanted
from bailiwick.routing.strategies.plan import Plan

PARAM = "payment_method_configuration"
_CARD = "card"


@lru_cache(4096)
def default_of(merchant: str, livemode: bool) -> Configuration:
    """A merchant's default configuration as it is before anybody has changed it: all is on."""
    mode = "live" if livemode else "test"
    bits = hashlib.sha256(f"default|{merchant}|{mode}".encode()).digest()
    details = {"name": "Default", "active": True, "methods": {}}
    return Configuration(derived_id(RESOURCE.prefix, bits), merchant, livemode, 0, details)


def is_default(configuration: Configuration) -> bool:
    """Whether it is its merchant's default one."""
    return configuration.id == default_of(configuration.merchant, configuration.livemode).id


def owned(known: Configurations, who: Owner) -> list[Configuration]:
    """All that a merchant has, the default one first, then the newest."""
    found = known.of(who.merchant.id, who.livemode, RESOURCE.prefix)
    default = default_of(who.merchant.id, who.livemode)
    others = [each for each in found if each.id != default.id]
    return [known.get(default.id) or default, *others]


def one_of(known: Configurations, who: Owner, identifier: str) -> Configuration | None:
    """One of a merchant's, by its id."""
    return next((each for each in owned(known, who) if each.id == identifier), None)


def chosen(known: Configurations, who: Owner, identifier: str | None) -> Configuration | None:
    """The configuration that a request names, or the default one; None where that was never
    changed, so that all is on.

    Raises:
        ApiError: 400, there is none of this name, or it is not active.
    """
    if identifier is None:
        return known.get(default_of(who.merchant.id, who.livemode).id)
    found = one_of(known, who, identifier)
    if found is None:
        raise ApiError.invalid(
            f"No such {RESOURCE.object}: '{identifier[:64]}'", param=PARAM, code="resource_missing"
        )
    if not found.details["active"]:
        raise ApiError.invalid(
            f"The payment method configuration {identifier} is not active: activate it, or name "
            "another.",
            param=PARAM,
        )
    return found


def is_on(configuration: Configuration | None, method: str) -> bool:
    """Whether a type of payment methods may be used by it."""
    return configuration is None or configuration.details["methods"].get(method) != "off"


def types_for(
    of: Configuration,
    gateways: Sequence[GatewayFacts],
    wish: Wanted,
    plans: Callable[[Wanted], Plan | None] = lambda wanted: None,
) -> list[str]:
    """Which types a payment takes by a configuration: those that are on and that a gateway would
    take it by now, the most usual of its place first; but cards before all, since a token that says
    nothing of its type is a card's.

    Raises:
        ApiError: 400, there are none.
    """
    anything = msgspec.structs.replace(wish, token=None, vault=None)
    found = [
        each.type for each in available(gateways, anything, None, plans) if is_on(of, each.type)
    ]
    if not found:
        raise ApiError.invalid(
            f"None of the payment methods that are on in {of.id} can be used for this payment at "
            "its place: turn others on, or send payment_method_types.",
            param=PARAM,
            code="payment_method_unsupported",
        )
    return sorted(found, key=lambda each: each != _CARD)
