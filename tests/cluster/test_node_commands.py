"""An operator drains, fences, brings back, adopts, adds and removes nodes of a running demo, while
everybody else goes on paying."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from chaos_kit import Chaos, bailiwick
from load_kit import Load

from bailiwick_lab.servers.ports import free_port
from tests.waiting import PATIENCE_S, until

OTHERS = (("IN", "inr"), ("BR", "brl"))


class Operator:
    """Who runs `bailiwick node` on a demo."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos

    async def node(self, *words: str) -> dict[str, Any]:
        """`bailiwick node ...`, carried out; its answer."""
        yes = ["--yes"] if words[0] != "status" else []
        said = await asyncio.to_thread(
            bailiwick, "node", *words, *yes, "--json", "--data", str(self.chaos.data)
        )
        answer: dict[str, Any] = json.loads(said)
        return answer

    async def pay(self, country: str, currency: str = "eur") -> dict[str, Any]:
        """One payment without a key of the client's; whatever is answered."""
        form = {
            "amount": "500", "currency": currency, "payment_method": "pm_card_visa",
            "confirm": "true", "location[country]": country,
        }  # fmt: skip
        url = f"{self.chaos.demo['base_url']}/v1/payment_intents"
        return await asyncio.to_thread(self.chaos.post, url, form)

    async def paid_at(self, name: str, country: str, currency: str = "eur") -> None:
        """Wait until a country's payments succeed at a node."""
        seen: Any = None
        async with asyncio.timeout(PATIENCE_S):
            while seen != (name, "succeeded"):
                answer = await self.pay(country, currency)
                seen = (answer.get("node"), answer.get("status"))
                await asyncio.sleep(0.05)

    def number(self, name: str) -> int:
        """A node's number."""
        return int(self.chaos.node(name)["number"])


@contextlib.asynccontextmanager
async def others_pay(chaos: Chaos) -> AsyncIterator[None]:
    """Meanwhile everybody else pays, and nobody of them fails."""
    load = Load(chaos.demo, clients=1, name="others", places=OTHERS)
    load.start()
    try:
        yield
    finally:
        await load.stop()
    endings = {each["status"] for each in load.history}
    assert endings == {"ok"}, load.statuses
    assert len(load.history) > 10


@pytest.fixture(scope="module")
def operator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    data: Path = tmp_path_factory.mktemp("operator")
    bailiwick("demo", "--background", "--data", str(data), "--nodes", "3", "--access", "2")
    chaos = Chaos(data)
    try:
        yield Operator(chaos)
        found = chaos.check()
        assert found["violations"] == 0
    finally:
        bailiwick("demo", "--stop", "--data", str(data))


async def test_drain_and_undo(operator: Operator) -> None:
    async with others_pay(operator.chaos):
        await operator.paid_at("europe", "DE")
        done = await operator.node("drain", "europe")
        assert done["done"]
        assert any("europe -> apac" in line for line in done["preview"]["new"])
        await operator.paid_at("apac", "DE")
        await operator.node("drain", "europe", "--undo")
        await operator.paid_at("europe", "DE")
        await operator.node("drain", "europe", "--local")
        await operator.paid_at("apac", "DE")  # refused by tombstone, and taken by the next
        await operator.node("drain", "europe", "--local", "--undo")
        await operator.paid_at("europe", "DE")


async def test_fence_and_return(operator: Operator) -> None:
    async with others_pay(operator.chaos):
        begun = time.monotonic()
        done = await operator.node("fence", "europe")
        assert time.monotonic() - begun >= 5, "permits have run out when it is done"
        refused = await operator.pay("DE")
        assert refused["error"]["code"] == "node_fenced"
        with pytest.raises(AssertionError, match="node return europe"):
            await operator.node("status")
        done = await operator.node("return", "europe")
        assert done["open"] == 0
        await operator.paid_at("europe", "DE")
        assert (await operator.node("status"))["proposals"] == []


async def test_evacuate_and_return(operator: Operator) -> None:
    async with others_pay(operator.chaos):
        await operator.node("fence", "europe")
        await operator.node("evacuate", "europe", "--host-stopped")
        await operator.paid_at("apac", "DE")  # keys of access's own tell their age
        await operator.node("return", "europe")
        await operator.paid_at("europe", "DE")


async def test_join_and_remove(operator: Operator) -> None:
    chaos = operator.chaos
    url = f"{chaos.demo['base_url']}/v1/webhook_endpoints"
    hook = chaos.post(url, {"url": "http://127.0.0.1:9/hook", "enabled_events[]": "*"})
    async with others_pay(chaos):
        await operator.paid_at("europe", "KE")
        done = await operator.node("join", "africa")
        print(f"joined in {done['seconds']} s", file=sys.stderr)
        assert done["canary"]["ok"]
        assert done["canary"]["refund"] == "succeeded"
        await operator.paid_at("africa", "KE")
        shown = chaos.node("africa")
        assert shown["jurisdictions"] == ["group:africa"]
        connection = await asyncpg.connect(shown["dsn"])
        row = await connection.fetchrow("SELECT id, secret FROM webhook_endpoint")
        await connection.close()
        assert row is not None
        assert (row["id"], row["secret"]) == (hook["id"], hook["secret"])
        request = urllib.request.Request(
            f"{url}/{hook['id']}", method="DELETE",
            headers={"Authorization": f"Bearer {chaos.demo['secret_key']}"},
        )  # fmt: skip
        await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=60).close())
        await operator.node("drain", "africa")
        await operator.paid_at("europe", "KE")
        removed = await operator.node("remove", "africa")
        assert removed["done"]
        await operator.paid_at("europe", "KE")
    await until(lambda: chaos.node("africa")["pid"] is None)


async def test_adopt_elsewhere(operator: Operator) -> None:
    """The last test here: europe is served by a process of ours from then on."""
    chaos = operator.chaos
    old = chaos.node("europe")
    out = Path(old["config"]).with_name("adopted.toml")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    async with others_pay(chaos):
        held = await operator.pay("DE")
        await operator.node("fence", "europe")
        await operator.node(
            "adopt", "europe", "--host-stopped", "--url", url, "--listen", f"127.0.0.1:{port}",
            "--config-out", str(out),
        )  # fmt: skip
        environ = {**os.environ, "BAILIWICK_NATS": chaos.demo["nats"]["url"]}
        process = subprocess.Popen(
            [sys.executable, "-m", "bailiwick", "node", "--config", str(out)],
            env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await operator.paid_at("europe", "DE")
            zombie = await asyncio.to_thread(
                chaos.post, f"{old['url']}/v1/payment_intents", {"amount": "500", "currency": "eur"}
            )
            assert zombie["error"]["code"] == "node_superseded"
            assert zombie["error"]["url"] == url
            form = {"payment_intent": held["id"]}
            refund = await asyncio.to_thread(
                chaos.post, f"{chaos.demo['base_url']}/v1/refunds", form
            )
            assert refund["status"] == "succeeded", refund
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, PATIENCE_S)
