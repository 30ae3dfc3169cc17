"""A node on a store whose gateways are real, and a sandbox whose providers take ISO 8583."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import bailiwick_sandbox
from bailiwick.channels.contract import Account
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from bailiwick_sandbox.config import Config, HostConfig, ProviderConfig, ServerConfig, render
from tests.postgres.node_kit import Region
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S

MAC_KEY = "0123456789abcdeffedcba9876543210"
STYLES = {"bank_ascii": "ascii", "bank_packed": "packed"}
OPTIONS = {"acquirer": "123456", "terminal": "TERM0001", "merchant": "MERCHANT0000001"}
HASTY_MS = 400
PATIENT_MS = 30_000
Row = dict[str, Any]


class Sandbox:
    """A sandbox process with a provider for each channel; ``start`` begins it again on its books,
    at the same addresses."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "sandbox.toml"
        self._hosts = dict.fromkeys(STYLES, "127.0.0.1:0")
        self.start()

    def start(self) -> None:
        providers = [
            ProviderConfig(
                name.replace("_", "-"), name, "large_domestic_bank", f"key_of_{name}",
                f"callbacks_of_{name}",
                iso8583=HostConfig(self._hosts[name], style, MAC_KEY),  # type: ignore[arg-type]
            )
            for name, style in STYLES.items()
        ]  # fmt: skip
        config = Config(providers, ServerConfig(settle_ms=100, seed=1))
        self._path.write_text(render(config), encoding="utf-8")
        source = str(Path(bailiwick_sandbox.__file__).parent.parent)
        command = [sys.executable, "-m", "bailiwick_sandbox", "--json", "--config", str(self._path)]
        self._process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert self._process.stdout is not None
        told = json.loads(self._process.stdout.readline())
        self.url: str = told["url"]
        self._hosts = {name.replace("-", "_"): each for name, each in told["iso8583"].items()}

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def at(self, channel: str) -> str:
        """The address of a provider's host."""
        return f"tcp://{self._hosts[channel]}"

    def books(self, channel: str) -> dict[str, Any]:
        """A provider's books."""
        found: dict[str, Any] = self._get(f"/books?provider={channel.replace('_', '-')}")
        return found

    def fault(self, channel: str, operation: str, kind: str, times: int = 1, **params: Any) -> None:
        """Have a provider misbehave."""
        rule = {"provider": channel.replace("_", "-"), "operation": operation, "kind": kind,
                "times": times, "params": params}  # fmt: skip
        self._post("/faults", rule)

    def heal(self) -> None:
        """Lift all faults."""
        request = urllib.request.Request(f"{self.url}/faults", method="DELETE")
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.url}{path}", timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def _post(self, path: str, body: Row) -> None:
        headers = {"content-type": "application/json"}
        data = json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers)
        urllib.request.urlopen(request, timeout=PATIENCE_S).close()


@contextlib.contextmanager
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """A sandbox, ended at the end."""
    made = Sandbox(folder)
    try:
        yield made
    finally:
        made.stop()


def live(books: dict[str, Any]) -> dict[str, int]:
    """What a bank holds or took and has not given back, by our reference of the charge."""
    return {
        row["reference"]: row["amount_captured"] or row["amount_authorized"]
        for row in books["charges"]
        if row["status"] in ("authorized", "captured")
    }


@contextlib.asynccontextmanager
async def node(
    store: NodeStore,
    channel: str,
    base_url: str,
    total_ms: int = PATIENT_MS,
    mac_key: str | None = MAC_KEY,
    **values: Any,
) -> AsyncIterator[Region]:
    """A node with one gateway, connected; everything of it but the store is ended at the end."""
    settings = GatewaySettings(
        name="bank", channel=channel, kind="large_domestic_bank", base_url=base_url,
        total_ms=total_ms, **values,
    )  # fmt: skip
    secrets = {} if mac_key is None else {"mac_key": mac_key}
    account = Account("bank", base_url, secrets, options=OPTIONS)
    gateways = Gateways([settings], {"bank": account}, "http://node/v1/callbacks")
    region = Region(store, gateways=gateways)
    gateways.late = region.callbacks.late
    await gateways.connect()
    try:
        yield region
    finally:
        await gateways.close()
