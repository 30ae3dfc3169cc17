"""RSA signatures as providers make them: PKCS #1 v1.5 over SHA-256, in base64. Pure.

Keys are PEM, or the base64 of what a PEM holds, as some consoles show it.
"""

import base64
import binascii
import functools

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

_SIGNATURE_CHARS_MAX = 2_048


def sign(private_key: str, data: bytes) -> str:
    """The signature in base64. Raises ValueError: that is no private key."""
    made = _private(private_key).sign(data, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(made).decode()


def fits(public_key: str, data: bytes, signature: str | None) -> bool:
    """Whether the signature is of the key's owner. Raises ValueError: that is no public key."""
    key = _public(public_key)
    if signature is None or len(signature) > _SIGNATURE_CHARS_MAX:
        return False
    try:
        given = base64.b64decode(signature, validate=True)
        key.verify(given, data, padding.PKCS1v15(), hashes.SHA256())
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


@functools.lru_cache(maxsize=64)
def _private(text: str) -> rsa.RSAPrivateKey:
    try:
        if "-----" in text:
            key = serialization.load_pem_private_key(text.encode(), None)
        else:
            key = serialization.load_der_private_key(base64.b64decode(text, validate=True), None)
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("this is no RSA private key") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("this is no RSA private key")
    return key


@functools.lru_cache(maxsize=64)
def _public(text: str) -> rsa.RSAPublicKey:
    try:
        if "-----" in text:
            key = serialization.load_pem_public_key(text.encode())
        else:
            key = serialization.load_der_public_key(base64.b64decode(text, validate=True))
    except (ValueError, TypeError, binascii.Error):
        raise ValueError("this is no RSA public key") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("this is no RSA public key")
    return key
