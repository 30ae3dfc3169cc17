"""Providers' answers as data, and what each of them means: one table per channel."""

import json
from dataclasses import dataclass, field
from typing import Any

from bailiwick.channels.contract import (
    Account,
    Channel,
    Instruction,
    Operation,
    Outcome,
    Reply,
    Resolve,
    Result,
)
from bailiwick.channels.registry import channel, names

A, D, P, U = Outcome.APPROVED, Outcome.DECLINED, Outcome.PENDING, Outcome.UNKNOWN

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
SECRET = "whsec_test_secret_of_the_callbacks"
ACCOUNTS = {
    "sandbox": Account(
        "sandbox-1",
        "https://provider.test/mumbai-bank",
        {"api_key": KEY, "callback_secret": SECRET},
    ),
    "stripe": Account(
        "stripe-1", "https://provider.test", {"api_key": KEY, "callback_secret": SECRET}
    ),
}
OBJECT_IDS = {"sandbox": ("ch_77", "rf_88"), "stripe": ("pi_77", "re_88")}


@dataclass
class Case:
    """An answer, the instruction it answers, and the exact reading of it."""

    name: str
    instruction: Instruction
    status: int
    body: bytes
    expected: Result
    way: Resolve | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def reply(self) -> Reply:
        return Reply(self.status, {"content-type": "application/json", **self.headers}, self.body)

    def read(self, channel: Channel) -> Result:
        """Let the channel read it."""
        if self.way is None:
            return channel.parse(self.instruction, self.reply)
        return channel.parse_query(self.instruction, self.reply, self.way)


def encode(data: Any) -> bytes:
    """JSON as a provider sends it."""
    return json.dumps(data, separators=(",", ":")).encode()


def instruct(channel: str, operation: Operation, **more: Any) -> Instruction:
    """A usual instruction; everything but a charge refers to one."""
    references = {
        "charge": "ch_a1",
        "increment": "inc_a1",
        "capture": "cap_a1",
        "void": "void_a1",
        "refund": "re_a1",
        "setup": "setatt_a1",
        "evidence": "ev_a1",
        "concede": "con_a1",
        "payout": "po_a1",
        "payout_cancel": "pc_a1",
    }
    given: dict[str, Any] = {"reference": references[operation], "amount": 1099, "currency": "EUR"}
    if operation is Operation.CHARGE:
        given |= {
            "payment_method": "pm_card_visa",
            "description": "Two oranges & a lemon",
            "return_url": "https://shop.test/back?a=1",
            "callback_url": "https://node.test/v1/callbacks/x",
            "payment": "pi_of_ours",
        }
    elif operation is Operation.SETUP:
        given |= {"amount": 0, "currency": "XXX", "payment_method": "pm_card_visa"}
    elif operation is Operation.PAYOUT:
        given |= {
            "payment_method": "btok_sandbox",
            "payment_method_type": "bank_account",
            "description": "July & August",
            "callback_url": "https://node.test/v1/callbacks/x",
        }
    else:
        given |= {"provider_ref": OBJECT_IDS[channel][0], "charge_reference": "ch_a1"}
    if operation is Operation.EVIDENCE:
        given["evidence"] = {"uncategorized_text": "They have it & were glad."}
    return Instruction(operation, **(given | more))


CHANNELS = {name: channel(name) for name in names()}


def missing(data: dict[str, Any], *names: str) -> dict[str, Any]:
    """The object without some of its members."""
    return {name: value for name, value in data.items() if name not in names}


def case_table() -> dict[str, list[Case]]:
    """The cases of every channel of the build."""
    from tests.contract.answers_payouts import PAYOUTS
    from tests.contract.answers_sandbox import SANDBOX
    from tests.contract.answers_stripe import STRIPE

    table = {"sandbox": [*SANDBOX, *PAYOUTS], "stripe": STRIPE}
    assert set(table) == set(CHANNELS), "a channel without a table of answers"
    return table
