"""The settings of the sandbox: which providers it plays, and where it keeps its books."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final, Literal

import msgspec

from bailiwick_sandbox.bank import currencies

Kind = Literal[
    "large_domestic_bank",
    "small_domestic_bank",
    "foreign_bank",
    "domestic_platform",
    "foreign_platform",
]
WEEK_MS: Final = 7 * 24 * 3600 * 1000
RESERVED: Final = frozenset({"books", "faults", "delay", "healthz", "sources", "tokens"})
_NAME = re.compile(r"^[a-z0-9][a-z0-9-]{0,39}$")


class ConfigError(Exception):
    """The settings cannot be used; the message names the file, the field and the remedy."""


class HostConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider's host over ISO 8583. ``listen``: HOST:PORT, port 0 takes any; ``mac_key``: in
    hexadecimal digits, of 16 bytes, for codes on all messages about money."""

    listen: str
    style: Literal["ascii", "packed"] = "ascii"
    mac_key: str = ""


class ProviderConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One provider. ``currencies`` absent means every ISO 4217 currency; ``region`` is a label.

    ``token_lasts_ms``: if set, requests are authenticated by access tokens that last so long, and
    the API key gets one.
    """

    name: str
    title: str
    kind: Kind
    api_key: str
    callback_secret: str
    currencies: list[str] | None = None
    region: str = ""
    authorization_ttl_ms: int = WEEK_MS
    iso8583: HostConfig | None = None
    token_lasts_ms: int = 0


class ServerConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of the process; ``journal`` is relative to the settings file.

    ``settle_ms``: how long pending charges, asynchronous refunds and callbacks after a faulty
    answer take, and until a charge is disputed, or a dispute decided. ``dispute_due_ms``: how long
    evidence is taken. ``callback_hosts``: hosts besides loopback that may be called, ``*`` for all.
    ``admin_key`` guards the pages that belong to no provider; it may be empty on loopback only.
    """

    journal: str = "books.jsonl"
    public_url: str = ""
    settle_ms: int = 500
    dispute_due_ms: int = 9 * 86_400_000
    max_body_bytes: int = 65_536
    max_records: int = 10_000_000
    callback_hosts: list[str] = []
    admin_key: str = ""
    seed: int = 0


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole sandbox.toml."""

    providers: list[ProviderConfig]
    server: ServerConfig = ServerConfig()


def load(path: Path) -> Config:
    """Read and check the settings; raises ConfigError with all problems found."""
    try:
        config = msgspec.toml.decode(path.read_bytes(), type=Config)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    problems = _problems(config)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return config


def _problems(config: Config) -> list[str]:
    found: list[str] = []
    if not config.providers:
        found.append("providers: none given; add at least one [[providers]] table")
    names: set[str] = set()
    keys: set[str] = set()
    for index, provider in enumerate(config.providers):
        at = f"providers[{index}]"
        if not _NAME.match(provider.name) or provider.name in RESERVED:
            found.append(
                f"{at}.name: {provider.name!r} must be small letters, digits and hyphens, "
                f"and none of {', '.join(sorted(RESERVED))}"
            )
        if provider.name in names:
            found.append(f"{at}.name: {provider.name!r} is used twice; names are unique")
        names.add(provider.name)
        for field in ("api_key", "callback_secret"):
            secret = getattr(provider, field)
            if len(secret) < 8 or not secret.isascii():
                found.append(f"{at}.{field}: must be 8 or more ASCII characters")
        if provider.api_key in keys:
            found.append(f"{at}.api_key: another provider has the same; keys are unique")
        keys.add(provider.api_key)
        found += [
            f"{at}.currencies: {code!r} is no active ISO 4217 code in capitals"
            for code in provider.currencies or []
            if code not in currencies.CODES
        ]
        if provider.iso8583 is not None:
            found += [f"{at}.iso8583.{each}" for each in _host_problems(provider.iso8583)]
        if provider.authorization_ttl_ms < 1:
            found.append(f"{at}.authorization_ttl_ms: must be 1 or more")
        if provider.token_lasts_ms < 0:
            found.append(f"{at}.token_lasts_ms: must be 0 or more")
    server = config.server
    for field, least in (("settle_ms", 0), ("max_body_bytes", 1024), ("max_records", 1)):
        if getattr(server, field) < least:
            found.append(f"server.{field}: must be {least} or more")
    return found


def _host_problems(host: HostConfig) -> list[str]:
    found = []
    place, colon, port = host.listen.rpartition(":")
    if not (place and colon and port.isdigit() and int(port) < 65_536):
        found.append(f"listen: {host.listen!r} must be HOST:PORT")
    if not re.fullmatch(r"(?:[0-9A-Fa-f]{32})?", host.mac_key):
        found.append("mac_key: must be 32 hexadecimal digits, or empty")
    if host.style == "packed" and not host.mac_key:
        found.append("mac_key: is missing; in this style each message has a code")
    return found


DEFAULT_PROVIDERS: Final[tuple[tuple[str, str, str, Kind, list[str] | None], ...]] = (
    ("apac", "mumbai-bank", "Mumbai Bank", "large_domestic_bank", None),
    ("apac", "pune-cooperative", "Pune Cooperative Bank", "small_domestic_bank", ["INR"]),
    ("apac", "upi-pay", "UPI Pay", "domestic_platform", ["INR"]),
    ("europe", "rhein-bank", "Rhein Bank", "large_domestic_bank", None),
    ("europe", "sepa-pay", "SEPA Pay", "domestic_platform", ["EUR"]),
    ("europe", "alpen-foreign", "Alpen Foreign Bank", "foreign_bank", None),
    ("americas", "paulista-bank", "Paulista Bank", "large_domestic_bank", None),
    ("americas", "pix-pay", "PIX Pay", "domestic_platform", ["BRL"]),
    ("americas", "global-wallet", "Global Wallet", "foreign_platform", None),
)


def write_default(
    path: Path, *, public_url: str = "", journal: str = "books.jsonl", settle_ms: int = 500
) -> Config:
    """Write settings for nine providers, three a region, with fresh random keys, and return them.

    A file that is there already is kept and read instead, so that its keys stay good.
    """
    path = Path(path)
    if path.exists():
        return load(path)
    providers = [
        ProviderConfig(
            name=name,
            title=title,
            kind=kind,
            api_key=f"bank_{secrets.token_hex(16)}",
            callback_secret=f"cbs_{secrets.token_hex(24)}",
            currencies=accepted,
            region=region,
        )
        for region, name, title, kind, accepted in DEFAULT_PROVIDERS
    ]
    server = ServerConfig(journal=journal, public_url=public_url, settle_ms=settle_ms)
    config = Config(providers=providers, server=server)
    path.parent.mkdir(parents=True, exist_ok=True)
    # It holds keys: readable by its owner only, and there whole or not at all.
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(render(config))
    draft.replace(path)
    return config


_USUAL: Final = (("authorization_ttl_ms", WEEK_MS), ("token_lasts_ms", 0))


def render(config: Config) -> str:
    """The settings as TOML."""
    lines = ["[server]"]
    defaults = ServerConfig()
    for field in ServerConfig.__struct_fields__:
        value = getattr(config.server, field)
        if field == "journal" or value != getattr(defaults, field):
            lines.append(f"{field} = {_toml(value)}")
    for provider in config.providers:
        lines += ["", "[[providers]]"]
        for field in ProviderConfig.__struct_fields__:
            value = getattr(provider, field)
            if value is None or (field, value) in _USUAL:
                continue
            if isinstance(value, HostConfig):
                told = msgspec.to_builtins(value)
                inside = ", ".join(f"{name} = {_toml(each)}" for name, each in told.items())
                lines.append(f"{field} = {{{inside}}}")
                continue
            lines.append(f"{field} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    # A JSON string, integer or list of strings is also TOML.
    return msgspec.json.format(msgspec.json.encode(value), indent=-1).decode()
