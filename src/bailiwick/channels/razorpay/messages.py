"""What Razorpay says, as far as it decides something."""

import msgspec

from bailiwick.channels.blocks.parsing import Id, Minor


class Payment(msgspec.Struct, frozen=True):
    """What was paid by a link: in the link itself it has another name for its id."""

    id: Id | None = None
    payment_id: Id | None = None
    status: str | None = None


class Link(msgspec.Struct, frozen=True):
    """A payment link."""

    id: Id
    status: str
    reference_id: str | None = None
    amount_paid: Minor | None = None
    currency: str | None = None
    short_url: str | None = None
    payments: list[Payment] | None = None


class Links(msgspec.Struct, frozen=True):
    """Those with a reference."""

    payment_links: list[Link]


class Order(msgspec.Struct, frozen=True):
    """What a card's payment is made for."""

    id: Id
    receipt: str | None = None


class Orders(msgspec.Struct, frozen=True):
    """Those with a receipt."""

    items: list[Order]


class Debit(msgspec.Struct, frozen=True):
    """A payment that has begun."""

    razorpay_payment_id: Id
    razorpay_order_id: str | None = None


class Paid(msgspec.Struct, frozen=True):
    """A payment of an order."""

    id: Id
    status: str | None = None
    amount: Minor | None = None
    currency: str | None = None


class Paids(msgspec.Struct, frozen=True):
    """All of an order."""

    items: list[Paid]


class Refund(msgspec.Struct, frozen=True):
    """A refund."""

    id: Id
    status: str | None = None
    amount: Minor | None = None
    currency: str | None = None
    receipt: str | None = None


class Refunds(msgspec.Struct, frozen=True):
    """Those of a payment."""

    items: list[Refund]


class Fault(msgspec.Struct, frozen=True):
    """What is wrong."""

    code: str
    description: str | None = None


class Failure(msgspec.Struct, frozen=True):
    """The body of an answer that says so."""

    error: Fault


class Entity(msgspec.Struct, frozen=True):
    """A part of a callback."""

    entity: msgspec.Raw


class Event(msgspec.Struct, frozen=True):
    """A callback."""

    event: str
    payload: dict[str, Entity]
