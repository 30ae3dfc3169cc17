"""Signatures over callbacks, made and checked. Pure."""

import hmac
import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

import msgspec

from bailiwick.channels.blocks import parsing
from bailiwick.channels.contract import Account, CallbackRefused, Notice

SIGNATURE_WINDOW_S = 300
"""A callback older than this, or further in the future, is refused (replay; clocks differ)."""
_SECONDS_DIGITS = 11


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The hex HMAC-SHA256 of ``timestamp.body``."""
    return hmac.new(secret.encode(), b"%d." % timestamp + body, "sha256").hexdigest()


def with_headers(notice: Notice, made: Mapping[str, str]) -> Notice:
    """A callback with these headers beside those that it has."""
    return msgspec.structs.replace(notice, headers={**notice.headers, **made})


def check_signature(text: str | None, secrets: Iterable[str], body: bytes, now_ms: int) -> bool:
    """Check a ``t=<unix seconds>,v1=<hex>[,v1=<hex>]`` signature header.

    Any of several ``v1`` (and any of several secrets) may fit, so that secrets can be rotated;
    other schemes are ignored. Comparison takes constant time.

    Returns:
        Whether it was signed within ``SIGNATURE_WINDOW_S`` of ``now_ms``. If not it is genuine all
        the same: it may have been held back and sent again, or a clock is wrong.

    Raises:
        CallbackRefused: no secret, malformed, or no signature fits.
    """
    keys = _usable(secrets)
    if text is None or len(text) > 4096:
        raise CallbackRefused("the signature header is missing or oversized")
    times: list[str] = []
    given: list[str] = []
    for item in text.split(","):
        scheme, _, value = item.strip().partition("=")
        if scheme == "t":
            times.append(value)
        elif scheme == "v1":
            given.append(value)
    if len(times) != 1 or not given or re.fullmatch(r"[0-9]{1,12}", times[0]) is None:
        raise CallbackRefused("the signature header is malformed")
    timestamp = int(times[0])
    expected = [sign(key, timestamp, body).encode() for key in keys]
    # No early exit: the time taken tells nothing about which of them fitted.
    fits = [
        hmac.compare_digest(mine, theirs.encode("utf-8", "replace"))
        for mine in expected
        for theirs in given
    ]
    if not any(fits):
        raise CallbackRefused("the signature does not fit the body")
    return abs(now_ms - timestamp * 1000) <= SIGNATURE_WINDOW_S * 1000


class Timestamped(msgspec.Struct, frozen=True):
    """``t=<unix seconds>,v1=<hex HMAC-SHA256 of "t.body">`` in one header: Stripe's scheme, which
    others took over. Source: https://docs.stripe.com/webhooks/signature

    Attributes:
        header: its name, in lower case.
        secrets: the gateway's secrets of which any may fit; the first is the one to sign with.
    """

    header: str
    secrets: tuple[str, ...] = ("callback_secret",)

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        second = now_ms // 1000
        secret = account.secrets.get(self.secrets[0], "")
        return with_headers(
            notice, {self.header: f"t={second},v1={sign(secret, second, notice.body)}"}
        )

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        known = (account.secrets.get(name, "") for name in self.secrets)
        given = parsing.header(notice.headers, self.header)
        return check_signature(given, known, notice.body, now_ms)


class OfBody(msgspec.Struct, frozen=True):
    """The hex HMAC of the body alone, in one header. No time is signed: a callback that was genuine
    once is so for ever, and only its notice id tells whether it is news.

    Attributes:
        header: its name, in lower case.
        digest: the hash's name, as ``hashlib`` has it.
        secrets: the gateway's secrets of which any may fit; the first is the one to sign with.
    """

    header: str
    digest: str
    secrets: tuple[str, ...] = ("callback_secret",)

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        made = self._made(account.secrets.get(self.secrets[0], ""), notice.body)
        return with_headers(notice, {self.header: made})

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``; True, whenever it was signed."""
        keys = _usable(account.secrets.get(name, "") for name in self.secrets)
        given = (parsing.header(notice.headers, self.header) or "").encode("utf-8", "replace")
        fits = [hmac.compare_digest(self._made(key, notice.body).encode(), given) for key in keys]
        if not any(fits):
            raise CallbackRefused("the signature is missing, or does not fit the body")
        return True

    def _made(self, secret: str, body: bytes) -> str:
        return hmac.new(secret.encode(), body, self.digest).hexdigest()


class OfAddress(msgspec.Struct, frozen=True):
    """The base64 HMAC-SHA256 of the address that was called and, right behind it, the body, in one
    header. No time is signed, see ``OfBody``.

    Attributes:
        header: its name, in lower case.
        secrets: the gateway's secrets of which any may fit; the first is the one to sign with.
    """

    header: str
    secrets: tuple[str, ...] = ("callback_secret",)

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        made = self._made(account.secrets.get(self.secrets[0], ""), notice)
        return with_headers(notice, {self.header: made})

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``; True, whenever it was signed."""
        keys = _usable(account.secrets.get(name, "") for name in self.secrets)
        given = (parsing.header(notice.headers, self.header) or "").encode("utf-8", "replace")
        fits = [hmac.compare_digest(self._made(key, notice).encode(), given) for key in keys]
        if not any(fits):
            raise CallbackRefused("the signature is missing, or does not fit address and body")
        return True

    def _made(self, secret: str, notice: Notice) -> str:
        signed = notice.url.encode("utf-8", "replace") + notice.body
        return b64encode(hmac.digest(secret.encode(), signed, "sha256")).decode()


class OfName(msgspec.Struct, frozen=True):
    """``ts=<unix time>,v1=<hex HMAC-SHA256 of "id:...;request-id:...;ts:...;">`` in one header:
    over what a callback is about, which stands in its address, its own number and the time. What is
    not there is left out. Nobody vouches for the body: nothing may be decided by it.

    Source: https://github.com/mercadopago/sdk-python, webhook/validator.py.

    Attributes:
        header: its name, in lower case; ``number``: that of the callback's own number.
        about: the parameter of the address that says what it is about.
        secrets: the gateway's secrets of which any may fit; the first is the one to sign with.
    """

    header: str
    number: str = "x-request-id"
    about: str = "data.id"
    secrets: tuple[str, ...] = ("callback_secret",)

    def named(self, notice: Notice) -> tuple[str, str]:
        """What it is about, and its number; empty where it does not say."""
        query = parse_qsl(urlsplit(notice.url).query)
        about = next((text for name, text in query if name == self.about), "")
        return about, parsing.header(notice.headers, self.number) or ""

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        made = self._made(account.secrets.get(self.secrets[0], ""), notice, str(now_ms))
        return with_headers(notice, {self.header: f"ts={now_ms},v1={made}"})

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        keys = _usable(account.secrets.get(name, "") for name in self.secrets)
        given = (parsing.header(notice.headers, self.header) or "").replace(" ", "")
        found = re.fullmatch(r"ts=([0-9]{10,14}),v1=([0-9a-f]{64})", given)
        if found is None:
            raise CallbackRefused("the signature header is missing or malformed")
        instant, hashed = found[1], found[2]
        fits = [hmac.compare_digest(self._made(key, notice, instant), hashed) for key in keys]
        if not any(fits):
            raise CallbackRefused("the signature does not fit what the callback is about")
        # In seconds, or in milliseconds.
        signed_ms = int(instant) * (1000 if len(instant) <= _SECONDS_DIGITS else 1)
        return abs(now_ms - signed_ms) <= SIGNATURE_WINDOW_S * 1000

    def _made(self, secret: str, notice: Notice, instant: str) -> str:
        about, number = self.named(notice)
        signed = {"id": about, "request-id": number, "ts": instant}
        text = "".join(f"{name}:{value};" for name, value in signed.items() if value)
        return hmac.new(secret.encode(), text.encode("utf-8", "replace"), "sha256").hexdigest()


def _usable(secrets: Iterable[str]) -> list[str]:
    """Those that are any: an empty key signs for everybody."""
    keys = [secret for secret in secrets if secret.strip()]
    if not keys:
        raise CallbackRefused("no callback secret is configured for this gateway")
    return keys
