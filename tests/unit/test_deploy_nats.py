"""The broker's configuration: accepted by the server, and it allows what is needed, no more."""

import asyncio
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bailiwick.base import events
from bailiwick.shell import world_feed
from bailiwick.shell.authority import Authority
from bailiwick.shell.bus import Bus, BusError, Message, Security
from bailiwick.shell.ports import free_port
from tests.waiting import PATIENCE_S

SOURCE = Path(__file__).parents[2] / "deploy" / "nats"
SERVER = shutil.which("nats-server") or str(Path(sys.executable).with_name("nats-server"))
pytestmark = pytest.mark.skipif(not Path(SERVER).exists(), reason="nats-server is not here")
VARIABLES = re.findall(r"(?m)^(\w+)=", (SOURCE / "nats.env.example").read_text())


class Place:
    """A copy of the files with certificates and free ports of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pki = folder / "pki"
        Authority(self.pki).issue("nats", ["localhost", "127.0.0.1"], "both")
        self.ports = {"4222": free_port(), "7422": free_port()}
        self.leaf_port = free_port(self.ports.values())
        for name in ("hub.conf", "leaf.conf", "accounts.conf"):
            text = (SOURCE / name).read_text().replace("/etc/bailiwick/pki", str(self.pki))
            text = text.replace("/var/lib/nats", str(folder / "store"))
            (folder / name).write_text(text)

    def environment(self, name: str) -> dict[str, str]:
        made = dict.fromkeys(VARIABLES, "secret")
        hub = f"127.0.0.1:{self.ports['7422']}", f"localhost:{self.ports['7422']}", "localhost:1"
        for each, where in zip((v for v in VARIABLES if "HUB_URL" in v), hub, strict=True):
            made[each] = f"tls://leaf:secret@{where}"
        streams = "disabled" if name == "leaf" else "enabled"
        return made | {"NATS_SERVER_NAME": name, "NATS_JETSTREAM": streams}

    def alone(self, name: str) -> Path:
        """The same configuration on free ports; a hub of one server."""
        text = (self.folder / f"{name}.conf").read_text()
        text = re.sub(r"(?ms)^cluster \{.*?^\}\n", "", text)
        text = re.sub(r"(?m)^http: .*\n", "", text)
        main = self.leaf_port if name == "leaf" else self.ports["4222"]
        text = text.replace("0.0.0.0:4222", f"127.0.0.1:{main}")
        text = text.replace("0.0.0.0:7422", f"127.0.0.1:{self.ports['7422']}")
        path = self.folder / f"{name}-alone.conf"
        path.write_text(text)
        return path

    def bus(self, user: str, port: int) -> Bus:
        security = Security(
            ca=self.pki / "ca.crt", certificate=self.pki / "nats.crt", key=self.pki / "nats.key"
        )
        return Bus([f"tls://{user}:secret@localhost:{port}"], user, security=security, replicas=1)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.mark.parametrize("name", ["hub", "leaf"])
def test_the_server_accepts_it(place: Place, name: str) -> None:
    done = subprocess.run(
        [SERVER, "-t", "-c", str(place.folder / f"{name}.conf")],
        env=place.environment(name), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture
def servers(place: Place) -> Iterator[Place]:
    """The hub and a leaf node, running."""
    running = []
    try:
        for name in ("hub", "leaf"):
            with (place.folder / f"{name}.log").open("wb") as log:
                running.append(
                    subprocess.Popen(
                        [SERVER, "-c", str(place.alone(name))],
                        env=place.environment(name), stdout=log, stderr=log,
                    )
                )  # fmt: skip
        yield place
    finally:
        for process in running:
            process.kill()
            process.wait()


@asynccontextmanager
async def connected(place: Place, user: str, port: int) -> AsyncIterator[Bus]:
    bus = place.bus(user, port)
    try:
        logs = "".join(each.read_text() for each in place.folder.glob("*.log"))
        assert await bus.start(wait_s=PATIENCE_S), f"{user} cannot connect\n{logs}"
        yield bus
    finally:
        await bus.close()


async def eventually(bus: Bus) -> None:
    """The leaf node has found the hub: streams answer."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await bus.state(world_feed.STREAM)
                return
            except BusError:
                await asyncio.sleep(0.05)


async def published(bus: Bus, subject: str, stream: str) -> None:
    """Until the leaf node has heard that the hub wants this subject."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await bus.publish(subject, b"event", stream=stream)
                return
            except BusError:
                await asyncio.sleep(0.05)


async def refused(call: Awaitable[object]) -> None:
    with pytest.raises(BusError):
        await call


async def test_everybody_can_do_their_work_and_no_more(servers: Place) -> None:
    place = servers
    hub, leaf = place.ports["4222"], place.leaf_port
    heard: asyncio.Queue[Message] = asyncio.Queue()
    async with (
        connected(place, "node-1", leaf) as node,
        connected(place, "access", leaf) as access,
        connected(place, "overview", hub) as overview,
    ):
        await eventually(node)
        # The world: any process may bring it up to date, and all hear of it.
        await world_feed.ensure_stream(node)
        await access.listen(world_feed.PUSHED, heard.put)
        assert await world_feed.newest(access) is None
        async with asyncio.timeout(PATIENCE_S):
            sequence = 0
            while heard.empty():  # until the subscription has reached the hub
                receipt = await node.publish(
                    world_feed.SUBJECT, b"epoch", stream=world_feed.STREAM,
                    expect_last_subject_sequence=sequence,
                )  # fmt: skip
                sequence = receipt.sequence
                await asyncio.sleep(0.05)
        found = await world_feed.newest(access)
        assert found is not None
        assert found.data == b"epoch"
        # Events: each node its own subject; the overview reads them all.
        await node.ensure_stream(events.STREAM, [events.SUBJECTS], max_bytes=1 << 20)
        await published(node, events.subject(1), events.STREAM)
        puller = overview.pull(events.STREAM, "overview")
        (message,) = await puller.fetch(10, wait_s=PATIENCE_S)
        await message.ack()
        await puller.close()
        # Nobody says what is not theirs to say, and nobody but the overview hears of events.
        await asyncio.gather(
            *(
                refused(each)
                for each in (
                    node.publish(events.subject(2), b"x", stream=events.STREAM, timeout=0.5),
                    access.publish(events.subject(1), b"x", stream=events.STREAM, timeout=0.5),
                    overview.publish(events.subject(1), b"x", stream=events.STREAM, timeout=0.5),
                    node.last(events.STREAM, events.subject(1)),
                    access.last(events.STREAM, events.subject(1)),
                    node.delete_stream(events.STREAM),
                    access.delete_stream(world_feed.STREAM),
                )
            )
        )


async def test_without_a_client_certificate_there_is_no_connection(servers: Place) -> None:
    url = f"tls://access:secret@localhost:{servers.ports['4222']}"
    bus = Bus([url], "intruder", security=Security(ca=servers.pki / "ca.crt"), replicas=1)
    try:
        async with connected(servers, "access", servers.ports["4222"]):
            assert not await bus.start(wait_s=1)
    finally:
        await bus.close()
