"""The settings of the overview: options over ``BAILIWICK_*`` over ``overview.toml``."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bailiwick.bus.settings import (
    NatsCa,
    NatsCertificate,
    NatsCredentials,
    NatsInbox,
    NatsKey,
    NatsReplicas,
)
from bailiwick.runtime import settings, tls
from bailiwick.runtime.settings import File, SettingsError

TOKEN_CHARS_MIN = 16


class OverviewSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``overview.toml``. Each field is an option of ``bailiwick overview`` and a variable too."""

    dsn: Annotated[str, Meta(description="the overview's own database; never a node's")]
    operator_token_file: Annotated[
        File, Meta(description="the secret that whoever asks must send as `Bearer` token")
    ]
    nats: Annotated[
        list[str],
        Meta(min_length=1, description="addresses of NATS servers, `nats://` or `tls://`"),
    ]
    nats_credentials: NatsCredentials = ""
    nats_ca: NatsCa = ""
    nats_certificate: NatsCertificate = ""
    nats_key: NatsKey = ""
    nats_inbox: NatsInbox = ""
    nats_replicas: NatsReplicas = 0
    listen: Annotated[
        str, Meta(pattern=r"^.+:[0-9]{1,5}$", description="`HOST:PORT` for operators")
    ] = "127.0.0.1:9300"
    tls_certificate: Annotated[
        File, Meta(description="certificate chain shown to operators, PEM; makes `listen` https")
    ] = ""
    tls_key: Annotated[File, Meta(description="its private key, PEM, not encrypted")] = ""
    pool_max: Annotated[int, Meta(ge=2, le=100, description="database connections")] = 6
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least that is logged")
    ] = "info"


class Loaded(msgspec.Struct, frozen=True):
    """Settings with the secret and the certificates they refer to."""

    settings: OverviewSettings
    token: str
    incoming: tls.Incoming | None = None


def load(path: Path | None, options: dict[str, str | bool | None]) -> Loaded:
    """Read the settings and what they name. Raises SettingsError with field and remedy."""
    chosen = settings.layered(
        path, OverviewSettings, options, source="options and BAILIWICK_* variables"
    )
    token = settings.secret(
        f"file:{chosen.operator_token_file}", base=Path(), field="operator_token_file"
    )
    if len(token) < TOKEN_CHARS_MIN:
        raise SettingsError(
            f"operator_token_file: {chosen.operator_token_file} holds fewer than "
            f"{TOKEN_CHARS_MIN} characters; make one with: openssl rand -hex 32"
        )
    incoming = tls.incoming(
        chosen.tls_certificate, chosen.tls_key, "", fields=("tls_certificate", "tls_key")
    )
    return Loaded(chosen, token, incoming)
