"""Operations of several steps: which request follows on what a provider says, and what of an answer
is about an earlier one. Pure.

All steps of a charge are one attempt, under one reference: one charge, one row, one outcome. A step
is a new instruction of it, committed before it is sent, with a permit, replays and a time of its
own; the instruction of the step before stays where it was, in the event that brought it. Each step
is taken once. What may ask for one is a reading, wherever it comes from; two that ask for the same
at once meet at the order's guard.
"""

from collections.abc import Callable

import msgspec

from bailiwick.base.objects import encode
from bailiwick.channels.contract import Instruction, Outcome, Result, of_same, unknown
from bailiwick.orders.attempts import OPEN, Attempt, AttemptStep

STEPS_MAX = 8
"""Steps of one attempt; what asks for more is not believed."""
LOOK_MS = 6_000
"""After so long the resolver looks at a step that nobody has ended: its permit has run out."""
Begins = Callable[[Instruction], AttemptStep]
"""From the instruction of a step to what is committed of it."""
_instruction = msgspec.json.Decoder(Instruction)
_replace = msgspec.structs.replace


def current(attempt: Attempt) -> Instruction:
    """What an attempt asks for, as it is now."""
    return _instruction.decode(attempt.instruction)


def asks(result: Result) -> bool:
    """Whether a reading asks for a step."""
    return result.step is not None and result.outcome is Outcome.PENDING


def asked_before(instruction: Instruction, result: Result) -> bool:
    """Whether a reading asks for the very step that this instruction is: it is still to be done."""
    same = instruction.step is not None and result.step == instruction.step
    return asks(result) and same and result.kept.items() <= instruction.kept.items()


def following(attempt: Attempt, result: Result) -> Instruction | None:
    """The instruction of the step that a reading asks for; None where it is none to take: the
    attempt has ended, or has taken it. The same step may follow on itself only with something new
    that the payer has brought, and once the provider has answered that it still waits."""
    now = current(attempt)
    step = result.step
    if step is None or attempt.state not in OPEN or len(now.steps) >= STEPS_MAX:
        return None
    if step in now.steps:
        news = not result.kept.items() <= now.kept.items()
        if not (news and step == now.step and attempt.state == "pending"):
            return None
    known = result.provider_ref or attempt.provider_ref
    before = now.before if known is None or known in now.before else (*now.before, known)
    return _replace(
        now,
        steps=(*now.steps, step),
        provider_ref=known,
        before=before,
        kept={**now.kept, **result.kept},
    )


def stepped(attempt: Attempt, new: AttemptStep) -> Attempt:
    """An attempt as it stands once the step is committed."""
    return _replace(
        attempt,
        state="permitted",
        instruction=encode(new.instruction),
        provider_ref=new.provider_ref or attempt.provider_ref,
        age_ms=0,
        quiet_ms=0,
        checks=0,
        replays=0,
    )


def moved_on(before: Attempt, now: Attempt) -> bool:
    """Whether another step was taken since."""
    if before.instruction == now.instruction:
        return False
    return current(before).steps != current(now).steps


def is_new(attempt: Attempt) -> bool:
    """Whether the provider's id of an open attempt is that of what the step before has made: what
    its step makes may have one of its own."""
    if attempt.state not in OPEN:
        return False
    now = current(attempt)
    return now.step is not None and attempt.provider_ref == now.provider_ref


def known_before(attempt: Attempt, provider_ref: str | None) -> bool:
    """Whether this is the provider's id of what a step before has made."""
    return provider_ref is not None and provider_ref in current(attempt).before


def about_same(attempt: Attempt, result: Result) -> Result:
    """See ``of_same``. What a step makes may have an id of its own, and providers go on to speak of
    what the steps before have made: that decides nothing."""
    told = of_same(attempt.provider_ref, result)
    if told is result or is_new(attempt):
        return result
    return unknown("earlier_step") if known_before(attempt, result.provider_ref) else told
