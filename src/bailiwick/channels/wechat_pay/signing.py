"""WeChat Pay's signatures: of requests in ``authorization``, of answers and callbacks in headers of
their own; and callbacks whose object is sealed.

Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012365870 (signatures), 4012071382 (sealed).
"""

import hashlib
import re

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bailiwick.channels.blocks import parsing
from bailiwick.channels.blocks.signatures import SIGNATURE_WINDOW_S
from bailiwick.channels.blocks.signing import canonical, certificates, encryption, rsa
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    CallbackRefused,
    Context,
    Notice,
    NotPrepared,
    Reply,
    Request,
)

SCHEME = "WECHATPAY2-SHA256-RSA2048"
SIGNATURE = "wechatpay-signature"
CERTIFICATES = "certificates"
PUBLIC_KEY, PUBLIC_KEY_ID = "public_key", "public_key_id"
_PROVIDER = "provider_private_key"
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


def signed(request: Request, account: Account, context: Context) -> Request:
    """The request with its ``authorization``; the same for the same context. Raises BadSecret."""
    moment, nonce = str(context.instant_ms // 1000), f"{context.sequence:032x}"
    told = (request.method, canonical.target(request.url), moment, nonce, request.body)
    credentials = canonical.credentials(
        SCHEME,
        mchid=account.options.get("mchid", ""),
        nonce_str=nonce,
        signature=rsa.sign(account, "private_key", canonical.lines(*told)),
        timestamp=moment,
        serial_no=account.options.get("serial_no", ""),
    )
    headers = {**request.headers, "authorization": credentials}
    if account.options.get(PUBLIC_KEY_ID):
        headers["wechatpay-serial"] = account.options[PUBLIC_KEY_ID]
    return msgspec.structs.replace(request, headers=headers)


def sent_ms(headers: dict[str, str], body: bytes, account: Account, now_ms: int | None) -> int:
    """When WeChat Pay signed it.

    Args:
        now_ms: when the key has to be good; None: at that time.

    Raises:
        CallbackRefused: it did not.
        NotPrepared: by a certificate that is not there.
    """
    moment, nonce = (
        parsing.header(headers, f"wechatpay-{each}") for each in ("timestamp", "nonce")
    )
    kind = parsing.header(headers, "wechatpay-signature-type")
    if moment is None or nonce is None or _SECONDS.fullmatch(moment) is None:
        raise CallbackRefused("it is not signed")
    if kind not in (None, SCHEME):
        raise CallbackRefused("it is signed in another way than by RSA")
    told_ms = int(moment) * 1000
    key = _key(headers, account, told_ms if now_ms is None else now_ms)
    text = canonical.lines(moment, nonce.encode("utf-8", "replace"), body)
    if not rsa.fits(key, text, parsing.header(headers, SIGNATURE)):
        raise CallbackRefused("the signature does not fit the body")
    return told_ms


def _key(headers: dict[str, str], account: Account, at_ms: int) -> RSAPublicKey:
    serial = parsing.header(headers, "wechatpay-serial")
    if PUBLIC_KEY not in account.secrets:
        return certificates.key(account, CERTIFICATES, serial, at_ms)
    if not serial or serial != account.options.get(PUBLIC_KEY_ID):
        raise CallbackRefused(f"it is signed by another key than options.{PUBLIC_KEY_ID}")
    try:
        return rsa.public_key(account, PUBLIC_KEY)
    except BadSecret as bad:
        raise CallbackRefused(str(bad)) from None


class Answers:
    """Signed answers; see ``AnswerScheme``."""

    def is_signed(self, reply: Reply, account: Account, asked_ms: int | None) -> bool:
        """Whether WeChat Pay has signed it, and not before it was asked: an old answer to a look-up
        would be genuine, and wrong."""
        try:
            told_ms = sent_ms(dict(reply.headers), reply.body, account, asked_ms)
        except (CallbackRefused, NotPrepared):
            return False
        return asked_ms is None or told_ms >= asked_ms - SIGNATURE_WINDOW_S * 1000

    def sign(self, reply: Reply, account: Account, now_ms: int) -> Reply:
        """See ``AnswerScheme``."""
        if SIGNATURE in reply.headers:
            return reply
        headers = {**reply.headers, **_headers(reply.body, account, now_ms)}
        return msgspec.structs.replace(reply, headers=headers)


class Callbacks:
    """Signed callbacks, with a sealed object; see ``CallbackScheme``."""

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """Its ``resource`` is sealed here, if it is an object as it is in cases."""
        body = _sealed(notice.body, account)
        headers = {**notice.headers, **_headers(body, account, now_ms)}
        return msgspec.structs.replace(notice, headers=headers, body=body)

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``. Raises NotPrepared, too."""
        told_ms = sent_ms(dict(notice.headers), notice.body, account, now_ms)
        return abs(now_ms - told_ms) <= SIGNATURE_WINDOW_S * 1000


class Sealed(msgspec.Struct, frozen=True):
    """An object that nobody else can read, as WeChat Pay sends it."""

    algorithm: str
    nonce: str
    ciphertext: str
    associated_data: str = ""

    def opened(self, account: Account) -> bytes | None:
        """What is in it; None: not sealed by this merchant's key. Raises BadSecret."""
        if self.algorithm != "AEAD_AES_256_GCM":
            return None
        given = (self.nonce, self.associated_data, self.ciphertext)
        return encryption.opened(account, "api_v3_key", *given)


def _sealed(body: bytes, account: Account) -> bytes:
    found = parsing.decode(body, dict[str, msgspec.Raw]) or {}
    plain = parsing.decode(bytes(found.get("resource", b"")), dict[str, msgspec.Raw])
    if plain is None or "ciphertext" in plain:
        return body
    kind = "refund" if "out_refund_no" in plain else "transaction"
    text = bytes(found["resource"])
    nonce = hashlib.sha256(text).hexdigest()[:12]
    sealed = Sealed(
        "AEAD_AES_256_GCM",
        nonce,
        encryption.seal(account, "api_v3_key", nonce, kind, text),
        kind,
    )
    return msgspec.json.encode({**found, "resource": sealed})


def _headers(body: bytes, account: Account, now_ms: int) -> dict[str, str]:
    serial = account.options.get(PUBLIC_KEY_ID) or next(
        iter(account.prepared.get(CERTIFICATES, {})), None
    )
    if serial is None:
        raise ValueError("there is no certificate whose number could be told")
    moment, nonce = str(now_ms // 1000), hashlib.sha256(body).hexdigest()[:32]
    return {
        "wechatpay-timestamp": moment,
        "wechatpay-nonce": nonce,
        "wechatpay-serial": serial,
        "wechatpay-signature-type": SCHEME,
        SIGNATURE: rsa.sign(account, _PROVIDER, canonical.lines(moment, nonce, body)),
    }
