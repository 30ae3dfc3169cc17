"""What the payer has to do before a provider goes on. Pure."""

from enum import StrEnum

import msgspec


class Act(StrEnum):
    """``REDIRECT``: go to ``url``. ``SHOWN_CODE``: scan ``text`` as a QR code. ``IN_APP``: the
    wallet's script is called with ``parameters``. ``PUSH``: answer the provider on the phone.
    ``WAIT``: finish at the phone that showed the code. ``VOUCHER``: pay the slip ``number``, which
    ``url`` shows. ``TRANSFER``: send the amount to ``account`` with ``reference``."""

    REDIRECT = "redirect"
    SHOWN_CODE = "shown_code"
    IN_APP = "in_app"
    PUSH = "push"
    WAIT = "wait"
    VOUCHER = "voucher"
    TRANSFER = "transfer"


class Action(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a payer has to do; see ``Act`` for which has what.

    Attributes:
        account: what a payer needs to send money there, by the names that the place has for it
            (``iban``, ``clabe``, ``holder``, ``bank``).
        expires_ms: until when (Unix time in milliseconds), if the provider says so.
    """

    type: Act
    url: str | None = None
    text: str | None = None
    number: str | None = None
    reference: str | None = None
    account: dict[str, str] = {}
    parameters: dict[str, str] = {}
    expires_ms: int | None = None


def redirect(url: str | None) -> Action | None:
    """The payer goes to an address; None without one."""
    return None if url is None else Action(Act.REDIRECT, url=url)
