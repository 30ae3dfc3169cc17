"""Message authentication codes of ISO 8583 messages. Pure.

Sources: ANSI X9.19 and ISO/IEC 9797-1:2011 (algorithm 3, padding method 1); NIST SP 800-38B.
"""

import hmac

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.cmac import CMAC

from bailiwick.channels.blocks.iso8583.dialect import Mac

BYTES = 8
"""Bytes of the field that holds one."""
_BLOCK = 8
_AES_KEYS = (16, 24, 32)


def key_of(mac: Mac, secret: str) -> bytes:
    """The key that a secret is.

    Raises:
        ValueError: it is none for this algorithm; the message says what is wanted.
    """
    wanted = (16,) if mac.algorithm == "x9.19" else _AES_KEYS
    digits = " or ".join(str(2 * size) for size in wanted)
    try:
        key = bytes.fromhex(secret)
    except ValueError:
        key = b""
    if len(key) not in wanted:
        raise ValueError(f"secrets.{mac.secret} must be {digits} hexadecimal digits")
    return key


def mac_of(mac: Mac, key: bytes, message: bytes) -> bytes:
    """The code of a message, up to the field that holds it."""
    if mac.algorithm == "x9.19":
        return _retail(key, message)
    code = CMAC(algorithms.AES(key))
    code.update(message)
    return code.finalize()[:BYTES]


def fits(mac: Mac, key: bytes, message: bytes, given: bytes) -> bool:
    """Whether a code is that of a message; takes the same time either way."""
    return hmac.compare_digest(mac_of(mac, key, message), given)


def _retail(key: bytes, message: bytes) -> bytes:
    padded = message + bytes(-len(message) % _BLOCK) if message else bytes(_BLOCK)
    first, second = _des(key[:8]), _des(key[8:])
    # Single DES in CBC over all blocks; the last one is taken through both halves of the key.
    chain = Cipher(first, modes.CBC(bytes(_BLOCK))).encryptor()
    last = (chain.update(padded) + chain.finalize())[-_BLOCK:]
    back = Cipher(second, modes.ECB()).decryptor()
    between = back.update(last) + back.finalize()
    again = Cipher(first, modes.ECB()).encryptor()
    return again.update(between) + again.finalize()


def _des(key: bytes) -> TripleDES:
    """Single DES, which is triple DES with one key three times."""
    return TripleDES(key * 3)
