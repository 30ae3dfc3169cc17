"""How payer and provider meet, by whatever type of payment method. Pure."""

from enum import StrEnum


class Family(StrEnum):
    """Decides what a request carries, what the payer has to do next, and how the outcome is learnt.

    ``TOKEN``: the provider knows the payment method by a token. ``REDIRECT``: the payer goes to a
    page of the provider's. ``SHOWN_CODE``: the payer scans a code that we show. ``PRESENTED_CODE``:
    the merchant scans one off the payer's phone. ``IN_APP``: the wallet's own app asks the payer.
    ``PUSH``: the provider asks on the payer's phone. ``VOUCHER``: the payer pays a numbered slip.
    ``TRANSFER``: the payer sends money to an account.
    """

    TOKEN = "token"
    REDIRECT = "redirect"
    SHOWN_CODE = "shown_code"
    PRESENTED_CODE = "presented_code"
    IN_APP = "in_app"
    PUSH = "push"
    VOUCHER = "voucher"
    TRANSFER = "transfer"


BY_ITSELF = (
    Family.REDIRECT,
    Family.SHOWN_CODE,
    Family.PUSH,
    Family.VOUCHER,
    Family.TRANSFER,
)
"""Those that need nothing but the type of the payment method, and maybe who the payer is."""
