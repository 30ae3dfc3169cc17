"""Load for fault tests: many clients, one key per payment, repeated until it is definite."""

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from tests.waiting import PATIENCE_S

PLACES = (("DE", "eur"), ("IN", "inr"), ("BR", "brl"))


class Load:
    """Closed load of one-shot payments over all access processes.

    Attributes:
        outstanding: requests that wait for an answer now.
        history: one record per payment: its key and how it ended for the client.
    """

    def __init__(
        self,
        demo: dict[str, Any],
        clients: int = 64,
        *,
        name: str = "load",
        places: tuple[tuple[str, str], ...] = PLACES,
        give_up_s: float = PATIENCE_S,
    ) -> None:
        self.outstanding = 0
        self.history: list[dict[str, Any]] = []
        self.statuses: dict[str, int] = {}
        self._demo = demo
        self._clients = clients
        self._places = places
        self._give_up_s = give_up_s
        self._numbers = itertools.count()
        self._name = f"{name}-{time.time_ns()}"
        limits = HopLimits(connections=clients, waiting=10_000)
        self._access = [NodeClient(each["url"], limits) for each in demo["access"]]
        self._stopping = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]

    async def stop(self) -> None:
        """Begin no further payment and bring those begun to an end."""
        self._stopping = True
        await asyncio.gather(*self._tasks)
        for client in self._access:
            client.close()

    async def _client(self) -> None:
        while not self._stopping:
            number = next(self._numbers)
            country, currency = self._places[number % len(self._places)]
            await self._pay(f"{self._name}-{number}", country, currency)

    async def _pay(self, key: str, country: str, currency: str) -> None:
        body = (
            f"amount=1999&currency={currency}&confirm=true&payment_method=pm_card_visa"
            f"&location[country]={country}"
        ).encode()
        lines = [
            b"authorization: Bearer %b\r\n" % self._demo["secret_key"].encode(),
            b"content-type: application/x-www-form-urlencoded\r\n",
            b"idempotency-key: %b\r\n" % key.encode(),
        ]
        deadline = time.monotonic() + self._give_up_s
        ending = {"key": key, "operation": "create", "status": "in_doubt", "payment": None}
        for attempt in itertools.count():
            if time.monotonic() > deadline:
                break
            client = self._access[(hash(key) + attempt) % len(self._access)]
            self.outstanding += 1
            try:
                answer = await client.request(
                    "POST", b"/v1/payment_intents", headers=lines, body=body, timeout=60
                )
            except HopError:
                await asyncio.sleep(0.1)
                continue
            finally:
                self.outstanding -= 1
            if answer.status >= 500 or answer.status == 409:
                await asyncio.sleep(0.1)
                continue
            document = json.loads(answer.body)
            intent = document.get("error", {}).get("payment_intent") or document
            ending["payment"] = intent.get("id")
            status = str(intent.get("status", document))
            if status == "processing":
                await asyncio.sleep(0.5)
                continue
            ending["status"] = "ok" if status == "succeeded" else "fail"
            self.statuses[status] = self.statuses.get(status, 0) + 1
            break
        else:
            raise AssertionError("unreachable")
        self.history.append(ending)

    def write(self, path: Path) -> Path:
        """The history as JSON lines."""
        path.write_text("".join(json.dumps(each) + "\n" for each in self.history))
        return path


def read_demo(data: Path) -> dict[str, Any]:
    """The demo as it is now: pids change when something was restarted."""
    document: dict[str, Any] = json.loads((data / "demo.json").read_text())
    return document


def node_of(demo: dict[str, Any], name: str) -> dict[str, Any]:
    """One node of the demo."""
    found: dict[str, Any] = next(each for each in demo["nodes"] if each["name"] == name)
    return found
