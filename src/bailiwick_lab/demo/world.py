"""The demo's world: regions, merchants, gateways and providers, written once as files.

Nothing here is overwritten at a later start: the files are the user's to change.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from bailiwick_lab.demo.regions import GROUPS, REGIONS, RESIDENCY, Provider, Region
from bailiwick_lab.servers.ports import claim, free_port, port_is_free

__all__ = [
    "GROUPS", "MOST_NODES", "REGIONS", "RESIDENCY", "MerchantKeys", "Node", "Ports",
    "Provider", "Region", "WorldProblem", "free_port", "homes", "load_ports", "local_url",
    "region_named", "regions", "rules", "url_of", "write", "write_node", "write_ports",
    "write_world",
]  # fmt: skip

MOST_NODES: Final = 6
PREFERRED_ACCESS_PORT: Final = 9000
TRUST: Final = "trust.json"
"""Beside the folder of the world: the keys whose signature the demo's processes go by."""
_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class WorldProblem(Exception):
    """The demo's folder does not fit what was asked; the message has the remedy."""


class Ports(msgspec.Struct):
    """Every port of the demo, chosen at the first start and kept.

    ``status``: where each access process tells operators. ``hosts``: address of "sandbox" or a node
    that is not on 127.0.0.1; ``doors``: URL by which access reaches a node where that is not the
    node's own.
    """

    access: list[int]
    sandbox: int
    nodes: dict[str, int]
    postgres: dict[str, int]
    status: list[int] = []
    nats: int = 0
    overview: int = 0
    overview_postgres: int = 0
    hosts: dict[str, str] = {}
    doors: dict[str, str] = {}

    def address(self, name: str) -> str:
        """Where "sandbox" or a node listens, HOST:PORT."""
        port = self.sandbox if name == "sandbox" else self.nodes[name]
        return f"{self.hosts.get(name, '127.0.0.1')}:{port}"

    def all(self) -> list[int]:
        others = (self.sandbox, self.nats, self.overview, self.overview_postgres)
        listed = (*self.access, *self.status, *filter(None, others))
        return [*listed, *self.nodes.values(), *self.postgres.values()]


class MerchantKeys(msgspec.Struct, frozen=True):
    """The keys of one seeded merchant, as given to its developer.

    ``country``: where its payers are if nobody says it; "" for nowhere, so each request must.
    """

    id: str
    name: str
    secret: str
    publishable: str
    country: str = ""


class Node(msgspec.Struct, frozen=True):
    """One node of this demo, with the places it is home to."""

    region: Region
    url: str
    folder: Path
    jurisdictions: list[str]


def regions(count: int) -> tuple[Region, ...]:
    """The regions of a demo with `count` nodes; with one, it serves the whole world."""
    if not 1 <= count <= MOST_NODES:
        raise WorldProblem(f"--nodes must be from 1 to {MOST_NODES}")
    return REGIONS[:count]


def region_named(name: str) -> Region:
    """A region by its node's name. Raises WorldProblem."""
    found = next((region for region in REGIONS if region.name == name), None)
    if found is None:
        known = ", ".join(region.name for region in REGIONS)
        raise WorldProblem(f"the demo knows no region '{name}'; known: {known}")
    return found


def rules(count: int) -> list[dict[str, Any]]:
    """The topology's rules: each place, its nodes with the home first, and its residency."""
    present = {region.name for region in regions(count)}
    order = [region.name for region in regions(count)]
    found: list[dict[str, Any]] = []
    for region in REGIONS:
        home = region.name
        while home not in present:
            home = next((one.without for one in REGIONS if one.name == home), "") or order[0]
        rest = [name for name in order if name != home]
        for place in region.places:
            residency = RESIDENCY.get(place, "free")
            nodes = [home] if residency == "strict" else [home, *rest]
            found.append({"places": [place], "nodes": nodes, "residency": residency})
    return found


def homes(count: int) -> dict[str, list[str]]:
    """Node -> the places whose home it is."""
    found: dict[str, list[str]] = {region.name: [] for region in regions(count)}
    for rule in rules(count):
        found[rule["nodes"][0]] += rule["places"]
    return found


def load_ports(data: Path, count: int, accesses: int, port: int | None) -> Ports:
    """The kept ports, or new ones; raises WorldProblem when a kept one is taken."""
    file = data / "ports.json"
    names = [region.name for region in regions(count)]
    if file.exists():
        try:
            ports = msgspec.json.decode(file.read_bytes(), type=Ports)
        except msgspec.DecodeError as error:
            raise WorldProblem(f"{file} is damaged ({error}); restore it") from error
        if len(ports.nodes) != count:
            raise WorldProblem(
                f"{data} was made with {len(ports.nodes)} nodes; give --nodes {len(ports.nodes)}, "
                "or another folder with --data"
            )
    else:
        ports = Ports(access=[], sandbox=0, nodes={}, postgres={})
        preferred = PREFERRED_ACCESS_PORT if port is None else port
        free = all(port_is_free(preferred + step) for step in range(accesses))
        if port is not None or (free and claim(preferred)):
            ports.access.append(preferred)
        for name in names:
            ports.nodes[name] = free_port(ports.all())
            ports.postgres[name] = free_port(ports.all())
        ports.sandbox = free_port(ports.all())
    ports.nats = ports.nats or free_port(ports.all())
    if port is not None and ports.access and ports.access[0] != port:
        ports.access = [port]
    while len(ports.access) < accesses:
        following = ports.access[-1] + 1 if ports.access else 0
        usable = following and following not in ports.all() and port_is_free(following)
        ports.access.append(following if usable else free_port(ports.all()))
    while len(ports.status) < accesses:
        ports.status.append(free_port(ports.all()))
    _require_free(ports, accesses, data)
    write_ports(data, ports)
    return ports


def write_ports(data: Path, ports: Ports) -> None:
    """Keep the ports for the next start."""
    write(data / "ports.json", msgspec.json.format(msgspec.json.encode(ports)).decode() + "\n")


def _require_free(ports: Ports, accesses: int, data: Path) -> None:
    """Refuse ports that others hold; the databases look after their own."""
    for number in ports.access[:accesses]:
        if not _soon_free(number):
            raise WorldProblem(f"port {number} is taken by another program; give --port N")
    others = [*ports.status[:accesses], ports.sandbox, ports.nats, *ports.nodes.values()]
    for number in others:
        if not _soon_free(number):
            raise WorldProblem(
                f"port {number}, which the demo in {data} uses, is taken by another program; "
                "stop that, or use another folder with --data"
            )


def _soon_free(port: int) -> bool:
    # The processes of a demo that was killed a moment ago may still be ending.
    deadline = time.monotonic() + 1.0
    while not port_is_free(port):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def write_world(data: Path, count: int, ports: Ports) -> list[MerchantKeys]:
    """Write what is missing of world, secrets and sandbox; return the merchants' keys."""
    write(data / "secrets" / "internal", secrets.token_hex(32) + "\n", keep=True)
    keys_file = data / "secrets" / "merchants.json"
    if not keys_file.exists():
        made = [
            _merchant("acct_demo", "Demo Store"),
            _merchant("acct_other", "Other Store"),
            _merchant("acct_corner", "Corner Shop", country="DE"),
        ]
        write(keys_file, msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")
    merchants = msgspec.json.decode(keys_file.read_bytes(), type=list[MerchantKeys])
    write(data / "world" / "merchants.toml", _merchants_toml(merchants), keep=True)
    write(data / "world" / "topology.toml", _topology_toml(count, ports), keep=True)
    sandbox = _sandbox_toml(ports, _provider_keys(data))
    write(data / "sandbox" / "sandbox.toml", sandbox, keep=True)
    return merchants


def write_node(data: Path, region: Region, count: int, ports: Ports, dsn: str) -> Path:
    """Write a node's settings, or bring the DSN in them up to date; return their path."""
    file = data / "nodes" / region.name / "node.toml"
    if file.exists():
        text = file.read_text(encoding="utf-8")
        fresh = re.sub(r"(?m)^dsn = .*$", lambda _: f"dsn = {_toml(dsn)}", text, count=1)
        if fresh != text:
            write(file, fresh)
        return file
    keys = _provider_keys(data)
    if any(provider.name not in keys for provider in region.providers):
        raise WorldProblem(
            f"the sandbox in {data} has no providers of {region.name}: it was made by an earlier "
            "version; make a new demo in another folder"
        )
    write(file, _node_toml(region, ports, dsn, keys))
    return file


def write(path: Path, text: str, *, keep: bool = False) -> None:
    """Write a file that only its owner can read: whole or not at all."""
    if keep and path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    partial.replace(path)


# --- the files' text ------------------------------------------------------------------------


def _merchant(identifier: str, name: str, country: str = "") -> MerchantKeys:
    def token() -> str:
        return "".join(secrets.choice(_ALPHABET) for _ in range(32))

    return MerchantKeys(identifier, name, f"sk_test_{token()}", f"pk_test_{token()}", country)


def _merchants_toml(merchants: list[MerchantKeys]) -> str:
    lines = [
        "# Merchants and the SHA-256 of their API keys; the keys are in ../secrets.",
        "",
        "# For all of them: how often one payer may try at one node.",
        "[[velocity]]",
        'name = "tries-per-payer"',
        'by = "email"',
        'within = "1h"',
        "attempts = 1000",
    ]
    for merchant in merchants:
        lines += [
            "",
            "[[merchants]]",
            f"id = {_toml(merchant.id)}",
            f"name = {_toml(merchant.name)}",
            f"default_country = {_toml(merchant.country)}",
            'strategy = "priority"',
            "cascade = true",
        ]
        for kind, key in (("secret", merchant.secret), ("publishable", merchant.publishable)):
            lines += [
                "[[merchants.keys]]",
                f"sha256 = {_toml(hashlib.sha256(key.encode()).hexdigest())}",
                f"kind = {_toml(kind)}",
                'mode = "test"',
                f"last4 = {_toml(key[-4:])}",
            ]
    return "\n".join(lines) + "\n"


def _topology_toml(count: int, ports: Ports) -> str:
    lines = [
        "# Which node has jurisdiction over which places. After a change: topology publish.",
        "epoch = 1",
        "",
        "[groups]",
        *(f"{_toml(name)} = {_toml(places)}" for name, places in GROUPS.items()),
    ]
    for region in regions(count):
        lines += [
            "",
            "[[nodes]]",
            f"number = {region.number}",
            f"name = {_toml(region.name)}",
            f"url = {_toml(url_of(region, ports))}",
            f"title = {_toml(region.title if count > 1 else 'World')}",
        ]
    for rule in rules(count):
        lines += ["", "[[rules]]", *(f"{name} = {_toml(value)}" for name, value in rule.items())]
    return "\n".join(lines) + "\n"


def url_of(region: Region, ports: Ports) -> str:
    """Where access reaches a node."""
    return ports.doors.get(region.name, "http://" + ports.address(region.name))


def _sandbox_toml(ports: Ports, keys: dict[str, dict[str, str]]) -> str:
    lines = ["[server]", 'journal = "books.jsonl"']
    lines.append(f"public_url = {_toml('http://' + ports.address('sandbox'))}")
    for region in REGIONS:  # those without a node too: one may join
        for provider in region.providers:
            lines += [
                "",
                "[[providers]]",
                f"name = {_toml(provider.name)}",
                f"title = {_toml(provider.title)}",
                f"kind = {_toml(provider.kind)}",
                f"region = {_toml(region.name)}",
                *(f"{name} = {_toml(value)}" for name, value in keys[provider.name].items()),
            ]
            if provider.currencies:
                lines.append(f"currencies = {_toml(provider.currencies)}")
    return "\n".join(lines) + "\n"


def _node_toml(region: Region, ports: Ports, dsn: str, keys: dict[str, dict[str, str]]) -> str:
    listen = ports.address(region.name)
    lines = [
        f"number = {region.number}",
        f"name = {_toml(region.name)}",
        f"listen = {_toml(listen)}",
        f"dsn = {_toml(dsn)}",
        f"url = {_toml(url_of(region, ports))}",
        'world = "../../world"',
        f'world_trust = "../../{TRUST}"',
        'internal_secret_file = "../../secrets/internal"',
        f"public_url = {_toml('http://' + listen)}",
        # The demo is for one machine: a merchant's server is tried out on it too.
        "webhook_private_addresses = true",
    ]
    for provider in region.providers:
        lines += [
            "",
            "[[gateways]]",
            f"name = {_toml(provider.name)}",
            'channel = "sandbox"',
            f"kind = {_toml(provider.kind)}",
            f"base_url = {_toml('http://' + ports.address('sandbox') + '/' + provider.name)}",
            'mode = "test"',
            f"priority = {provider.priority}",
            f"cost_bps = {provider.cost_bps}",
            f"cost_fixed = {provider.cost_fixed}",
            "countries = []",
            f"currencies = {_toml(provider.currencies)}",
            f"methods = {_toml(provider.methods)}",
            "[gateways.secrets]",
            *(f"{name} = {_toml('plain:' + value)}" for name, value in keys[provider.name].items()),
        ]
    return "\n".join(lines) + "\n"


def _provider_keys(data: Path) -> dict[str, dict[str, str]]:
    file = data / "secrets" / "providers.json"
    if not file.exists():
        made = {
            provider.name: {
                "api_key": f"bank_{secrets.token_hex(16)}",
                "callback_secret": f"cbs_{secrets.token_hex(24)}",
            }
            for region in REGIONS
            for provider in region.providers
        }
        write(file, msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")
    return msgspec.json.decode(file.read_bytes(), type=dict[str, dict[str, str]])


def local_url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _toml(value: object) -> str:
    # JSON's strings, whole numbers and lists of them are also TOML's.
    return msgspec.json.encode(value).decode()
