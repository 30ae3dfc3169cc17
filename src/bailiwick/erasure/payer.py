"""Who is meant, and what a node keeps of them."""

from typing import Any

import msgspec

from bailiwick.base.objects import text
from bailiwick.erasure.tables import kinds
from bailiwick.erasure.work import Work
from bailiwick.store.statements import statement

FIND_S = 600.0
"""To look through all that a merchant's events tell takes its time."""


class Asked(msgspec.Struct, frozen=True):
    """Who is to be erased: by ids, or by what they gave.

    Attributes:
        email: with ``merchant``, whose payer that is.
    """

    customers: tuple[str, ...] = ()
    orders: tuple[str, ...] = ()
    email: str | None = None
    merchant: str | None = None

    def __repr__(self) -> str:
        return f"Asked({len(self.customers)} customers, {len(self.orders)} orders, email=...)"


class Open(msgspec.Struct, frozen=True):
    """Something that must end first: of which order, what it is (``attempt``, ``dispute``,
    ``review``, or the state that the order is in), and its id."""

    subject: str
    what: str
    id: str

    @property
    def words(self) -> str:
        """For people, with the remedy."""
        return f"{self.subject}: {_REMEDIES.get(self.what, _STATE).format(self)}"


_STATE = "is {0.what}: confirm and settle it, or cancel it"
_REMEDIES = {
    "attempt": "attempt {0.id} has no definite outcome yet: wait, or see bailiwick reviews",
    "dispute": "dispute {0.id} is not decided: its evidence may still be needed; wait, or close it",
    "review": "a review of attempt {0.id} is open: close it with bailiwick reviews close",
    "requires_capture": "is held: capture it, or cancel it",
}


class Payer(msgspec.Struct, frozen=True):
    """What one node keeps of who is meant: ids of customers, of payment methods that belong to
    none, of orders; and customers that orders name but nobody has asked for."""

    customers: list[str]
    methods: list[str]
    orders: list[str]
    named: list[str]


async def find(work: Work, asked: Asked) -> Payer:
    """Everything of a payer that is kept here, erased before or not."""
    customers, methods, orders = set[str](), set[str](), set[str]()
    known = await work.rows("record_find", list(asked.customers))
    customers |= {row["id"] for row in known if row["id"].startswith("cus_")}
    if asked.email is not None and asked.merchant is not None:
        await _by_email(work, asked.email, asked.merchant, customers, methods, orders)
    owners = await work.rows("record_find", sorted(customers))
    merchants = {row["id"]: row["merchant"] for row in owners}
    for each in asked.customers:
        # Of a customer of another node, payments may be here all the same.
        orders |= await _of_customer(work, each, merchants.get(each))
    for each in customers - set(asked.customers):
        orders |= await _of_customer(work, each, merchants.get(each))
    orders |= {each for each in asked.orders if await _known(work, each)}
    named = await _named(work, orders) - customers - set(asked.customers)
    return Payer(sorted(customers), sorted(methods), sorted(orders), sorted(named))


async def _by_email(
    work: Work,
    email: str,
    merchant: str,
    customers: set[str],
    methods: set[str],
    orders: set[str],
) -> None:
    needle = _inside(email)
    for row in await _slow(work, "records_telling", merchant, needle):
        if not names_email(msgspec.json.decode(row["told"]), email):
            continue
        owner = row["belongs_to"]
        if row["id"].startswith("cus_"):
            customers.add(row["id"])
        elif owner is not None:
            customers.add(owner)
        else:
            methods.add(row["id"])
    for kind in kinds().values():
        for subject, told in await _slow(work, kind.paid_by, merchant, needle):
            if names_email(msgspec.json.decode(told), email):
                orders.add(subject)


async def _of_customer(work: Work, customer: str, merchant: str | None) -> set[str]:
    found = set[str]()
    needle = f'"customer":{text(customer)}'.lower()
    merchants = [merchant] if merchant is not None else await _merchants(work)
    for kind in kinds().values():
        for each in merchants:
            rows = await _slow(work, kind.paid_by, each, needle)
            found |= {subject for subject, _ in rows}
    return found


async def _merchants(work: Work) -> list[str]:
    return [row[0] for row in await work.rows("erase_merchants")]


async def _known(work: Work, identifier: str) -> bool:
    kind = kinds().get(identifier.partition("_")[0])
    return kind is not None and bool(await work.rows(kind.find, identifier))


async def _named(work: Work, orders: set[str]) -> set[str]:
    """Customers that orders name."""
    found = set[str]()
    for each in orders:
        kind = kinds()[each.partition("_")[0]]
        order = kind.order_of((await work.rows(kind.find, each))[0])
        customer = kind.shown(order).get("customer")
        if isinstance(customer, str):
            found.add(customer)
    return found


async def _slow(work: Work, name: str, *args: object) -> list[Any]:
    found: list[Any] = await work.connection.fetch(statement(name), *args, timeout=FIND_S)
    return found


def _inside(value: str) -> str:
    """A text as it stands in JSON, in small letters."""
    return text(value)[1:-1].lower()


def names_email(told: Any, email: str) -> bool:
    """Whether something that is told gives an e-mail address as one: in a field that is called so,
    however deep. What stands in metadata is whatever the merchant says it is."""
    if isinstance(told, list):
        return any(names_email(each, email) for each in told)
    if not isinstance(told, dict):
        return False
    for name, value in told.items():
        if name in _EMAILS and isinstance(value, str) and value.lower() == email.lower():
            return True
        if name != "metadata" and names_email(value, email):
            return True
    return False


_EMAILS = frozenset({"customer_email_address", "email", "instructions_email", "receipt_email"})
