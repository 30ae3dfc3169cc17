"""The fleet file: what an operator needs to know to act on nodes. `fleet.toml`, or a demo.

It names databases and secrets, so it belongs on the operator's host, readable by the operator
alone. Nothing that serves payments reads it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bailiwick.bus.security import Security
from bailiwick.bus.settings import (
    Nats,
    NatsCa,
    NatsCertificate,
    NatsCredentials,
    NatsInbox,
    NatsKey,
)
from bailiwick.control.plans import ControlError
from bailiwick.runtime.settings import File, SettingsError, read, secret


class FleetNode(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[[nodes]]`` entry."""

    name: Annotated[str, Meta(description="as in `topology.toml`")]
    dsn: Annotated[
        str,
        Meta(description="its database, as the owner of the tables; or `env:NAME`, `file:PATH`"),
    ]
    standby_dsn: Annotated[
        str,
        Meta(description="its synchronous standby, as a role that may promote it; likewise"),
    ] = ""
    url: Annotated[
        str, Meta(description="where this host reaches it; none: the topology's address")
    ] = ""
    config: Annotated[File, Meta(description="a copy of its `node.toml`, for `adopt`")] = ""


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """``fleet.toml``. Relative paths count from the file's folder."""

    world: Annotated[File, Meta(description="folder of the world from which you publish")]
    world_key: Annotated[File, Meta(description="the signing key, made by `topology keygen`")]
    internal_secret_file: Annotated[
        File, Meta(description="the secret that nodes and access share; seals canary payments")
    ]
    nats: Nats = []
    nats_credentials: NatsCredentials = ""
    nats_ca: NatsCa = ""
    nats_certificate: NatsCertificate = ""
    nats_key: NatsKey = ""
    nats_inbox: NatsInbox = ""
    node_ca: Annotated[File, Meta(description="authorities trusted for nodes' certificates")] = ""
    node_certificate: Annotated[
        File, Meta(description="client certificate shown to nodes, PEM")
    ] = ""
    node_key: Annotated[File, Meta(description="its private key, PEM, not encrypted")] = ""
    nodes: Annotated[list[FleetNode], Meta(description="tables of their own, below")] = []


class Fleet(msgspec.Struct, frozen=True):
    """The same, read: every path absolute, every DSN in plain.

    ``data``: the folder of the demo that it was taken from, if it was.
    """

    world: Path
    world_key: Path
    internal_secret: bytes
    nodes: dict[str, FleetNode]
    nats: list[str] = []
    security: Security = Security()
    node_tls: tuple[str, str, str] = ("", "", "")
    data: Path | None = None

    def node(self, name: str) -> FleetNode:
        """A node's entry. Raises ControlError."""
        found = self.nodes.get(name)
        if found is None:
            known = ", ".join(self.nodes) or "none"
            raise ControlError(f"the fleet has no node '{name}'; known: {known}")
        return found


def load(path: Path) -> Fleet:
    """Read ``fleet.toml``. Raises ControlError."""
    try:
        settings = read(path, FleetSettings)
        base = path.resolve().parent
        nodes: dict[str, FleetNode] = {}
        for place, each in enumerate(settings.nodes):
            field = f"nodes[{place}]"
            if each.name in nodes:
                raise SettingsError(f"{path}: {field}.name: '{each.name}' is used twice")
            nodes[each.name] = msgspec.structs.replace(
                each,
                dsn=_dsn(each.dsn, base, f"{field}.dsn"),
                standby_dsn=_dsn(each.standby_dsn, base, f"{field}.standby_dsn"),
                config=_place(base, each.config),
            )
        shared = secret(
            f"file:{settings.internal_secret_file}", base=base, field="internal_secret_file"
        )
    except SettingsError as error:
        raise ControlError("\n".join(error.problems)) from None
    return Fleet(
        base / settings.world,
        base / settings.world_key,
        shared.encode(),
        nodes,
        settings.nats,
        _security(settings, base),
        (
            _place(base, settings.node_ca),
            _place(base, settings.node_certificate),
            _place(base, settings.node_key),
        ),
    )


def of_demo(data: Path) -> Fleet:
    """The fleet of a running demo. Raises ControlError."""
    demo = demo_state(data)
    secrets = data / "secrets"
    try:
        nodes = {
            each["name"]: FleetNode(name=each["name"], dsn=each["dsn"] or "", config=each["config"])
            for each in demo["nodes"]
        }
        shared = (secrets / "internal").read_text(encoding="utf-8").strip()
        broker = [demo["nats"]["url"]] if demo.get("nats") else []
        return Fleet(
            Path(demo["world"]), secrets / "world.key", shared.encode(), nodes, broker, data=data
        )
    except (OSError, KeyError, TypeError) as error:
        raise ControlError(f"the demo in {data} cannot be read ({error}); restart it") from None


def demo_state(data: Path) -> dict[str, Any]:
    """``demo.json`` as it is now. Raises ControlError."""
    try:
        found: dict[str, Any] = json.loads((data / "demo.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ControlError(
            f"no demo runs in {data}; start one: bailiwick demo, name its folder with --data, "
            "or name your fleet with --fleet FILE"
        ) from None
    except (OSError, ValueError) as error:
        raise ControlError(f"{data / 'demo.json'} cannot be read: {error}") from None
    return found


def _place(base: Path, path: str) -> str:
    return str(base / path) if path else ""


def _dsn(text: str, base: Path, field: str) -> str:
    if text.startswith(("env:", "file:")):
        return secret(text, base=base, field=field)
    return text


def _security(settings: FleetSettings, base: Path) -> Security:
    def place(path: str) -> Path | None:
        return base / path if path else None

    return Security(
        credentials=place(settings.nats_credentials),
        ca=place(settings.nats_ca),
        certificate=place(settings.nats_certificate),
        key=place(settings.nats_key),
        inbox=settings.nats_inbox,
    )
