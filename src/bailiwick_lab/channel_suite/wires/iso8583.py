"""What the suite must know of ISO 8583: a message is its type, and its fields by number."""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from bailiwick.channels.blocks.iso8583.codec import Message, pack, unpack
from bailiwick.channels.blocks.iso8583.mac import key_of
from bailiwick.channels.contract import Account, Profile, Reply
from bailiwick.channels.transports.iso8583 import Iso8583Transport
from bailiwick_lab.channel_suite.wires import Step
from bailiwick_lab.servers.scripted_bank import ScriptedBank

if TYPE_CHECKING:
    from bailiwick_lab.channel_suite.subject import Subject

_NONE = (None, "null")
"""What stands for a field that is not there."""
_VALUES = (None, "", "0", "1", "9", "00", "10", "51", "Z9", "000000000001", "999999999999", "840")


class Iso8583:
    """See ``Wire``."""

    status = 0

    def packed(self, profile: Profile, account: Account, message: dict[str, Any]) -> bytes:
        fields = {
            int(name): str(value)
            for name, value in message.items()
            if name != "type" and value not in _NONE
        }
        made = Message(str(message.get("type")), fields)
        return pack(profile.wire, made, _key(profile, account, made))

    def legible(self, profile: Profile, data: bytes) -> str:
        message = unpack(profile.wire, data)
        fields = {str(number): value for number, value in message.fields.items()}
        return json.dumps({"type": message.type, **fields}, separators=(",", ":"))

    def parts(self, profile: Profile, account: Account, body: bytes) -> Iterator[bytes]:
        """A message with any one of its fields taken away or replaced, and a code that holds."""
        message = unpack(profile.wire, body)
        for number in message.fields:
            for value in _VALUES:
                changed = {**message.fields, number: value, 64: None, 128: None}
                fields = {each: text for each, text in changed.items() if text is not None}
                made = Message(message.type, fields)
                try:
                    yield pack(profile.wire, made, _key(profile, account, made))
                except ValueError:
                    continue  # no bank can write it either

    def refused(self, profile: Profile, account: Account) -> list[Reply]:
        made = [Message("0810", {7: "0", 11: "0", 39: code}) for code in ("05", "63", "91")]
        return [
            Reply(0, {}, pack(profile.wire, each, _key(profile, account, each))) for each in made
        ]

    async def play(self, it: "Subject", steps: Sequence[Step]) -> list[dict[str, object]]:
        kept: list[dict[str, object]] = []
        there = it.cases.account.base_url
        script = [lambda request, data, body=step.reply.body: body for step in steps]
        async with ScriptedBank(it.profile.wire, *script) as bank:
            account = replace(it.cases.account, base_url=bank.url)
            transport = Iso8583Transport(recorder=kept.append, secrets=tuple(it.secrets()), limit=1)
            try:
                await transport.connect(it.channel.check(account, 0), it.profile)
                for step in steps:
                    done = await transport.exchange(step.build(account), it.profile, None)
                    it.require_answer(step.name, done)
            finally:
                await transport.close()
        told: list[dict[str, object]] = json.loads(json.dumps(kept).replace(bank.url, there))
        return told


WIRE = Iso8583()


def _key(profile: Profile, account: Account, message: Message) -> bytes | None:
    """The key by which the bank signs it."""
    mac = profile.wire.mac
    network = message.type.startswith("08")
    if mac is None or not account.secrets.get(mac.secret) or (network and not mac.network):
        return None
    return key_of(mac, account.secrets[mac.secret])
