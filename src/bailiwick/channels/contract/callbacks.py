"""What a provider tells by itself, how that is proved, and what is answered to it. Pure."""

from collections.abc import Mapping
from typing import Protocol

import msgspec

from bailiwick.channels.contract.dispute_notice import DisputeNotice
from bailiwick.channels.contract.messages import Account, Reply
from bailiwick.channels.contract.operations import Operation
from bailiwick.channels.contract.results import Result


class Notice(msgspec.Struct, frozen=True):
    """A callback as it arrived, the whole request; nothing of it is proved yet.

    Attributes:
        url: the address that the provider was told to call, as it was told
            (``Instruction.callback_url``), and what stood behind its ``?`` when it was called.
        headers: names are lower case.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        return f"Notice({self.method} {self.url.partition('?')[0]}, {len(self.body)} bytes)"


class Acknowledgement(msgspec.Struct, frozen=True):
    """What a provider wants to hear when its callback was taken."""

    status: int = 200
    content_type: str = "application/json"
    body: bytes = b'{"received":true}'


class CallbackScheme(Protocol):
    """How a provider signs its callbacks. The channel checks them by it; tests and simulators make
    them by it."""

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """The callback as its provider sends it. Raises ValueError: there is no key for it."""
        ...

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """Whether it was signed at about this time. If not it is genuine all the same.

        Raises:
            CallbackRefused: it is not genuine.
        """
        ...


class AnswerScheme(Protocol):
    """How a provider signs its answers. Tests and simulators make them by it."""

    def sign(self, reply: Reply, account: Account, now_ms: int) -> Reply:
        """The answer as its provider sends it at this time; as it is, if there is nothing to sign
        in it, or it has a signature already. Raises ValueError: there is no key for it."""
        ...


class CallbackEvent(msgspec.Struct, frozen=True):
    """A callback whose signature was checked.

    Attributes:
        notice_id: the provider's id of this delivery, for permanent deduplication.
        operation: what it is about; None: anything that was asked for about the object, and
            ``result`` is None then.
        reference: our reference of the operation, if the provider repeats it. Without it the
            attempt is found by the provider's ids (``Profile.callbacks_by_id``).
        provider_ref: the provider's id of the object.
        result: what it says; None where the channel's callbacks are not proof by themselves
            (unsigned, static token), so that the node asks the provider.
        dated: it was signed long ago, or ahead of time: the node asks the provider before it
            believes ``result``.
        dispute: it is about a dispute of the charge, and says nothing of the operation.
        charge: the provider's id of the charge acted upon, if it names nothing better.
    """

    notice_id: str
    operation: Operation | None
    reference: str | None = None
    provider_ref: str | None = None
    result: Result | None = None
    dated: bool = False
    dispute: DisputeNotice | None = None
    charge: str | None = None


class CallbackRefused(Exception):
    """A callback that is forged, altered or not for this account."""
