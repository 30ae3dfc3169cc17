"""Merchants and the hashes of their API keys, read from ``merchants.toml``. Pure.

Keys themselves are nowhere: a presented key is hashed once and looked up. API keys are long
random texts, so a plain SHA-256 is not open to guessing.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Literal

import msgspec

from bailiwick.base.objects import API_VERSION
from bailiwick.base.versions import VERSIONS
from bailiwick.geo.places import Places, load_places
from bailiwick.topology.reading import Problems, Table, parse_toml
from bailiwick.topology.screening import Screening, screening

MOST_BYTES = 64 << 20
MOST_MERCHANTS = 100_000
MOST_KEYS = 100
MOST_GRANTS = 200
MOST_RATE = 1_000_000
MOST_SECONDS = 253_402_300_799
"""The end of the year 9999."""

_ID = re.compile(r"acct_[0-9A-Za-z_]{1,59}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_RESOURCE = re.compile(r"[a-z][a-z_.]{0,63}")
_LAST4 = re.compile(r"[0-9A-Za-z_-]{4}")


class Merchant(msgspec.Struct, frozen=True):
    """Who takes payments.

    Attributes:
        default_country: "" or an ISO code.
        after_fence: what becomes of a one-shot payment whose key may have been used at a node
            that cannot be asked any more: ``refuse``, or ``accept`` a second charge as possible.
        key_time: ``uuid7``: this merchant's idempotency keys are UUIDs of version 7, which tell
            when they were made.
        screening: what is looked at before its charges; None: nothing.
    """

    id: str
    name: str
    default_country: str = ""
    strategy: Literal["priority", "cost", "spread"] = "priority"
    cascade: bool = True
    after_fence: Literal["refuse", "accept"] = "refuse"
    key_time: Literal["unknown", "uuid7"] = "unknown"
    screening: Screening | None = None


class Principal(msgspec.Struct, frozen=True):
    """On whose behalf a request comes, and what its key may do.

    Attributes:
        kind: a restricted key is a secret one, with ``grants``.
        grants: of a restricted key: resource to ``read`` or ``write``. None: everything.
        expires_ms: Unix time in milliseconds from which the key counts no more; 0: never.
        api_version: in which requests are answered that name none.
        rate_per_second: how many requests may come with this key; 0: as many as the merchant's.
        mark: the first of its SHA-256, which tells it from others.
    """

    merchant: Merchant
    kind: Literal["secret", "publishable"]
    livemode: bool
    last4: str = ""
    api_version: str = API_VERSION
    grants: Mapping[str, str] | None = None
    expires_ms: int = 0
    rate_per_second: int = 0
    mark: str = ""


class Merchants(msgspec.Struct, frozen=True):
    """All merchants of one epoch; immutable."""

    all: tuple[Merchant, ...]
    by_id: Mapping[str, Merchant]
    by_hash: Mapping[str, Principal]

    def by_key(self, key: str) -> Principal | None:
        """The principal of an API key; one hash and one look-up."""
        return self.by_hash.get(key_hash(key))


def key_hash(key: str) -> str:
    """What ``merchants.toml`` holds of an API key."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def parse(raw: bytes, *, file: str = "merchants.toml", places: Places | None = None) -> Merchants:
    """Read and check the merchants. Raises WorldError with every problem found."""
    known = places or load_places()
    problems = Problems(file)
    top = parse_toml(raw, problems, MOST_BYTES)
    merchants: dict[str, Merchant] = {}
    keys: dict[str, Principal] = {}
    common = screening(top, known, Screening()) or Screening()
    for table in top.tables("merchants", most=MOST_MERCHANTS, empty=False):
        merchant = _merchant(table, known, common)
        if merchant.id in merchants:
            table.bad("id", f"'{merchant.id}' is used twice; make it unique")
        merchants[merchant.id] = merchant
        for key in table.tables("keys", most=MOST_KEYS):
            _key(key, merchant, keys)
        table.done()
    top.done()
    problems.raise_if_any()
    return Merchants(tuple(merchants.values()), merchants, keys)


def _merchant(table: Table, known: Places, common: Screening) -> Merchant:
    identifier = table.text("id")
    if identifier and not _ID.fullmatch(identifier):
        table.bad("id", "must be 'acct_' and 1 to 59 letters, digits or '_'")
    country = table.text("default_country", "")
    if country and country not in known.countries:
        table.bad("default_country", known.explain_country(country))
    merchant = msgspec.convert(
        {
            "id": identifier,
            "name": table.text("name"),
            "default_country": country,
            "strategy": table.choice("strategy", ("priority", "cost", "spread"), "priority"),
            "cascade": table.flag("cascade", True),
            "after_fence": table.choice("after_fence", ("refuse", "accept"), "refuse"),
            "key_time": table.choice("key_time", ("unknown", "uuid7"), "unknown"),
        },
        Merchant,
    )
    return msgspec.structs.replace(merchant, screening=screening(table, known, common))


def _key(table: Table, merchant: Merchant, keys: dict[str, Principal]) -> None:
    sha256 = table.text("sha256")
    if sha256 and not _SHA256.fullmatch(sha256):
        table.bad("sha256", "must be 64 small hexadecimal digits: the SHA-256 of the key")
    if sha256 and sha256 in keys:
        table.bad("sha256", f"this key is also a key of '{keys[sha256].merchant.id}'; remove one")
    last4 = table.text("last4", "", most=40)
    if last4 and not _LAST4.fullmatch(last4):
        table.bad("last4", "must be the last four characters of the key")
    kind = table.choice("kind", ("secret", "publishable", "restricted"))
    keys[sha256] = msgspec.convert(
        {
            "merchant": merchant,
            "kind": "publishable" if kind == "publishable" else "secret",
            "livemode": table.choice("mode", ("test", "live")) == "live",
            "last4": last4,
            "api_version": table.choice("api_version", tuple(VERSIONS), API_VERSION),
            "grants": _grants(table, kind),
            "rate_per_second": table.whole("rate_per_second", 0, MOST_RATE, 0),
            "mark": sha256[:16],
            "expires_ms": table.whole("expires_at", 0, MOST_SECONDS, 0) * 1000,
        },
        Principal,
    )
    table.done()


def _grants(table: Table, kind: str) -> dict[str, str] | None:
    """What a restricted key may do; None for the others."""
    if "permissions" in table.value and kind != "restricted":
        table.bad("permissions", 'are of keys with kind = "restricted" alone; remove them')
    permissions = table.table("permissions")
    if len(permissions.value) > MOST_GRANTS:
        table.bad("permissions", f"has more than {MOST_GRANTS} entries")
        return {}
    grants = {}
    for name in permissions.value:
        if not _RESOURCE.fullmatch(name):
            permissions.bad(name, "must be a resource as the API calls it, such as payment_intent")
        grants[name] = permissions.choice(name, ("none", "read", "write"))
    return grants if kind == "restricted" else None
