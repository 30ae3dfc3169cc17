"""A bank over ISO 8583 as a channel. Pure."""

from bailiwick.channels.blocks import requests
from bailiwick.channels.blocks.iso8583 import building, reading
from bailiwick.channels.blocks.iso8583.codec import Message, Unreadable, pack, unpack
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.blocks.iso8583.mac import key_of
from bailiwick.channels.contract import (
    REFERENCE,
    Account,
    CallbackEvent,
    CallbackRefused,
    CannotExpress,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)

METHOD = "ISO8583"
"""The method of requests, which have none."""
MAC_KEY = "mac-key"
"""The header that has the key by which the transport checks answers; it is not sent."""

REPEATED = (Operation.CAPTURE, Operation.VOID, Operation.REFUND)
RESOLVE: dict[Operation, tuple[Resolve, ...]] = {
    Operation.CHARGE: (Resolve.REVERSAL,),
    **dict.fromkeys(REPEATED, (Resolve.REPLAY,)),
}
"""How unknowns end: a charge by a reversal, and what is repeated by its repeats."""
_NOTHING = Account("", "", {})


class Bank:
    """See ``Channel``. The profile's ``wire`` is the bank's ``Dialect``."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self._dialect: Dialect = profile.wire

    def check(self, account: Account, now_ms: int) -> Request:
        """The sign-on. The transport makes one of its own for each connection out of it."""
        fields = {70: self._dialect.sign_on, **building.options(self._dialect.network, account)}
        fields |= dict.fromkeys(set(self._dialect.match) & {7, 11}, "0")
        return self._request(account, Message("0800", fields), "")

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        title = self.profile.title
        try:
            answer = unpack(self._dialect, reply.body)
        except Unreadable:
            return f"{title} answered the sign-on with what cannot be read: check the dialect"
        code = answer.fields.get(39, "")
        if answer.type == "0810" and code in self._dialect.approved:
            return None
        mac = self._dialect.mac
        secret = "" if mac is None else f" and secrets.{mac.secret}"
        return (
            f"{title} refused the sign-on with the response code {code or 'of none'}: check "
            f"base_url, the gateway's options{secret}"
        )

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: an operation that is not one of the dialect's, or a value that no field
                of it can hold.
        """
        requests.only_declared(self.profile, instruction)
        if instruction.repeat and instruction.operation not in REPEATED:
            raise CannotExpress("The bank takes no repeat of a charge; nothing was sent.")
        asked = building.message(self.profile, instruction, account)
        return self._request(account, asked, instruction.reference)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        try:
            asked = building.message(self.profile, instruction, _NOTHING)
        except CannotExpress:
            return unknown("not_built")
        return reading.result(self.profile, instruction, asked, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        return None

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        return Result(Outcome.UNKNOWN, detail="no_query")

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        raise CallbackRefused(f"{self.profile.title} calls nobody back")

    def _request(self, account: Account, asked: Message, reference: str) -> Request:
        headers = {REFERENCE: reference}
        try:
            key = self._key(account)
            network = asked.type[1] == "8"
            signed = key if not network or self._signs_network() else None
            packed = pack(self._dialect, asked, signed)
        except ValueError as error:
            raise CannotExpress(
                f"The message to {self.profile.title} cannot be made: {error}; nothing was sent. "
                "Correct it, or the gateway's options and secrets."
            ) from None
        if key is not None:
            headers[MAC_KEY] = key.hex()
        url = f"{account.base_url.rstrip('/')}/{asked.type}"
        return Request(METHOD, url, headers, packed)

    def _signs_network(self) -> bool:
        return self._dialect.mac is not None and self._dialect.mac.network

    def _key(self, account: Account) -> bytes | None:
        mac = self._dialect.mac
        if mac is None or (not mac.required and not account.secrets.get(mac.secret)):
            return None
        return key_of(mac, account.secrets.get(mac.secret, ""))
