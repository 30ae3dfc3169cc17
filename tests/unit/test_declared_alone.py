"""What a profile does not declare is not asked of its provider."""

import pytest

from bailiwick.channels.blocks.requests import only_declared
from bailiwick.channels.contract import (
    CannotExpress,
    Family,
    Instruction,
    Operation,
    Profile,
    Resolve,
    Takes,
)

ASKED = (Resolve.PROVIDER_ID,)
WITHOUT = Profile("acme", "Acme", {Operation.CHARGE: ASKED, Operation.REFUND: ASKED}, 0)
PAGE = Takes(Family.REDIRECT, holds=False)
HOLDING = Profile(
    "acme",
    "Acme",
    {**WITHOUT.resolve, Operation.CAPTURE: ASKED, Operation.VOID: ASKED},
    0,
    methods={"card": (Takes(), PAGE), "ideal": (PAGE,)},
)


def charge(kind: str, family: Family, *, automatic: bool) -> Instruction:
    return Instruction(
        Operation.CHARGE,
        "ch_1",
        100,
        "EUR",
        payment_method_type=kind,
        family=family,
        automatic=automatic,
    )


@pytest.mark.parametrize(
    ("kind", "family"),
    [("card", Family.TOKEN), ("card", Family.REDIRECT), ("ideal", Family.REDIRECT)],
)
def test_what_can_be_held_and_what_cannot(kind: str, family: Family) -> None:
    for profile in (HOLDING, WITHOUT):
        only_declared(profile, charge(kind, family, automatic=True))
    hold = charge(kind, family, automatic=False)
    if family is Family.TOKEN:
        only_declared(HOLDING, hold)
    else:
        with pytest.raises(CannotExpress, match=f"cannot hold money by {kind}") as refused:
            only_declared(HOLDING, hold)
        assert refused.value.param == "capture_method"
    with pytest.raises(CannotExpress, match="cannot hold money without") as refused:
        only_declared(WITHOUT, hold)
    assert refused.value.param == "capture_method"


def test_an_operation_that_it_lacks() -> None:
    void = Instruction(Operation.VOID, "at_1", 100, "EUR", automatic=False)
    only_declared(HOLDING, void)
    with pytest.raises(CannotExpress, match="has no void"):
        only_declared(WITHOUT, void)
