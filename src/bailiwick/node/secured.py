"""The connections of a gateway as its settings secure them: read and checked when it is set up."""

import os
from pathlib import Path

from bailiwick.channels.transports import schemes
from bailiwick.channels.transports.secured import Secured
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime import tls
from bailiwick.runtime.settings import SettingsError, secret
from bailiwick.wire.pool import origin
from bailiwick.wire.tunnel import Proxy

_FILES = ("tls_ca", "tls_certificate", "tls_key")


def secured(each: GatewaySettings, transport: str, field: str, base: Path) -> Secured:
    """What the settings of a gateway say of its connections.

    Args:
        transport: the name of its channel's.
        field: where the settings stand, for messages.
        base: what relative paths count from.

    Raises:
        SettingsError: naming field and remedy.
    """
    encrypted = schemes(transport)[1]
    names = [name for name in (*_FILES, "proxy") if getattr(each, name)]
    if names and not each.base_url.startswith(f"{encrypted}://"):
        raise SettingsError(f"{field}.{names[0]}: is for {encrypted}; begin base_url with it")
    fields = tuple(f"{field}.{name}" for name in _FILES)
    places = [
        _place(getattr(each, name), at, base) for name, at in zip(_FILES, fields, strict=True)
    ]
    held = tls.outgoing(*places, fields=fields, http=transport == "http")
    return Secured(held, _proxy(each, transport, field, base))


def _place(reference: str, field: str, base: Path) -> str:
    """A file by its name; what is in the environment gets one."""
    scheme, _, rest = reference.partition(":")
    if not reference:
        return ""
    if scheme == "file" and rest:
        return str(base / rest)
    text = secret(reference, base=base, field=field)
    try:
        # OpenSSL reads files: this one is in memory, and this process's alone.
        number = os.memfd_create(field, os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        raise SettingsError(f"{field}: env: is not possible here; use file:PATH") from None
    with os.fdopen(number, "wb", closefd=False) as file:
        file.write(text.encode())
    return f"/proc/self/fd/{number}"


def _proxy(each: GatewaySettings, transport: str, field: str, base: Path) -> Proxy | None:
    if not each.proxy:
        if each.proxy_credentials:
            raise SettingsError(f"{field}.proxy: is missing; proxy_credentials are for it")
        return None
    if transport != "http":
        raise SettingsError(f"{field}.proxy: is for channels over https; remove it")
    try:
        where = origin(each.proxy)
    except ValueError as error:
        raise SettingsError(f"{field}.proxy: {error}; write http://HOST:PORT") from None
    if where.tls:
        raise SettingsError(f"{field}.proxy: must begin with http://; what passes is encrypted")
    credentials = ""
    if each.proxy_credentials:
        at = f"{field}.proxy_credentials"
        credentials = secret(each.proxy_credentials, base=base, field=at)
        if ":" not in credentials:
            raise SettingsError(f"{at}: must be USER:PASSWORD")
    return Proxy(where.host, where.port, credentials)
