"""What may be done with customers: made, changed, erased."""

import re
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick import resources
from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.base.ids import new_id
from bailiwick.base.objects import Object
from bailiwick.base.tenancy import own
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.jurisdiction.assign import Assignment
from bailiwick.jurisdiction.locate import Location
from bailiwick.records.record import Record, changed, erased, made
from bailiwick.records.records import Records, Writing
from bailiwick.resources.customers import clocks, render
from bailiwick.resources.customers.params import CreateCustomer, UpdateCustomer
from bailiwick.serving.context import NodeContext
from bailiwick.serving.params import merged
from bailiwick.serving.placed_records import found_at, records_of

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_DEFAULT = "invoice_settings[default_payment_method]"
_KEPT = (
    "business_name",
    "description",
    "email",
    "individual_name",
    "name",
    "phone",
    "preferred_locales",
    "tax_exempt",
)


def in_use(row: Record | None, asked: IdempotentRequest, identifier: str, param: str) -> Record:
    """A customer, if it is theirs and not deleted. Raises ApiError (404)."""
    found = own(row, asked, "customer", identifier, param=param)
    if found.erased or not found.id.startswith("cus_"):
        raise ApiError.missing("customer", identifier, param=param)
    return found


class Customers:
    """What a client can ask about customers."""

    def __init__(self, node: NodeContext) -> None:
        self._node = node

    @property
    def _records(self) -> Records:
        return records_of(self._node)

    async def create(
        self,
        asked: IdempotentRequest,
        wish: CreateCustomer,
        location: Location,
        assignment: Assignment,
    ) -> Answer:
        """A new customer. Raises ApiError."""
        now = now_ms()
        if wish.invoice_settings is not None and wish.invoice_settings.default_payment_method:
            raise ApiError.invalid(
                "A new customer has no payment methods: attach one, then make it the default.",
                param=_DEFAULT,
            )
        details, stays_with = found_at(location, assignment)
        details = edited(details, wish)
        row = made(
            new_id("cus", self._node.number, now),
            asked.merchant.id,
            asked.livemode,
            now,
            details,
            stays_with,
            belongs_to=wish.test_clock,
            found_by=details.get("email"),
        )

        async def work(writing: Writing) -> Object:
            if wish.test_clock is not None:
                await clocks.require(writing, asked, wish.test_clock)
            shown = render.customer(row)
            await writing.write(row, "customer.created", shown, shown)
            return shown

        return await self._records.once(asked, row.id, now, work)

    async def update(
        self, asked: IdempotentRequest, identifier: str, wish: UpdateCustomer
    ) -> Answer:
        """A customer changed. Raises ApiError."""
        now = now_ms()

        async def work(writing: Writing) -> Object:
            row = in_use(await writing.lock(identifier), asked, identifier, "id")
            details = edited(row.details, wish)
            default = await self._default(writing, row, wish)
            if default is not UNSET:
                details["default_payment_method"] = default
            after = changed(row, now, details=details, found_by=details.get("email"))
            shown = render.customer(after)
            await writing.write(after, "customer.updated", shown, shown)
            return shown

        return await self._records.once(asked, identifier, now, work)

    async def _default(
        self, writing: Writing, row: Record, wish: UpdateCustomer
    ) -> str | None | UnsetType:
        """The payment method that is to be the default: one that is attached to the customer."""
        settings = wish.invoice_settings
        if settings is None or isinstance(settings.default_payment_method, UnsetType):
            return UNSET
        wanted = settings.default_payment_method
        if wanted is None:
            return None
        method = await writing.lock(wanted)
        if method is None or method.belongs_to != row.id or not method.active:
            raise ApiError.invalid(
                f"No such PaymentMethod: '{wanted[:64]}': the customer has none with this id. "
                "Attach it to the customer first.",
                param=_DEFAULT,
                code="resource_missing",
            )
        return wanted

    async def delete(self, asked: IdempotentRequest, identifier: str) -> Answer:
        """Delete a customer, and erase all that is known of it and of its payment methods: in the
        rows, in what events tell, and in stored answers. Ids, times and versions stay.

        Raises:
            ApiError: 404, there is none.
        """
        now = now_ms()

        async def work(writing: Writing) -> Object:
            row = in_use(await writing.lock(identifier), asked, identifier, "id")
            return await erase_customer(writing, row, now, render.deleted(row.id))

        return await self._records.once(asked, identifier, now, work)


def show(row: Record) -> Object:
    """A record of any kind as an object."""
    shown: Object = _shows()[row.id.partition("_")[0]](row)
    return shown


def _shows() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in resources.declared("SHOW", "render"):
        found |= each
    return found


def _parting(row: Record) -> str:
    """The event by which it is told that a record is its customer's no more; none for others than
    attached payment methods."""
    return "payment_method.detached" if row.active and row.id.startswith("pm_") else ""


async def erase_customer(
    writing: Writing, row: Record, now: int, answer: Object | None = None
) -> Object:
    """Erase a customer with its payment methods; ``answer``: to who asked for that."""
    for each in await writing.lock_owned(row.id):
        await erase(writing, each, now, _parting(each))
    return await erase(writing, row, now, "customer.deleted", answer)


async def erase(
    writing: Writing, row: Record, now: int, event: str, answer: Object | None = None
) -> Object:
    """Leave nothing of a record but that it was there. Without an ``event`` of its own it is told
    by one that only we have."""
    after = erased(row, now)
    left = show(after)
    await writing.forget(row.id, left)
    told = event or f"bailiwick.{left['object']}.erased"
    await writing.write(after, told, left, answer)
    return answer or left


def edited(old: dict[str, Any], wish: UpdateCustomer) -> dict[str, Any]:
    """A customer's details as a request leaves them; what is unset is not kept. Raises ApiError."""
    if isinstance(wish.email, str) and not _EMAIL.fullmatch(wish.email):
        raise ApiError.invalid(
            "Invalid email address: a name, an @ and a domain are expected.",
            param="email",
            code="email_invalid",
        )
    details = {**old, "metadata": merged(old.get("metadata", {}), wish.metadata)}
    for name in (*_KEPT, "address", "shipping"):
        value = getattr(wish, name)
        if isinstance(value, msgspec.Struct):
            value = msgspec.to_builtins(value)
        if value is None:
            details.pop(name, None)
        elif value is not UNSET:
            details[name] = value
    return details
