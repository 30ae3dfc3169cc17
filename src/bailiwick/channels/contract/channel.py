"""What a channel must be able to do. Pure."""

from typing import Protocol

from bailiwick.channels.contract.callbacks import CallbackEvent, Notice
from bailiwick.channels.contract.messages import Account, Instruction, Reply, Request
from bailiwick.channels.contract.operations import Resolve
from bailiwick.channels.contract.profile import Profile
from bailiwick.channels.contract.results import Result


class Channel(Protocol):
    """How one provider speaks. Implementations are pure: one file, no I/O."""

    profile: Profile

    def check(self, account: Account, now_ms: int) -> Request:
        """A harmless request that proves the account's credentials; ``now_ms``: Unix time."""
        ...

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        """None when the credentials hold, else what is wrong and the remedy."""
        ...

    def request(self, instruction: Instruction, account: Account) -> Request | Result:
        """The request that carries out an instruction; the same bytes for the same input. Or what
        came of it, where the provider is asked by the payer, and not by us: where to go, say.

        Raises:
            CannotExpress: this provider has no way to say it.
        """
        ...

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        """Read the answer to ``request``. Never raises: what it cannot read is ``unknown``."""
        ...

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        """A read-only request that tells how an instruction ended; None if ``way`` has none."""
        ...

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        """Read the answer to ``query``."""
        ...

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        """Check and read a callback; None for a genuine one that is of no interest.

        Raises:
            CallbackRefused: not genuine; nothing of it may be used.
        """
        ...
