"""A provider that signs by certificates which it hands out sealed, several at a time, and changes:
the blocks together, as WeChat Pay's API v3 has it."""

import base64
import json
import re
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa as keys
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bailiwick.base.clock import now_ms
from bailiwick.channels.blocks import parsing, requests
from bailiwick.channels.blocks.signing import canonical, certificates, encryption, rsa
from bailiwick.channels.contract import (
    Account,
    CallbackRefused,
    Exchange,
    Notice,
    NotPrepared,
    Permit,
    Phase,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
)
from bailiwick.routing.preparations import Preparations
from tests.unit.test_certificates_block import made

PROFILE = Profile("platform", "Platform", {}, visibility_ms=0, preparations=("certificates",))
V3_KEY = "0123456789abcdef0123456789ABCDEF"


class Sealed(msgspec.Struct, frozen=True):
    nonce: str
    associated_data: str
    ciphertext: str


class Item(msgspec.Struct, frozen=True):
    encrypt_certificate: Sealed


class Listed(msgspec.Struct, frozen=True):
    data: list[Item]


class Platform:
    """A channel of that kind."""

    profile = PROFILE

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        url = requests.at(account, "/v3/certificates")
        stamp, nonce = str(now_ms // 1_000), f"{now_ms:032x}"
        text = canonical.lines("GET", canonical.target(url), stamp, nonce, "")
        shown = canonical.credentials(
            "WECHATPAY2-SHA256-RSA2048",
            mchid=account.options["merchant"], nonce_str=nonce, timestamp=stamp,
            serial_no="1DDE", signature=rsa.sign(account, "merchant_key", text),
        )  # fmt: skip
        return Request("GET", url, {"authorization": shown, "accept": "application/json"})

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        listed = parsing.decode(reply.body, Listed) if reply.status == 200 else None
        if listed is None:
            return Refused(f"Platform answered {reply.status}", "correct secrets.merchant_key")
        texts = [self._opened(account, each.encrypt_certificate) for each in listed.data]
        found = certificates.by_serial([each or "" for each in texts], now_ms)
        if not found:
            return Refused("Platform's certificates cannot be opened", "correct secrets.v3_key")
        return Prepared(found, 12 * 3_600_000)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> bytes:
        headers = notice.headers
        key = certificates.key(account, "certificates", headers.get("serial"), now_ms)
        stamp, nonce = headers.get("timestamp", ""), headers.get("nonce", "")
        text = canonical.lines(stamp, nonce, notice.body)
        if not rsa.fits(key, text, headers.get("signature")):
            raise CallbackRefused("the signature does not fit")
        sealed = parsing.demand(notice.body, Sealed)
        opened = encryption.opened(
            account, "v3_key", sealed.nonce, sealed.associated_data, sealed.ciphertext
        )
        assert opened is not None
        return opened

    def _opened(self, account: Account, sealed: Sealed) -> str | None:
        found = encryption.opened(
            account, "v3_key", sealed.nonce, sealed.associated_data, sealed.ciphertext
        )
        return None if found is None else found.decode(errors="replace")


class Provider:
    """The other side: knows the merchant's public key, has signing keys by serial number."""

    def __init__(self, merchant: keys.RSAPrivateKey) -> None:
        self.merchant = merchant.public_key()
        self.signing: dict[str, keys.RSAPrivateKey] = {}
        self.shown: dict[str, str] = {}
        self.account = Account("g", "", {"v3_key": V3_KEY})
        self.spoiled = False
        self.asked = 0

    def signs_by(self, number: int) -> str:
        """A new certificate; its serial number."""
        key = keys.generate_private_key(65_537, 2_048)
        serial = f"{number:X}"
        self.signing[serial] = key
        # The block's certificates count their days from a time in the past.
        self.shown[serial] = made(key, number, -3_000, 30_000)
        return serial

    async def exchange(self, request: Request, profile: Profile, permit: Permit | None) -> Exchange:
        self.asked += 1
        parts = dict(re.findall(r'(\w+)="([^"]*)"', request.headers["authorization"]))
        text = canonical.lines(
            "GET", canonical.target(request.url), parts["timestamp"], parts["nonce_str"], ""
        )
        assert rsa.fits(self.merchant, text, parts["signature"])
        data = [
            {"serial_no": serial, "encrypt_certificate": self.sealed("certificate", text)}
            for serial, text in self.shown.items()
        ]
        body = json.dumps({"data": data}).encode()
        return Exchange(Phase.ANSWERED, Reply(200, {}, body))

    def sealed(self, about: str, text: str) -> dict[str, str]:
        nonce = "61f9c719728a"
        made = encryption.seal(self.account, "v3_key", nonce, about, text.encode())
        if self.spoiled:
            made = base64.b64encode(base64.b64decode(made)[:-1] + b"x").decode()
        return {"algorithm": "AEAD_AES_256_GCM", "nonce": nonce, "associated_data": about,
                "ciphertext": made}  # fmt: skip

    def calls(self, serial: str) -> Notice:
        body = json.dumps(self.sealed("transaction", "paid")).encode()
        signer = Account("p", "", {"key": pem(self.signing[serial])})
        text = canonical.lines("1790000000", "n", body)
        headers = {"serial": serial, "timestamp": "1790000000", "nonce": "n",
                   "signature": rsa.sign(signer, "key", text)}  # fmt: skip
        return Notice("POST", "https://node.test/v1/callbacks/g", headers, body)


def pem(key: keys.RSAPrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class Joined:
    """Channel, provider, and what holds the certificates."""

    def __init__(self, **secrets: str) -> None:
        merchant = keys.generate_private_key(65_537, 2_048)
        self.provider: Any = Provider(merchant)
        self.channel: Any = Platform()
        account = Account(
            "g", "https://platform.test",
            {"merchant_key": pem(merchant), "v3_key": V3_KEY, **secrets},
            options={"merchant": "1900000001"},
        )  # fmt: skip
        self.now_ns = 10**12
        self.held = Preparations(
            self.channel, PROFILE, account, self.provider, lambda: False, lambda: self.now_ns
        )

    def takes(self, notice: Notice) -> bytes:
        told: bytes = self.channel.callback(notice, self.held.account, now_ms())
        return told


async def test_several_are_good_at_a_time_and_a_new_one_is_fetched_when_it_is_seen() -> None:
    it = Joined()
    first, second = it.provider.signs_by(0xA1), it.provider.signs_by(0xB2)
    early = it.provider.calls(first)
    with pytest.raises(NotPrepared):
        it.takes(early)
    assert await it.held.renew()
    assert it.held.lacking() is None
    assert it.takes(early) == it.takes(it.provider.calls(second)) == b"paid"
    third = it.provider.signs_by(0xC3)
    it.now_ns += 10**9
    for _ in range(100):
        with pytest.raises(NotPrepared) as lacks:
            it.takes(it.provider.calls(third))
        it.held.refused(it.now_ns, lacks.value.name)
    assert await it.held.renew()
    assert it.provider.asked == 2
    for serial in (first, second, third):
        assert it.takes(it.provider.calls(serial)) == b"paid"
    # What the provider shows no more is let go with the next renewal.
    del it.provider.shown[first]
    it.now_ns += 12 * 3_600 * 10**9
    assert await it.held.renew()
    with pytest.raises(NotPrepared):
        it.takes(early)


async def test_another_s_signature_and_another_text_are_refused() -> None:
    it = Joined()
    first, second = it.provider.signs_by(0xA1), it.provider.signs_by(0xB2)
    await it.held.renew()
    good = it.provider.calls(first)
    other = it.provider.calls(second)
    for wrong in (
        msgspec.structs.replace(good, body=good.body + b" "),
        msgspec.structs.replace(good, headers={**good.headers, "serial": second}),
        msgspec.structs.replace(good, headers={**good.headers, "nonce": "m"}),
        msgspec.structs.replace(good, headers={**good.headers, "signature": "x"}),
        msgspec.structs.replace(other, headers={}),
    ):
        with pytest.raises(CallbackRefused):
            it.takes(wrong)


async def test_what_cannot_be_opened_or_asked_is_told_with_the_remedy() -> None:
    it = Joined(v3_key="another key, of thirty-two bytes")
    it.provider.signs_by(0xA1)
    assert not await it.held.renew()
    assert str(it.held.lacking()).endswith("cannot be opened; correct secrets.v3_key")
    it = Joined()
    it.provider.signs_by(0xA1)
    it.provider.spoiled = True
    assert not await it.held.renew()
    assert "cannot be opened" in str(it.held.lacking())
    for secret, told in (("v3_key", "must have 32"), ("merchant_key", "no private key")):
        it = Joined(**{secret: "nonsense"})
        it.provider.signs_by(0xA1)
        assert not await it.held.renew()
        assert told in str(it.held.lacking()) and f"secrets.{secret}" in str(it.held.lacking())
