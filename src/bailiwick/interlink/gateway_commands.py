"""What operators ask of a node's gateways, and how credentials travel with it. Pure.

The question is sealed as all internal ones are (``base.sealing``). Credentials in it are encrypted
besides, with a key made of the secret that nodes and operators share: where the way to the node is
not, nobody on it can read them.
"""

import base64
import os
from typing import Any, Final, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bailiwick.base.errors import ApiError
from bailiwick.base.sealing import Stamp

PATH: Final = "/internal/gateways"
KIND: Final = "gateways"
"""Of the seals; see ``base.sealing``."""
FRESH_MS: Final = 60_000
ASKERS_MAX: Final = 1_024
BYTES_MAX: Final = 256 * 1024
_NONCE_BYTES = 12
_values = msgspec.json.Decoder(dict[str, str])

Verb = Literal[
    "list", "show", "add", "change", "enable", "disable", "drain", "credentials", "rotate_key"
]


class GatewayQuestion(Stamp, frozen=True, kw_only=True):
    """What an operator asks or orders.

    Attributes:
        gateway: its name; "" for all.
        version: the one that the operator has seen; a later one refuses the order. 0: it is as the
            settings file says, or is to be added.
        by: who gives the order, for the record.
        settings: fields with their new values; ``unset``: fields that are to be as in the settings
            file again, or as by default.
        secrets: see ``hidden``; "": none are given.
        unchecked: to be taken although the provider does not accept it now.
        same_account: the operator says that the credentials are of the same account as before.
    """

    verb: Verb
    gateway: str = ""
    version: int = 0
    by: str = ""
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    unset: list[str] = msgspec.field(default_factory=list)
    secrets: str = ""
    unchecked: bool = False
    same_account: bool = False


def hidden(secret: bytes, stamp: Stamp, gateway: str, values: dict[str, str]) -> str:
    """Credentials as a question carries them; good in that question alone."""
    nonce = os.urandom(_NONCE_BYTES)
    data = AESGCM(_key(secret)).encrypt(nonce, msgspec.json.encode(values), _bound(stamp, gateway))
    return base64.b64encode(nonce + data).decode("ascii")


def revealed(secret: bytes, question: GatewayQuestion) -> dict[str, str]:
    """The credentials that a question carries.

    Raises:
        ApiError: 400, they were hidden with another secret, or for another question.
    """
    try:
        raw = base64.b64decode(question.secrets, validate=True)
        nonce, data = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
        bound = _bound(question, question.gateway)
        return _values.decode(AESGCM(_key(secret)).decrypt(nonce, data, bound))
    except (ValueError, InvalidTag):
        raise ApiError.invalid("These secrets cannot be read.", param="secrets") from None


def _key(secret: bytes) -> bytes:
    info = b"bailiwick gateway credentials on their way 1"
    return HKDF(hashes.SHA256(), 32, None, info).derive(secret)


def _bound(stamp: Stamp, gateway: str) -> bytes:
    return f"{stamp.node}|{stamp.at_ms}|{stamp.asker}|{stamp.count}|{gateway}".encode()
