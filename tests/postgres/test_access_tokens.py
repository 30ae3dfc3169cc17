"""Two gateways of which one needs an access token that ends: whatever becomes of the token, nothing
is charged twice, payments go to the other gateway meanwhile, and it opens again by itself."""

import asyncio
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

import asyncpg
import pytest

import bailiwick_sandbox
from bailiwick.channels.contract import Account
from bailiwick.routing.gateway import Gateway
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from bailiwick.runtime.loops import end, forever
from bailiwick_sandbox.config import Config, ProviderConfig, ServerConfig, render
from tests.postgres.node_kit import Region, body
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S, until

FIRST, SECOND = "isar-pay", "rhein-bank"
KEYS = {FIRST: "secret_of_isar_pay", SECOND: "key_of_rhein_bank"}
CALLBACKS = {FIRST: "callbacks_of_isar", SECOND: "callbacks_of_rhein"}
CROWD = 20


class Sandbox:
    """A sandbox process with a provider that wants tokens, and one that does not."""

    def __init__(self, folder: Path, lasts_ms: int) -> None:
        path = folder / "sandbox.toml"
        providers = [
            ProviderConfig(
                name, name, "large_domestic_bank", KEYS[name], CALLBACKS[name],
                token_lasts_ms=lasts_ms if name == FIRST else 0,
            )
            for name in (FIRST, SECOND)
        ]  # fmt: skip
        path.write_text(render(Config(providers, ServerConfig(settle_ms=50, seed=1))))
        source = str(Path(bailiwick_sandbox.__file__).parent.parent)
        command = [sys.executable, "-m", "bailiwick_sandbox", "--json", "--config", str(path)]
        self._process = subprocess.Popen(
            [*command, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": source},
        )
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["url"]

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_S)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def call(self, method: str, path: str, given: Any = None) -> Any:
        data = None if given is None else json.dumps(given).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return json.load(answer)

    def fault(self, operation: str, kind: str, **more: Any) -> str:
        """Have the first provider misbehave; the rule's id."""
        rule = {"provider": FIRST, "operation": operation, "kind": kind, **more}
        return str(self.call("POST", "/faults", rule)["id"])

    def heal(self, rule: str = "") -> None:
        """Lift a rule, or all."""
        self.call("DELETE", f"/faults/{rule}" if rule else "/faults")

    def revoke(self) -> None:
        self.call("DELETE", "/tokens")

    def taken(self, name: str) -> list[str]:
        """The references of the charges that a provider has taken."""
        rows = self.call("GET", f"/books?provider={name}")["charges"]
        return [row["reference"] for row in rows if row["status"] == "captured"]

    def asked(self) -> int:
        """How often a token was asked for."""
        calls: dict[str, int] = self.call("GET", "/books")["calls"][FIRST]
        return calls.get("token", 0)


class Site:
    """A node with both gateways, whose loops run."""

    def __init__(self, region: Region, gateways: Gateways, sandbox: Sandbox) -> None:
        self.region = region
        self.sandbox = sandbox
        first = gateways.get(FIRST)
        assert first is not None
        self.first: Gateway = first
        self._keys = 0
        self.paid: list[str] = []

    async def pay(self, count: int = 1, **values: Any) -> list[dict[str, Any]]:
        """So many payments at once."""
        keys = [f"k{self._keys + number}" for number in range(count)]
        self._keys += count
        answers = await asyncio.gather(*(self.region.pay(key, **values) for key in keys))
        shown = [body(each) for each in answers]
        self.paid += keys
        return shown

    async def succeeded(self) -> None:
        """All payments made so far have ended well."""
        for key in self.paid:

            async def done(key: str = key) -> bool:
                return bool(body(await self.region.pay(key))["status"] == "succeeded")

            await until(done)

    async def once(self, sql: asyncpg.Connection) -> None:
        """All payments made so far have ended well, and each is charged once, wherever."""
        await self.succeeded()
        taken = self.sandbox.taken(FIRST) + self.sandbox.taken(SECOND)
        booked = await sql.fetch("SELECT id FROM attempt WHERE state = 'approved'")
        assert sorted(taken) == sorted(row["id"] for row in booked)
        assert len(taken) == len(self.paid)
        await sound(sql)

    async def goes_to(self, name: str) -> None:
        """Wait until a payment goes there."""

        async def there() -> bool:
            before = set(self.sandbox.taken(name))
            await self.pay()
            await self.succeeded()
            return bool(set(self.sandbox.taken(name)) - before)

        await until(there)

    async def opens(self) -> None:
        await until(lambda: self.first.usage == "open")


@pytest.fixture
def lasts_ms() -> int:
    """How long the provider's tokens last."""
    return 3_600_000


@pytest.fixture
def total_ms() -> int:
    return 30_000


@pytest.fixture
def sandbox(tmp_path: Path, lasts_ms: int) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path, lasts_ms)
    yield made
    made.stop()


@contextlib.asynccontextmanager
async def node(store: NodeStore, sandbox: Sandbox, total_ms: int) -> AsyncIterator[Site]:
    first = {"client_id": FIRST, "client_secret": KEYS[FIRST], "callback_secret": CALLBACKS[FIRST]}
    second = {"api_key": KEYS[SECOND], "callback_secret": CALLBACKS[SECOND]}
    base = {name: f"{sandbox.url}/{name}" for name in KEYS}
    settings = [
        GatewaySettings(
            name=FIRST, channel="sandbox_oauth", kind="domestic_platform", base_url=base[FIRST],
            priority=1, total_ms=total_ms,
        ),
        GatewaySettings(
            name=SECOND, channel="sandbox", kind="large_domestic_bank", base_url=base[SECOND],
            priority=2,
        ),
    ]  # fmt: skip
    accounts = {
        FIRST: Account(FIRST, base[FIRST], first), SECOND: Account(SECOND, base[SECOND], second)
    }  # fmt: skip
    gateways = Gateways(settings, accounts, "http://127.0.0.1:1/v1/callbacks")
    region = Region(store, gateways=gateways)
    await gateways.connect()
    resolving = asyncio.create_task(forever("resolver", region.resolver.step))
    try:
        yield Site(region, gateways, sandbox)
    finally:
        await end(resolving)
        await gateways.close()


@pytest.fixture
async def site(store: NodeStore, sandbox: Sandbox, total_ms: int) -> AsyncIterator[Site]:
    async with node(store, sandbox, total_ms) as made:
        yield made


async def test_it_is_open_with_a_token_and_asks_for_no_other(
    site: Site, sql: asyncpg.Connection
) -> None:
    assert site.first.usage == "open"
    await site.pay(CROWD)
    assert len(site.sandbox.taken(FIRST)) == CROWD
    assert site.sandbox.asked() == 1
    await site.once(sql)


@pytest.mark.parametrize("lasts_ms", [2_000])
async def test_tokens_end_and_are_renewed_under_load(site: Site, sql: asyncpg.Connection) -> None:
    while site.sandbox.asked() < 4:
        await site.pay(CROWD)
    await site.once(sql)
    assert site.sandbox.taken(FIRST)


@pytest.mark.parametrize("lasts_ms", [300])
async def test_tokens_that_end_before_they_should(site: Site, sql: asyncpg.Connection) -> None:
    """It says one second, and lasts less: what it refuses goes to the other gateway."""
    while site.sandbox.asked() < 4:
        await site.pay(CROWD)
    await site.once(sql)
    assert site.sandbox.taken(SECOND), "some of it was refused in the middle"


async def test_tokens_that_are_revoked_under_load(site: Site, sql: asyncpg.Connection) -> None:
    await site.pay(CROWD)
    for round_ in range(3):
        asked = site.sandbox.asked()
        under_way = asyncio.ensure_future(site.pay(CROWD))
        await asyncio.to_thread(site.sandbox.revoke)
        await under_way
        await site.pay(CROWD)
        await until(lambda asked=asked: site.sandbox.asked() > asked)
        await site.opens()
        await site.pay(CROWD)
        assert site.sandbox.asked() == asked + 1, f"round {round_}: one for all of them"
    await site.once(sql)


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("error_500_before", "answered 500"),
        ("credentials_revoked", "refused the client credentials"),
        ("rate_limited", "answered 429"),
        ("garbage", "answered with no access token"),
        ("truncated", "no answer: truncated"),
        ("reset_before", "no answer"),
        ("hang_before", "no answer"),
    ],
)
@pytest.mark.parametrize(("lasts_ms", "total_ms"), [(2_000, 1_000)])
async def test_no_token_comes(site: Site, sql: asyncpg.Connection, kind: str, told: str) -> None:
    """Held until it ends; then payments go elsewhere, and the operator is told why."""
    await site.goes_to(FIRST)
    site.sandbox.fault("token", kind)
    await until(lambda: site.first.usage.startswith("token is lacking"))
    await until(lambda: told in site.first.usage)
    before = site.sandbox.taken(FIRST)
    await site.pay(CROWD)
    await site.succeeded()
    assert site.sandbox.taken(FIRST) == before
    (shown,) = site.first.preparations.shown()
    assert not shown["ready"] and shown["failed"] >= 1 and told in shown["problem"]
    site.sandbox.heal()
    await site.opens()
    await site.goes_to(FIRST)
    await site.once(sql)


async def test_the_node_starts_without_a_token(
    store: NodeStore, sandbox: Sandbox, sql: asyncpg.Connection
) -> None:
    sandbox.fault("token", "error_500_before")
    async with node(store, sandbox, 30_000) as site:
        assert site.first.usage.startswith("token is lacking: the sandbox answered 500")
        await site.pay(CROWD)
        assert (len(sandbox.taken(FIRST)), len(sandbox.taken(SECOND))) == (0, CROWD)
        sandbox.heal()
        await site.opens()
        await site.goes_to(FIRST)
        await site.once(sql)


async def test_an_unknown_charge_stays_one_whatever_becomes_of_the_token(
    site: Site, sql: asyncpg.Connection
) -> None:
    """The charge was made, its answer is lost, and nobody may ask: neither the look-up that is
    refused nor the repeat that is says that nothing was charged."""
    site.sandbox.fault("charge", "reset_after", times=1)
    for operation in ("charge", "query"):
        site.sandbox.fault(operation, "credentials_revoked")
    (shown,) = await site.pay()
    assert shown["status"] == "processing"
    reference = shown["latest_charge"]

    async def looked_at() -> bool:
        row = await sql.fetchrow("SELECT checks, replays FROM attempt WHERE id = $1", reference)
        assert row is not None
        return bool(row["checks"] >= 2 and row["replays"] >= 1)

    await until(looked_at)
    assert body(await site.region.pay("k0"))["status"] == "processing"
    assert site.sandbox.taken(FIRST) == [reference] and site.sandbox.taken(SECOND) == []
    site.sandbox.heal()
    await site.once(sql)


async def test_an_unknown_charge_waits_for_the_next_token(
    site: Site, sql: asyncpg.Connection
) -> None:
    site.sandbox.fault("charge", "reset_after", times=1)
    silence = [site.sandbox.fault(each, "error_500_before") for each in ("charge", "query")]
    (shown,) = await site.pay()
    assert shown["status"] == "processing"
    site.sandbox.fault("token", "error_500_before")
    site.sandbox.revoke()
    for each in silence:
        site.sandbox.heal(each)
    token = site.first.preparations.all[0]
    await until(lambda: token.failed >= 2)
    assert body(await site.region.pay("k0"))["status"] == "processing"
    assert site.sandbox.taken(FIRST) == [shown["latest_charge"]]
    assert site.sandbox.taken(SECOND) == []
    site.sandbox.heal()
    await site.once(sql)
