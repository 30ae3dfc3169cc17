"""Ask a provider how an attempt ended. Only questions: nothing here moves money."""

import msgspec

from bailiwick.channels.contract import (
    Outcome,
    Resolve,
    Result,
    agreed,
)
from bailiwick.orders import steps
from bailiwick.orders.attempts import Attempt
from bailiwick.routing.building import question
from bailiwick.routing.gateways import Gateway


async def query(attempt: Attempt, gateway: Gateway, way: Resolve) -> Result | None:
    """What the provider says when it is asked in one way; None when it says nothing."""
    instruction = steps.current(attempt)
    if way is Resolve.PROVIDER_ID:
        if attempt.provider_ref is None:
            return None
        instruction = msgspec.structs.replace(instruction, provider_ref=attempt.provider_ref)
    if gateway.profile.contexts:
        instruction = msgspec.structs.replace(instruction, context=gateway.context())
    request = question(gateway, instruction, way)
    if request is None:
        return None
    exchange = await gateway.exchange(request)
    if exchange.reply is None:
        return None
    result = gateway.channel.parse_query(instruction, exchange.reply, way, gateway.account)
    return steps.about_same(attempt, agreed(instruction, result, gateway.profile))


async def state_of(attempt: Attempt, gateway: Gateway) -> Result | None:
    """What the provider knows now of an attempt, asked in the ways its channel declares; None
    when that cannot be learned. "Not found" tells nothing here."""
    for way in gateway.profile.ways(steps.current(attempt)):
        if way in (Resolve.REFERENCE, Resolve.PROVIDER_ID):
            result = await query(attempt, gateway, way)
            if result is not None and result.outcome is not Outcome.UNKNOWN:
                return result
    return None
