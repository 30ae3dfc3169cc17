"""RSA signatures with SHA-256 (RFC 8017 section 8.2, PKCS #1 v1.5), made and checked. Pure.

Keys are texts as providers hand them out: PEM of any usual kind, or the bare base64 of one.
"""

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
    load_pem_public_key,
)

from bailiwick.channels.contract import Account, BadSecret

BITS_MIN = 2_048
BITS_MAX = 8_192

_PEM = "-----BEGIN "
_CERTIFICATE = "-----BEGIN CERTIFICATE-----"
K = TypeVar("K", RSAPrivateKey, RSAPublicKey)


def sign(account: Account, secret: str, text: bytes) -> str:
    """The signature of a text, in base64, by the private key that is the secret of this name; the
    same for the same text.

    Raises:
        BadSecret: it is no such key.
    """
    key = _key(account, secret, "private", _private)
    return base64.b64encode(key.sign(text, PKCS1v15(), SHA256())).decode()


def public_key(account: Account, secret: str) -> RSAPublicKey:
    """The public key, or that of the certificate, that is the secret of this name.

    Raises:
        BadSecret: it is no such key.
    """
    return _key(account, secret, "public", _public)


def fits(key: RSAPublicKey, text: bytes, signature: str | None) -> bool:
    """Whether a signature, in base64, is that of the text."""
    try:
        given = base64.b64decode(signature or "", validate=True)
        key.verify(given, text, PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature):
        return False
    return True


def sound(key: object) -> bool:
    """Whether it is a public key of RSA that is neither weak nor a burden."""
    return isinstance(key, RSAPublicKey) and BITS_MIN <= key.key_size <= BITS_MAX


def _key(account: Account, secret: str, kind: str, read: Callable[[str], K]) -> K:
    try:
        key = read(account.secrets.get(secret, "").strip())
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise BadSecret(
            f"secrets.{secret} is no {kind} key of RSA: give it as PEM or its bare base64, without "
            "a password"
        ) from None
    if not BITS_MIN <= key.key_size <= BITS_MAX:
        raise BadSecret(
            f"secrets.{secret} is a key of {key.key_size} bits: use one of {BITS_MIN} to {BITS_MAX}"
        )
    return key


# Reading a key takes longer than signing with it.
@lru_cache(maxsize=64)
def _private(text: str) -> RSAPrivateKey:
    if text.startswith(_PEM):
        key = load_pem_private_key(text.encode(), password=None)
    else:
        key = load_der_private_key(_bytes(text), password=None)
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("of another kind")
    return key


@lru_cache(maxsize=64)
def _public(text: str) -> RSAPublicKey:
    key: object
    if text.startswith(_CERTIFICATE):
        key = x509.load_pem_x509_certificate(text.encode()).public_key()
    elif text.startswith(_PEM):
        key = load_pem_public_key(text.encode())
    else:
        key = load_der_public_key(_bytes(text))
    if not isinstance(key, RSAPublicKey):
        raise ValueError("of another kind")
    return key


def _bytes(text: str) -> bytes:
    return base64.b64decode("".join(text.split()), validate=True)
