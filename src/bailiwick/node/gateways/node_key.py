"""Where the node key comes from: a file, the environment, or a command such as a key management
service's, which prints it."""

import base64
import binascii
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from bailiwick.node.gateways.envelope import KEY_BYTES, NodeKey, NodeKeys
from bailiwick.runtime.settings import SettingsError, secret

COMMAND_S = 10.0
_MAKE = "make one with: openssl rand -base64 32"


def node_keys(current: str, earlier: Sequence[str], base: Path) -> NodeKeys:
    """The keys that the settings name; none where they name none.

    Args:
        current: ``file:PATH``, ``env:NAME`` or ``command:PROGRAM ARGUMENTS``.
        earlier: likewise, of those that only open what they have sealed.
        base: what relative paths count from; commands run there.

    Raises:
        SettingsError: naming the setting and the remedy, never what was read.
    """
    if not current:
        if earlier:
            raise SettingsError("credentials_key: is missing; credentials_keys_earlier needs it")
        return NodeKeys()
    found = [_read(current, "credentials_key", base)]
    for number, each in enumerate(earlier):
        key = _read(each, f"credentials_keys_earlier[{number}]", base)
        if key.id not in {known.id for known in found}:
            found.append(key)
    return NodeKeys(tuple(found))


def _read(reference: str, field: str, base: Path) -> NodeKey:
    scheme, _, rest = reference.partition(":")
    if scheme == "command":
        text = _printed(rest, field, base)
    elif scheme in ("file", "env"):
        text = secret(reference, base=base, field=field)
    else:
        raise SettingsError(f"{field}: write file:PATH, env:NAME or command:PROGRAM ARGUMENTS")
    try:
        return NodeKey(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise SettingsError(f"{field}: must be {KEY_BYTES} bytes in base64; {_MAKE}") from None


def _printed(command: str, field: str, base: Path) -> str:
    """What a command prints. It gets no shell, and no more than ``COMMAND_S``."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise SettingsError(f"{field}: the command cannot be read: {error}") from None
    if not words:
        raise SettingsError(f"{field}: the command is missing; write command:PROGRAM ARGUMENTS")
    try:
        done = subprocess.run(
            words, cwd=base, stdin=subprocess.DEVNULL, capture_output=True, timeout=COMMAND_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise SettingsError(
            f"{field}: {words[0]} did not end within {COMMAND_S:.0f} s; see why it waits"
        ) from None
    except OSError as error:
        raise SettingsError(f"{field}: {words[0]} cannot be run: {error.strerror}") from None
    if done.returncode != 0:
        raise SettingsError(
            f"{field}: {words[0]} ended with status {done.returncode}; run it by hand to see why"
        )
    return done.stdout.decode("ascii", "replace").strip()
