"""What the suite must know of each transport: a module for each, by the transport's name."""

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bailiwick.channels.contract import Account, Profile, Reply, Request

if TYPE_CHECKING:
    from bailiwick_lab.channel_suite.subject import Subject


class Step(NamedTuple):
    """One exchange of a case: its request, for an account, and the answer."""

    name: str
    reply: Reply
    build: Callable[[Account], Request]


class Wire(Protocol):
    """One transport.

    Attributes:
        status: of an answer; None where each has its own.
    """

    @property
    def status(self) -> int | None: ...

    def packed(self, profile: Profile, account: Account, message: dict[str, Any]) -> bytes:
        """A message of the cases as bytes. Raises ValueError: it is none."""

    def legible(self, profile: Profile, data: bytes) -> str:
        """A message in which expressions of the cases find amounts."""

    def parts(self, profile: Profile, account: Account, body: bytes) -> Iterator[bytes]:
        """An answer with any one part of it replaced by whatever could stand there."""

    def refused(self, profile: Profile, account: Account) -> list[Reply]:
        """How a credential check is answered where the credentials do not hold."""

    async def play(self, it: "Subject", steps: Sequence[Step]) -> list[dict[str, object]]:
        """Each over loopback, through the real transport: what its recorder hands out.

        Raises:
            Failed: a case cannot be played.
        """


def of(profile: Profile) -> Wire:
    """That of a channel."""
    found: Wire = import_module(f"{__name__}.{profile.transport}").WIRE
    return found
