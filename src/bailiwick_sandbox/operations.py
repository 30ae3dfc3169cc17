"""What an operation on the books comes to: its answer, and the row that it is about."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bailiwick_sandbox.bank.records import Charge, Refund, Refusal
from bailiwick_sandbox.faults import LIES, Fault
from bailiwick_sandbox.web.exchange import Answer, error, refused


class Done(NamedTuple):
    """An operation carried out (or refused, without a row) and the answer it deserves."""

    answer: Answer
    row: Charge | Refund | None


Act = Callable[[Fault | None], Done]


def unauthorized() -> Answer:
    """The answer to a key that is none, or is one no more."""
    return error(401, "unauthorized", "The api key is missing, wrong or revoked.")


def carry_out(act: Act, fault: Fault | None) -> Done:
    """Do it; a refusal is an answer too."""
    try:
        return act(fault)
    except Refusal as refusal:
        return Done(refused(refusal), None)


def lie_of(fault: Fault | None) -> str:
    """The fault that falsifies the answer, if this is one."""
    return fault.kind if fault is not None and fault.kind in LIES else ""
