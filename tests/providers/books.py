"""What a provider of the tests has done, by its own account: trades, and refunds of them.

It keeps them by the rules that providers document alike: a reference is taken once, what is paid
is not paid again, no more is given back than was paid, and a refund's reference gives back once.
"""

import threading
from dataclasses import dataclass, field


class Refused(Exception):
    """The books do not allow it; ``args[0]``: in a word, why."""


@dataclass
class Trade:
    """One trade. ``state``: ``waiting``, ``paid`` or ``closed``; ``refunds``: amounts by reference.

    ``notes``: what the provider wants to know of it besides.
    """

    reference: str
    id: str
    amount: int
    state: str = "waiting"
    refunds: dict[str, int] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @property
    def given_back(self) -> int:
        return sum(self.refunds.values())

    @property
    def was_paid(self) -> bool:
        return self.state == "paid" or bool(self.refunds)


class Books:
    """All trades of a provider, by the merchant's references. Safe between threads."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.trades: dict[str, Trade] = {}
        self.hidden = False
        """Look-ups find nothing of what there is: it is not visible yet."""

    def seen(self, reference: str) -> Trade | None:
        """What a look-up finds."""
        return None if self.hidden else self.trades.get(reference)

    def begin(self, reference: str, amount: int, **notes: str) -> Trade:
        """The trade with this reference, made if there is none.

        Raises:
            Refused: ``differs``, ``paid``, ``closed``.
        """
        with self.lock:
            known = self.trades.get(reference)
            if known is None:
                number = f"{2026092122001400000000000000 + len(self.trades) + 1}"
                known = Trade(reference, number, amount, notes=dict(notes))
                self.trades[reference] = known
            elif known.amount != amount:
                raise Refused("differs")
            elif known.state != "waiting":
                raise Refused(known.state)
            return known

    def pay(self, reference: str) -> Trade:
        """The payer pays. Raises Refused: ``paid``, ``closed``."""
        with self.lock:
            trade = self.trades[reference]
            if trade.state != "waiting":
                raise Refused(trade.state)
            trade.state = "paid"
            return trade

    def close(self, reference: str) -> Trade:
        """It cannot be paid any more. Raises Refused: ``paid``."""
        with self.lock:
            trade = self.trades[reference]
            if trade.state == "paid":
                raise Refused("paid")
            trade.state = "closed"
            return trade

    def give_back(self, trade: Trade, reference: str, amount: int) -> bool:
        """Give money back; whether it was not given back under this reference before.

        Raises:
            Refused: ``unpaid``, ``differs``, ``too much``.
        """
        with self.lock:
            if not trade.was_paid:
                raise Refused("unpaid")
            if reference in trade.refunds:
                if trade.refunds[reference] != amount:
                    raise Refused("differs")
                return False
            if trade.given_back + amount > trade.amount:
                raise Refused("too much")
            trade.refunds[reference] = amount
            if trade.given_back == trade.amount:
                trade.state = "closed"
            return True

    def keep(self, trade: Trade, reference: str) -> None:
        """A refund comes to nothing: the merchant keeps the money after all."""
        with self.lock:
            del trade.refunds[reference]
            trade.state = "paid"

    def taken(self) -> int:
        """What payers have paid and not got back."""
        with self.lock:
            paid = [each for each in self.trades.values() if each.was_paid]
            return sum(each.amount - each.given_back for each in paid)
