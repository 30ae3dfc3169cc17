"""The node's own settings: ``node.toml`` with ``BAILIWICK_*`` over it."""

from pathlib import Path
from typing import Annotated

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
from bailiwick.channels.contract import Account
from bailiwick.channels.registry import BadChannel, channel
from bailiwick.channels.transports import schemes
from bailiwick.channels.transports.secured import Secured
from bailiwick.node.secured import secured
from bailiwick.routing.settings import GatewaySettings, Name
from bailiwick.runtime import tls
from bailiwick.runtime.settings import File, SettingsError, read, secret
from bailiwick.screening.scorer import OutsideScorer
from bailiwick.topology.chain import ChainError
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.joining import WorldTrust

Address = Annotated[str, Meta(pattern=r"^(.+:[0-9]{1,5})?$")]


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``node.toml``. Relative paths count from the file's folder.

    ``deadline_ms``: what is not definite after so long is answered as ``processing``.
    ``capacity``: payments under way at once before new ones are refused by tombstone.
    ``queue_target_ms``: own time of new payments, above which fewer are let in.
    """

    number: Annotated[int, Meta(ge=1, le=65_535, description="permanent; as in `topology.toml`")]
    name: Annotated[Name, Meta(description="for logs, answers and messages")]
    listen: Annotated[Address, Meta(description="`HOST:PORT` for access")]
    dsn: Annotated[str, Meta(description="this node's database; the role must own it")]
    world: Annotated[File, Meta(description="folder of the world")]
    internal_secret_file: Annotated[
        File,
        Meta(description="the secret that all nodes and access share; it signs refusals"),
    ]
    world_trust: WorldTrust = ""
    url: Annotated[
        str,
        Meta(
            description="as in `topology.toml`; set, a process whose node was adopted elsewhere "
            "notices and stops; none: not checked"
        ),
    ] = ""
    tls_certificate: Annotated[
        File, Meta(description="certificate chain shown to access, PEM; makes `listen` https")
    ] = ""
    tls_key: Annotated[File, Meta(description="its private key, PEM, not encrypted")] = ""
    tls_client_ca: Annotated[
        File,
        Meta(
            description="authorities one of which must have signed the certificate of who connects"
        ),
    ] = ""
    callback_listen: Annotated[
        Address,
        Meta(
            description="`HOST:PORT` for providers: callbacks, payers who come back, `/healthz`, "
            "`/readyz`, no more"
        ),
    ] = ""
    connections_per_address: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="connections to `listen` from one IPv4 address or IPv6 /64; each access "
            "process has up to 258; 0: no bound but that of all, 4,096",
        ),
    ] = 0
    callback_connections_per_address: Annotated[
        int, Meta(ge=0, le=1_000_000, description="the same for `callback_listen`")
    ] = 2_048
    callback_certificate: Annotated[
        File, Meta(description="certificate chain shown there; none: http, for a proxy")
    ] = ""
    callback_key: Annotated[File, Meta(description="its private key, PEM, not encrypted")] = ""
    public_url: Annotated[
        str, Meta(description="where providers reach the node; none: the listening address")
    ] = ""
    callback_base: Annotated[
        str,
        Meta(
            description="what stands before a gateway's name in callbacks; none: "
            "`<public_url>/v1/callbacks`"
        ),
    ] = ""
    return_base: Annotated[
        str,
        Meta(
            description="what stands before an attempt's id in the addresses to which payers come "
            "back; none: `callback_base` with `/returns` in place of `/callbacks`, or "
            "`<public_url>/v1/returns`"
        ),
    ] = ""
    deadline_ms: Annotated[
        int,
        Meta(
            ge=50, le=60_000, description="what is not definite by then is answered as `processing`"
        ),
    ] = 12_000
    capacity: Annotated[
        int,
        Meta(
            ge=1, le=100_000, description="requests under way, above which new payments are refused"
        ),
    ] = 1_024
    queue_target_ms: Annotated[
        int,
        Meta(
            ge=5,
            le=10_000,
            description="how long new payments may queue in the node before some are refused",
        ),
    ] = 100
    pool_max: Annotated[int, Meta(ge=2, le=200, description="database connections for reading")] = (
        12
    )
    resolve_every_ms: Annotated[
        int, Meta(ge=20, le=60_000, description="how often the resolver looks for what is due")
    ] = 500
    webhook_private_addresses: Annotated[
        bool, Meta(description="webhooks to `http` and private addresses: tests only")
    ] = False
    mmdb: Annotated[
        File,
        Meta(description="MaxMind DB file of countries, asked before the built-in IP data"),
    ] = ""
    nats: Nats = []
    nats_credentials: NatsCredentials = ""
    nats_ca: NatsCa = ""
    nats_certificate: NatsCertificate = ""
    nats_key: NatsKey = ""
    nats_inbox: NatsInbox = ""
    nats_replicas: NatsReplicas = 0
    events: Annotated[
        bool, Meta(description="publish events for the overview, over the servers of `nats`")
    ] = False
    scorer_url: Annotated[
        str,
        Meta(
            description="where a scorer outside is asked about charges of merchants that want it; "
            "see [screening](../screening.md)"
        ),
    ] = ""
    scorer_secret: Annotated[
        str,
        Meta(
            description="by which questions to it are signed, `whsec_...`: `file:PATH`, `env:NAME`"
        ),
    ] = ""
    gateways: Annotated[list[GatewaySettings], Meta(description="tables of their own, below")] = []


class Loaded(msgspec.Struct, frozen=True):
    """Settings with everything that they refer to read."""

    settings: NodeSettings
    accounts: dict[str, Account]
    internal_secret: bytes
    world: Path
    folder: Path = Path()
    world_trust: Path | None = None
    incoming: tls.Incoming | None = None
    callback_incoming: tls.Incoming | None = None
    secured: dict[str, Secured] = {}
    scorer: OutsideScorer | None = None


def load(path: Path) -> Loaded:
    """Read ``node.toml`` and the secrets it names.

    Raises:
        SettingsError: naming file, field and remedy.
    """
    settings = read(path, NodeSettings)
    base = path.resolve().parent
    problems: list[str] = []
    if settings.events and not settings.nats:
        problems.append(
            f"{path}: nats: is missing; events are published over it. Or events = false"
        )
    accounts: dict[str, Account] = {}
    connections: dict[str, Secured] = {}
    for place, each in enumerate(settings.gateways):
        field = f"gateways[{place}]"
        if each.name in accounts:
            problems.append(f"{path}: {field}.name: '{each.name}' is used twice; rename one")
            continue
        try:
            accounts[each.name] = _account(each, field, base)
            transport = channel(each.channel).profile.transport
            connections[each.name] = secured(each, transport, field, base)
        except SettingsError as error:
            problems += [f"{path}: {line}" for line in error.problems]
    problems += [f"{path}: {line}" for line in _vault_problems(settings.gateways)]
    if problems:
        raise SettingsError(*problems)
    internal = secret(
        f"file:{settings.internal_secret_file}", base=base, field="internal_secret_file"
    )
    incoming, callback_incoming = _tls(settings, path, base)
    scorer = _scorer(settings, path, base)
    world = (base / settings.world).resolve()
    if settings.mmdb:
        settings = msgspec.structs.replace(settings, mmdb=str(base / settings.mmdb))
    trust = (base / settings.world_trust).resolve() if settings.world_trust else None
    try:
        if trust is not None:
            Epochs(world, trust).trust()
    except ChainError as error:
        raise SettingsError(f"{path}: world_trust: {error}") from None
    return Loaded(
        settings,
        accounts,
        internal.encode(),
        world,
        base,
        trust,
        incoming,
        callback_incoming,
        connections,
        scorer,
    )


def _scorer(settings: NodeSettings, path: Path, base: Path) -> OutsideScorer | None:
    """The scorer outside, if there is one. Raises SettingsError."""
    if not settings.scorer_url and not settings.scorer_secret:
        return None
    if not settings.scorer_url:
        raise SettingsError(f"{path}: scorer_url: is missing; scorer_secret is for it")
    try:
        signing = secret(settings.scorer_secret, base=base, field="scorer_secret")
        return OutsideScorer(settings.scorer_url, signing)
    except SettingsError as error:
        raise SettingsError(*(f"{path}: {line}" for line in error.problems)) from None
    except ValueError as error:
        raise SettingsError(f"{path}: {error}") from None


def _vault_problems(gateways: list[GatewaySettings]) -> list[str]:
    """Gateways that share a vault are entries for one account: of one channel, in one mode."""
    first: dict[str, GatewaySettings] = {}
    problems = []
    for place, each in enumerate(gateways):
        other = first.setdefault(each.vault_name, each)
        if (other.channel, other.mode) != (each.channel, each.mode):
            problems.append(
                f"gateways[{place}].vault: '{each.vault_name}' is that of gateway '{other.name}', "
                f"which is channel {other.channel} in {other.mode} mode; one account's gateways "
                "have one channel and mode. Give it another"
            )
    return problems


def callback_base(settings: NodeSettings) -> str:
    """What stands before "/" and a gateway's name in the address of its callbacks."""
    if settings.callback_base:
        return settings.callback_base.rstrip("/")
    return _reached_at(settings) + "/v1/callbacks"


def return_base(settings: NodeSettings) -> str:
    """What stands before "/" and an attempt's id in the address to which its payer comes back."""
    if settings.return_base:
        return settings.return_base.rstrip("/")
    called = settings.callback_base.rstrip("/")
    if called.endswith("/callbacks"):
        return called.removesuffix("/callbacks") + "/returns"
    return _reached_at(settings) + "/v1/returns"


def _reached_at(settings: NodeSettings) -> str:
    certificate = settings.tls_certificate
    if settings.callback_listen:
        certificate = settings.callback_certificate
    scheme = "https" if certificate else "http"
    listening = f"{scheme}://{settings.callback_listen or settings.listen}"
    return (settings.public_url or listening).rstrip("/")


def _tls(
    settings: NodeSettings, path: Path, base: Path
) -> tuple[tls.Incoming | None, tls.Incoming | None]:
    """What is shown to access and to providers. Raises SettingsError."""

    def place(name: str) -> str:
        return str(base / name) if name else ""

    problems = []
    if settings.callback_certificate and not settings.callback_listen:
        problems.append("callback_listen: is missing; callback_certificate is for it")
    unreachable = settings.tls_client_ca and not settings.callback_listen
    if unreachable and settings.gateways and not settings.callback_base:
        problems.append(
            "callback_base: is missing; providers have no client certificate for listen. Write "
            f"https://<access>/v1/nodes/{settings.name}/callbacks, or set callback_listen"
        )
    if settings.callback_base and not settings.callback_base.startswith(("http://", "https://")):
        problems.append("callback_base: must begin with https:// or http://; correct it")
    if settings.return_base and not settings.return_base.startswith(("http://", "https://")):
        problems.append("return_base: must begin with https:// or http://; correct it")
    if problems:
        raise SettingsError(*(f"{path}: {line}" for line in problems))
    try:
        return (
            tls.incoming(
                place(settings.tls_certificate),
                place(settings.tls_key),
                place(settings.tls_client_ca),
                fields=("tls_certificate", "tls_key", "tls_client_ca"),
            ),
            tls.incoming(
                place(settings.callback_certificate),
                place(settings.callback_key),
                fields=("callback_certificate", "callback_key"),
            ),
        )
    except SettingsError as error:
        raise SettingsError(*(f"{path}: {line}" for line in error.problems)) from None


def _account(each: GatewaySettings, field: str, base: Path) -> Account:
    live = each.mode == "live"
    try:
        profile = channel(each.channel).profile
    except (LookupError, BadChannel) as error:
        raise SettingsError(f"{field}.channel: {error.args[0]}") from None
    missing = [name for name in profile.secrets if name not in each.secrets]
    if missing:
        raise SettingsError(
            f"{field}.secrets: {', '.join(missing)} missing; "
            f'add e.g. {missing[0]} = "env:NAME" or "file:PATH"'
        )
    unknown = [name for name in profile.options if not each.options.get(name)]
    if unknown:
        raise SettingsError(
            f'{field}.options: {", ".join(unknown)} missing; add e.g. {unknown[0]} = "...", as '
            "the channel's page says"
        )
    surplus = sorted(set(each.options) - {*profile.options, *profile.other_options})
    if surplus:
        raise SettingsError(
            f"{field}.options.{surplus[0]}: {profile.title} knows no such option; remove it"
        )
    plain, encrypted = schemes(profile.transport)
    if live and not each.base_url.startswith(f"{encrypted}://"):
        raise SettingsError(f"{field}.base_url: live mode needs {encrypted}")
    if not each.base_url.startswith((f"{plain}://", f"{encrypted}://")):
        raise SettingsError(f"{field}.base_url: must begin with {encrypted}:// or {plain}://")
    values = {
        name: secret(reference, base=base, field=f"{field}.secrets.{name}", plain=not live)
        for name, reference in each.secrets.items()
    }
    return Account(each.name, each.base_url.rstrip("/"), values, live, each.options)
