"""Defects planted into a channel whose charges take several requests: each is seen by the check
that is there for it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from msgspec.structs import replace

from bailiwick.channels import registry
from bailiwick.channels.contract import (
    Channel,
    Family,
    Instruction,
    Profile,
    Request,
    Resolve,
    Result,
    Takes,
)
from bailiwick_lab.channel_suite.checks import steps
from bailiwick_lab.channel_suite.subject import Failed, Subject, subject

IT = subject(registry.channel("sandbox"), registry.folder("sandbox"))
Check = Callable[[Subject], None]


class Altered:
    """The channel, but for its profile or its requests."""

    def __init__(self, **profile: Any) -> None:
        self.profile: Profile = replace(IT.profile, **profile)
        self.swap: Callable[[Instruction], Instruction] = lambda order: order

    def __getattr__(self, name: str) -> Any:
        return getattr(IT.channel, name)

    def request(self, order: Instruction, account: Any) -> Request | Result:
        return IT.channel.request(self.swap(order), account)


def altered(**profile: Any) -> Subject:
    channel: Channel = Altered(**profile)  # type: ignore[assignment]
    return dataclasses.replace(IT, bare=channel)


def pays(**values: Any) -> dict[str, tuple[Takes, ...]]:
    return {"paypal": (Takes(Family.REDIRECT, **values),)}


WAYS = (Resolve.REFERENCE, Resolve.REPLAY)
DEFECTS: dict[str, tuple[dict[str, Any], Check, str]] = {
    "an_unknown_step_never_ends": (
        {"steps": {"complete": ()}}, steps.check_every_step_can_end, "could never end",
    ),
    "a_way_twice": (
        {"steps": {"complete": (*WAYS, *WAYS)}}, steps.check_every_step_can_end, "twice",
    ),
    "repeats_for_ever": (
        {"replay_ms": 0}, steps.check_every_step_can_end, "within which time",
    ),
    "a_step_is_reversed": (
        {"steps": {"complete": (Resolve.REVERSAL,)}}, steps.check_every_step_can_end, "reversed",
    ),
    "completed_by_nothing": (
        {"methods": pays(completed_by="other")}, steps.check_ways_to_pay_name_steps, "other",
    ),
    "a_return_with_nothing": (
        {"methods": pays(returns=True, return_step="complete")},
        steps.check_ways_to_pay_name_steps, "return_params",
    ),
    "a_return_of_nobody": (
        {"methods": pays(return_step="complete", return_params=("result",))},
        steps.check_ways_to_pay_name_steps, "does not have to come back",
    ),
    "no_case_of_a_step": (
        {"steps": {"complete": WAYS, "more": WAYS}}, steps.check_cases_cover_steps, "asks for more",
    ),
    "a_reading_asks_for_another": (
        {"steps": {"more": WAYS}}, steps.check_readings_ask_for_steps_that_are_there, "complete",
    ),
    "a_look_up_that_is_not_there": (
        {"steps": {"complete": (Resolve.PROVIDER_ID,)}},
        steps.check_steps_are_looked_up_as_declared, "a query or none",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEFECTS)
def test_what_is_declared(name: str) -> None:
    changes, check, seen = DEFECTS[name]
    check(IT)
    with pytest.raises(Failed, match=seen):
        check(altered(**changes))


def requesting(swap: Callable[[Instruction], Instruction]) -> Subject:
    it = altered()
    it.channel.swap = swap  # type: ignore[attr-defined]
    return it


def test_the_first_request_once_more() -> None:
    it = requesting(lambda order: replace(order, steps=(), before=(), kept={}))
    with pytest.raises(Failed, match="once more"):
        steps.check_a_step_is_a_request_of_its_own(it)


def test_a_step_that_nobody_declared_is_built() -> None:
    it = requesting(lambda order: replace(order, steps=()))
    with pytest.raises(Failed, match="does not declare"):
        steps.check_steps_it_lacks_are_not_built(it)


def test_no_answer_to_a_step() -> None:
    left = [each for each in IT.cases.answers if each.instruction.step is None]
    it = dataclasses.replace(IT, cases=replace(IT.cases, answers=left))
    with pytest.raises(Failed, match="an answer to complete"):
        steps.check_cases_cover_steps(it)


def test_a_step_of_what_is_decided() -> None:
    said = [replace(each, says=replace(each.says, step="complete")) for each in IT.cases.answers]
    it = dataclasses.replace(IT, cases=replace(IT.cases, answers=said))
    with pytest.raises(Failed, match="is asked for of what is"):
        steps.check_readings_ask_for_steps_that_are_there(it)
