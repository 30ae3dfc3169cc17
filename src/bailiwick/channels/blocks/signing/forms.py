"""Requests and callbacks as signed forms, and answers in JSON with a signed member. Pure.

The scheme of Alipay's gateway, and of others that took it over. Source:
https://opendocs.alipay.com/common/02khjm (requests) and 02mse7 (answers, callbacks).
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

import msgspec

from bailiwick.channels.blocks import parsing, times
from bailiwick.channels.blocks.signatures import SIGNATURE_WINDOW_S
from bailiwick.channels.blocks.signing import canonical, rsa
from bailiwick.channels.contract import Account, BadSecret, CallbackRefused, Notice, Reply

TYPE = "application/x-www-form-urlencoded; charset=utf-8"
_Members = dict[str, msgspec.Raw]


def signed(given: Mapping[str, str | None], account: Account, secret: str = "private_key") -> str:
    """The parameters that have a value, with their ``sign``, as a form. Raises BadSecret."""
    known = {name: value for name, value in given.items() if value}
    return urlencode({**known, "sign": rsa.sign(account, secret, canonical.pairs(known))})


class SignedMember(msgspec.Struct, frozen=True):
    """Answers whose one member is signed, as it is written, by the ``sign`` beside it.

    Attributes:
        suffix: how the member's name ends.
        public_key: the name of the gateway's secret that is the provider's key.
        private_key: of a test's account alone: the provider's key to sign with.
    """

    suffix: str
    public_key: str
    private_key: str = "provider_private_key"

    def read(self, reply: Reply, account: Account, name: str) -> bytes | None:
        """The member of this name, or None where the provider has not signed it. Some sign it as it
        was before slashes were escaped."""
        found: _Members = parsing.decode(reply.body, _Members) or {}
        told = bytes(found.get(name, b""))
        signature = parsing.decode(bytes(found.get("sign", b"")), str)
        try:
            key = rsa.public_key(account, self.public_key)
        except BadSecret:
            return None
        texts = (told, told.replace(b"\\/", b"/"))
        known = any(rsa.fits(key, each, signature) for each in texts)
        return told if told and known else None

    def sign(self, reply: Reply, account: Account, now_ms: int) -> Reply:
        """See ``AnswerScheme``."""
        found: _Members = parsing.decode(reply.body, _Members) or {}
        name = next((each for each in found if each.endswith(self.suffix)), None)
        if name is None or "sign" in found:
            return reply
        told = bytes(found[name])
        signature = msgspec.json.encode(rsa.sign(account, self.private_key, told))
        body = b'{%s:%s,"sign":%s}' % (msgspec.json.encode(name), told, signature)
        return msgspec.structs.replace(reply, body=body)


class SignedForm(msgspec.Struct, frozen=True):
    """Callbacks that are a form, signed in it by RSA2, with the time at which they were sent.

    Attributes:
        app: the field, and the gateway's option, that says whose it is.
        hours: how far east of Greenwich their clock is.
        public_key, private_key: see ``SignedMember``.
        sent: the field with the time.
    """

    app: str
    hours: int
    public_key: str
    private_key: str = "provider_private_key"
    sent: str = "notify_time"

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        given = dict(parse_qsl(notice.body.decode("utf-8", "replace"), keep_blank_values=True))
        given = {**given, self.sent: times.clock(now_ms, self.hours), "sign_type": "RSA2"}
        signature = rsa.sign(account, self.private_key, _text(given))
        body = urlencode({**given, "sign": signature}).encode()
        return msgspec.structs.replace(notice, body=body)

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        given = fields(notice)
        try:
            key = rsa.public_key(account, self.public_key)
        except BadSecret as error:
            raise CallbackRefused(str(error)) from None
        fits = rsa.fits(key, _text(given), given.get("sign"))
        if not fits or given.get("sign_type") != "RSA2":
            raise CallbackRefused("the signature is missing, or does not fit the body")
        if given.get(self.app) != account.options.get(self.app):
            raise CallbackRefused(f"it is for another {self.app}")
        sent_ms = times.of_clock(given.get(self.sent), self.hours)
        return sent_ms is not None and abs(now_ms - sent_ms) <= SIGNATURE_WINDOW_S * 1000


def fields(notice: Notice) -> dict[str, str]:
    """A callback's fields. Raises CallbackRefused: it is no form, or has a field twice."""
    try:
        pairs = parse_qsl(
            notice.body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
        )
    except ValueError:
        raise CallbackRefused("the body is no form") from None
    if len(dict(pairs)) != len(pairs):
        raise CallbackRefused("the body has a field twice")
    return dict(pairs)


def _text(given: Mapping[str, str]) -> bytes:
    """What is signed of a callback: all of its fields, the empty ones too."""
    names = sorted(given.keys() - {"sign", "sign_type"})
    return "&".join(f"{name}={given[name]}" for name in names).encode("utf-8", "replace")
