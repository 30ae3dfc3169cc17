"""Callbacks whose headers are signed by RSA, and with them no more of the body than a checksum.
Pure.

A checksum is no proof: another body with the same one is made at once. Such a signature says who
calls, and when; what is in the body decides nothing, the provider is asked.
"""

import zlib

import msgspec

from bailiwick.channels.blocks import parsing, times
from bailiwick.channels.blocks.signatures import SIGNATURE_WINDOW_S, with_headers
from bailiwick.channels.blocks.signing import rsa
from bailiwick.channels.contract import Account, BadSecret, CallbackRefused, Notice

_ALGORITHM = "SHA256withRSA"
_NUMBER = "69cd13f0-d67a-11e5-baa3-778b53f4ae55"


class Checksummed(msgspec.Struct, frozen=True):
    """``number|time|webhook|CRC-32 of the body`` in SHA-256 with RSA, as PayPal signs. Source:
    https://developer.paypal.com/api/rest/webhooks/rest

    Attributes:
        prefix: how the names of its headers begin, in lower case.
        about: the gateway's option that has the webhook's id.
        certificates: the gateway's secrets with a certificate, of which any may fit: the provider
            changes its own.
        private_key: of a test's account alone: the provider's key to sign with.
    """

    prefix: str
    about: str
    certificates: tuple[str, ...]
    private_key: str = "provider_private_key"

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``."""
        made = {
            f"{self.prefix}-transmission-id": _NUMBER,
            f"{self.prefix}-transmission-time": times.of_ms(now_ms),
            f"{self.prefix}-auth-algo": _ALGORITHM,
        }
        text = self._text(with_headers(notice, made), account)
        made[f"{self.prefix}-transmission-sig"] = rsa.sign(account, self.private_key, text)
        return with_headers(notice, made)

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``."""
        known = [each for each in self.certificates if account.secrets.get(each, "").strip()]
        try:
            keys = [rsa.public_key(account, each) for each in known]
        except BadSecret as bad:
            raise CallbackRefused(str(bad)) from None
        text, signature = self._text(notice, account), self._told(notice, "transmission-sig")
        fits = any(rsa.fits(key, text, signature) for key in keys)
        if not fits or self._told(notice, "auth-algo") != _ALGORITHM:
            raise CallbackRefused(f"it is not signed by the key of secrets.{self.certificates[0]}")
        sent_ms = times.to_ms(self._told(notice, "transmission-time"))
        return sent_ms is not None and abs(now_ms - sent_ms) <= SIGNATURE_WINDOW_S * 1000

    def _told(self, notice: Notice, name: str) -> str | None:
        return parsing.header(notice.headers, f"{self.prefix}-{name}")

    def _text(self, notice: Notice, account: Account) -> bytes:
        number, sent = (self._told(notice, f"transmission-{each}") for each in ("id", "time"))
        about = account.options.get(self.about, "")
        return f"{number}|{sent}|{about}|{zlib.crc32(notice.body)}".encode("utf-8", "replace")
