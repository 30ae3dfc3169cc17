"""Disputes at work: what opens and decides them in time, what merchants send, whom that is told."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Literal

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.answers import dispute_view
from bailiwick_sandbox.bank.books import wall_ms
from bailiwick_sandbox.bank.disputes import Disputes
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import Charge, Dispute, DisputeRequest, Refusal
from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.operations import Done
from bailiwick_sandbox.web.exchange import Exchange, answer

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

Verb = Literal["evidence", "concede"]
_log = logging.getLogger("bailiwick_sandbox")
_REQUEST = msgspec.json.Decoder(DisputeRequest)


class DisputeDesk:
    """The disputes of a service's books."""

    def __init__(self, service: Service) -> None:
        self._service = service
        server = service.config.server
        self._settle_ms = server.settle_ms
        self._disputes = Disputes(service.books, server.settle_ms, server.dispute_due_ms)
        self._coming: set[str] = set()
        service.books.on_captured = self.watch

    def start(self) -> None:
        """Take up what an earlier run left unfinished; needs a running loop."""
        for ledger, charge in list(self._disputes.undisputed()):
            self.watch(ledger, charge)
        for ledger, row in list(self._disputes.unfinished()):
            self._schedule(ledger, row)

    def watch(self, ledger: Ledger, charge: Charge) -> None:
        """A charge was captured: in a while it is disputed, if its source says so."""
        if charge.id in self._coming or not self._disputes.missing(ledger, charge):
            return
        self._coming.add(charge.id)
        loop = asyncio.get_running_loop()
        loop.call_later(self._settle_ms / 1000, self._open, ledger, charge.id)

    async def submit(
        self, exchange: Exchange, ledger: Ledger, dispute_id: str, verb: Verb, body: bytes
    ) -> None:
        """POST /{provider}/disputes/{id}/evidence, or /close."""
        request = checks.decode(_REQUEST, body)
        act = partial(self._submit, ledger, dispute_id, verb, request)
        await self._service.perform(exchange, ledger, verb, act, None)

    def _submit(
        self,
        ledger: Ledger,
        dispute_id: str,
        verb: Verb,
        request: DisputeRequest,
        fault: Fault | None,
    ) -> Done:
        do = self._disputes.submit if verb == "evidence" else self._disputes.concede
        row, replayed = do(ledger, dispute_id, request)
        if not replayed:
            self._schedule(ledger, row)
            self._tell(ledger, row)
        view = dispute_view(row, ledger.charges[row.charge])
        return Done(answer(view, replayed=replayed), None)

    def _open(self, ledger: Ledger, charge_id: str) -> None:
        try:
            made = self._disputes.open(ledger, charge_id)
        except Refusal as refusal:
            _log.error("cannot dispute %s: %s", charge_id, refusal.message)
            return
        finally:
            self._coming.discard(charge_id)
        for row in made:
            self._schedule(ledger, row)
            self._tell(ledger, row)

    def _schedule(self, ledger: Ledger, row: Dispute) -> None:
        if row.next_status:
            wait_ms = max(1, row.next_at - wall_ms())
            loop = asyncio.get_running_loop()
            loop.call_later(wait_ms / 1000, self._advance, ledger, row.id)

    def _advance(self, ledger: Ledger, dispute_id: str) -> None:
        try:
            row, changed = self._disputes.advance(ledger, dispute_id)
        except Refusal as refusal:
            _log.error("cannot decide %s: %s", dispute_id, refusal.message)
            asyncio.get_running_loop().call_later(1.0, self._advance, ledger, dispute_id)
            return
        if changed:
            self._tell(ledger, row)
        self._schedule(ledger, row)  # of what has not changed, the timer was early by the clock

    def _tell(self, ledger: Ledger, row: Dispute) -> None:
        charge = ledger.charges[row.charge]
        if charge.callback_url is None:
            return
        fault, latency_ms = self._service.faults.pick(ledger.name, "callback")
        if fault is not None:
            self._service.faults.note(fault.kind)
        view = dispute_view(row, charge)
        self._service.callbacks.send(
            ledger.provider, charge.callback_url, view, fault=fault, delay_ms=latency_ms
        )
