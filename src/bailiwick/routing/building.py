"""The requests of a gateway's channel, or why there is none: pure code, so that whatever it does,
no byte has left."""

import structlog

from bailiwick.channels.contract import (
    CannotExpress,
    Instruction,
    NotBuilt,
    NotPrepared,
    Outcome,
    Profile,
    Request,
    Resolve,
    Result,
)
from bailiwick.routing.gateways import Gateway

BLOCKED = "blocked:"
"""Before the rule, in the detail of a charge that was refused by one."""
log = structlog.get_logger()


def build(gateway: Gateway, instruction: Instruction) -> Request | Result:
    """The request that carries out an instruction, or what came of it without one: nothing was sent
    then."""
    if instruction.withheld is not None:
        return withheld(instruction.withheld)
    if gateway.lacking is not None:
        return _unprepared(gateway.profile)
    try:
        made = gateway.channel.request(instruction, gateway.account)
        if isinstance(made, Result) and made.outcome is not Outcome.PENDING:
            raise ValueError("without asking the provider nothing is decided")
        return made
    except NotPrepared:
        return _unprepared(gateway.profile)
    except CannotExpress as cannot:
        return NotBuilt(
            Outcome.DECLINED,
            code="parameter_invalid" if cannot.param else "request_not_possible",
            message=str(cannot),
            detail="not_expressible",
            retryable=True,
            param=cannot.param,
        )
    except Exception as defect:
        log.error(
            "channel_defect", gateway=gateway.name, attempt=instruction.reference, error=defect
        )
        return defective(gateway.profile)


def withheld(rule: str) -> NotBuilt:
    """A charge that the merchant's own rules refuse. The payer is told no more than that, as with
    https://docs.stripe.com/declines#blocked-payments."""
    return NotBuilt(
        Outcome.DECLINED,
        code="card_declined",
        decline_code="fraudulent",
        message="Your card was declined.",
        detail=f"{BLOCKED}{rule}",
    )


def question(gateway: Gateway, instruction: Instruction, way: Resolve) -> Request | None:
    """The request that asks in one way how an instruction ended; None where there is none, or none
    can be made now."""
    if gateway.lacking is not None:
        return None
    try:
        return gateway.channel.query(instruction, gateway.account, way)
    except NotPrepared:
        return None


def _unprepared(profile: Profile) -> NotBuilt:
    """It ran out between the choice of the gateway and its call."""
    return NotBuilt(
        Outcome.DECLINED,
        code="processing_error",
        message=f"{profile.title} can take nothing at the moment; nothing was sent. Try again.",
        detail="not_prepared",
        retryable=True,
    )


def defective(profile: Profile) -> NotBuilt:
    """A request that is no request: the channel's defect; nothing was sent."""
    return NotBuilt(
        Outcome.DECLINED,
        code="processing_error",
        message=f"The request to {profile.title} could not be made, by a defect of the channel; "
        "nothing was sent. The operator's log names it.",
        detail="channel_defect",
        retryable=True,
    )
