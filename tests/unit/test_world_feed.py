"""Epochs over a real broker: pushed, caught up, brought back after a wipe, never believed."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path

import pytest
from broker_kit import Server
from chain_kit import KEY, OTHER_KEY, START_MS, files, link, signed_folder

from bailiwick.bus.client import Bus, BusError, Security
from bailiwick.control import publishing
from bailiwick.control.publishing import PublishError
from bailiwick.topology import chain
from bailiwick.topology.chain import Link
from bailiwick.topology.current import CurrentWorld
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.feed import (
    STREAM,
    SUBJECT,
    WorldFeed,
    ensure_stream,
    fetch_first,
    newest,
    pack,
    push,
    unpack,
)
from tests.waiting import PATIENCE_S, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    it = Server(tmp_path / "nats")
    await it.start()
    yield it
    it.stop()


class Host:
    """A process on a host of its own."""

    def __init__(self, folder: Path, url: str, *links: Link) -> None:
        folder.mkdir()
        self.folder = folder
        signed_folder(folder, *links)
        self.current = CurrentWorld(folder)
        self.bus = Bus([url], folder.name)
        self.feed = WorldFeed(self.current, self.bus)

    @property
    def epoch(self) -> int:
        return self.current.world.epoch


@contextlib.asynccontextmanager
async def running(*hosts: Host) -> AsyncIterator[None]:
    try:
        for host in hosts:
            await host.feed.start()
        await until(lambda: all(host.bus.connected for host in hosts))
        yield
    finally:
        for host in hosts:
            await host.feed.stop()
            await host.bus.close()


def write_files(folder: Path, home: str) -> None:
    for name, raw in files(home).items():
        (folder / name).write_bytes(raw)


async def test_a_publish_reaches_every_process(tmp_path: Path, server: Server) -> None:
    one = link(None)
    hosts = [Host(tmp_path / name, server.url, one) for name in ("a", "b", "c")]
    desk = tmp_path / "desk"
    desk.mkdir()
    signed_folder(desk, one)
    write_files(desk, "apac")
    async with running(*hosts):
        bus = Bus([server.url], "desk")
        await bus.start(wait_s=PATIENCE_S)
        done = await publishing.publish(desk, KEY, bus, note="move")
        assert (done.link.epoch, done.changed, done.pushed) == (2, True, True)
        await until(lambda: [host.epoch for host in hosts] == [2, 2, 2])
        assert all(Epochs(host.folder).numbers() == [1, 2] for host in hosts)
        found = hosts[0].current.freshness()
        assert (found.connected, found.stale_s, found.problem) == (True, 0.0, None)
        again = await publishing.publish(desk, KEY, bus)
        assert not again.changed
        await bus.close()


async def test_who_was_away_catches_up(tmp_path: Path, server: Server) -> None:
    one = link(None)
    two = link(one, "apac")
    three = link(two, at_ms=START_MS + 1)
    newer = Host(tmp_path / "newer", server.url, one, two, three)
    older = Host(tmp_path / "older", server.url, one)
    async with running(older):
        await until(lambda: older.feed.stale_s == 0.0)
        assert older.epoch == 1
        async with running(newer):
            await until(lambda: older.epoch == 3)
        server.stop()
        await until(lambda: older.current.freshness().connected is False)
        server.wipe()
        await server.start()
        # Nobody but the one that caught up can bring the broker's copy back.
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        signed_folder(fresh)
        bus = Bus([server.url], "fresh")
        assert await fetch_first(fresh, bus, wait_s=PATIENCE_S) is None
        await bus.close()
        assert CurrentWorld(fresh).link == three


async def test_a_host_without_an_epoch_says_what_it_lacks(tmp_path: Path, server: Server) -> None:
    signed_folder(tmp_path)
    bus = Bus([server.url], "fresh")
    problem = await fetch_first(tmp_path, bus, wait_s=0.5)
    await bus.close()
    assert problem is not None


async def test_rubbish_at_the_broker_is_replaced_and_strangers_are_not(
    tmp_path: Path, server: Server
) -> None:
    one = link(None)
    host = Host(tmp_path / "a", server.url, one)
    bus = Bus([server.url], "stranger")
    await bus.start(wait_s=PATIENCE_S)
    await ensure_stream(bus)
    await bus.publish(SUBJECT, b"rubbish", stream=STREAM)

    async def at_broker() -> bytes:
        message = await newest(bus)
        return unpack(message.data) if message is not None else b""

    async with running(host):
        await until(lambda: _equal(at_broker(), one.raw))
        # It may be a good epoch, of a key that this host has yet to be told of.
        foreign = link(one, key=OTHER_KEY)
        message = await newest(bus)
        assert message is not None
        await push(bus, foreign, message.sequence)
        await until(lambda: host.current.refused["foreign"] > 0)
        assert await at_broker() == foreign.raw
        assert host.epoch == 1
        (host.folder / "trust.json").write_bytes(
            chain.trust_text([(KEY.public_key(), ""), (OTHER_KEY.public_key(), "")])
        )
        await until(lambda: host.epoch == 2)
    await bus.close()


async def _equal(found: Awaitable[bytes], expected: bytes) -> bool:
    return await found == expected


async def test_a_fork_at_the_broker_is_refused_loudly(tmp_path: Path, server: Server) -> None:
    one = link(None)
    ours, theirs = link(one, "apac"), link(one, "europe", "FR")
    bus = Bus([server.url], "desk")
    await bus.start(wait_s=PATIENCE_S)
    await ensure_stream(bus)
    await push(bus, theirs, 0)
    host = Host(tmp_path / "a", server.url, one, ours)
    async with running(host):
        await until(lambda: "fork" in (host.current.problem or ""))
        assert host.current.link == ours
        message = await newest(bus)
        assert message is not None
        assert unpack(message.data) == theirs.raw  # nor is theirs overwritten
        desk = tmp_path / "desk"
        desk.mkdir()
        signed_folder(desk, one, ours)
        write_files(desk, "apac")
        with pytest.raises(PublishError, match="fork"):
            await publishing.publish(desk, KEY, bus)
    await bus.close()


async def test_one_of_two_publishers_wins(tmp_path: Path, server: Server) -> None:
    one = link(None)
    desks = [tmp_path / name for name in ("a", "b", "c")]
    buses = [Bus([server.url], desk.name) for desk in desks]
    for desk, bus in zip(desks, buses, strict=True):
        desk.mkdir()
        signed_folder(desk, one)
        write_files(desk, "apac")
        (desk / "merchants.toml").write_bytes(
            files("apac", "DE", "a", "bcd"[desks.index(desk)])["merchants.toml"]
        )
        await bus.start(wait_s=PATIENCE_S)
    await ensure_stream(buses[0])
    await push(buses[0], one, 0)
    outcomes = await asyncio.gather(
        *(publishing.publish(desk, KEY, bus) for desk, bus in zip(desks, buses, strict=True)),
        return_exceptions=True,
    )
    lost = [each for each in outcomes if isinstance(each, PublishError)]
    won = [each for each in outcomes if isinstance(each, publishing.Published)]
    # Who looked after the winner was done published the next epoch; nobody published the same.
    assert len(won) >= 1
    assert len({each.link.epoch for each in won}) == len(won)
    assert len(lost) + len(won) == 3
    assert all("nothing was published" in str(each) for each in lost)
    published = {one.raw, *(each.link.raw for each in won)}
    for desk in desks:
        epochs = Epochs(desk)
        assert {epochs.path(number).read_bytes() for number in epochs.numbers()} <= published
    for bus in buses:
        await bus.close()


async def test_without_a_broker_nothing_is_half_published(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "CONNECT_S", 0.2)
    signed_folder(tmp_path, link(None))
    write_files(tmp_path, "apac")
    server.stop()
    with pytest.raises(PublishError, match="no NATS server answers"):
        async with publishing.connection([server.url], Security()):
            pass
    bus = Bus([server.url], "desk")
    with pytest.raises(PublishError, match="nothing was published"):
        await publishing.publish(tmp_path, KEY, bus)
    assert Epochs(tmp_path).numbers() == [1]


def test_what_travels_is_bounded() -> None:
    raw = link(None).raw
    assert unpack(pack(raw)) == raw
    assert len(pack(raw)) < len(raw)
    for bad in (b"", b"rubbish", pack(raw)[:-3], pack(b"\0" * (40 << 20))):
        assert unpack(bad) == b""
    with pytest.raises(BusError, match="topology install"):
        pack(random.Random(1).randbytes(9_000_000))
