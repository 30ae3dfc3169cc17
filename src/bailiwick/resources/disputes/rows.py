"""Disputes as they are stored, and what writes them."""

from typing import Any

import msgspec

from bailiwick.resources.disputes.states import State


class Details(msgspec.Struct, frozen=True, omit_defaults=True):
    """What else is known of a dispute.

    ``evidence``: what the merchant has given, submitted or not; ``submissions``: how often it was
    submitted, and ``past_due``: the last time too late.
    """

    reason: str
    refundable: bool
    evidence: dict[str, str] = {}
    submissions: int = 0
    past_due: bool = False
    metadata: dict[str, str] = {}


class Dispute(msgspec.Struct, frozen=True):
    """A dispute as stored; ``amount`` and ``fee`` in minor units of ``currency``.

    Attributes:
        charge: the attempt whose money is disputed.
        funds: ``held``, ``withdrawn`` or ``reinstated``: what was booked.
        sequence: the provider's count of changes, as last heard.
        open_attempt: what the provider is asked just now.
        due_ms: until when evidence is taken (Unix time in milliseconds).
    """

    id: str
    payment: str
    charge: str
    merchant: str
    livemode: bool
    gateway: str
    provider_ref: str
    state: State
    funds: str
    amount: int
    fee: int
    currency: str
    sequence: int
    open_attempt: str | None
    due_ms: int | None
    created_ms: int
    details: Details


class DisputeNew(msgspec.Struct, frozen=True):
    """A dispute to write: ``dispute_new`` of ``dispute_moves.sql``."""

    id: str
    charge: str
    gateway: str
    provider_ref: str
    state: str
    amount: int
    fee: int
    sequence: int
    due_ms: int | None
    details: Any


class DisputeNext(msgspec.Struct, frozen=True):
    """How a dispute stands afterwards: ``dispute_next`` of ``dispute_moves.sql``."""

    id: str
    state: str
    funds: str
    sequence: int
    open_attempt: str | None
    due_ms: int | None
    details: Any
