"""A node that gets three times what it takes: the rest is served elsewhere, once, or waits.

The flooded node takes few payments at a time and its provider takes its time: so little load is
a flood, and the machine is not what is measured.
"""

import asyncio
import json
import os
import random
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from chaos_kit import Chaos

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from tests.waiting import PATIENCE_S

CAPACITY = 6
PROVIDER = {"kind": "lognormal", "p50_ms": 120, "p99_ms": 380}
RATE = 3 * CAPACITY / 0.14  # payments/s: three times its capacity over the provider's mean
SECONDS = 4.0


def setting(chaos: Chaos, value: dict[str, Any]) -> None:
    url = f"{chaos.demo['sandbox']['url']}/delay"
    body = json.dumps(value).encode()
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).close()


def restart(chaos: Chaos, name: str) -> None:
    pid = chaos.node(name)["pid"]
    os.kill(pid, signal.SIGTERM)
    chaos.restarted(name, pid)
    chaos.seen(name, is_open=True)


@asynccontextmanager
async def narrow(chaos: Chaos, name: str) -> AsyncIterator[None]:
    """A node that takes ``CAPACITY`` payments at a time, and slow providers."""
    file = chaos.data / "nodes" / name / "node.toml"
    usual = file.read_text()
    file.write_text(f"capacity = {CAPACITY}\n{usual}")
    try:
        await asyncio.to_thread(restart, chaos, name)
        setting(chaos, PROVIDER)
        yield
    finally:
        setting(chaos, {"kind": "zero"})
        file.write_text(usual)
        await asyncio.to_thread(restart, chaos, name)


class Flood:
    """Open load of one-shot payments from one place, over all access processes."""

    def __init__(self, chaos: Chaos, country: str, currency: str) -> None:
        demo = chaos.demo
        self.answers: dict[str, tuple[int, dict[str, Any]]] = {}
        self.payments: dict[str, dict[str, Any]] = {}
        self._key = demo["secret_key"]
        self._body = (
            f"amount=1999&currency={currency}&confirm=true&payment_method=pm_card_visa"
            f"&location[country]={country}"
        ).encode()
        limits = HopLimits(connections=2_000, waiting=0, connect_seconds=PATIENCE_S)
        self._access = [NodeClient(each["url"], limits) for each in demo["access"]]
        self._name = f"flood-{country}-{time.time_ns()}"

    async def run(self) -> None:
        chance = random.Random(5)
        begun = time.monotonic()
        due, number, tasks = 0.0, 0, []
        while due < SECONDS:
            await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
            tasks.append(asyncio.create_task(self.pay(f"{self._name}-{number}")))
            number += 1
            due += chance.expovariate(RATE)
        await asyncio.gather(*tasks)

    async def pay(self, key: str) -> int:
        lines = [
            b"authorization: Bearer %b\r\n" % self._key.encode(),
            b"content-type: application/x-www-form-urlencoded\r\n",
            b"idempotency-key: %b\r\n" % key.encode(),
        ]
        client = self._access[hash(key) % len(self._access)]
        try:
            answer = await client.request("POST", b"/v1/payment_intents", lines, self._body)
        except HopError as error:
            self.answers[key] = (0, {"reason": error.reason})
            return 0
        document = json.loads(answer.body)
        self.answers[key] = (answer.status, document)
        if answer.status == 200:
            self.payments[key] = document
        return answer.status

    async def again(self, within_s: float = PATIENCE_S) -> None:
        """Repeat what was not taken with the same keys, until it is."""
        until = time.monotonic() + within_s
        while missing := [key for key in self.answers if key not in self.payments]:
            assert time.monotonic() < until, [self.answers[key] for key in missing[:3]]
            for key in missing:
                if await self.pay(key) != 200:
                    await asyncio.sleep(0.05)

    def write(self, path: Path) -> Path:
        """The history as the checker reads it."""
        lines = [
            {
                "key": key,
                "operation": "create",
                "status": "ok" if document["status"] == "succeeded" else "in_doubt",
                "payment": document["id"],
            }
            for key, document in self.payments.items()
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def close(self) -> None:
        for client in self._access:
            client.close()


async def charges_per_key(chaos: Chaos, keys: set[str]) -> Counter[str]:
    """How often the providers' books charged each key; the nodes say which key a charge is for."""
    references: dict[str, str] = {}
    for node in chaos.demo["nodes"]:
        connection = await asyncpg.connect(node["dsn"])
        try:
            rows = await connection.fetch("SELECT id, key FROM attempt WHERE operation = 'charge'")
        finally:
            await connection.close()
        references |= {row["id"]: row["key"] for row in rows}
    with urllib.request.urlopen(f"{chaos.demo['sandbox']['url']}/books", timeout=60) as answer:
        books = json.load(answer)
    charged = (each for each in books["charges"] if each["status"] == "captured")
    return Counter(
        key for each in charged if (key := references.get(each["reference"])) in keys and key
    )


def refused(chaos: Chaos, name: str) -> int:
    with urllib.request.urlopen(f"{chaos.node(name)['url']}/metrics", timeout=60) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith('bailiwick_node_refused_total{reason="overloaded"}'):
                return int(float(line.split()[-1]))
    return 0


def overloads(chaos: Chaos, name: str) -> list[dict[str, Any]]:
    """How often access processes saw a node closed for its load."""
    found: list[dict[str, Any]] = []
    for access in chaos.demo["access"]:
        with urllib.request.urlopen(f"{access['status_url']}/usage", timeout=60) as answer:
            nodes = json.load(answer)["nodes"]
        changes = next(each for each in nodes if each["name"] == name)["changes"]
        found += [each for each in changes if each["why"].startswith("overloaded")]
    return found


async def test_what_a_flooded_node_refuses_is_served_by_the_next(
    chaos: Chaos, tmp_path: Path
) -> None:
    flood = Flood(chaos, "DE", "eur")
    async with narrow(chaos, "europe"):
        await flood.run()
        tombstones = refused(chaos, "europe")
        await flood.again()
    flood.close()
    nodes = Counter(each["node"] for each in flood.payments.values())
    assert nodes["europe"] > 0 and nodes["apac"] > 0
    assert tombstones >= nodes["apac"] + nodes["americas"] > nodes["europe"]
    for payment in flood.payments.values():
        considered = payment["assignment"]["considered"]
        chosen = next(place for place, c in enumerate(considered) if c["verdict"] == "chosen")
        assert considered[chosen]["name"] == payment["node"]
        for passed in considered[:chosen]:
            assert (passed["verdict"], passed["reason"]) == (
                "refused", "it refused this request: overloaded"
            )  # fmt: skip
    changes = overloads(chaos, "europe")
    assert 1 <= len(changes) <= 3 * len(chaos.demo["access"]), changes
    charges = await charges_per_key(chaos, set(flood.answers))
    assert set(charges.values()) == {1} and set(charges) == set(flood.answers)
    history = flood.write(tmp_path / "history.jsonl")
    verdict = await asyncio.to_thread(chaos.check, "--history", str(history))
    assert verdict["violations"] == 0


async def test_a_flooded_strict_place_waits_with_its_key(chaos: Chaos, tmp_path: Path) -> None:
    flood = Flood(chaos, "IN", "inr")
    async with narrow(chaos, "apac"):
        await flood.run()
        turned_away = [answer for answer in flood.answers.values() if answer[0] != 200]
        assert len(turned_away) > len(flood.payments) > 0
        for status, document in turned_away:
            assert (status, document["error"]["code"]) == (503, "overloaded"), document
            assert "Nothing was done" in document["error"]["message"]
        setting(chaos, {"kind": "zero"})
        await flood.again()
    flood.close()
    assert {each["node"] for each in flood.payments.values()} == {"apac"}
    charges = await charges_per_key(chaos, set(flood.answers))
    assert set(charges.values()) == {1} and set(charges) == set(flood.answers)
    history = flood.write(tmp_path / "history.jsonl")
    verdict = await asyncio.to_thread(chaos.check, "--history", str(history))
    assert verdict["violations"] == 0
