"""Signing keys on disk."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.topology import chain
from bailiwick.topology.chain import ChainError


class PublishError(Exception):
    """Nothing was published, or it is not known; the message says which, and what to do."""


def make_key(path: Path) -> Ed25519PrivateKey:
    """Write a new signing key for its owner alone. Raises PublishError if the file exists."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise PublishError(f"{path} exists; a key is never overwritten") from None
    except OSError as error:
        raise PublishError(f"{path}: cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(chain.new_key())
    return signing_key(path)


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Read a signing key. Raises PublishError, also when others could read it."""
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise PublishError(f"{path}: cannot be read: {error.strerror}") from None
    if stat.S_IMODE(mode) & 0o077:
        raise PublishError(f"{path}: others may read this key; chmod 600 it")
    try:
        return chain.read_key(pem)
    except ChainError as error:
        raise PublishError(f"{path}: {error}") from None
