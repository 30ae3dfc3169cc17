"""Completions at work: what merchants ask once the payer has approved, and what goes wrong then."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.answers import charge_view
from bailiwick_sandbox.bank.completions import complete
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.families.wire import CompletionRequest
from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.operations import Done, lie_of
from bailiwick_sandbox.web.exchange import Exchange, answer

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

_REQUEST = msgspec.json.Decoder(CompletionRequest)


class CompletionDesk:
    """The completions of a service's books."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def complete(
        self, exchange: Exchange, ledger: Ledger, charge_id: str, body: bytes
    ) -> None:
        """POST /{provider}/charges/{id}/complete."""
        request = checks.decode(_REQUEST, body)
        own = self._service.own_of(ledger, charge_id, "complete", request.reference)
        act = partial(self._complete, ledger, charge_id, request)
        await self._service.perform(exchange, ledger, "complete", act, own)

    def _complete(
        self, ledger: Ledger, charge_id: str, request: CompletionRequest, fault: Fault | None
    ) -> Done:
        row, replayed = complete(self._service.books, ledger, charge_id, request)
        return Done(answer(charge_view(row, lie_of(fault)), replayed=replayed), row)
