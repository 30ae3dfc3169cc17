"""Callbacks that are proved by a signature over some of their fields, which stands in the body.

What is not among the signed fields nobody vouches for: nothing may be decided by it. Pure.
"""

import base64
import hmac
from typing import Any

import msgspec
from msgspec.structs import replace

from bailiwick.channels.contract import Account, CallbackRefused, Notice


class OfFields(msgspec.Struct, frozen=True):
    """The base64 HMAC-SHA256 of texts and numbers, joined; one that is not there is empty. No time
    is signed, see ``signatures.OfBody``.

    Attributes:
        inside: where the signed object is in the body; ``fields`` and ``signature``: places in it.
            A place is names of members, and numbers of items, with dots between: ``a.0.b``.
        secrets: the gateway's secrets, hexadecimal, of which any may fit; the first is the one to
            sign with.
    """

    fields: tuple[str, ...]
    signature: str
    inside: str = ""
    joint: str = ":"
    secrets: tuple[str, ...] = ("callback_secret",)

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        """See ``CallbackScheme``. Raises ValueError: the secret is not hexadecimal."""
        key, whole = bytes.fromhex(account.secrets.get(self.secrets[0], "")), _document(notice)
        found = at(whole, self.inside)
        if not isinstance(found, dict):
            return notice
        holder: Any = found
        made = self._made(key, found)
        *above, last = self.signature.split(".")
        for name in above:
            holder = holder.setdefault(name, {}) if isinstance(holder, dict) else None
        if isinstance(holder, dict):
            holder[last] = made
        return replace(notice, body=msgspec.json.encode(whole))

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        """See ``CallbackScheme``; True, whenever it was signed."""
        found = at(_document(notice), self.inside)
        given = str(at(found, self.signature)).encode("utf-8", "replace")
        keys = [_key(account.secrets.get(name, "")) for name in self.secrets]
        fits = [hmac.compare_digest(self._made(key, found).encode(), given) for key in keys if key]
        if not any(fits):
            raise CallbackRefused("the signature is missing, or does not fit what is signed")
        if any(self.joint in text for text in self._signed(found)):
            raise CallbackRefused(f"a signed field has {self.joint!r} in it: it may be two of them")
        return True

    def _signed(self, found: Any) -> list[str]:
        values = (at(found, place) for place in self.fields)
        return ["" if value is None else str(value) for value in values]

    def _made(self, key: bytes, found: Any) -> str:
        signed = self.joint.join(self._signed(found))
        digest = hmac.digest(key, signed.encode("utf-8", "replace"), "sha256")
        return base64.b64encode(digest).decode()


def at(whole: Any, place: str) -> Any:
    """What is at a place; None where there is nothing."""
    for step in filter(None, place.split(".")):
        if isinstance(whole, dict):
            whole = whole.get(step)
        elif isinstance(whole, list) and step.isdecimal() and int(step) < len(whole):
            whole = whole[int(step)]
        else:
            return None
    return whole


def _document(notice: Notice) -> Any:
    try:
        return msgspec.json.decode(notice.body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _key(secret: str) -> bytes:
    try:
        return bytes.fromhex(secret)
    except ValueError:
        return b""
