"""A provider's certificates, of which several are good at a time: prepared, and chosen by serial
number. Pure.

Whose certificates they are is for the channel to make sure, when it reads the preparation.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from bailiwick.channels.blocks.signing import rsa
from bailiwick.channels.contract import Account, CallbackRefused, NotPrepared

MOST = 16
"""More are no provider's."""

_SERIAL = re.compile(r"0*([0-9A-F]{1,40})")  # RFC 5280 section 4.1.2.2: 20 bytes at most


def by_serial(texts: Iterable[str], now_ms: int) -> dict[str, str] | None:
    """Certificates (PEM, with keys of RSA) by their serial numbers, in capitals, as values of a
    preparation; those that have ended are left out. None where one of them is no such certificate,
    or there are too many.
    """
    found: dict[str, str] = {}
    for text in texts:
        certificate = _read(text)
        if certificate is None or len(found) == MOST:
            return None
        if now_ms < certificate.not_valid_after_utc.timestamp() * 1_000:
            found[f"{certificate.serial_number:X}"] = text
    return found


def key(account: Account, name: str, serial: str | None, now_ms: int) -> RSAPublicKey:
    """The public key of the certificate with this serial number, of those that were prepared.

    Raises:
        CallbackRefused: that is no serial number.
        NotPrepared: there is no such certificate, or it is not good now: it may be a new one.
    """
    told = _SERIAL.fullmatch((serial or "").upper())
    if told is None:
        raise CallbackRefused("the certificate's serial number is missing or malformed")
    text = account.need(name).get(told[1])
    certificate = None if text is None else _read(text)
    if certificate is None:
        raise NotPrepared(name)
    now = datetime.fromtimestamp(now_ms / 1_000, UTC)
    if not certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc:
        raise NotPrepared(name)
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey), "others were not kept"
    return public


@lru_cache(maxsize=64)
def _read(text: str) -> x509.Certificate | None:
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        return certificate if rsa.sound(certificate.public_key()) else None
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
