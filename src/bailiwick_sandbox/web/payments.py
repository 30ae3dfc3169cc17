"""The page on which the payer of a charge with a flow pays, or declines to: the wallet's, the
shop's till, the bank's counter, whichever it stands for."""

from __future__ import annotations

import time
from html import escape
from typing import Final

from bailiwick_sandbox.bank.currencies import display
from bailiwick_sandbox.bank.records import Charge
from bailiwick_sandbox.config import ProviderConfig
from bailiwick_sandbox.families.wire import Action, Family, Flow
from bailiwick_sandbox.web.exchange import Answer
from bailiwick_sandbox.web.pages import page

_HEADINGS: Final[dict[Flow, str]] = {
    "voucher": "Pay in by voucher",
    "transfer": "Pay by bank transfer",
    "presented_code": "Enter your PIN to pay",
}
_ENDS: Final = {
    "approved": "You have approved the payment",
    "authorized": "You have approved the payment",
    "captured": "You have paid",
    "declined": "The payment was declined",
    "voided": "The payment was cancelled",
}
_BUTTONS: Final = (
    '<form method="post">'
    '<button class="go" name="decision" value="approve">Pay</button>'
    '<button name="decision" value="decline">Decline</button></form>'
)


def family_page(provider: ProviderConfig, charge: Charge, family: Family) -> Answer:
    """What is being paid, with the two buttons, or what became of it."""
    amount = display(charge.amount, charge.currency)
    method = (family.method or "card").replace("_", " ").capitalize()
    rows = [("Pay by", method), ("Reference", charge.reference)]
    if charge.description:
        rows.append(("For", charge.description))
    if charge.status == "action_required":
        heading = _HEADINGS.get(family.flow, "Confirm your payment")
        told = f"{provider.title} asks you to pay"
        rows += _instructions(family.action)
        end = _BUTTONS
    else:
        heading = _ENDS[charge.status]
        told = f"{_became(charge)} at {provider.title}"
        end = '<p role="status">There is nothing left to do here.</p>'
    details = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in rows)
    return page(
        f"{heading} · {provider.title}",
        f"<h1>{escape(heading)}</h1><p>{escape(told)}</p>"
        f'<p class="amount">{escape(amount)}</p><dl>{details}</dl>{end}'
        "<small>This is a test bank. No money moves.</small>",
        posts=True,
    )


def _became(charge: Charge) -> str:
    if charge.decline is not None and charge.status == "declined":
        return charge.decline.message.rstrip(".")
    if charge.void_reason == "reversed":
        return "The shop took the payment back"
    told = {"captured": "Paid", "authorized": "Approved", "approved": "Approved"}
    return told.get(charge.status, "Cancelled")


def _instructions(action: Action | None) -> list[tuple[str, str]]:
    """What a payer needs who does not pay on this page."""
    if action is None:
        return []
    rows = []
    if action.number is not None:
        rows.append(("Number", action.number))
    for name, text in (action.account or {}).items():
        rows.append((name.upper() if name in ("iban", "clabe") else name.capitalize(), text))
    if action.reference is not None:
        rows.append(("Payment reference", action.reference))
    if action.expires_at is not None:
        until = time.gmtime(action.expires_at // 1000)
        rows.append(("Until", time.strftime("%Y-%m-%d %H:%M:%S UTC", until)))
    return rows
