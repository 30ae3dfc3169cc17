"""What is looked at before a payment's charge gets its permit, and what is kept of that."""

import msgspec

from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.resources.payments.rows import Payment
from bailiwick.resources.payments.saved import cards
from bailiwick.resources.payments.saved.payer import Saved
from bailiwick.routing.match import Routing
from bailiwick.screening.facts import Facts
from bailiwick.screening.screener import Screener


class PaymentScreening:
    """Screens payments; ``screener``: None where nothing is screened; ``secret``: by which
    fingerprints of payment methods are keyed."""

    def __init__(self, screener: Screener | None, secret: bytes) -> None:
        self._screener = screener
        self._secret = secret

    async def screened(
        self,
        asked: IdempotentRequest,
        payment: Payment,
        saved: Saved | None,
        routing: Routing,
        place: Evidence | None,
    ) -> Payment:
        """The payment with what its merchant's rules make of a charge of it.

        Raises:
            ApiError: 503, it could not be counted; nothing was charged.
        """
        wanted = asked.merchant.screening
        if self._screener is None or wanted is None:
            return payment
        facts = self._facts(asked, payment, saved, routing, place)
        verdict = await self._screener.verdict(facts, wanted)
        progress = msgspec.structs.replace(payment.progress, screened=verdict)
        return msgspec.structs.replace(payment, progress=progress)

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
