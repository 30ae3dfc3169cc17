"""Reversals at work: what merchants give up, and what goes wrong on the way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.answers import reversal_view
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import ReversalRequest
from bailiwick_sandbox.bank.reversals import reverse
from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.operations import Done, lie_of
from bailiwick_sandbox.web.exchange import Exchange, answer

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

_REQUEST = msgspec.json.Decoder(ReversalRequest)


class ReversalDesk:
    """The reversals of a service's books. Their faults are those of voids."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def reverse(self, exchange: Exchange, ledger: Ledger, body: bytes) -> None:
        """POST /{provider}/reversals."""
        request = checks.decode(_REQUEST, body)
        _, charge_id = ledger.references.get(request.charge_reference, ("charge", ""))
        own = self._service.own_of(ledger, charge_id, "void", request.reference)
        act = partial(self._reverse, ledger, request)
        await self._service.perform(exchange, ledger, "void", act, own)

    def _reverse(self, ledger: Ledger, request: ReversalRequest, fault: Fault | None) -> Done:
        row, replayed = reverse(self._service.books, ledger, request)
        charge = ledger.charges.get(row.charge)
        return Done(answer(reversal_view(row, charge, lie_of(fault)), replayed=replayed), charge)
