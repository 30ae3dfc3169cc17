"""The settings of one access process: options over ``BAILIWICK_*`` over ``access.toml``."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bailiwick.bus.settings import (
    Nats,
    NatsCa,
    NatsCertificate,
    NatsCredentials,
    NatsInbox,
    NatsKey,
    NatsReplicas,
)
from bailiwick.runtime.settings import File
from bailiwick.topology.joining import WorldTrust


class AccessSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``access.toml``. Each field is an option of ``bailiwick access`` and a variable as well."""

    world: Annotated[File, Meta(description="folder of the world; looked at each second")]
    internal_secret_file: Annotated[
        File, Meta(description="the secret that access processes and nodes share")
    ]
    world_trust: WorldTrust = ""
    listen: Annotated[str, Meta(description="`HOST:PORT` for clients")] = "127.0.0.1:9000"
    status_listen: Annotated[
        str,
        Meta(
            description="`HOST:PORT` for operators, plain HTTP: `/usage`, `/metrics`, all of "
            "`/readyz`; with `shared_port` the first free of 16 ports from there; none: nowhere"
        ),
    ] = "127.0.0.1:9010"
    tls_certificate: Annotated[
        File, Meta(description="certificate chain shown to clients, PEM; makes `listen` https")
    ] = ""
    tls_key: Annotated[File, Meta(description="its private key, PEM, not encrypted")] = ""
    node_ca: Annotated[
        File,
        Meta(description="authorities trusted for nodes' certificates, in place of the system's"),
    ] = ""
    node_certificate: Annotated[
        File, Meta(description="client certificate shown to nodes, PEM")
    ] = ""
    node_key: Annotated[File, Meta(description="its private key, PEM, not encrypted")] = ""
    nats: Nats = []
    nats_credentials: NatsCredentials = ""
    nats_ca: NatsCa = ""
    nats_certificate: NatsCertificate = ""
    nats_key: NatsKey = ""
    nats_inbox: NatsInbox = ""
    nats_replicas: NatsReplicas = 0
    region: Annotated[
        str,
        Meta(
            description="node whose region this process stands in: strict places elsewhere get "
            "421 with the address to use"
        ),
    ] = ""
    ip_file: Annotated[
        File,
        Meta(
            description="MaxMind DB file of countries, asked before the built-in IP data; the "
            "same at all processes"
        ),
    ] = ""
    rate: Annotated[
        float,
        Meta(
            ge=0,
            description="requests per second at the access processes of this region with secret "
            "keys of one merchant and mode, and as many again with its publishable keys; 0: no "
            "bound",
        ),
    ] = 0.0
    public_rate_per_second: Annotated[
        float,
        Meta(
            ge=0,
            description="of the latter, from one client address (IPv6: /64); behind a proxy that "
            "is the proxy's; 0: no bound",
        ),
    ] = 0.0
    connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="connections to this process from one IPv4 address or IPv6 /64; a proxy "
            "before it is one address; 0: no bound but that of all, 4,096",
        ),
    ] = 2_048
    shared_port: Annotated[bool, Meta(description="let several processes listen on one port")] = (
        False
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="the least that is logged")
    ] = "info"
