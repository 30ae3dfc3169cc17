"""What is looked at before a payment's charge gets its permit, and what is kept of that."""

import msgspec

from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.saved import cards
from bailiwick.resources.payments.saved.payer import Saved
from bailiwick.routing.match import Routing
from bailiwick.screening.facts import Facts
from bailiwick.screening.screener import Screener, counts
from bailiwick.topology.screening import Screening


class Screened(msgspec.Struct, frozen=True):
    """The screening of one charge.

    ``counts``: something is written, or somebody asked, about it: not for a repetition.
    """

    screener: Screener
    wanted: Screening
    facts: Facts
    counts: bool

    async def done(self, payment: Payment) -> Payment:
        """The payment with what its merchant's rules make of the charge.

        Raises:
            ApiError: 503, it could not be counted; nothing was charged.
        """
        verdict = await self.screener.verdict(self.facts, self.wanted)
        progress = msgspec.structs.replace(payment.progress, screened=verdict)
        return msgspec.structs.replace(payment, progress=progress)


class PaymentScreening:
    """Screens payments; ``screener``: None where nothing is screened; ``secret``: by which
    fingerprints of payment methods are keyed."""

    def __init__(self, screener: Screener | None, secret: bytes) -> None:
        self._screener = screener
        self._secret = secret

    def of(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        saved: Saved | None,
        routing: Routing,
        place: Evidence | None,
    ) -> Screened | None:
        """The screening of a charge that is to be made; None: nothing is looked at."""
        wanted = asked.merchant.screening
        if self._screener is None or wanted is None:
            return None
        facts = self._facts(asked, payment, saved, routing, place)
        return Screened(self._screener, wanted, facts, counts(facts, wanted))

    def _facts(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        saved: Saved | None,
        routing: Routing,
        place: Evidence | None,
    ) -> Facts:
        progress = payment.progress
        token = progress.payment_method
        card = None if saved is None else saved.fingerprint
        if card is None and token is not None:
            card = cards.fingerprint(
                self._secret, payment.merchant, routing.owner, token, livemode=payment.livemode
            )
        return Facts(
            reference=asked.identity,
            merchant=payment.merchant,
            livemode=payment.livemode,
            payment=payment.id,
            amount=payment.amount,
            currency=payment.currency,
            country=payment.details.location["country"],
            method=routing.method or progress.method,
            card=card,
            customer=progress.customer,
            ip_address=None if place is None else place.ip_address,
            email=(progress.billing or {}).get("email") or progress.receipt_email,
        )
