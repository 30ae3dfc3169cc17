"""Which types of payment methods a payment could use now, in the order that its place is used to.
Pure."""

from collections.abc import Callable, Sequence

import msgspec

from bailiwick.channels.contract import Payer
from bailiwick.methods import DEVICES, Device, Method, every
from bailiwick.methods.families import Family
from bailiwick.routing.match import GatewayFacts, Wanted, match
from bailiwick.routing.strategies.plan import Plan


class Available(msgspec.Struct, frozen=True):
    """A type that some gateway takes now.

    Attributes:
        gateway: the one that would be asked, if nothing changes.
        family: how the payer would meet its provider there.
    """

    type: str
    method: Method
    gateway: str
    family: Family


_ALL_KNOWN = frozenset({"code", *Payer.__struct_fields__})
"""Whoever pays can be asked for it."""


def available(
    gateways: Sequence[GatewayFacts],
    wanted: Wanted,
    device: Device | None,
    plans: Callable[[Wanted], Plan | None] = lambda wanted: None,
) -> list[Available]:
    """Those by which at least one of the gateways would take the payment, the most usual first.

    ``wanted``: the payment, by any method; ``device``: what the payer has, if that is known;
    ``plans``: the routing rule that a payment meets.
    """
    known = every()
    found = []
    for name in sorted({each for facts in gateways for each in facts.methods}):
        method = known.get(name) or _unknown(name)
        if device is not None and device not in method.devices:
            continue
        if method.payers and wanted.country not in method.payers:
            continue
        ways = (method.family, *(each for each in Family if each is not method.family))
        facts = wanted.facts and msgspec.structs.replace(wanted.facts, methods=(name,))
        wish = msgspec.structs.replace(
            wanted, methods=(name,), families=ways, known=_ALL_KNOWN, facts=facts
        )
        routing = match(gateways, wish, (), plans(wish))
        if routing.gateway is not None and routing.takes is not None:
            found.append(Available(name, method, routing.gateway, routing.takes.family))
    return sorted(found, key=lambda each: (-each.method.weight(wanted.country), each.type))


def _unknown(name: str) -> Method:
    """A type of somebody's own channel, of which nothing is known here but its name."""
    return Method(
        Family.TOKEN, DEVICES, {"default": 0}, {"en": name.replace("_", " ").capitalize()}
    )
