"""What is known of who pays when a charge is screened, and what came of it. Pure."""

from typing import Literal

import msgspec

from bailiwick.topology.screening import By, normal


class Facts(msgspec.Struct, frozen=True):
    """What lists and limits look at; None: not known, and what looks at it does not apply.

    Attributes:
        reference: of the confirmation: what is asked twice under it is counted once.
        card: the fingerprint of the payment method.
        amount: minor units of ``currency``.
        method: the type of payment method.
    """

    reference: str
    merchant: str
    livemode: bool
    payment: str
    amount: int
    currency: str
    country: str
    method: str
    card: str | None = None
    customer: str | None = None
    ip_address: str | None = None
    email: str | None = None

    def of(self, by: By) -> str | None:
        """What a list or a limit compares."""
        value: str | None = getattr(self, by)
        return None if value is None else normal(by, value)


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """What came of it; stored with the charge.

    Attributes:
        by: what refused it, or let it pass; None: nothing had anything against it.
        rule: the name of the list or limit; of the scorer, why.
        score: the scorer's, from 0 to 100.
    """

    blocked: bool = False
    by: Literal["list", "velocity", "scorer"] | None = None
    rule: str | None = None
    score: int | None = None
    elevated: bool = False

    @property
    def level(self) -> str:
        """Stripe's ``risk_level``: https://docs.stripe.com/api/charges/object."""
        if self.score is None:
            return "not_assessed"
        if self.blocked and self.by == "scorer":
            return "highest"
        return "elevated" if self.elevated else "normal"


def withholding(verdict: Verdict | None) -> str | None:
    """By which rule a charge is never sent; None: it is."""
    if verdict is None or not verdict.blocked:
        return None
    return f"{verdict.by}:{verdict.rule}"
