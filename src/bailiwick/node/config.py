"""The node's own settings: ``node.toml`` with ``BAILIWICK_*`` over it."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bailiwick.channels.base import Account
from bailiwick.channels.registry import channel
from bailiwick.shell.settings import SettingsError, read, secret

Kind = Literal[
    "large_domestic_bank",
    "small_domestic_bank",
    "foreign_bank",
    "domestic_platform",
    "foreign_platform",
]
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[[gateways]]`` entry: a channel to configure and connect at this node.

    Amounts: ``cost_bps`` in basis points of the payment, ``cost_fixed`` in minor units.
    """

    name: Name
    channel: str
    kind: Kind
    base_url: str
    mode: Literal["test", "live"] = "test"
    priority: Annotated[int, Meta(ge=0, le=10_000)] = 100
    cost_bps: Annotated[int, Meta(ge=0, le=10_000)] = 0
    cost_fixed: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    countries: list[str] = []
    currencies: list[str] = []
    methods: tuple[str, ...] = ("card",)
    secrets: dict[str, str] = {}
    connections_max: Annotated[int, Meta(ge=1, le=4096)] = 256
    visibility_ms: Annotated[int, Meta(ge=0, le=86_400_000)] | None = None
    total_ms: Annotated[int, Meta(ge=100, le=30_000)] | None = None


class NodeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``node.toml``. Relative paths count from the file's folder.

    ``deadline_ms``: what is not definite after so long is answered as ``processing``.
    ``capacity``: payments under way at once before new ones are refused by tombstone.
    """

    number: Annotated[int, Meta(ge=1, le=65_535)]
    name: Name
    listen: str
    dsn: str
    world: str
    internal_secret_file: str
    public_url: str = ""
    deadline_ms: Annotated[int, Meta(ge=50, le=60_000)] = 12_000
    capacity: Annotated[int, Meta(ge=1, le=100_000)] = 1_024
    pool_max: Annotated[int, Meta(ge=2, le=200)] = 12
    resolve_every_ms: Annotated[int, Meta(ge=20, le=60_000)] = 500
    webhook_private_addresses: bool = False
    mmdb: str = ""
    gateways: list[GatewaySettings] = []


class Loaded(msgspec.Struct, frozen=True):
    """Settings with everything that they refer to read."""

    settings: NodeSettings
    accounts: dict[str, Account]
    internal_secret: bytes
    world: Path


def load(path: Path) -> Loaded:
    """Read ``node.toml`` and the secrets it names.

    Raises:
        SettingsError: naming file, field and remedy.
    """
    settings = read(path, NodeSettings)
    base = path.resolve().parent
    problems: list[str] = []
    accounts: dict[str, Account] = {}
    for place, each in enumerate(settings.gateways):
        field = f"gateways[{place}]"
        if each.name in accounts:
            problems.append(f"{path}: {field}.name: '{each.name}' is used twice; rename one")
            continue
        try:
            accounts[each.name] = _account(each, field, base)
        except SettingsError as error:
            problems += [f"{path}: {line}" for line in error.problems]
    if problems:
        raise SettingsError(*problems)
    internal = secret(
        f"file:{settings.internal_secret_file}", base=base, field="internal_secret_file"
    )
    return Loaded(settings, accounts, internal.encode(), (base / settings.world).resolve())


def _account(each: GatewaySettings, field: str, base: Path) -> Account:
    live = each.mode == "live"
    try:
        profile = channel(each.channel).profile
    except LookupError as error:
        raise SettingsError(f"{field}.channel: {error.args[0]}") from None
    missing = [name for name in profile.secrets if name not in each.secrets]
    if missing:
        raise SettingsError(
            f"{field}.secrets: {', '.join(missing)} missing; "
            f'add e.g. {missing[0]} = "env:NAME" or "file:PATH"'
        )
    if live and not each.base_url.startswith("https://"):
        raise SettingsError(f"{field}.base_url: live mode needs https")
    values = {
        name: secret(reference, base=base, field=f"{field}.secrets.{name}", plain=not live)
        for name, reference in each.secrets.items()
    }
    return Account(each.name, each.base_url.rstrip("/"), values, live)
