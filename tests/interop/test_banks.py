"""Banks over ISO 8583 against issuer hosts that nobody here wrote, through a node's orders."""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bailiwick.resources.payments.params import CancelPayment, CapturePayment
from bailiwick.resources.refunds.params import CreateRefund
from bailiwick_lab.servers import engines
from bailiwick_lab.servers.engines import PostgresServer
from tests.interop.issuers import CLOSED, DECLINED, PEERS, SILENT, Issuer
from tests.postgres.banks_kit import HASTY_MS, node
from tests.postgres.node_kit import Region, balance, body
from tests.postgres.rows_kit import sound
from tests.postgres.schemas import migrated
from tests.store_kit import NodeStore
from tests.waiting import until


@pytest.fixture(scope="module", params=PEERS)
def issuer(request: pytest.FixtureRequest, cache: Path, tmp_path_factory: Any) -> Iterator[Issuer]:
    made = Issuer(request.param, cache, tmp_path_factory.mktemp("issuer"))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def server_dsn() -> Iterator[str]:
    # Not pytest's folder: the database's user could not enter it when we are root.
    place = Path(tempfile.mkdtemp(prefix="bwi-"))
    place.chmod(0o755)
    server = asyncio.run(PostgresServer.start(place / "postgres"))
    yield server.tcp_dsn
    asyncio.run(server.stop())
    engines.remove(place / "postgres")
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
async def dsn(server_dsn: str) -> AsyncIterator[str]:
    async with migrated(server_dsn, 1) as made:
        yield made


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def region(dsn: str, issuer: Issuer) -> AsyncIterator[Region]:
    store = NodeStore(dsn, lambda: 1, pool_max=4)
    await store.open()
    async with node(
        store, issuer.channel, issuer.url, 3 * HASTY_MS, mac_key=issuer.mac_key, visibility_ms=0
    ) as made:
        (gateway,) = made.machine.gateways.all()
        assert gateway.usage == "open", "signed on, over each of two connections"
        yield made
    await store.close()


async def given_up(region: Region, sql: asyncpg.Connection, amount: int) -> str:
    """A payment of this amount, and the id of the charge, once it is known that it is none."""
    answer = await region.pay("k", amount=amount)
    shown = body(answer)["error"]["payment_intent"] if answer.status == 402 else body(answer)
    while True:
        payment = await region.store.payment(shown["id"])
        assert payment is not None
        if payment.open_attempt is None:
            break
        await region.resolve(payment.open_attempt, age_ms=3_600_000)
    assert payment.state == "requires_payment_method"
    assert await balance(sql, "%") == 0
    await sound(sql)
    return str(shown["latest_charge"])


async def test_a_purchase(region: Region, sql: asyncpg.Connection) -> None:
    done = body(await region.pay("k"))
    assert done["status"] == "succeeded"
    attempt = await region.store.attempt(done["latest_charge"])
    assert attempt is not None and re.fullmatch(r"[0-9]{12}-[!-~]{6}", attempt.provider_ref or "")
    await sound(sql)


async def test_a_decline(region: Region, sql: asyncpg.Connection) -> None:
    answer = await region.pay("k", amount=DECLINED)
    assert answer.status == 402
    assert body(answer)["error"]["decline_code"] == "insufficient_funds"
    await sound(sql)


async def test_a_hold_is_captured_and_refunded(region: Region, sql: asyncpg.Connection) -> None:
    held = body(await region.pay("k", capture_method="manual"))
    assert held["status"] == "requires_capture"
    wish = CapturePayment(amount_to_capture=600)
    done = body(await region.act("capture", "c", held["id"], wish))
    assert (done["status"], done["amount_received"]) == ("succeeded", 600)
    refund = body(await region.refund("r", CreateRefund(payment_intent=held["id"], amount=100)))
    assert refund["status"] == "succeeded"
    await sound(sql)


async def test_a_hold_is_let_go(region: Region, sql: asyncpg.Connection) -> None:
    held = body(await region.pay("k", capture_method="manual"))
    gone = body(await region.act("cancel", "x", held["id"], CancelPayment()))
    assert gone["status"] == "canceled"
    await sound(sql)


@pytest.mark.parametrize("amount", [SILENT, CLOSED])
async def test_no_answer_is_reversed(
    region: Region, issuer: Issuer, sql: asyncpg.Connection, amount: int
) -> None:
    await given_up(region, sql, amount)
    if issuer.name == "jpos":
        # It has found the charge by what the reversal says of it, and holds nothing for it.
        await until(lambda: any(f"{amount:012d} 00" in line for line in issuer.lines))
        last = [line for line in issuer.lines if f"{amount:012d}" in line][-1]
        assert re.search(rf"\b{amount}\b", last.partition("[")[2]) is None, last
        kinds = [line[:4] for line in issuer.lines if f"{amount:012d}" in line]
        repeats = ["0421"] if amount == SILENT else []
        assert kinds == ["0200", "0420", *repeats]
    assert body(await region.pay("again"))["status"] == "succeeded"


async def test_many_at_once(region: Region, sql: asyncpg.Connection) -> None:
    done = await asyncio.gather(*(region.pay(f"k{number}") for number in range(40)))
    assert {body(each)["status"] for each in done} == {"succeeded"}
    await sound(sql)
