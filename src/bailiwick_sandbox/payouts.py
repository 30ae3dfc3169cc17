"""Payouts at work: what merchants ask for, what becomes of it in time, and whom that is told."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.answers import payout_view
from bailiwick_sandbox.bank.books import wall_ms
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.payouts import Payouts
from bailiwick_sandbox.bank.records import Payout, PayoutRequest, RecallRequest, Refusal
from bailiwick_sandbox.faults import Fault
from bailiwick_sandbox.operations import Done, lie_of
from bailiwick_sandbox.web.exchange import Exchange, answer

if TYPE_CHECKING:
    from bailiwick_sandbox.service import Service

_log = logging.getLogger("bailiwick_sandbox")
_REQUEST = msgspec.json.Decoder(PayoutRequest)
_RECALL = msgspec.json.Decoder(RecallRequest)


class PayoutDesk:
    """The payouts of a service's books."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._payouts = Payouts(service.books, service.config.server.settle_ms)

    def start(self) -> None:
        """Take up what an earlier run left unfinished; needs a running loop."""
        for ledger, row in list(self._payouts.unfinished()):
            self._schedule(ledger, row)

    async def pay(self, exchange: Exchange, ledger: Ledger, body: bytes) -> None:
        """POST /{provider}/payouts."""
        request = checks.decode(_REQUEST, body)
        self._service.check_urls(None, request.callback_url)
        act = partial(self._pay, ledger, request)
        await self._service.perform(exchange, ledger, "payout", act, None)

    async def recall(self, exchange: Exchange, ledger: Ledger, payout_id: str, body: bytes) -> None:
        """POST /{provider}/payouts/{id}/cancel."""
        request = checks.decode(_RECALL, body)
        act = partial(self._recall, ledger, payout_id, request)
        await self._service.perform(exchange, ledger, "payout_cancel", act, None)

    def _pay(self, ledger: Ledger, request: PayoutRequest, fault: Fault | None) -> Done:
        row, replayed = self._payouts.pay(ledger, request)
        if not replayed:
            self._schedule(ledger, row)
        return self._done(row, fault, replayed=replayed)

    def _recall(
        self, ledger: Ledger, payout_id: str, request: RecallRequest, fault: Fault | None
    ) -> Done:
        row, replayed = self._payouts.recall(ledger, payout_id, request)
        if not replayed:
            self._tell(ledger, row)
        return self._done(row, fault, replayed=replayed)

    def _done(self, row: Payout, fault: Fault | None, *, replayed: bool) -> Done:
        return Done(answer(payout_view(row, lie_of(fault)), replayed=replayed), None)

    def _schedule(self, ledger: Ledger, row: Payout) -> None:
        if row.next_at:
            wait_ms = max(1, row.next_at - wall_ms())
            loop = asyncio.get_running_loop()
            loop.call_later(wait_ms / 1000, self._advance, ledger, row.id)

    def _advance(self, ledger: Ledger, payout_id: str) -> None:
        try:
            row, changed = self._payouts.advance(ledger, payout_id)
        except Refusal as refusal:
            _log.error("cannot go on with %s: %s", payout_id, refusal.message)
            asyncio.get_running_loop().call_later(1.0, self._advance, ledger, payout_id)
            return
        if changed:
            self._tell(ledger, row)
        self._schedule(ledger, row)

    def _tell(self, ledger: Ledger, row: Payout) -> None:
        if row.callback_url is None:
            return
        fault, latency_ms = self._service.faults.pick(ledger.name, "callback")
        if fault is not None:
            self._service.faults.note(fault.kind)
        self._service.callbacks.send(
            ledger.provider, row.callback_url, payout_view(row), fault=fault, delay_ms=latency_ms
        )
