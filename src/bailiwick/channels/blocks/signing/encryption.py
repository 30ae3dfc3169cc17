"""AES-256-GCM with associated data (NIST SP 800-38D): how a provider seals what it sends. Pure."""

import base64
import hashlib

import msgspec
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


class Sealed(msgspec.Struct, frozen=True):
    """A sealed text with what has to be known to open it, as it stands in JSON."""

    algorithm: str
    nonce: str
    ciphertext: str
    associated_data: str = ""

    def opened(self, account: Account, secret: str) -> bytes | None:
        """What is in it, see ``opened``. Raises BadSecret."""
        if self.algorithm != "AEAD_AES_256_GCM":
            return None
        return opened(account, secret, self.nonce, self.associated_data, self.ciphertext)

    @classmethod
    def of(cls, account: Account, secret: str, associated: str, text: bytes) -> "Sealed":
        """The opposite, for tests and simulators."""
        nonce = hashlib.sha256(text).hexdigest()[:NONCE_BYTES]
        sealed = seal(account, secret, nonce, associated, text)
        return cls("AEAD_AES_256_GCM", nonce, sealed, associated)
