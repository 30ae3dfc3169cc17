"""A channel of a package outside this distribution: made, built, installed; then it takes money."""

import contextlib
import importlib
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import uv
from click.testing import CliRunner

from bailiwick.channels import registry
from bailiwick.channels.contract import Account
from bailiwick.resources.refunds.params import CreateRefund
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from bailiwick_lab.commands.channel import command
from tests.interop.kit import serving
from tests.postgres.node_kit import Region, body
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

NAME = "acme"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the installed package, and nothing else."""
    folder = tmp_path_factory.mktemp("outside")
    made = CliRunner().invoke(command, ["new", NAME, "--folder", str(folder / NAME)])
    assert made.exit_code == 0, made.output
    wheels, installed = folder / "wheels", folder / "installed"
    run("build", "--wheel", "--no-build-isolation", "--offline", "--python", sys.executable,
        "--out-dir", str(wheels), str(folder / NAME))  # fmt: skip
    (wheel,) = wheels.glob("*.whl")
    run("pip", "install", "--offline", "--no-deps", "--python", sys.executable,
        "--target", str(installed), str(wheel))  # fmt: skip
    return installed


def run(*arguments: str) -> None:
    done = subprocess.run(
        [uv.find_uv_bin(), *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def installed(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    registry.channel.cache_clear()
    monkeypatch.syspath_prepend(str(built))
    importlib.invalidate_caches()
    yield built
    registry.channel.cache_clear()
    sys.modules.pop(f"bailiwick_{NAME}", None)


def test_it_is_found_and_named_by_its_distribution(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", "channel", "list", "--json"],
        env={"PYTHONPATH": f"{built}:{':'.join(sys.path)}", "PATH": ""},
        capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    (row,) = [each for each in json.loads(done.stdout) if each["name"] == NAME]
    assert (row["from"], row["methods"]) == (f"bailiwick-{NAME}", ["card"])


class Books:
    """What the provider of such a channel has done: payments and refunds by our references."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.rows: dict[str, dict[str, dict[str, Any]]] = {"payments": {}, "refunds": {}}

    def post(self, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            known = self.rows[kind]
            number = f"{kind[:3]}_{len(known) + 1}"
            declined = asked.get("token") == "pm_card_chargeDeclined"
            row = {
                "id": number, "reference": asked["reference"], "amount": asked["amount"],
                "currency": asked["currency"], "status": "failed" if declined else "done",
            }  # fmt: skip
            return known.setdefault(asked["reference"], row)


@contextlib.contextmanager
def provider() -> Iterator[tuple[str, Books]]:
    books = Books()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, _, reference = self.path.strip("/").partition("/")
            row = {} if kind == "account" else books.rows[kind].get(reference)
            self.say(404 if row is None else 200, row or {"code": "not_found"})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.say(200, books.post(self.path.strip("/"), asked))

        def say(self, status: int, document: dict[str, Any]) -> None:
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    with serving(Handler) as url:
        yield url, books


@pytest.fixture
async def region(installed: Path, store: NodeStore) -> AsyncIterator[tuple[Region, Books]]:
    with provider() as (url, books):
        settings = GatewaySettings(
            name="bank", channel=NAME, kind="foreign_platform", base_url=url, methods=("card",)
        )
        account = Account("bank", url, {"api_key": "k" * 8, "callback_secret": "c" * 8})
        gateways = Gateways([settings], {"bank": account}, "http://node/v1/callbacks")
        made = Region(store, gateways=gateways)
        await gateways.connect()
        try:
            yield made, books
        finally:
            await gateways.close()


async def test_it_takes_money_and_gives_it_back(region: tuple[Region, Books], sql: Any) -> None:
    node, books = region
    paid = body(await node.pay("k"))
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 1000)
    assert books.rows["payments"][paid["latest_charge"]]["amount"] == 1000
    declined = await node.pay("d", payment_method="pm_card_chargeDeclined")
    assert declined.status == 402
    back = await node.refund("r", CreateRefund(payment_intent=paid["id"], amount=400))
    assert body(back)["status"] == "succeeded"
    assert [each["amount"] for each in books.rows["refunds"].values()] == [400]
    await sound(sql)
