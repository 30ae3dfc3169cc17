"""What several providers write alike: problems by RFC 7807, references without underscores."""

import json

import pytest

from bailiwick.base.ids import new_id, part_id
from bailiwick.channels.blocks import parsing
from bailiwick.channels.blocks.forms import problems, references
from bailiwick.channels.contract import CannotExpress, Instruction, Operation, Outcome, Reply

TYPES = "https://provider.test/error/"


def problem(status: int, kind: str, **more: str) -> Reply:
    return Reply(status, {}, json.dumps({"type": kind, "status": status, **more}).encode())


def test_a_problem_is_a_definite_no() -> None:
    told = problems.refusal(problem(400, TYPES + "AmountInvalid", title="No.", detail="0"), TYPES)
    assert (told.outcome, told.code, told.message) == (Outcome.DECLINED, "amount_invalid", "0")
    told = problems.refusal(problem(400, TYPES + "Denied", title="No."), TYPES)
    assert (told.code, told.message) == ("denied", "No.")
    told = problems.refusal(problem(403, TYPES + "Denied"), TYPES)
    assert (told.outcome, told.detail) == (Outcome.DECLINED, "credentials")


@pytest.mark.parametrize(
    "reply",
    [
        problem(500, TYPES + "Broken"),
        problem(409, TYPES + "Busy"),
        problem(400, "about:blank"),
        problem(400, TYPES),
        problem(400, TYPES + "no/word"),
        problem(400, "https://another.test/error/Denied"),
        Reply(400, {}, b'{"title":"Bad Request"}'),
        Reply(400, {}, b"<html>"),
    ],
)
def test_what_decides_nothing(reply: Reply) -> None:
    told = problems.refusal(reply, TYPES)
    assert (told.outcome, told.detail) == (Outcome.UNKNOWN, f"http_{reply.status}")


def test_references_come_back() -> None:
    own = new_id("ch", 3, 1_790_000_000_000)
    for reference in (own, part_id("ch", own, 12), new_id("cap", 65_535, 0), part_id("at", own, 1)):
        assert references.bare(reference).isalnum()
        assert references.own(references.bare(reference)) == reference


@pytest.mark.parametrize("text", [None, "", "123ABC", "ch01", "7978c0c97ea847e78e8849634473c1f1"])
def test_what_is_none_of_ours(text: str | None) -> None:
    assert references.own(text) is None


def test_a_void_of_no_charge() -> None:
    order = Instruction(Operation.VOID, "at_1", 100, "BRL", charge_reference="ch_1")
    assert parsing.charge_reference(order) == "ch_1"
    with pytest.raises(CannotExpress, match="nothing was sent"):
        parsing.charge_reference(Instruction(Operation.VOID, "at_1", 100, "BRL"))
