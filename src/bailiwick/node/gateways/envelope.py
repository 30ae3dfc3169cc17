"""Credentials as they are kept: encrypted with a data key of their own, which the node key wraps.

AES-256-GCM (NIST SP 800-38D) for both. Every sealing makes a new data key, so none encrypts twice;
node and gateway are authenticated with it, so that a row's credentials are good in that row alone.
Another node key needs only the data key wrapped anew.
"""

import hashlib
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
_NONCE_BYTES = 12
_values = msgspec.json.Decoder(dict[str, str])


class WrongKey(Exception):
    """No key that is here opens it; the message names the keys by their ids."""


class NodeKey:
    """A key that wraps data keys.

    Attributes:
        id: names it, and tells nothing of it.
    """

    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise ValueError(f"a node key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(raw)
        self.id = hashlib.sha256(b"bailiwick node key|" + raw).hexdigest()[:12]

    def wrap(self, key: bytes, place: bytes) -> bytes:
        """A data key, encrypted for its place."""
        return _encrypted(self._cipher, key, place + b"|key")

    def unwrap(self, wrapped: bytes, place: bytes) -> bytes:
        """The data key. Raises InvalidTag."""
        return _decrypted(self._cipher, wrapped, place + b"|key")


class NodeKeys(msgspec.Struct, frozen=True):
    """The keys of a node: what is sealed, is sealed with the first; all open."""

    all: tuple[NodeKey, ...] = ()

    @property
    def current(self) -> NodeKey | None:
        """The one that seals; None: none is configured."""
        return self.all[0] if self.all else None

    def over(self, earlier: "NodeKeys") -> "NodeKeys":
        """These, and behind them those of others that are not among them."""
        known = {each.id for each in self.all}
        return NodeKeys((*self.all, *(each for each in earlier.all if each.id not in known)))

    def named(self, identifier: str) -> NodeKey:
        """One by its id. Raises WrongKey."""
        found = next((each for each in self.all if each.id == identifier), None)
        if found is None:
            here = ", ".join(each.id for each in self.all) or "none"
            raise WrongKey(f"encrypted with node key {identifier}; here is {here}")
        return found


class Sealed(msgspec.Struct, frozen=True):
    """Credentials as they stand in a row."""

    node_key: str
    wrapped_key: bytes
    credentials: bytes


def seal(values: dict[str, str], key: NodeKey, node: int, gateway: str) -> Sealed:
    """Encrypt credentials for the row of a gateway."""
    place, data_key = _place(node, gateway), os.urandom(KEY_BYTES)
    data = _encrypted(AESGCM(data_key), msgspec.json.encode(values), place + b"|values")
    return Sealed(key.id, key.wrap(data_key, place), data)


def unseal(sealed: Sealed, keys: NodeKeys, node: int, gateway: str) -> dict[str, str]:
    """The credentials.

    Raises:
        WrongKey: the key is not here, or the row is not what was sealed.
    """
    place = _place(node, gateway)
    key = keys.named(sealed.node_key)
    try:
        data_key = key.unwrap(sealed.wrapped_key, place)
        return _values.decode(_decrypted(AESGCM(data_key), sealed.credentials, place + b"|values"))
    except (InvalidTag, ValueError):
        raise WrongKey(f"not what node key {key.id} has encrypted: the row was altered") from None


def rewrap(sealed: Sealed, keys: NodeKeys, node: int, gateway: str) -> Sealed:
    """The same under the current node key; the secrets themselves stay closed. Raises WrongKey."""
    current = keys.current
    assert current is not None, "whoever rotates has a key"
    place = _place(node, gateway)
    key = keys.named(sealed.node_key)
    try:
        data_key = key.unwrap(sealed.wrapped_key, place)
    except InvalidTag:
        raise WrongKey(f"not what node key {key.id} has encrypted: the row was altered") from None
    wrapped = current.wrap(data_key, place)
    return msgspec.structs.replace(sealed, node_key=current.id, wrapped_key=wrapped)


def _place(node: int, gateway: str) -> bytes:
    return f"bailiwick gateway credentials 1|{node}|{gateway}".encode()


def _encrypted(cipher: AESGCM, data: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, place)


def _decrypted(cipher: AESGCM, data: bytes, place: bytes) -> bytes:
    return cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], place)
