"""What a gateway needs before payments, and what expires: access tokens, a provider's certificates.

A channel that declares some (``Profile.preparations``) also does what ``Prepares`` says. The node
asks for them before the gateway opens, and again ahead of their end; the channel finds them in
``Account.prepared``. Pure.
"""

from typing import Protocol, runtime_checkable

import msgspec

from bailiwick.channels.contract.messages import Account, Reply, Request


class Prepared(msgspec.Struct, frozen=True):
    """What a provider gave for a preparation. The values are secret, their names are not.

    Attributes:
        lasts_ms: how long they are good, counted from when they were asked for.
    """

    values: dict[str, str]
    lasts_ms: int

    def __repr__(self) -> str:
        return f"Prepared({', '.join(self.values)}, lasts_ms={self.lasts_ms})"


class Refused(msgspec.Struct, frozen=True):
    """Nothing came of a preparation, with the remedy; both for the operator, and never a provider's
    own text."""

    reason: str
    remedy: str


class BadSecret(ValueError):
    """A secret of the gateway is none of its kind. The message names it, with the remedy, and holds
    nothing of it."""


@runtime_checkable
class Prepares(Protocol):
    """A channel that prepares something."""

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        """The request by which it is obtained; it moves no money.

        Raises:
            NotPrepared: another preparation comes first; they are done in the order declared.
            BadSecret: it cannot be made with the gateway's secrets.
        """
        ...

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        """Read the answer. Never raises: what it cannot read is refused."""
        ...
