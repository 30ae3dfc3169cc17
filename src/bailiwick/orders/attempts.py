"""Attempts: one operation at one gateway each. An attempt's commit is the permit to send it."""

from typing import Any

import msgspec

OPEN = frozenset({"permitted", "pending", "unknown"})
"""States in which its outcome is not definite."""
NO_CHARGE = frozenset({"declined", "unsent"})
"""States in which it definitely moved nothing."""


class Attempt(msgspec.Struct, frozen=True):
    """An attempt as stored; ``instruction`` is what was (or may have been) sent.

    Attributes:
        subject: the order that it is an attempt of.
        acts_on: the object beside its subject that it is about: a refund.
        amount: minor units of ``currency``.
        age_ms, quiet_ms: since the first permit to send its instruction, and since the latest, by
            the database's clock.
    """

    id: str
    subject: str
    number: int
    acts_on: str | None
    merchant: str
    livemode: bool
    operation: str
    gateway: str
    state: str
    amount: int
    currency: str
    key: str | None
    instruction: msgspec.Raw
    provider_ref: str | None
    result: msgspec.Raw | None
    age_ms: int
    quiet_ms: int
    checks: int
    replays: int


class AttemptNew(msgspec.Struct, frozen=True, omit_defaults=True):
    """An attempt to commit: the permit to send its instruction once."""

    id: str
    number: int
    operation: str
    gateway: str
    amount: int
    epoch: int
    instruction: Any
    acts_on: str | None = None
    key: str | None = None


class AttemptStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """The next step of an attempt to commit: the permit to send its instruction once. ``check_ms``
    from now the resolver looks."""

    id: str
    epoch: int
    check_ms: int
    instruction: Any
    provider_ref: str | None = None


class AttemptEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new state of an attempt. ``result``: what the provider said, as JSON. ``check_ms`` from
    now the resolver looks; None: it is closed."""

    id: str
    state: str
    provider_ref: str | None = None
    result: str | None = None
    check_ms: int | None = None


class KnownObject(msgspec.Struct, frozen=True):
    """By which of a provider's ids an attempt is found, where callbacks may name nothing else."""

    attempt: str
    provider_ref: str
    gateway: str


def ended(attempt: Attempt, end: AttemptEnd) -> Attempt:
    """An attempt as it stands once its end is written."""
    return msgspec.structs.replace(
        attempt,
        state=end.state,
        provider_ref=end.provider_ref or attempt.provider_ref,
        result=None if end.result is None else msgspec.Raw(end.result.encode()),
    )
