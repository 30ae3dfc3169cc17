"""AES-256-GCM with associated data (NIST SP 800-38D): how a provider seals what it sends. Pure."""

import base64

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bailiwick.channels.contract import Account, BadSecret

KEY_BYTES = 32
NONCE_BYTES = 12
SEALED_CHARS_MAX = 1_048_576


def opened(account: Account, secret: str, nonce: str, associated: str, sealed: str) -> bytes | None:
    """What is in a sealed text, or None where it was not sealed so, with this key.

    Args:
        secret: the name of the secret whose bytes are the key.
        nonce, associated: as they were told beside it.
        sealed: the text with its tag behind it, in base64.

    Raises:
        BadSecret: no such key.
    """
    cipher = _cipher(account, secret)
    if len(nonce.encode(errors="replace")) != NONCE_BYTES or len(sealed) > SEALED_CHARS_MAX:
        return None
    try:
        given = base64.b64decode(sealed, validate=True)
        return cipher.decrypt(nonce.encode(), given, associated.encode())
    except (ValueError, InvalidTag):
        return None


def seal(account: Account, secret: str, nonce: str, associated: str, text: bytes) -> str:
    """The opposite, for tests and simulators: a nonce is used once."""
    cipher = _cipher(account, secret)
    return base64.b64encode(cipher.encrypt(nonce.encode(), text, associated.encode())).decode()


def _cipher(account: Account, secret: str) -> AESGCM:
    key = account.secrets.get(secret, "").encode()
    if len(key) != KEY_BYTES:
        raise BadSecret(f"secrets.{secret} must have {KEY_BYTES} characters; correct it")
    return AESGCM(key)
