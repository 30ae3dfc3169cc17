"""What is sent, answered and kept of a charge whose payer meets the bank other than by a token.

Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

Flow = Literal[
    "token",
    "redirect",
    "shown_code",
    "presented_code",
    "in_app",
    "push",
    "voucher",
    "transfer",
]
ActionType = Literal["redirect", "shown_code", "in_app", "push", "wait", "voucher", "transfer"]

Completes = Literal["", "approved", "returned"]
"""Which request of the merchant completes a charge: none; one that is taken once the payer has
approved; or one with what the payer brings back from the page, and nothing else tells of that."""

Method = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Code = Annotated[str, Meta(min_length=1, max_length=128)]
_Text = Annotated[str, Meta(min_length=1, max_length=512)]


class Address(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Where a payer lives; ``country``: ISO 3166-1 alpha-2."""

    line1: _Text | None = None
    line2: _Text | None = None
    city: _Text | None = None
    state: _Text | None = None
    postal_code: _Text | None = None
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None


class Payer(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Who pays. ``wallet_id``: who the payer is in the wallet's own app; ``virtual_address``:
    where a push goes."""

    name: _Text | None = None
    email: _Text | None = None
    phone: _Text | None = None
    wallet_id: _Text | None = None
    virtual_address: _Text | None = None
    tax_id: _Text | None = None
    address: Address | None = None


class Action(Struct, frozen=True, omit_defaults=True, gc=False):
    """What the payer has to do; which fields there are depends on ``type``.

    ``text``: what is in the code; ``parameters``: what the wallet's script needs; ``account``:
    where the money is sent, with ``reference``; ``expires_at``: until when.
    """

    type: ActionType
    url: str | None = None
    text: str | None = None
    parameters: dict[str, str] | None = None
    number: str | None = None
    account: dict[str, str] | None = None
    reference: str | None = None
    expires_at: int | None = None


class Family(Struct, frozen=True, omit_defaults=True, gc=False):
    """What a charge keeps of it: what was sent (up to ``expires_at``) and what was made of that.

    ``completes``: see there; ``result``: what the payer brings back.
    ``until``: when the payer's time is up, zero for never; ``url``: the page on which the payer
    acts; ``steered``: the test source that steers the payer, from wherever it came.
    """

    method: str = ""
    flow: Flow = "token"
    code: str | None = None
    payer: Payer | None = None
    expires_at: int | None = None
    until: int = 0
    url: str = ""
    action: Action | None = None
    steered: str = ""
    completes: Completes = ""
    result: str = ""


class CompletionRequest(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The body of POST /{provider}/charges/{id}/complete."""

    reference: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{1,128}$")]
    result: Annotated[str, Meta(max_length=200)] = ""


class Completion(Struct, frozen=True, omit_defaults=True, gc=False):
    """A charge that was completed by the merchant: only then was anything taken or held."""

    provider: str
    id: str
    reference: str
    charge: str
    created: int
    result: str = ""
