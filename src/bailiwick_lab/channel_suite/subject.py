"""A channel under test, and how a check says that it failed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from msgspec.structs import replace

from bailiwick.channels.contract import (
    Account,
    AnswerScheme,
    CallbackRefused,
    Channel,
    Exchange,
    Instruction,
    Notice,
    NotPrepared,
    Operation,
    Prepared,
    Prepares,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
)
from bailiwick_lab.channel_suite.cases import Answer, Callback, Cases, load

NOW_MS = 1_790_000_000_000
"""When callbacks arrive."""
CALLED = "https://node.test/v1/callbacks/gateway-1"
"""Where they do."""


NOT_BELIEVED = (CallbackRefused, NotPrepared)
"""How a channel says that a callback is not proved, or not now."""


class Signing:
    """A channel whose answers are signed, as if each came from its provider.

    ``account``: with which they are.
    """

    def __init__(self, channel: Channel, scheme: AnswerScheme, account: Account) -> None:
        self.profile = channel.profile
        self._channel, self._scheme, self._account = channel, scheme, account

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        signed = self._scheme.sign(reply, self._account, _asked_ms(instruction))
        return self._channel.parse(instruction, signed, account)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        signed = self._scheme.sign(reply, self._account, _asked_ms(instruction))
        return self._channel.parse_query(instruction, signed, way, account)

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return self._channel.parse_check(self._scheme.sign(reply, self._account, NOW_MS), account)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)


class Failed(Exception):
    """A channel does not do what every channel must; the message says what was seen."""


@dataclass(frozen=True)
class Subject:
    """A channel with its cases, and the folder that has them.

    ``channel`` signs what it is given to read, where its provider does; ``bare`` does not.
    """

    bare: Channel
    cases: Cases
    folder: Path

    @cached_property
    def channel(self) -> Channel:
        scheme = self.bare.profile.answers
        if scheme is None:
            return self.bare
        return cast(Channel, Signing(self.bare, scheme, self.cases.account))

    @property
    def profile(self) -> Profile:
        return self.bare.profile

    def instruction(self, operation: Operation) -> Instruction:
        """The first of the cases' instructions of an operation."""
        named = self.cases.instructions.values()
        found = next((each for each in named if each.operation is operation), None)
        require(found is not None, f"no instruction of the cases is a {operation}")
        assert found is not None
        return found

    def answers_to(self, operation: Operation) -> list[Answer]:
        return [each for each in self.cases.answers if each.instruction.operation is operation]

    def account_in(self, currency: str) -> Account:
        """The account of the cases; of this currency, where it is told of which it is."""
        account = self.cases.account
        if "currency" not in self.profile.options:
            return account
        return replace(account, options={**account.options, "currency": currency})

    def among(self, *operations: Operation) -> list[Operation]:
        """Those of them that the channel has."""
        return [each for each in operations if each in self.profile.resolve]

    def looked_up_by(self) -> list[Resolve]:
        """The ways in which the channel can be asked, for whatever operation."""
        ways = {way for found in self.profile.resolve.values() for way in found}
        return [each for each in (Resolve.REFERENCE, Resolve.PROVIDER_ID) if each in ways]

    def known_id(self, operation: Operation) -> str:
        """An id of the provider that fits an operation."""
        found = (each.says.provider_ref for each in self.answers_to(operation))
        return next((each for each in found if each), "id_1")

    def require_answer(self, case: str, done: Exchange) -> None:
        """Go on only if an exchange of a case was answered. Raises Failed."""
        require(done.reply is not None, f"{case}: no answer arrived: {done.error}")

    def asked(self, order: Instruction, account: Account | None = None) -> Request:
        """What the provider is asked for an instruction. Raises Failed: it is not asked."""
        made = self.channel.request(order, account or self.cases.account)
        require(isinstance(made, Request), f"{order.operation}: nothing is asked")
        assert isinstance(made, Request)
        return made

    def sent(self, case: Answer) -> Reply:
        """A case's answer as the provider sends it."""
        scheme, at_ms = self.profile.answers, _asked_ms(case.instruction)
        return case.reply if scheme is None else scheme.sign(case.reply, self.cases.account, at_ms)

    def secrets(self) -> Iterator[str]:
        """What no record may hold."""
        yield from (text for text in self.cases.account.secrets.values() if text)
        yield from self.prepared()

    def prepared(self) -> Iterator[str]:
        """Of that, what is prepared: in the account, and in the cases."""
        found = list(self.cases.account.prepared.values())
        says = (each.says for each in self.cases.preparations)
        found += [each.values for each in says if isinstance(each, Prepared)]
        yield from (text for values in found for text in values.values() if text)

    @property
    def prepares(self) -> Prepares:
        """The channel, where it declares preparations. Raises Failed: it has no such functions."""
        assert self.profile.preparations, "a check looks first"
        if not isinstance(self.bare, Prepares):
            raise Failed("it declares preparations, and has no functions prepare and prepared")
        return self.bare

    def signed(
        self, case: Callback, now_ms: int = NOW_MS, account: Account | None = None, at: str = CALLED
    ) -> Notice:
        """A callback as its provider makes it; unsigned where it signs none. ``at``: the address
        that it was told to call.

        Raises:
            ValueError: with these secrets none can be made.
        """
        url = f"{at}?{case.query}" if case.query else at
        bare = Notice("POST", url, case.headers, case.body)
        scheme = self.profile.callbacks
        return bare if scheme is None else scheme.sign(bare, account or self.cases.account, now_ms)


def _asked_ms(order: Instruction) -> int:
    return NOW_MS if order.context is None else order.context.instant_ms


def subject(channel: Channel, folder: Path) -> Subject:
    """A channel and what its folder has.

    Raises:
        BadCases: its cases cannot be used.
    """
    return Subject(channel, load(folder, channel.profile), folder)


def spelt(reference: str) -> str:
    """A regular expression for one of our references however a provider lets it be spelt: some
    take no ``_``, some nothing but letters and digits."""
    mark = "(?:%[0-9A-Fa-f]{2}|[^A-Za-z0-9])?"
    return "".join(each if each.isalnum() else mark for each in reference)


def require(holds: bool, message: str) -> None:
    """Go on only if that holds.

    Raises:
        Failed: it does not.
    """
    if not holds:
        raise Failed(message)
