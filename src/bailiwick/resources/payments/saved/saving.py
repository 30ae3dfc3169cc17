"""A payment method saved with the payment that it is first used for. Pure.

What is to be saved is planned with the permit, and written in the commit of the provider's yes: so
it is there when the payment is told to have succeeded, or it is not there at all. A customer that
was erased meanwhile gets none.

Source: https://docs.stripe.com/api/payment_intents/create, ``setup_future_usage``.
"""

from typing import Any

import msgspec

from bailiwick import resources
from bailiwick.base.ids import new_id, node_of
from bailiwick.base.objects import Object, text
from bailiwick.channels.contract import Instruction, Result
from bailiwick.orders.attempts import Attempt
from bailiwick.orders.rows import Told
from bailiwick.records.record import Record, made
from bailiwick.resources.payments.rows import Payment, Progress, Saving
from bailiwick.resources.payments.saved import cards

METHODS_MAX = 100
"""Attached to one customer."""
EVENT = "payment_method.attached"
_instruction = msgspec.json.Decoder(Instruction)
_replace = msgspec.structs.replace


class MethodSaved(Told, frozen=True, kw_only=True):
    """A payment method to write with its payment: ``method_saved`` of ``methods_saved.sql``."""

    id: str
    customer: str
    stays_with: list[int] | None
    details: str
    body: str


def planned(
    payment: Payment, customer: Record, token: str, owner: str | None, secret: bytes, now_ms: int
) -> Saving:
    """What will be saved of a payment once it has succeeded.

    Args:
        customer: whose it will be, and where it will live.
        owner: the vault that the token belongs to; None: every account knows it.
        secret: by which fingerprints are keyed.
    """
    mark = cards.fingerprint(secret, payment.merchant, owner, token, livemode=payment.livemode)
    return Saving(
        id=new_id("pm", node_of(payment.id), now_ms),
        customer=customer.id,
        card={"fingerprint": mark, **cards.known(token, livemode=payment.livemode)},
        location=customer.details["location"],
        node=customer.details["node"],
        stays_with=customer.stays_with,
    )


def saved(
    payment: Payment, attempt: Attempt, result: Result, now_ms: int
) -> tuple[Progress, dict[str, msgspec.Struct] | None]:
    """A payment's progress once its provider has said yes, and what is written beside it."""
    progress = payment.progress
    plan = progress.saving
    if plan is None:
        return progress, None
    token = _instruction.decode(attempt.instruction).payment_method
    card = {**plan.card, "token": token, "vault": plan.vault, "agreement": result.agreement}
    details = {
        "location": plan.location,
        "node": plan.node,
        "allow_redisplay": "unspecified",
        "billing_details": progress.billing or {},
        "metadata": {},
        "card": {name: value for name, value in card.items() if value is not None},
    }
    row = made(
        plan.id,
        payment.merchant,
        payment.livemode,
        now_ms,
        details,
        plan.stays_with,
        belongs_to=plan.customer,
    )
    beside = MethodSaved(
        event=EVENT,
        id=row.id,
        customer=plan.customer,
        stays_with=row.stays_with,
        details=text(row.details),
        body=text(_shown(row)),
    )
    vaults = progress.vaults if plan.vault is None else {**progress.vaults, row.id: plan.vault}
    after = _replace(progress, payment_method=row.id, vaults=vaults, saving=None)
    return after, {"method_saved": beside}


def _shown(row: Record) -> Object:
    """As its own resource shows it, of which nothing else is known here."""
    found: dict[str, Any] = {}
    for each in resources.declared("SHOW", "render"):
        found |= each
    shown: Object = found[row.id.partition("_")[0]](row)
    return shown
