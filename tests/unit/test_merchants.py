"""Merchants and API keys: hashed look-up, and refusals that name field and remedy."""

import hashlib

import pytest

from bailiwick.topology.merchants import Merchant, key_hash, parse
from bailiwick.topology.reading import WorldError

SECRET = "sk_test_" + "a" * 32
SHA = hashlib.sha256(SECRET.encode()).hexdigest()
OTHER = hashlib.sha256(b"pk_live_1").hexdigest()
TEXT = f"""
[[merchants]]
id = "acct_demo"
name = "Demo Store"
default_country = ""
strategy = "cost"
cascade = false
after_fence = "accept"
key_time = "uuid7"
[[merchants.keys]]
sha256 = "{SHA}"
kind = "secret"
mode = "test"
last4 = "aaaa"
[[merchants.keys]]
sha256 = "{OTHER}"
kind = "publishable"
mode = "live"
last4 = "ve_1"
[[merchants]]
id = "acct_two"
name = "Two"
default_country = "IN"
"""


def problems(text: str) -> str:
    with pytest.raises(WorldError) as caught:
        parse(text.encode())
    assert all(line.startswith("merchants.toml: ") for line in caught.value.problems)
    return "\n".join(caught.value.problems)


def test_by_key() -> None:
    merchants = parse(TEXT.encode())
    found = merchants.by_key(SECRET)
    assert found is not None
    assert found.merchant == Merchant(
        "acct_demo", "Demo Store", "", "cost", False, after_fence="accept", key_time="uuid7"
    )
    assert (found.kind, found.livemode, found.last4) == ("secret", False, "aaaa")
    live = merchants.by_key("pk_live_1")
    assert live is not None
    assert (live.kind, live.livemode) == ("publishable", True)
    assert merchants.by_key(SECRET + "b") is None
    assert merchants.by_key("") is None
    assert merchants.by_key("\udce4") is None  # bytes that were no UTF-8
    assert merchants.by_key(SHA) is None  # the hash is not a key
    assert key_hash(SECRET) == SHA
    assert merchants.by_id["acct_two"].default_country == "IN"
    two = merchants.by_id["acct_two"]
    assert (two.strategy, two.after_fence, two.key_time) == ("priority", "refuse", "unknown")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"acct_two"', '"acct_demo"', ["merchants[1].id", "unique"]),
        ('"acct_two"', '"two"', ["merchants[1].id", "acct_"]),
        ('default_country = "IN"', 'default_country = "UK"', ["default_country", "'GB'"]),
        ('strategy = "cost"', 'strategy = "costs"', ["strategy", "'cost'"]),
        ("cascade = false", "cascade = 0", ["cascade", "true or false"]),
        ("cascade = false", "cascades = false", ["cascades", "'cascade'"]),
        (OTHER, SHA, ["keys[1].sha256", "acct_demo"]),
        (OTHER, "x" * 64, ["keys[1].sha256", "hexadecimal"]),
        ('mode = "live"', 'mode = "prod"', ["keys[1].mode", "test, live"]),
        ('kind = "publishable"', 'kind = "public"', ["keys[1].kind", "publishable"]),
        ('last4 = "ve_1"', f'last4 = "{"a" * 5}"', ["last4", "four"]),
        ('name = "Two"', "", ["merchants[1].name", "missing"]),
        ('name = "Two"', "name = 2", ["merchants[1].name", "text"]),
    ],
)
def test_refused(old: str, new: str, words: list[str]) -> None:
    assert old in TEXT
    text = problems(TEXT.replace(old, new, 1))
    for word in words:
        assert word in text


def test_refused_whole() -> None:
    assert "merchants" in problems("")
    assert "unknown field" in problems(TEXT.replace("[[merchants]]", "[[merchant]]"))
    assert "list of tables" in problems("merchants = 3")
    assert "must be a table" in problems("merchants = [3]")
