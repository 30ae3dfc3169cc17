"""A provider in memory whose charges take several requests: an order is made, its payer approves it
at the provider's page, and it is completed by a request of its own."""

from typing import Any

import msgspec

from bailiwick.channels.contract import (
    Exchange,
    Family,
    Instruction,
    Operation,
    Outcome,
    Permit,
    Phase,
    Reply,
    Request,
    Resolve,
    Result,
    Takes,
    redirect,
)
from tests.postgres.node_kit import PROFILE, Bank, Region, body

CHARGE = Operation.CHARGE
DAY_MS = 86_400_000
PAGE = Takes(Family.REDIRECT, returns=True, lasts_ms=DAY_MS, completed_by="complete")
BROUGHT = Takes(
    Family.REDIRECT, returns=True, lasts_ms=DAY_MS, return_step="details", return_params=("result",)
)
STEPS: dict[str, tuple[Resolve, ...]] = {
    "complete": (Resolve.PROVIDER_ID, Resolve.REPLAY),
    "details": (Resolve.REFERENCE, Resolve.REPLAY),
}
_replace = msgspec.structs.replace


class Orders(Bank):
    """See the module's description.

    Attributes:
        states: by our reference: open, approved, done, or refused.
        taken_by: the keys of the requests that took money, by reference: more than one is a second
            charge.
        at_once: an order needs no payer: its answer asks for the step.
        own_ids: what a step makes has an id of its own.
    """

    def __init__(self, name: str = "bank", **profile: Any) -> None:
        given = {"steps": STEPS, "replay_ms": 3_600_000, **profile}
        super().__init__(name, msgspec.structs.replace(PROFILE, **given))
        self.methods, self.takes = frozenset({"paypal"}), (PAGE,)
        self.profile = _replace(self.profile, methods={"paypal": (PAGE,)})
        self.states: dict[str, str] = {}
        self.taken_by: dict[str, list[str]] = {}
        self.at_once = False
        self.own_ids = True

    def comes_back(self) -> None:
        """What the payer brings back is needed; nothing else tells that the payer was there."""
        self.takes = (BROUGHT,)
        self.profile = _replace(self.profile, methods={"paypal": (BROUGHT,)})

    def approve(self, reference: str) -> None:
        """The payer approves, at the page."""
        assert self.states[reference] == "open"
        self.states[reference] = "approved"

    def taken(self) -> int:
        return sum(self.done[each][0].amount * len(keys) for each, keys in self.taken_by.items())

    def carry_out(self, instruction: Instruction, word: str) -> Result:
        if instruction.operation is not CHARGE:
            return super().carry_out(instruction, word)
        reference = instruction.reference
        if word == "decline":
            self.states[reference] = "refused"
        if instruction.step is None:
            self.done.setdefault(reference, (instruction, Result(Outcome.PENDING)))
            self.states.setdefault(reference, "approved" if self.at_once else "open")
        elif instruction.kept.get("result", "good") != "good":
            action = redirect("https://bank/again")  # that is nothing that it knows
            return Result(Outcome.PENDING, f"order_{reference}", action=action)
        elif self.states[reference] != "refused":
            if instruction.step == "details" and self.states[reference] == "open":
                self.states[reference] = "approved"
            self._complete(instruction)
        return self.state_of(instruction)

    def _complete(self, instruction: Instruction) -> None:
        keys = self.taken_by.setdefault(instruction.reference, [])
        if self.states[instruction.reference] == "approved":
            self.states[instruction.reference] = "done"
            keys.append(instruction.key)
        elif instruction.key not in keys:
            keys.append(instruction.key)  # a provider that recognises keys alone

    def state_of(self, instruction: Instruction) -> Result:
        """What it says of a charge, however it is asked."""
        reference = instruction.reference
        order = f"order_{reference}"
        match self.states.get(reference):
            case None:
                return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
            case "open":
                action = redirect("https://bank/approve")
                return Result(Outcome.PENDING, order, action=action)
            case "approved" if self.takes != (BROUGHT,):
                return Result(Outcome.PENDING, order, step="complete")
            case "refused":
                return Result(Outcome.DECLINED, order, code="card_declined")
        made = f"paid_{reference}" if self.own_ids else order
        given = (instruction.amount, instruction.currency, instruction.automatic)
        return Result(Outcome.APPROVED, made, *given)

    async def exchange(self, request: Request, permit: Permit | None = None) -> Exchange:
        if request.method == "POST":
            return await super().exchange(request, permit)
        self.queries.append(request.url)
        asked = self.done.get(request.url)
        if asked is None or asked[0].operation is not CHARGE:
            return await super().exchange(request, permit)
        told = msgspec.json.encode(self.state_of(asked[0]))
        return Exchange(Phase.ANSWERED, Reply(200, {}, told))

    def query(self, instruction: Instruction, account: Any, way: Resolve) -> Request | None:
        if way is Resolve.PROVIDER_ID:
            assert instruction.provider_ref is not None
        return Request("GET", instruction.reference, {})

    def sent(self) -> list[tuple[str | None, str]]:
        """The steps that arrived, with the keys by which they are recognised."""
        return [(each.step, each.key) for each in self.calls if each.operation is CHARGE]


async def begun(region: Region, key: str = "k", **values: Any) -> dict[str, Any]:
    """A payment by an order, as it is after the first request."""
    answer = await region.pay(
        key,
        payment_method=None,
        payment_method_types=["paypal"],
        payment_method_data={"type": "paypal"},
        return_url="https://shop/back",
        **values,
    )
    return body(answer)
