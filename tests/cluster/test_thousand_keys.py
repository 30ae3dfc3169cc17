"""A thousand keys, each submitted several times over two access processes while nodes and access
are killed, a place moves and the geographic data changes: one charge per key, by the banks' books.

The tests follow each other on one demo; the last one submits every key again and counts.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from chaos_kit import Chaos, bailiwick
from keys_kit import Client, Key, Keys, charged, charges

from bailiwick.geo import atlas
from tests.mmdb import mapping, string, write_mmdb

GERMANY = "currency=eur&location[country]=DE"
INDIA = "currency=inr&location[country]=IN"
BRAZIL = "currency=brl&location[country]=BR"
JAPAN = "currency=jpy&location[country]=JP"
ADDRESS = "currency=eur&location[ip_address]=8.8.8.8"
POINT = "currency=eur&location[coordinates]=34.60,32.98"
"""On Akrotiri, which an override may count to Cyprus."""

SHARES = {
    "dead before the first submit": 170,
    "dead after the charge": 170,
    "first access killed too": 165,
    "access with empty memory": 165,
    "across an epoch": 165,
    "across geo data": 165,
}
HANG_MS = 20_000

JAPAN_MOVES = """
[[rules]]
places = ["JP"]
nodes = ["americas"]
residency = "strict"
"""
"""Strict, so that a busy machine cannot send a payment on to the next node, as it should else."""
CYPRUS_IS_AMERICAN = """
[[rules]]
places = ["CY"]
nodes = ["americas", "europe"]
residency = "prefer"
"""


class Geo:
    """The operator's IP file of all processes, which they read when they start."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def write(self, country: str) -> str:
        """Let 8.8.8.8 be in a country; the digest of the geographic data is then this."""
        new = self.file.with_suffix(".new")
        write_mmdb(new, {"8.8.8.0/24": {"country": mapping({"iso_code": string(country)})}})
        new.replace(self.file)  # what has the old file open keeps it
        return atlas.load(self.file).digest


@pytest.fixture(scope="module")
def geo(tmp_path_factory: pytest.TempPathFactory) -> Geo:
    return Geo(tmp_path_factory.mktemp("geo") / "ip.mmdb")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, geo: Geo) -> Iterator[Chaos]:
    """A demo whose processes all read the operator's file."""
    geo.write("DE")
    data: Path = tmp_path_factory.mktemp("keys")
    bailiwick(
        "demo", "--background", "--data", str(data), "--nodes", "3", "--access", "2",
        BAILIWICK_CRASH_POINTS="1", BAILIWICK_IP_FILE=str(geo.file), BAILIWICK_MMDB=str(geo.file),
    )  # fmt: skip
    try:
        yield Chaos(data)
    finally:
        bailiwick("demo", "--stop", "--data", str(data))


@pytest.fixture(scope="module")
def keys() -> Keys:
    return Keys()


@pytest.fixture
async def client(run: Chaos) -> AsyncIterator[Client]:
    made = Client(run)
    yield made
    made.close()


@contextlib.asynccontextmanager
async def dead(run: Chaos, node: str) -> AsyncIterator[None]:
    """A node that is dead within the block, with nothing of it starting."""
    outage = run.dead(node)
    await asyncio.to_thread(outage.begin)
    try:
        yield
    finally:
        await asyncio.to_thread(outage.end)


@contextlib.asynccontextmanager
async def unanswered(run: Chaos, client: Client, keys: list[Key]) -> AsyncIterator[None]:
    """Keys that the banks have charged, each submitted over both access processes, and for
    which no answer has come from the bank."""
    run.fault(
        provider="*", operation="charge", kind="charge_then_hang", params={"hang_ms": HANG_MS}
    )
    flying = asyncio.create_task(client.both(keys))
    try:
        await charged(run, keys)
        yield
    finally:
        run.heal()
        await flying


def share(keys: Keys, situation: str, *forms: str) -> list[Key]:
    return keys.make(SHARES[situation], *forms)


async def test_home_dead_before_the_first_submit(run: Chaos, client: Client, keys: Keys) -> None:
    mine = share(keys, "dead before the first submit", BRAZIL)
    async with dead(run, "americas"):
        assert set(await client.both(mine)) == {None}
    assert {key.others["503 node_unavailable"] for key in mine} == {2}
    assert not any(key.amount in charges(run) for key in mine)
    await client.settle(mine)


async def test_home_dead_after_the_charge(run: Chaos, client: Client, keys: Keys) -> None:
    mine = share(keys, "dead after the charge", GERMANY)
    hanging, crashing = mine[:-20], mine[-20:]
    async with unanswered(run, client, hanging), dead(run, "europe"):
        run.heal()
        assert set(await client.both(mine)) == {None}
    pid = run.node("europe")["pid"]
    run.arm("europe", "call.answered", nth=10)
    await client.settle(crashing)
    await asyncio.to_thread(run.restarted, "europe", pid)
    await client.settle(hanging)


async def test_first_access_killed_too(run: Chaos, client: Client, keys: Keys) -> None:
    mine = share(keys, "first access killed too", INDIA)
    async with unanswered(run, client, mine), dead(run, "apac"):
        run.heal()
        await asyncio.to_thread(run.restart_access, 0)
    await client.settle(mine, first=1)


async def test_access_with_empty_memory(run: Chaos, client: Client, keys: Keys) -> None:
    mine = share(keys, "access with empty memory", GERMANY, INDIA, BRAZIL)
    known, unknown = mine[::2], mine[1::2]
    await client.settle(known)
    async with unanswered(run, client, unknown):
        for place in range(2):
            await asyncio.to_thread(run.restart_access, place)
        await client.both(mine)
    await client.settle(mine)


async def across(
    run: Chaos,
    client: Client,
    mine: list[Key],
    home: str,
    change: Callable[[], Awaitable[None]],
) -> tuple[list[Key], list[Key], list[Key], list[Key]]:
    """A change while the home is dead, for keys it has ended, keys whose charge it has not heard
    of, keys that came when it was dead, and keys that come after the change."""
    ended, unheard, early, late = (mine[turn::4] for turn in range(4))
    await client.settle(ended)
    async with unanswered(run, client, unheard), dead(run, home):
        run.heal()
        assert set(await client.both(early)) == {None}
        await change()
        # Nobody else takes what the dead node may have taken, whatever the epoch says now.
        assert set(await client.both(mine)) == {None}
    await client.settle(mine)
    assert nodes(ended) == nodes(unheard) == {home}
    return ended, unheard, early, late


def nodes(keys: list[Key]) -> set[str]:
    """Where these keys' payments are."""
    return {node for key in keys for node in key.nodes}


async def test_across_an_epoch(run: Chaos, client: Client, keys: Keys) -> None:
    before = topology(run)

    async def move() -> None:
        epoch = await asyncio.to_thread(run.publish, before + JAPAN_MOVES)
        await asyncio.to_thread(run.arrived, epoch, but=("apac",))

    mine = share(keys, "across an epoch", JAPAN)
    *_, early, late = await across(run, client, mine, "apac", move)
    assert nodes(early) == nodes(late) == {"americas"}


async def test_across_geo_data(run: Chaos, client: Client, keys: Keys, geo: Geo) -> None:
    before = topology(run) + CYPRUS_IS_AMERICAN

    def pinned(digest: str) -> str:
        return before.replace("[groups]", f'geo = "{digest}"\n\n[groups]', 1)

    async def update() -> None:
        """As an operator would: the file, then the epoch that pins it, then restarts. What still
        has the old file keeps the old epoch."""
        text = pinned(geo.write("BR")) + '\n[overrides]\nakrotiri-and-dhekelia = "CY"\n'
        await asyncio.to_thread(run.publish, text)
        await asyncio.gather(
            restarted(run, "apac"),
            restarted(run, "americas"),
            asyncio.to_thread(run.restart_access, 0),
            asyncio.to_thread(run.restart_access, 1),
        )

    await asyncio.to_thread(run.publish, pinned(atlas.load(geo.file).digest))
    mine = share(keys, "across geo data", ADDRESS, POINT, POINT, ADDRESS, ADDRESS)
    *_, early, late = await across(run, client, mine, "europe", update)
    # Where americas is busy for a moment, the next takes what nobody has: the machine's affair.
    assert "americas" in nodes(late) <= {"americas", "europe"}
    # To pin data for the first time counts as a change too: for these, every node was asked on
    # behalf of europe, which was dead. So the new home has refused them for ever when they come
    # again, and the next in its order takes them: europe.
    assert nodes(early) == {"europe"}


def topology(run: Chaos) -> str:
    """The topology in force, as it was written."""
    return (run.data / "world" / "topology.toml").read_text(encoding="utf-8")


async def restarted(run: Chaos, node: str) -> None:
    """Kill a node and wait until it is back."""
    async with dead(run, node):
        pass


async def test_one_charge_per_key(run: Chaos, client: Client, keys: Keys) -> None:
    everything = keys.all
    assert len(everything) == sum(SHARES.values()) == 1_000
    for at in range(0, len(everything), 100):
        some = everything[at : at + 100]
        await client.both(some)
        await client.settle(some, first=0)
        await client.settle(some, first=1)
    books = charges(run)
    for key in everything:
        assert len(key.endings) >= 3, key
        assert len(set(key.endings)) == len(key.raw) == 1, key
        ending = key.endings[0]
        paid = [ending.charge] if ending.said == "succeeded" else []
        assert books.get(key.amount, []) == paid, key
        assert paid or b"Nothing was charged" in min(key.raw), key
    assert sum(key.endings[0].said == "succeeded" for key in everything) >= 950
    verdict = await asyncio.to_thread(run.check)
    assert verdict["ok"], verdict
    compared = {each["name"]: each["compared"] for each in verdict["invariants"]}
    assert compared["one_payment_per_key"] >= 950
    assert compared["succeeded_means_one_charge"] >= 950
