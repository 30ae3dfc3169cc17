"""Charges that take several requests: each step is declared, asked for, a request of its own, and
recognised by a key of its own."""

from collections.abc import Iterator

from msgspec.structs import replace

from bailiwick.channels.contract import (
    CannotExpress,
    Family,
    Instruction,
    Operation,
    Outcome,
    Resolve,
)
from bailiwick_lab.channel_suite.subject import Failed, Subject, require

READABLE = (Resolve.REFERENCE, Resolve.PROVIDER_ID)


def _at_steps(it: Subject) -> Iterator[Instruction]:
    """The cases' instructions of steps."""
    return (each for each in it.cases.instructions.values() if each.step is not None)


def check_every_step_can_end(it: Subject) -> None:
    for step, ways in it.profile.steps.items():
        require(bool(ways), f"an unknown {step} could never end")
        require(len(set(ways)) == len(ways), f"{step} has a way twice")
        if Resolve.REPLAY in ways:
            require(it.profile.replay_ms > 0, f"{step} is replayed, within which time?")
        require(Resolve.REVERSAL not in ways, f"{step} is not reversed: its charge is")


def check_ways_to_pay_name_steps(it: Subject) -> None:
    for method, ways in it.profile.methods.items():
        for each in ways:
            for step in {each.completed_by, each.return_step} - {None}:
                require(step in it.profile.steps, f"{method}: {step} is not among profile.steps")
            both = (each.return_step is not None) == bool(each.return_params)
            require(both, f"{method}: return_step goes with return_params")
            known = each.returns or each.family is Family.TOKEN or each.return_step is None
            require(known, f"{method}: return_step, and the payer does not have to come back")


def check_cases_cover_steps(it: Subject) -> None:
    """Each is asked for by a reading, or by the payer who comes back; and is carried out."""
    ways = [each for found in it.profile.methods.values() for each in found]
    asked = {each.return_step for each in ways}
    asked |= {each.says.step for each in it.cases.answers}
    results = [each.says.result for each in it.cases.callbacks if each.says is not None]
    asked |= {each.step for each in results if each is not None}
    answered = {each.instruction.step for each in it.cases.answers if each.way is None}
    for step in it.profile.steps:
        require(step in asked, f"no case asks for {step}, and no payer who comes back does")
        require(step in answered, f"no case of an answer to {step}")


def check_readings_ask_for_steps_that_are_there(it: Subject) -> None:
    results = [each.says.result for each in it.cases.callbacks if each.says is not None]
    told = [each for each in results if each is not None]
    for says in [*(each.says for each in it.cases.answers), *told]:
        pending = says.step is None or says.outcome is Outcome.PENDING
        require(pending, f"{says.step} is asked for of what is {says.outcome}")
        known = says.step is None or says.step in it.profile.steps
        require(known, f"{says.step} is not among profile.steps")


def check_a_step_is_a_request_of_its_own(it: Subject) -> None:
    account = it.cases.account
    for order in _at_steps(it):
        request = it.asked(order, account)
        require(request == it.asked(order, account), f"{order.step}: two requests differ")
        first = it.asked(replace(order, steps=(), before=(), kept={}), account)
        sent = (request.method, request.url, request.body)
        other = sent != (first.method, first.url, first.body)
        require(other, f"{order.step} is the first request once more")


def check_steps_it_lacks_are_not_built(it: Subject) -> None:
    known = it.known_id(Operation.CHARGE)
    charge = it.instruction(Operation.CHARGE)
    order = replace(charge, steps=("no_step_of_it",), provider_ref=known, before=(known,))
    try:
        it.channel.request(order, it.cases.account)
    except CannotExpress:
        return
    raise Failed("a step was built that the profile does not declare")


def check_steps_are_looked_up_as_declared(it: Subject) -> None:
    for order in _at_steps(it):
        ways = it.profile.ways(order)
        acts = it.asked(order)
        for way in READABLE:
            asked = it.channel.query(order, it.cases.account, way)
            wanted = way in ways
            require((asked is not None) == wanted, f"{order.step} by {way}: a query or none")
            if asked is not None:
                same = (asked.method, asked.url, asked.body) == (acts.method, acts.url, acts.body)
                require(not same, f"{order.step} by {way}: the query is the step itself")
