"""API keys of merchants: made, rolled and revoked, each as one epoch of the world.

A key itself is shown once and kept nowhere; the world holds its SHA-256. What is published reaches
every connected process within a second, and each refuses at once what is no key any more.
"""

from __future__ import annotations

import secrets
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.bus.client import Bus
from bailiwick.control.publishing import Published, PublishError, head_of, publish_over
from bailiwick.control.toml_edit import EditError, key_added, key_removed, key_set
from bailiwick.topology import snapshot
from bailiwick.topology.chain import Link
from bailiwick.topology.merchants import Merchants, Principal, key_hash

PREFIXES: Final = {"secret": "sk", "publishable": "pk", "restricted": "rk"}
OVERLAP_MOST_S: Final = 7 * 24 * 3600
"""How long a rolled key may go on, as with Stripe
(https://docs.stripe.com/keys#rolling-keys)."""
_MARK_LEAST: Final = 4
_CHARACTERS: Final = string.ascii_letters + string.digits
_RANDOM: Final = 48
_FILE: Final = "merchants.toml"


class Wish(msgspec.Struct, frozen=True):
    """A key to make.

    Attributes:
        kind: of ``PREFIXES``.
        permissions: of a restricted key: resource to ``read`` or ``write``.
        more: further fields as ``merchants.toml`` has them; those left out have its defaults.
    """

    merchant: str
    kind: str
    livemode: bool
    permissions: Mapping[str, str] = {}
    more: Mapping[str, str | int] = {}


class Made(msgspec.Struct, frozen=True):
    """A key that was made: the one time that it is shown."""

    key: str
    sha256: str
    done: Published


class Found(msgspec.Struct, frozen=True):
    """A key of the epoch in force."""

    sha256: str
    it: Principal

    @property
    def kind(self) -> str:
        """As ``merchants.toml`` says it."""
        return "restricted" if self.it.grants is not None else self.it.kind


class Desk:
    """Where keys are changed: a folder of the world, the key that signs it, the broker."""

    def __init__(self, directory: Path, signing: Ed25519PrivateKey, bus: Bus | None) -> None:
        self._directory = directory
        self._signing = signing
        self._bus = bus

    async def make(self, wish: Wish) -> Made:
        """Make a key. Raises PublishError and WorldError."""
        before = head_of(self._directory)
        _require_merchant(snapshot.of_link(before).merchants, wish.merchant)
        key, fields = _fresh(wish)
        text = _edit(key_added, _text(before), wish.merchant, fields)
        done = await self._publish(before, text, f"a {wish.kind} key of {wish.merchant} is made")
        return Made(key, fields["sha256"], done)

    async def roll(self, mark: str, *, merchant: str, overlap_s: int, now_s: int) -> Made:
        """Make a key like another, which counts ``overlap_s`` seconds longer (0: no longer).

        Raises PublishError and WorldError.
        """
        if not 0 <= overlap_s <= OVERLAP_MOST_S:
            raise PublishError("a rolled key may go on for seven days at the most")
        before = head_of(self._directory)
        old = find(snapshot.of_link(before).merchants, mark, merchant)
        if old.it.expires_ms:
            raise PublishError(
                f"this key has an end already ({old.sha256[:12]}); roll the one that follows it"
            )
        fields = _fields_of(_text(before), old.sha256)
        more = {name: fields[name] for name in fields if name not in _OWN}
        wish = Wish(
            old.it.merchant.id, old.kind, old.it.livemode, fields.get("permissions", {}), more
        )
        key, new = _fresh(wish)
        text = _edit(key_added, _text(before), wish.merchant, new)
        if overlap_s:
            text = _edit(key_set, text, old.sha256, expires_at=now_s + overlap_s)
        else:
            text = _edit(key_removed, text, old.sha256)
        done = await self._publish(before, text, f"a {wish.kind} key of {wish.merchant} is rolled")
        return Made(key, new["sha256"], done)

    async def revoke(self, mark: str, *, merchant: str) -> tuple[Found, Published]:
        """Revoke a key. Raises PublishError and WorldError."""
        before = head_of(self._directory)
        old = find(snapshot.of_link(before).merchants, mark, merchant)
        text = _edit(key_removed, _text(before), old.sha256)
        note = f"a {old.kind} key of {old.it.merchant.id} is revoked"
        return old, await self._publish(before, text, note)

    async def _publish(self, before: Link, text: str, note: str) -> Published:
        files = {**before.files, _FILE: text.encode()}
        return await publish_over(
            self._directory, self._signing, self._bus, before, files, note=note
        )


_OWN = frozenset({"sha256", "kind", "mode", "last4", "permissions", "expires_at"})
"""What a key that follows another does not take over as it stands."""


def find(merchants: Merchants, mark: str, merchant: str = "") -> Found:
    """The one key with this mark: its last four characters, or the first of its SHA-256 (eight or
    more), or all of the key. Raises PublishError."""
    if len(mark) < _MARK_LEAST:
        raise PublishError("name a key by its last four characters, or by its SHA-256")
    whole = key_hash(mark)
    fits = [
        Found(sha256, it)
        for sha256, it in merchants.by_hash.items()
        if (it.merchant.id == merchant or not merchant)
        and (it.last4 == mark or sha256 == whole or (len(mark) >= 8 and sha256.startswith(mark)))
    ]
    if len(fits) == 1:
        return fits[0]
    of = f" of {merchant}" if merchant else ""
    if not fits:
        raise PublishError(f"no key{of} in the epoch in force has this mark")
    marks = ", ".join(sorted(each.sha256[:12] for each in fits))
    raise PublishError(f"{len(fits)} keys{of} have this mark; name one by its SHA-256: {marks}")


def _require_merchant(merchants: Merchants, merchant: str) -> None:
    if merchant not in merchants.by_id:
        raise PublishError(f"the epoch in force has no merchant {merchant}")


def _fresh(wish: Wish) -> tuple[str, dict[str, Any]]:
    """A new key, and what the world is to hold of it."""
    mode = "live" if wish.livemode else "test"
    random = "".join(secrets.choice(_CHARACTERS) for _ in range(_RANDOM))
    key = f"{PREFIXES[wish.kind]}_{mode}_{random}"
    fields: dict[str, Any] = {"sha256": key_hash(key), "kind": wish.kind, "mode": mode}
    fields |= {"last4": key[-4:], **wish.more}
    if wish.kind == "restricted":
        fields["permissions"] = dict(wish.permissions)
    return key, fields


def _text(link: Link) -> str:
    return link.files[_FILE].decode()


def _fields_of(text: str, sha256: str) -> dict[str, Any]:

    merchants = tomllib.loads(text)["merchants"]
    keys = [key for each in merchants for key in each.get("keys", [])]
    return next(dict(key) for key in keys if key["sha256"] == sha256)


def _edit(change: Any, text: str, *words: Any, **fields: Any) -> str:
    try:
        return str(change(text, *words, **fields))
    except EditError as error:
        raise PublishError(f"nothing was published: {_FILE}: {error}") from None
