"""Every movement of money, in one table: which account gains, which one loses, what it is called.

A movement becomes a posting to ``debit`` from ``credit``. Accounts are kinds, each of one owner:
``receivable`` (of a gateway: what its provider holds for us), ``transit`` (of a gateway: what is on
its way from its provider to the merchant), ``merchant`` (what we owe to the
merchant: its balance) and ``unexpected`` (of a merchant: money that came for a payment that had
ended without; a person decides). So what credits ``merchant`` adds to the merchant's balance, and
what debits it takes from it. Pure; the documentation has the same table, and a test holds the two
against each other.
"""

import msgspec


class Movement(msgspec.Struct, frozen=True):
    """One movement of money.

    Attributes:
        when: what has happened, in words.
        debit, credit: the kinds of the accounts that gain and lose.
        about: the object that moved it, and whose id is the balance transaction's source; the
            charge, where it is a payment. A canceled payout counts as an object of its own.
        type: the balance transaction's ``type``; None where no merchant's balance changes.
        category: its ``reporting_category``, the finer word.
        fee: it is what the movement before it in the same version costs.
    """

    when: str
    debit: str
    credit: str
    about: str
    type: str | None = None
    category: str | None = None
    fee: bool = False

    @property
    def sign(self) -> int:
        """1 where it adds to a merchant's balance, -1 where it takes from it, else 0."""
        return (self.credit == "merchant") - (self.debit == "merchant")


MOVEMENTS: dict[str, Movement] = {
    "captured": Movement(
        "captured", "receivable", "merchant", "payment_intent", "charge", "charge"
    ),
    "refunded": Movement("refunded", "merchant", "receivable", "refund", "refund", "refund"),
    "refund_returned": Movement(
        "a refund came back",
        "receivable",
        "merchant",
        "refund",
        "refund_failure",
        "refund_failure",
    ),
    "dispute_withdrawn": Movement(
        "a dispute took it", "merchant", "receivable", "dispute", "adjustment", "dispute"
    ),
    "dispute_fee": Movement(
        "the fee of that", "merchant", "receivable", "dispute", "adjustment", "dispute", fee=True
    ),
    "dispute_reinstated": Movement(
        "a dispute gave it back",
        "receivable",
        "merchant",
        "dispute",
        "adjustment",
        "dispute_reversal",
    ),
    "dispute_fee_returned": Movement(
        "the fee with it",
        "receivable",
        "merchant",
        "dispute",
        "adjustment",
        "dispute_reversal",
        fee=True,
    ),
    "payout_made": Movement(
        "a payout is on its way", "merchant", "transit", "payout", "payout", "payout"
    ),
    "payout_paid": Movement("it arrived", "transit", "receivable", "payout"),
    "payout_failed": Movement(
        "it failed", "transit", "merchant", "payout", "payout_failure", "payout_reversal"
    ),
    "payout_canceled": Movement(
        "it was canceled",
        "transit",
        "merchant",
        "payout_canceled",
        "payout_cancel",
        "payout_reversal",
    ),
    "payout_returned": Movement(
        "it came back after it had arrived",
        "receivable",
        "merchant",
        "payout",
        "payout_failure",
        "payout_reversal",
    ),
    "payout_late": Movement("it arrived after it had failed", "unexpected", "receivable", "payout"),
    "unexpected": Movement(
        "money for an attempt that had ended without", "receivable", "unexpected", "payment_intent"
    ),
}


def seen(about: str, gained: bool) -> Movement:
    """The movement of a stored posting, by the object that its version tells of and by whether the
    merchant's balance gained. Raises KeyError for one that is in no table."""
    sign = 1 if gained else -1
    for each in MOVEMENTS.values():
        if (each.about, each.sign) == (about, sign) and not each.fee:
            return each
    raise KeyError(about)
