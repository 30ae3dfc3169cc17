"""The demo's broker, and the signed chain of epochs that it pushes."""

from __future__ import annotations

import secrets
from pathlib import Path

from bailiwick.control import publishing
from bailiwick.topology.epochs import TRUST, Epochs
from bailiwick.topology.snapshot import WorldError
from bailiwick_lab.demo import world as demo_world
from bailiwick_lab.servers.broker import Broker, BrokerError, BrokerSettings
from bailiwick_lab.servers.joblog import JobLog

_STORE_BYTES = 2 << 30


def sign_world(data: Path) -> None:
    """Sign the demo's world as epoch 1, unless it is signed. Raises WorldProblem.

    Processes go by a copy of its trusted keys beside the world, which none of them writes.
    """
    world, key = data / "world", data / "secrets" / "world.key"
    try:
        signing = publishing.signing_key(key) if key.exists() else publishing.make_key(key)
        if not Epochs(world).numbers():
            publishing.initialise(world, signing, note="the demo's world", key_name="demo")
        demo_world.write(trust_of(data), (world / TRUST).read_text(encoding="utf-8"), keep=True)
    except publishing.PublishError as error:
        raise demo_world.WorldProblem(str(error)) from None
    except WorldError as error:
        raise demo_world.WorldProblem("; ".join(error.problems)) from None


def trust_of(data: Path) -> Path:
    """The keys whose signature the demo's processes go by."""
    return data / demo_world.TRUST


def broker(data: Path, port: int, log: JobLog) -> Broker | None:
    """The demo's NATS server, not yet started; None, and said so, when there is no program."""
    file = data / "secrets" / "nats"
    demo_world.write(file, secrets.token_hex(24) + "\n", keep=True)
    settings = BrokerSettings(
        name="bailiwick-demo",
        folder=data / "nats" / "streams",
        port=port,
        user="demo",
        password=file.read_text(encoding="ascii").strip(),
        max_store_bytes=_STORE_BYTES,
    )
    try:
        return Broker(settings, data / "nats" / "nats.conf")
    except BrokerError as error:
        log.line("demo", f"going on without a broker: {error}", level="warning")
        return None
