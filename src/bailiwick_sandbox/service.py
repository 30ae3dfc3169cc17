"""The bank at work: operations on the books, the faults on their way, and what follows later."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec

from bailiwick_sandbox.bank import checks
from bailiwick_sandbox.bank.answers import capture_view, charge_view, increment_view, refund_view
from bailiwick_sandbox.bank.books import Books, wall_ms
from bailiwick_sandbox.bank.delay import Delay
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import (
    CaptureRequest,
    Charge,
    ChargeRequest,
    IncrementRequest,
    Refund,
    RefundRequest,
    Refusal,
    VoidRequest,
)
from bailiwick_sandbox.bank.sources import source_behind
from bailiwick_sandbox.callbacks import Callbacks
from bailiwick_sandbox.completions import CompletionDesk
from bailiwick_sandbox.config import Config
from bailiwick_sandbox.disputes import DisputeDesk
from bailiwick_sandbox.families.requests import read as read_charge
from bailiwick_sandbox.families.steering import source_if_known
from bailiwick_sandbox.faults import CALLBACK_KINDS, LIES, Fault, FaultBoard
from bailiwick_sandbox.operations import Act, Done, carry_out, lie_of, unauthorized
from bailiwick_sandbox.payouts import PayoutDesk
from bailiwick_sandbox.reversals import ReversalDesk
from bailiwick_sandbox.setups import SetupDesk
from bailiwick_sandbox.spoil import INTERNAL, UNREADABLE
from bailiwick_sandbox.tokens import TokenDesk
from bailiwick_sandbox.web.exchange import Answer, Exchange, answer, error
from bailiwick_sandbox.web.views import operation_view

_log = logging.getLogger("bailiwick_sandbox")

_INCREMENT = msgspec.json.Decoder(IncrementRequest)
_CAPTURE = msgspec.json.Decoder(CaptureRequest)
_VOID = msgspec.json.Decoder(VoidRequest)
_REFUND = msgspec.json.Decoder(RefundRequest)

_REMEMBERED = 100_000  # once-only faults of sources; the oldest are forgotten first
_EARLY_TIMEOUT_S = 3.0
# Leave each callback alone: a shuffled charge gets its two in the wrong order by their times.
_IN_ORDER = ("", "callback_shuffle")


class Service:
    """The providers' operations, over the books."""

    def __init__(self, config: Config, books: Books, public_url: str) -> None:
        self.config = config
        self.books = books
        self.public_url = public_url.rstrip("/")
        self.faults = FaultBoard(config.server.seed)
        self.delay = Delay(config.server.seed)
        self.callbacks = Callbacks()
        self.disputes = DisputeDesk(self)
        self.payouts = PayoutDesk(self)
        self.setups = SetupDesk(self)
        self.reversals = ReversalDesk(self)
        self.completions = CompletionDesk(self)
        self.tokens = TokenDesk(self)
        self.calls: dict[str, dict[str, int]] = {name: {} for name in books.ledgers}
        self._hosts = tuple(config.server.callback_hosts)
        self._once: OrderedDict[tuple[str, str, str], None] = OrderedDict()
        self._changes: dict[str, tuple[Any, Callable[..., Done]]] = {
            "increment": (_INCREMENT, self._increment),
            "capture": (_CAPTURE, self._capture),
            "void": (_VOID, self._void),
        }
        # Until when a look-up of (provider, reference) says 404.
        self._hidden: dict[tuple[str, str], int] = {}

    def start(self) -> None:
        """Take up what an earlier run left unfinished; needs a running loop."""
        self.callbacks.start()
        self.disputes.start()
        self.payouts.start()
        for ledger, row in list(self.books.unfinished()):
            self.schedule(ledger, row)

    async def charge(self, exchange: Exchange, ledger: Ledger, body: bytes) -> None:
        """POST /{provider}/charges."""
        request = read_charge(body)
        self.check_urls(request.return_url, request.callback_url)
        source = source_if_known(request)
        own: Fault | None = None
        if source is not None and source.fault and source.fault_on == "charge":
            own = self.own_fault(ledger, "charge", request.reference, source.fault)
        await self.perform(exchange, ledger, "charge", partial(self._charge, ledger, request), own)

    async def change(
        self, exchange: Exchange, ledger: Ledger, charge_id: str, operation: str, body: bytes
    ) -> None:
        """POST /{provider}/charges/{id}/increment, /capture and /void."""
        decoder, act = self._changes[operation]
        request = checks.decode(decoder, body)
        own = self.own_of(ledger, charge_id, operation, request.reference)
        done = partial(act, ledger, charge_id, request)
        await self.perform(exchange, ledger, operation, done, own)

    async def refund(self, exchange: Exchange, ledger: Ledger, body: bytes) -> None:
        """POST /{provider}/refunds."""
        request = checks.decode(_REFUND, body)
        self.check_urls(None, request.callback_url)
        own = self.own_of(ledger, request.charge, "refund", request.reference)
        act = partial(self._refund, ledger, request)
        await self.perform(exchange, ledger, "refund", act, own)

    async def query(self, exchange: Exchange, ledger: Ledger, reference: str) -> None:
        """GET /{provider}/operations/{reference}."""
        known = ledger.references.get(reference)
        own: Fault | None = None
        if known is not None and known[0] in ("charge", "setup"):
            own = self.own_of(ledger, known[1], "query", reference)
        act = partial(self._query, ledger, reference)
        await self.perform(exchange, ledger, "query", act, own)

    def payer_answers(self, ledger: Ledger, charge_id: str, approve: bool) -> Charge:
        """The payer pressed a button on the redirect page; raises Refusal."""
        row, changed = self.books.answer_action(ledger, charge_id, approve)
        if changed:
            self._notify(ledger, row)
            if row.next_status:
                self.schedule(ledger, row)
        return row

    # The operations themselves: synchronous, so that nothing comes between.

    def _charge(self, ledger: Ledger, request: ChargeRequest, fault: Fault | None) -> Done:
        percent, lie, view_lie, callback_fault = 100, "", "", ""
        if fault is not None:
            if fault.kind == "partial_approval":
                percent = fault.params.percent
            elif fault.kind in LIES:
                view_lie = fault.kind
                lie = "" if fault.params.answer_only else fault.kind
            elif fault.kind in CALLBACK_KINDS:
                callback_fault = fault.kind
        row, replayed = self.books.charge(
            ledger,
            request,
            partial(self.redirect_url, ledger.name),
            percent=percent,
            lie=lie,
            callback_fault=callback_fault,
        )
        if row.next_status and not replayed:
            self.schedule(ledger, row)
        return Done(answer(charge_view(row, view_lie), replayed=replayed), row)

    def _increment(
        self, ledger: Ledger, charge_id: str, request: IncrementRequest, fault: Fault | None
    ) -> Done:
        row, replayed = self.books.increment(ledger, charge_id, request)
        increment = ledger.increments[ledger.references[request.reference][1]]
        return Done(answer(increment_view(row, increment, lie_of(fault)), replayed=replayed), row)

    def _capture(
        self, ledger: Ledger, charge_id: str, request: CaptureRequest, fault: Fault | None
    ) -> Done:
        row, replayed = self.books.capture(ledger, charge_id, request)
        capture = ledger.capture_of(request.reference)
        return Done(answer(capture_view(row, capture, lie_of(fault)), replayed=replayed), row)

    def _void(
        self, ledger: Ledger, charge_id: str, request: VoidRequest, fault: Fault | None
    ) -> Done:
        row, replayed = self.books.void(ledger, charge_id, request)
        return Done(answer(charge_view(row, lie_of(fault)), replayed=replayed), row)

    def _refund(self, ledger: Ledger, request: RefundRequest, fault: Fault | None) -> Done:
        row, replayed = self.books.refund(ledger, request)
        if row.next_status and not replayed:
            self.schedule(ledger, row)
        return Done(answer(refund_view(row, lie_of(fault)), replayed=replayed), row)

    def _query(self, ledger: Ledger, reference: str, fault: Fault | None) -> Done:
        until = self._hidden.get((ledger.name, reference), 0)
        if until and until <= wall_ms():
            del self._hidden[ledger.name, reference]
            until = 0
        hidden = until or (fault is not None and fault.kind == "eventual_read")
        if hidden or reference not in ledger.references:
            return Done(error(404, "not_found", "No operation has this reference."), None)
        return Done(answer(operation_view(self.books, ledger, reference, lie_of(fault))), None)

    # The faults on the way.

    async def perform(
        self, exchange: Exchange, ledger: Ledger, operation: str, act: Act, own: Fault | None
    ) -> None:
        counts = self.calls[ledger.name]
        counts[operation] = counts.get(operation, 0) + 1
        fault, latency_ms = self.faults.pick(ledger.name, operation)
        fault = fault or own
        if fault is not None and fault.kind == "latency":
            self.faults.note("latency")
            latency_ms += fault.delay_ms
            fault = None
        wait_ms = latency_ms + self.delay.sample_ms()
        began = time.perf_counter()
        if wait_ms:
            await asyncio.sleep(wait_ms / 1000)
        if fault is None:
            done = carry_out(act, None)
            if wait_ms and done.row is not None:
                waited_ms = (time.perf_counter() - began) * 1000
                self.delay.note(done.row.reference, round(waited_ms, 3))
            await exchange.answer(done.answer)
            return
        self.faults.note(fault.kind)
        if not await self._without_processing(exchange, ledger, act, fault):
            await self._after_processing(exchange, ledger, act, fault)

    async def _without_processing(
        self, exchange: Exchange, ledger: Ledger, act: Act, fault: Fault
    ) -> bool:
        kind = fault.kind
        if kind == "reset_before":
            await exchange.reset()
        elif kind == "hang_before":
            await exchange.hang(fault.params.hang_ms)
        elif kind == "error_500_before":
            await exchange.answer(INTERNAL)
        elif kind == "rate_limited":
            after = (b"retry-after", b"%d" % fault.params.retry_after_s)
            await exchange.answer(
                error(429, "rate_limited", "Too many requests; slow down.", headers=[after])
            )
        elif kind == "credentials_revoked":
            await exchange.answer(unauthorized())
        elif kind == "late":
            loop = asyncio.get_running_loop()
            loop.call_later(fault.delay_ms / 1000, self._late, ledger, act)
            await self._bad_answer(exchange, fault, "hang", None)
        else:
            return False
        return True

    async def _after_processing(
        self, exchange: Exchange, ledger: Ledger, act: Act, fault: Fault
    ) -> None:
        kind, done = fault.kind, carry_out(act, fault)
        if kind == "early_callback":
            await self._deliver_early(ledger, done.row)
        elif kind == "duplicate_callback":
            self._notify(ledger, done.row, fault=fault)
        elif kind == "eventual_read":
            self._hide(ledger, done.row, fault)
            if done.row is not None:
                await self._bad_answer(exchange, fault, "500", done.answer)
                return
        elif kind in CALLBACK_KINDS and isinstance(done.row, Charge) and not done.row.next_status:
            # A charge that ends later sends its (spoiled) callback by itself.
            self._notify(ledger, done.row, fault=fault)
        elif kind in UNREADABLE:
            self._notify(ledger, done.row, delay_ms=self.config.server.settle_ms)
            await UNREADABLE[kind](exchange, done.answer, fault)
            return
        await exchange.answer(done.answer)

    async def _bad_answer(
        self, exchange: Exchange, fault: Fault, usual: str, good: Answer | None
    ) -> None:
        manner = fault.params.answer or usual
        if manner == "hang":
            await exchange.hang(fault.params.hang_ms)
        else:
            await exchange.answer(good if manner == "ok" and good is not None else INTERNAL)

    def _hide(self, ledger: Ledger, row: Charge | Refund | None, fault: Fault) -> None:
        if row is None:
            return
        self._hidden[ledger.name, row.reference] = wall_ms() + fault.delay_ms
        self._notify(ledger, row, delay_ms=fault.delay_ms)

    def own_fault(self, ledger: Ledger, operation: str, reference: str, kind: str) -> Fault | None:
        """The fault of a source: once a reference, so that trying again can succeed."""
        if kind in CALLBACK_KINDS:
            return Fault(kind)
        once = (ledger.name, operation, reference)
        if once in self._once:
            return None
        self._once[once] = None
        if len(self._once) > _REMEMBERED:
            self._once.popitem(last=False)
        return Fault(kind)

    def own_of(
        self, ledger: Ledger, charge_id: str, operation: str, reference: str
    ) -> Fault | None:
        """The fault that the source of a charge has for an operation on it."""
        charge = ledger.charges.get(charge_id)
        if charge is None:
            return None
        source = source_behind(charge)
        if not source.fault or source.fault_on != operation:
            return None
        return self.own_fault(ledger, operation, reference, source.fault)

    # What follows later.

    def _late(self, ledger: Ledger, act: Act) -> None:
        self._notify(ledger, carry_out(act, None).row)

    def schedule(self, ledger: Ledger, row: Charge | Refund) -> None:
        wait_ms = max(1, row.next_at - self.books.clock())
        asyncio.get_running_loop().call_later(wait_ms / 1000, self._advance, ledger, row)

    def _advance(self, ledger: Ledger, before: Charge | Refund) -> None:
        row: Charge | Refund
        try:
            if isinstance(before, Charge):
                row, changed = self.books.advance_charge(ledger, before.id)
            else:
                row, changed = self.books.advance_refund(ledger, before.id)
        except Refusal as refusal:
            _log.error("cannot finish %s: %s", before.id, refusal.message)
            asyncio.get_running_loop().call_later(1.0, self._advance, ledger, before)
            return
        if not changed:
            # The timer was early by the clock, or the row was ended by someone else.
            if row.next_status:
                self.schedule(ledger, row)
            return
        self._notify(ledger, row)
        if row.next_status:
            self.schedule(ledger, row)
        if isinstance(before, Charge) and before.callback_fault == "callback_shuffle":
            self._notify(ledger, before, delay_ms=200)

    async def _deliver_early(self, ledger: Ledger, row: Charge | Refund | None) -> None:
        delivery = self._notify(ledger, row)
        if delivery is not None:
            await asyncio.wait({delivery}, timeout=_EARLY_TIMEOUT_S)

    def _notify(
        self,
        ledger: Ledger,
        row: Charge | Refund | None,
        *,
        fault: Fault | None = None,
        delay_ms: int = 0,
    ) -> asyncio.Future[bool] | None:
        if row is None:
            return None
        charge = row if isinstance(row, Charge) else ledger.charges[row.charge]
        url = row.callback_url or charge.callback_url
        if url is None:
            return None
        ruled, latency_ms = self.faults.pick(ledger.name, "callback")
        if ruled is not None:
            self.faults.note(ruled.kind)
            fault = ruled
        elif fault is None and charge is row and charge.callback_fault not in _IN_ORDER:
            fault = Fault(charge.callback_fault)
        view = charge_view(row) if isinstance(row, Charge) else refund_view(row)
        return self.callbacks.send(
            ledger.provider, url, view, fault=fault, delay_ms=delay_ms + latency_ms
        )

    def redirect_url(self, provider: str, charge_id: str) -> str:
        return f"{self.public_url}/{provider}/pay/{charge_id}"

    def check_urls(self, return_url: str | None, callback_url: str | None) -> None:
        if return_url is not None:
            problem = checks.return_problem(return_url)
            if problem:
                raise Refusal(400, "url_invalid", problem, "return_url")
        if callback_url is not None:
            problem = checks.callback_problem(callback_url, self._hosts)
            if problem:
                raise Refusal(400, "url_invalid", problem, "callback_url")
