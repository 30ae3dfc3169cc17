"""Invariants over all nodes, over every text, and over what is still open."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from bailiwick.base.cards import has_card_number, is_card_key
from bailiwick.checker.findings import Found
from bailiwick.checker.reader import Reader

KeyOwners = dict[tuple[str, bool, str], tuple[str, str]]
"""Merchant, live mode, key -> node and payment."""


async def one_payment_per_key(db: Reader, found: Found, owners: KeyOwners) -> None:
    """One (merchant, livemode, key) leads to one payment over all nodes (rule 5): keys with
    attempts are compared; a tombstone on another node has none."""
    async for merchant, livemode, key, payment in db.stream(
        "SELECT DISTINCT merchant, livemode, key, subject FROM attempt WHERE key IS NOT NULL"
    ):
        found.compare()
        owner = owners.setdefault((merchant, livemode, key), (db.node, payment))
        if owner != (db.node, payment):
            told = f"of {merchant}: {owner[1]} on {owner[0]} and {payment} on {db.node}"
            found.broken("", key, told)


_SEPARATORS = b" -.+"
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")
_SHORTEST_CARD = b"0" * 12
# Our own random names: long runs of digits occur in them by chance.
_NAMES = re.compile(
    r"\b[a-z]{2,7}_[0-9a-hjkmnp-tv-z]{26}(?:_secret_[0-9a-f]{36})?\b"
    r"|\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
    r"|\b[0-9a-f]{32,64}\b"
    r"|\bwhsec_[A-Za-z0-9+/=]+"
)
_PROVIDER_NAMES = frozenset({"provider_ref", "notice"})
"""Columns of names that providers give: as random as card numbers, and not ours to choose."""
_KEYS = frozenset({"key", "answer_key"})
"""Columns of idempotency keys: clients make them of numbers, with a hyphen between."""


@cache
def _presented() -> re.Pattern[str]:
    """A code off a payer's phone, where a payment or an instruction keeps it, in a form that a type
    of payment methods declares: one in ten of UnionPay's looks like a card number."""
    types = (files("bailiwick") / "methods").iterdir()
    told = [tomllib.loads(each.read_text()) for each in types if each.name.endswith(".toml")]
    forms = "|".join(each["codes"] for each in told if "codes" in each)
    return re.compile(f'"(?:flow|family)":"presented_code","code":"(?:{forms})"')


def holds_card(text: str) -> bool:
    """Whether a card number is in a text, our own random names and payers' codes apart."""
    squeezed = text.encode().replace(b"%20", b"").translate(_DIGITS_ALIKE, _SEPARATORS)
    if _SHORTEST_CARD not in squeezed:  # a fast no for nearly all rows
        return False
    return has_card_number(_presented().sub("", _NAMES.sub("", text)))


def _joined(names: list[str]) -> str:
    listed = ", ".join(["''", *(f'"{name}"' for name in names)])
    return f"concat_ws(E'\\n', {listed})"


async def no_card_numbers(db: Reader, found: Found) -> None:
    """No card number is in any text that a node stores (rule 10): issuer range, length and check
    digit together. A code off a payer's phone is none."""
    columns = await db.rows(
        """SELECT table_name::text, column_name::text
             FROM information_schema.columns JOIN information_schema.tables
                  USING (table_catalog, table_schema, table_name)
            WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'
              AND data_type IN ('text', 'json', 'jsonb', 'character varying', 'character')
            ORDER BY table_name, ordinal_position"""
    )
    by_table: dict[str, list[str]] = {}
    for table, column in columns:
        if column not in _PROVIDER_NAMES:
            by_table.setdefault(table, []).append(column)
    for table, names in by_table.items():
        plain = _joined([name for name in names if name not in _KEYS])
        keys = _joined([name for name in names if name in _KEYS])
        async for where, text, key in db.stream(
            f'SELECT ctid::text, {plain}, {keys} FROM "{table}"'
        ):
            found.compare()
            if holds_card(text) or is_card_key(key):
                found.broken(db.node, f"{table} {where}", "a card number, not repeated here")


class OpenAttempt(msgspec.Struct, frozen=True):
    """An attempt whose outcome is not known, or that is still to be looked at."""

    node: str
    id: str
    payment: str
    operation: str
    gateway: str
    state: str
    age_s: int
    reviewed: bool


class OpenReview(msgspec.Struct, frozen=True):
    """Something that a person must still look at."""

    node: str
    payment: str
    attempt: str
    reason: str
    detail: str | None


async def open_attempts(db: Reader) -> list[OpenAttempt]:
    """Attempts that are open, waiting ones included."""
    rows = await db.rows(
        """SELECT a.id, a.subject, a.operation, a.gateway, a.state,
                  extract(epoch FROM clock_timestamp() - a.permitted_at)::integer,
                  EXISTS (SELECT FROM review r WHERE r.attempt = a.id AND r.closed_at IS NULL)
             FROM attempt a
            WHERE a.state IN ('permitted', 'pending', 'unknown') OR a.next_check_at IS NOT NULL
            ORDER BY a.id"""
    )
    return [OpenAttempt(db.node, *row) for row in rows]


async def open_reviews(db: Reader) -> list[OpenReview]:
    """Reviews that nobody has closed."""
    rows = await db.rows(
        "SELECT subject, attempt, reason, detail FROM review WHERE closed_at IS NULL"
        " ORDER BY opened_at"
    )
    return [OpenReview(db.node, *row) for row in rows]


def undecided(attempts: list[OpenAttempt]) -> list[OpenAttempt]:
    """Those that must end by themselves: a pending one waits for its payer or provider, and one
    in review for a person."""
    return [each for each in attempts if each.state != "pending" and not each.reviewed]


def liveness(attempts: list[OpenAttempt], compared: int, found: Found) -> None:
    """Everything ends: after the waiting time every attempt is decided, pending at the provider,
    or in review."""
    found.compare(compared)
    for each in undecided(attempts):
        told = f"{each.operation} at {each.gateway} is {each.state} after {each.age_s} s"
        found.broken(each.node, each.id, told)


def reviews_share(reviews: int, payments: int, limit: float, found: Found) -> None:
    """People are asked to look at no more than the agreed share of payments."""
    found.compare(payments)
    if payments and reviews / payments > limit:
        told = f"{reviews} reviews for {payments} payments, more than {limit:.2%}"
        found.broken("", "reviews", told)
