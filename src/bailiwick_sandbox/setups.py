"""Setups at work: what merchants ask, and what goes wrong on the way."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.answers import charge_view
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import SetupRequest
from bailiwick_sandbox.bank.setups import setup
from bailiwick_sandbox.bank.sources import SOURCES
from bailiwick_sandbox.faults import CALLBACK_KINDS, LIES, Fault
from bailiwick_sandbox.operations import Done
from bailiwick_sandbox.web.exchange import Exchange, answer

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

_REQUEST = msgspec.json.Decoder(SetupRequest)


class SetupDesk:
    """The setups of a service's books."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def store(self, exchange: Exchange, ledger: Ledger, body: bytes) -> None:
        """POST /{provider}/setups."""
        request, service = checks.decode(_REQUEST, body), self._service
        service.check_urls(request.return_url, request.callback_url)
        source = SOURCES.get(request.source)
        own: Fault | None = None
        if source is not None and source.fault and source.fault_on == "setup":
            own = service.own_fault(ledger, "setup", request.reference, source.fault)
        await service.perform(exchange, ledger, "setup", partial(self._store, ledger, request), own)

    def _store(self, ledger: Ledger, request: SetupRequest, fault: Fault | None) -> Done:
        kind = "" if fault is None else fault.kind
        view_lie = kind if kind in LIES else ""
        kept = "" if fault is None or fault.params.answer_only else view_lie
        row, replayed = setup(
            self._service.books,
            ledger,
            request,
            partial(self._service.redirect_url, ledger.name),
            lie=kept,
            callback_fault=kind if kind in CALLBACK_KINDS else "",
        )
        if row.next_status and not replayed:
            self._service.schedule(ledger, row)
        return Done(answer(charge_view(row, view_lie), replayed=replayed), row)
