"""The settings of a connection to the broker, alike for every process that has one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

from msgspec import Meta

from bailiwick.bus.base import BusError
from bailiwick.bus.security import Security, checked_servers
from bailiwick.runtime.settings import File, SettingsError

if TYPE_CHECKING:
    from bailiwick.bus.client import Bus

Nats = Annotated[
    list[str],
    Meta(description="addresses of NATS servers, `nats://` or `tls://`; none: go without"),
]
NatsCredentials = Annotated[File, Meta(description="NATS credentials, a `.creds` file")]
NatsCa = Annotated[
    File, Meta(description="authorities trusted for NATS servers, in place of the system's")
]
NatsCertificate = Annotated[File, Meta(description="client certificate shown to NATS, PEM")]
NatsKey = Annotated[File, Meta(description="its private key, PEM, not encrypted")]
NatsInbox = Annotated[
    str,
    Meta(
        description="what the subjects of the broker's answers begin with; none: `_INBOX_<user>`, "
        "which alone the user needs to hear"
    ),
]

NatsReplicas = Annotated[
    int,
    Meta(ge=0, le=5, description="copies of streams made here; 0: 3 if three servers are named"),
]


class HasNats(Protocol):
    """Settings with the fields above."""

    @property
    def nats(self) -> list[str]: ...
    @property
    def nats_credentials(self) -> str: ...
    @property
    def nats_ca(self) -> str: ...
    @property
    def nats_certificate(self) -> str: ...
    @property
    def nats_key(self) -> str: ...
    @property
    def nats_inbox(self) -> str: ...
    @property
    def nats_replicas(self) -> int: ...


def bus_of(settings: HasNats, name: str, base: Path) -> Bus | None:
    """The connection that the settings ask for, not yet started; None if for none.

    Relative files count from ``base``. Raises SettingsError.
    """
    if not settings.nats:
        return None

    def place(path: str) -> Path | None:
        return base / path if path else None

    security = Security(
        credentials=place(settings.nats_credentials),
        ca=place(settings.nats_ca),
        certificate=place(settings.nats_certificate),
        key=place(settings.nats_key),
        inbox=settings.nats_inbox,
    )
    try:
        checked_servers(settings.nats)
        # Only who has a broker pays for loading its client.
        from bailiwick.bus.client import Bus

        return Bus(settings.nats, name, security=security, replicas=settings.nats_replicas or None)
    except BusError as error:
        raise SettingsError(f"nats: {error}") from None
