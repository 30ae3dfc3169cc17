"""What may be done with payment methods: made, changed, attached to a customer, detached."""

from typing import Any

import msgspec
from msgspec import UnsetType

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id, new_id, node_of
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.records.record import Record, changed, made
from bailiwick.records.records import Records, Writing, find
from bailiwick.resources.customers import render as customers
from bailiwick.resources.customers.commands import in_use
from bailiwick.resources.payment_methods import render
from bailiwick.resources.payment_methods.params import CreateMethod, SavedCard, UpdateMethod
from bailiwick.resources.payments.methods.params import BillingDetails
from bailiwick.resources.payments.saved import cards
from bailiwick.resources.payments.saved.saving import METHODS_MAX
from bailiwick.serving.context import NodeContext
from bailiwick.serving.params import merged
from bailiwick.serving.placed_records import found_at, records_of


class PaymentMethods:
    """What a client can ask about payment methods."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node

    @property
    def _records(self) -> Records:
        return records_of(self._node)

    async def create(
        self,
        asked: IdempotentRequest,
        wish: CreateMethod,
        location: Location,
        assignment: Assignment,
    ) -> Answer:
        """A new payment method, attached to nobody. Raises ApiError."""
        now = now_ms()
        details, stays_with = found_at(location, assignment)
        details |= {
            "allow_redisplay": wish.allow_redisplay,
            "billing_details": _billing({}, wish.billing_details),
            "metadata": merged({}, wish.metadata),
            "card": self._card(asked, wish.card),
        }
        identifier = new_id("pm", self._node.number, now)
        row = made(identifier, asked.merchant.id, asked.livemode, now, details, stays_with)

        async def work(writing: Writing) -> Object:
            shown = render.payment_method(row)
            # The format has no event of this.
            await writing.write(row, "bailiwick.payment_method.created", shown, shown)
            return shown

        return await self._records.once(asked, row.id, now, work)

    def _card(self, asked: IdempotentRequest, card: SavedCard) -> dict[str, Any]:
        """What is kept of a card. Raises ApiError (400)."""
        if is_id(card.token, "pm"):
            raise ApiError.invalid(
                "This is a payment method, and no token of a provider: attach it as it is.",
                param="card[token]",
            )
        gateways = self._node.machine.gateways
        if card.vault is not None and not gateways.has_vault(card.vault, asked.livemode):
            raise ApiError.invalid(
                f"No gateway of the node '{self._node.name}' has the vault '{card.vault}'.",
                param="card[vault]",
                code="vault_unknown",
            )
        secret = self._node.refusals.secret
        mark = cards.fingerprint(
            secret, asked.merchant.id, card.vault, card.token, livemode=asked.livemode
        )
        kept = {"token": card.token, "vault": card.vault, "fingerprint": mark}
        return {**kept, **cards.known(card.token, livemode=asked.livemode)}

    async def update(self, asked: IdempotentRequest, identifier: str, wish: UpdateMethod) -> Answer:
        """An attached payment method changed. Raises ApiError."""
        now = now_ms()

        async def work(writing: Writing) -> Object:
            row = _own(await writing.lock(identifier), asked, identifier)
            if row.belongs_to is None or not row.active:
                raise ApiError.invalid(
                    "You must attach this PaymentMethod to a customer before you can update it.",
                    code="payment_method_unexpected_state",
                )
            old = row.details
            details = {
                **old,
                "billing_details": _billing(old["billing_details"], wish.billing_details),
                "metadata": merged(old["metadata"], wish.metadata),
            }
            if wish.allow_redisplay is not None:
                details["allow_redisplay"] = wish.allow_redisplay
            after = changed(row, now, details=details)
            return await self._write(writing, after, "payment_method.updated")

        return await self._records.once(asked, identifier, now, work)

    async def attach(self, asked: IdempotentRequest, identifier: str, customer: str) -> Answer:
        """A payment method given to a customer, for good. Raises ApiError."""
        now = now_ms()
        if is_id(customer, "cus") and node_of(customer) != self._node.number:
            raise self._apart(customer)

        async def work(writing: Writing) -> Object:
            owner = in_use(await writing.lock(customer), asked, customer, "customer")
            row = _own(await writing.lock(identifier), asked, identifier)
            if not row.active:
                raise ApiError.invalid(
                    "This PaymentMethod was detached from a Customer, and may not be used again. "
                    "Make another one.",
                    code="payment_method_unexpected_state",
                )
            if row.belongs_to not in (None, owner.id):
                raise ApiError.invalid(
                    "The payment method you provided has already been attached to a customer.",
                    code="payment_method_unexpected_state",
                )
            if row.belongs_to is None and await writing.count(owner.id) >= METHODS_MAX:
                raise ApiError.invalid(
                    f"A customer has at most {METHODS_MAX} payment methods: detach one first.",
                    param="customer",
                )
            after = changed(row, now, belongs_to=owner.id)
            return await self._write(writing, after, "payment_method.attached")

        return await self._records.once(asked, identifier, now, work)

    def _apart(self, customer: str) -> ApiError:
        home = self._node.world.topology.by_number.get(node_of(customer))
        if home is None:
            return ApiError.missing("customer", customer, param="customer")
        return ApiError.invalid(
            f"The customer lives at node '{home.name}', this payment method at "
            f"'{self._node.name}': make the payment method with the customer's location.",
            param="customer",
            code="customer_elsewhere",
        )

    async def detach(self, asked: IdempotentRequest, identifier: str) -> Answer:
        """A payment method taken from its customer, for ever. Raises ApiError."""
        now = now_ms()

        async def work(writing: Writing) -> Object:
            before = _own(await find(self._node.store, identifier), asked, identifier)
            owner = None if before.belongs_to is None else await writing.lock(before.belongs_to)
            row = _own(await writing.lock(identifier), asked, identifier)
            if owner is None or row.belongs_to != owner.id or not row.active:
                raise ApiError.invalid(
                    "The payment method you provided is not attached to a customer so detachment "
                    "is impossible.",
                    code="payment_method_unexpected_state",
                )
            if owner.details.get("default_payment_method") == identifier:
                kept = {k: v for k, v in owner.details.items() if k != "default_payment_method"}
                after = changed(owner, now, details=kept)
                await writing.write(after, "customer.updated", customers.customer(after))
            after = changed(row, now, active=False)
            return await self._write(writing, after, "payment_method.detached")

        return await self._records.once(asked, identifier, now, work)

    async def _write(self, writing: Writing, after: Record, event: str) -> Object:
        """Write a version that answers the request, and what it is answered with."""
        shown = render.payment_method(after)
        await writing.write(after, event, shown, shown)
        return shown


def _own(row: Record | None, asked: IdempotentRequest, identifier: str) -> Record:
    found = own(row, asked, "payment_method", identifier)
    if found.erased or not found.id.startswith("pm_"):
        raise ApiError.missing("payment_method", identifier)
    return found


def _billing(old: dict[str, Any], wish: BillingDetails | None) -> dict[str, Any]:
    """Billing details as a request leaves them: what it does not name stays."""
    kept = dict(old)
    for name in ("address", "email", "name", "phone", "tax_id") if wish is not None else ():
        value = getattr(wish, name)
        if isinstance(value, UnsetType) or (name == "tax_id" and value is None):
            continue
        kept[name] = msgspec.to_builtins(value)
    return {name: value for name, value in kept.items() if value is not None}
