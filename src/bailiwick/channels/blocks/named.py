"""Callbacks that are proved by a signature over what they are about, their number, and the time.

What they are about stands in the address that was called, their number in a header; nobody vouches
for the body: nothing may be decided by it. Pure.
"""

import hmac
import re
from urllib.parse import parse_qsl, urlsplit

import msgspec

from bailiwick.channels.blocks import parsing, signatures
from bailiwick.channels.contract import Account, CallbackRefused, Notice

_SECONDS_DIGITS = 11


class OfName(msgspec.Struct, frozen=True):
    """``ts=<unix time>,v1=<hex HMAC-SHA256 of "id:...;request-id:...;ts:...;">`` in one header.
    What is not there is left out of what is signed.

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
        return signatures.with_headers(notice, {self.header: f"ts={now_ms},v1={made}"})

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        keys = signatures.usable(account.secrets.get(name, "") for name in self.secrets)
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
        return abs(now_ms - signed_ms) <= signatures.SIGNATURE_WINDOW_S * 1000

    def _made(self, secret: str, notice: Notice, instant: str) -> str:
        about, number = self.named(notice)
        signed = {"id": about, "request-id": number, "ts": instant}
        text = "".join(f"{name}:{value};" for name, value in signed.items() if value)
        return hmac.new(secret.encode(), text.encode("utf-8", "replace"), "sha256").hexdigest()
