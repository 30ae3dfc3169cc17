"""Callbacks whose signature covers a checksum of the body, and no more."""

import zlib
from base64 import b64decode, b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from msgspec.structs import replace

from bailiwick.channels.blocks.signing.transmissions import Checksummed
from bailiwick.channels.contract import Account, CallbackRefused, Notice

NOW_MS = 1_790_000_000_000
KEY = generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE = KEY.private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
).decode()
PUBLIC = (
    KEY.public_key()
    .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    .decode()
)
SCHEME = Checksummed("acme", "webhook", ("key", "key_2"))
ACCOUNT = Account(
    "g", "https://acme.test", {"key": PUBLIC, "provider_private_key": PRIVATE},
    options={"webhook": "WH_1"},
)  # fmt: skip
BARE = Notice("POST", "https://node.test", {}, b'{"id":"1"}')


def test_it_is_signed_as_described() -> None:
    made = SCHEME.sign(BARE, ACCOUNT, NOW_MS).headers
    number, sent = made["acme-transmission-id"], made["acme-transmission-time"]
    text = f"{number}|{sent}|WH_1|{zlib.crc32(BARE.body)}".encode()
    KEY.public_key().verify(b64decode(made["acme-transmission-sig"]), text, PKCS1v15(), SHA256())


@pytest.mark.parametrize("off_ms", [0, -300_000, 300_000])
def test_it_is_news_within_its_window(off_ms: int) -> None:
    notice = SCHEME.sign(BARE, ACCOUNT, NOW_MS)
    assert SCHEME.check(notice, ACCOUNT, NOW_MS + off_ms)
    assert not SCHEME.check(notice, ACCOUNT, NOW_MS + off_ms * 2 - 999_999)


@pytest.mark.parametrize(
    ("secrets", "refused"),
    [
        ({"key": "", "key_2": PUBLIC}, None),
        ({"key": "  "}, "secrets.key"),
        ({}, "secrets.key"),
        ({"key": "nonsense"}, "secrets.key is no public key"),
        ({"key": PUBLIC, "key_2": "nonsense"}, "secrets.key_2 is no public key"),
    ],
)
def test_keys(secrets: dict[str, str], refused: str | None) -> None:
    notice, account = SCHEME.sign(BARE, ACCOUNT, NOW_MS), replace(ACCOUNT, secrets=secrets)
    if refused is None:
        assert SCHEME.check(notice, account, NOW_MS)
        return
    with pytest.raises(CallbackRefused, match=refused):
        SCHEME.check(notice, account, NOW_MS)


@pytest.mark.parametrize(
    "change",
    [
        {"acme-transmission-id": "2"},
        {"acme-transmission-time": "2026-09-21T14:13:21Z"},
        {"acme-transmission-sig": ""},
        {"acme-auth-algo": "SHA1withRSA"},
    ],
)
def test_each_header_counts(change: dict[str, str]) -> None:
    notice = SCHEME.sign(BARE, ACCOUNT, NOW_MS)
    for headers in ({**notice.headers, **change}, without(notice.headers, *change)):
        with pytest.raises(CallbackRefused):
            SCHEME.check(replace(notice, headers=headers), ACCOUNT, NOW_MS)


def test_it_is_signed_for_one_webhook() -> None:
    notice = SCHEME.sign(BARE, replace(ACCOUNT, options={"webhook": "WH_2"}), NOW_MS)
    with pytest.raises(CallbackRefused):
        SCHEME.check(notice, ACCOUNT, NOW_MS)


def without(headers: Any, *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


def test_a_time_that_is_none_is_no_news() -> None:
    headers = {
        "acme-transmission-id": "1",
        "acme-transmission-time": "x",
        "acme-auth-algo": "SHA256withRSA",
    }
    text = f"1|x|WH_1|{zlib.crc32(BARE.body)}".encode()
    signature = KEY.sign(text, PKCS1v15(), SHA256())
    headers["acme-transmission-sig"] = b64encode(signature).decode()
    assert not SCHEME.check(replace(BARE, headers=headers), ACCOUNT, NOW_MS)
