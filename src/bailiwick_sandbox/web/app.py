"""The bank's front: which request goes where (a bare ASGI application)."""

from __future__ import annotations

import asyncio
import hmac
import logging
from urllib.parse import parse_qs

import msgspec

from bailiwick_sandbox.bank import checks, sources
from bailiwick_sandbox.bank.answers import charge_view, dispute_view, payout_view, refund_view
from bailiwick_sandbox.bank.delay import DelayRequest
from bailiwick_sandbox.bank.disputes import BODY_BYTES_MAX
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import Charge, Refusal
from bailiwick_sandbox.disputes import Verb
from bailiwick_sandbox.faults import KINDS, RuleRequest
from bailiwick_sandbox.operations import unauthorized
from bailiwick_sandbox.service import Service
from bailiwick_sandbox.tokens import PATH
from bailiwick_sandbox.web import guard, pages, payments, views
from bailiwick_sandbox.web.exchange import (
    Answer,
    Exchange,
    Receive,
    Scope,
    Send,
    answer,
    error,
    refused,
)

_log = logging.getLogger("bailiwick_sandbox")

_RULE = msgspec.json.Decoder(RuleRequest)
_DELAY = msgspec.json.Decoder(DelayRequest)
_NOT_FOUND = error(404, "not_found", "There is nothing at this address.")
_FAILED = error(500, "internal_error", "The sandbox itself failed; see its log.")


class App:
    """The ASGI application over one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.closing = asyncio.Event()
        self._limit = service.config.server.max_body_bytes
        self._keys = {
            provider.name: f"Bearer {provider.api_key}".encode()
            for provider in service.config.providers
        }
        admin_key = service.config.server.admin_key
        self._admin_key = f"Bearer {admin_key}".encode() if admin_key else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self.closing)
        path = scope["path"].split("/")
        ledger = self.service.books.ledgers.get(path[1])
        try:
            if ledger is None:
                await exchange.answer(await self._admin(exchange, path[1:]))
            elif len(path) == 4 and path[2] == "pay":
                await exchange.answer(await self._pay(exchange, ledger, path[3]))
            else:
                await self._provider(exchange, ledger, path[2:])
        except Refusal as refusal:
            await exchange.answer(refused(refusal))
        except Exception:
            # The service answers last, so nothing was answered yet unless the peer is gone.
            _log.exception("request failed")
            await exchange.answer(_FAILED)

    async def _provider(self, exchange: Exchange, ledger: Ledger, path: list[str]) -> None:
        service = self.service
        method, shown = exchange.scope["method"], _shown(exchange.scope)
        if ledger.provider.token_lasts_ms and path == PATH and method == "POST":
            body = await exchange.body(self._limit)
            await service.tokens.grant(exchange, ledger, shown, body)
            return
        if not self._authenticated(ledger, shown):
            await exchange.answer(unauthorized())
            return
        match path:
            case ["charges"] if method == "POST":
                await service.charge(exchange, ledger, await exchange.body(self._limit))
            case ["setups"] if method == "POST":
                await service.setups.store(exchange, ledger, await exchange.body(self._limit))
            case ["charges", charge_id, "increment" | "capture" | "void" as operation] if (
                method == "POST"
            ):
                body = await exchange.body(self._limit)
                await service.change(exchange, ledger, charge_id, operation, body)
            case ["charges", charge_id, "complete"] if method == "POST":
                body = await exchange.body(self._limit)
                await service.completions.complete(exchange, ledger, charge_id, body)
            case ["reversals"] if method == "POST":
                await service.reversals.reverse(exchange, ledger, await exchange.body(self._limit))
            case ["refunds"] if method == "POST":
                await service.refund(exchange, ledger, await exchange.body(self._limit))
            case ["disputes", dispute_id, "evidence" | "close" as verb] if method == "POST":
                about: Verb = "evidence" if verb == "evidence" else "concede"
                most = BODY_BYTES_MAX if verb == "evidence" else self._limit
                body = await exchange.body(max(most, self._limit))
                await service.disputes.submit(exchange, ledger, dispute_id, about, body)
            case ["payouts"] if method == "POST":
                await service.payouts.pay(exchange, ledger, await exchange.body(self._limit))
            case ["payouts", payout_id, "cancel"] if method == "POST":
                body = await exchange.body(self._limit)
                await service.payouts.recall(exchange, ledger, payout_id, body)
            case ["operations", reference] if method == "GET":
                await service.query(exchange, ledger, reference)
            case _ if method == "GET":
                await exchange.answer(self._look(ledger, path))
            case (
                ["account"]
                | ["setups"]
                | ["reversals"]
                | ["charges", *_]
                | ["refunds", *_]
                | ["disputes", *_]
                | ["payouts", *_]
                | ["operations", _]
            ):
                await exchange.answer(_not_allowed(method))
            case _:
                await exchange.answer(_NOT_FOUND)

    def _authenticated(self, ledger: Ledger, shown: bytes) -> bool:
        if ledger.provider.token_lasts_ms:
            return self.service.tokens.good(ledger, shown)
        return hmac.compare_digest(shown, self._keys[ledger.name])

    def _look(self, ledger: Ledger, path: list[str]) -> Answer:
        match path:
            case ["account"]:
                if self.service.faults.revoked(ledger.name):
                    return unauthorized()
                provider = ledger.provider
                account = {
                    "provider": provider.name,
                    "title": provider.title,
                    "kind": provider.kind,
                    "currencies": provider.currencies,
                }
                return answer(account)
            case ["charges", charge_id]:
                return answer(charge_view(self.service.books.find_charge(ledger, charge_id)))
            case ["disputes", dispute_id] if dispute_id in ledger.disputes:
                row = ledger.disputes[dispute_id]
                return answer(dispute_view(row, ledger.charges[row.charge]))
            case ["payouts", payout_id] if payout_id in ledger.payouts:
                return answer(payout_view(ledger.payouts[payout_id]))
            case ["refunds", refund_id] if refund_id in ledger.refunds:
                return answer(refund_view(ledger.refunds[refund_id]))
        return _NOT_FOUND

    async def _pay(self, exchange: Exchange, ledger: Ledger, charge_id: str) -> Answer:
        charge = ledger.charges.get(charge_id)
        if charge is None:
            return pages.missing_page()
        method, family = exchange.scope["method"], charge.family
        flows = family is not None and family.flow != "token"
        if method in ("GET", "HEAD"):
            return _page_of(ledger, charge)
        if method != "POST":
            return _not_allowed(method)
        if flows:
            guard.refuse_other_pages(exchange.scope, self.service.public_url)
        body = await exchange.body(self._limit)
        decision = parse_qs(body.decode("latin-1")).get("decision", [""])[0]
        if decision not in ("approve", "decline"):
            raise Refusal(400, "decision_unknown", "Must be approve or decline.", "decision")
        charge = self.service.payer_answers(ledger, charge_id, decision == "approve")
        redirects = not flows or charge.redirect_url is not None
        if redirects and charge.return_url is not None:
            return pages.shop(charge, charge.return_url)
        return _page_of(ledger, charge)

    async def _admin(self, exchange: Exchange, path: list[str]) -> Answer:
        method = exchange.scope["method"]
        if path == ["healthz"] and method == "GET":
            return answer({"status": "ok"})
        if path[0] not in ("books", "faults", "delay", "sources", "tokens"):
            return _NOT_FOUND
        if self._admin_key is None:
            guard.refuse_other_hosts(exchange.scope, self.service.config.server.public_url)
        elif not hmac.compare_digest(_shown(exchange.scope), self._admin_key):
            return unauthorized()
        guard.refuse_other_origins(exchange.scope)
        match [method, *path]:
            case ["GET", "books"]:
                return self._books(exchange.scope)
            case ["GET", "sources"]:
                return answer(sources.describe())
            case ["GET", "faults"]:
                return self._faults()
            case ["POST", "faults"]:
                return self._add_fault(await exchange.body(self._limit))
            case ["DELETE", "faults"]:
                return answer({"removed": self.service.faults.remove()})
            case ["DELETE", "faults", rule_id]:
                removed = self.service.faults.remove(rule_id)
                return answer({"removed": removed}) if removed else _NOT_FOUND
            case ["GET", "delay"]:
                return answer(self.service.delay.setting)
            case ["GET", "delay", "waited"]:
                return answer({"waited_ms": self.service.delay.waited})
            case ["POST", "delay"]:
                return self._set_delay(await exchange.body(self._limit))
            case ["DELETE", "tokens"]:
                return answer({"removed": self.service.tokens.revoke()})
            case [_, "books" | "faults" | "delay" | "sources" | "tokens"]:
                return _not_allowed(method)
        return _NOT_FOUND

    def _books(self, scope: Scope) -> Answer:
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("provider")
        name = asked[0] if asked else None
        if name is not None and name not in self.service.books.ledgers:
            return error(404, "not_found", "No such provider.", "provider")
        books = views.export(self.service.books, name)
        callbacks = self.service.callbacks
        books["calls"] = {
            provider: counts
            for provider, counts in self.service.calls.items()
            if name is None or provider == name
        }
        books["callbacks"] = {**callbacks.counts, "waiting": callbacks.waiting}
        books["faults"] = self.service.faults.fired
        return answer(books)

    def _faults(self) -> Answer:
        board = self.service.faults
        return answer({"rules": board.view(), "fired": board.fired, "kinds": KINDS})

    def _add_fault(self, body: bytes) -> Answer:
        rule = checks.decode(_RULE, body)
        if rule.provider != "*" and rule.provider not in self.service.books.ledgers:
            raise Refusal(400, "provider_unknown", "No such provider; * means all.", "provider")
        try:
            return answer({"id": self.service.faults.add(rule)})
        except ValueError as problem:
            raise Refusal(400, "invalid_request", str(problem), "kind") from None

    def _set_delay(self, body: bytes) -> Answer:
        try:
            self.service.delay.set(checks.decode(_DELAY, body))
        except ValueError as problem:
            raise Refusal(400, "invalid_request", str(problem)) from None
        return answer(self.service.delay.setting)


def _page_of(ledger: Ledger, charge: Charge) -> Answer:
    if charge.family is None or charge.family.flow == "token":
        return pages.pay_page(ledger.provider, charge)
    return payments.family_page(ledger.provider, charge, charge.family)


def _shown(scope: Scope) -> bytes:
    """What authenticates a request."""
    return next((value for name, value in scope["headers"] if name == b"authorization"), b"")


def _not_allowed(method: str) -> Answer:
    return error(405, "method_not_allowed", f"{method[:20]} is not understood here.")
