"""The broker's configuration: accepted by the server, and it allows what is needed, no more."""

import asyncio
import itertools
import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bailiwick.base import events
from bailiwick.bus import event_stream
from bailiwick.bus.client import Bus, BusError, Message, Security
from bailiwick.topology import feed as world_feed
from bailiwick_lab.authority import Authority
from bailiwick_lab.servers.ports import free_port
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
            text = (SOURCE / name).read_text().replace("/etc/bailiwick/nats/pki", str(self.pki))
            text = text.replace("/var/lib/nats", str(folder / "store"))
            (folder / name).write_text(text)

    def environment(self, name: str) -> dict[str, str]:
        made = dict.fromkeys(VARIABLES, "secret")
        hub = f"127.0.0.1:{self.ports['7422']}", f"localhost:{self.ports['7422']}", "localhost:1"
        for each, where in zip((v for v in VARIABLES if "HUB_URL" in v), hub, strict=True):
            made[each] = f"tls://leaf-1:secret@{where}"
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
        # The world: a node makes the stream, any process brings it up to date, and all hear of it.
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
        await event_stream.ensure(overview)
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
                    node.last(events.STREAM, events.subject(2)),
                    node.pull(events.STREAM, "spy").fetch(1, wait_s=0.5),
                    access.pull(events.STREAM, "spy").fetch(1, wait_s=0.5),
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


# --- users and subjects -----------------------------------------------------------------------

ACCOUNTS = (SOURCE / "accounts.conf").read_text()
USERS = ("access", "node-1", "node-2", "overview", "desk")
APIS = ("$JS.API", "$JS.hub.API")


def named(operations: tuple[str, ...], stream: str) -> set[str]:
    return {f"{api}.STREAM.{each}.{stream}" for api in APIS for each in operations}


READS_WORLD = named(("INFO", "MSG.GET"), world_feed.STREAM) | {world_feed.SUBJECT}
SAYS = {
    "access": READS_WORLD | {"bailiwick.access.x"},
    "desk": READS_WORLD | named(("CREATE",), world_feed.STREAM),
    "overview": named(("INFO", "CREATE"), events.STREAM)
    | {f"{api}.CONSUMER.{each}.{events.STREAM}.x"
       for api in APIS for each in ("DURABLE.CREATE", "INFO", "MSG.NEXT")}
    | {f"$JS.ACK.x.x.{events.STREAM}.x"},
    **{
        f"node-{number}": READS_WORLD
        | named(("CREATE",), world_feed.STREAM)
        | named(("INFO",), events.STREAM)
        | {events.subject(number), events.report_subject(number)}
        for number in (1, 2)
    },
}  # fmt: skip
HEARS = {
    "access": {world_feed.PUSHED, "bailiwick.access.x"},
    "desk": set[str](),
    "overview": {events.REPORT_SUBJECTS, *(events.report_subject(n) for n in (1, 2, 3))},
    "node-1": {world_feed.PUSHED},
    "node-2": {world_feed.PUSHED},
}


def subjects() -> list[str]:
    """Every subject in the file, with x in place of what a wildcard stands for (3 for a node); and
    others that nobody should reach."""
    found = {
        each.replace("*", "x").replace(">", "x") for each in re.findall(r'"([^" ]+)"', ACCOUNTS)
    }
    found -= {"bailiwick.relay.x", "enabled", "disabled", "LEAFNODE"}
    streams = (world_feed.STREAM, events.STREAM)
    verbs = ("CREATE", "UPDATE", "DELETE", "PURGE", "MSG.DELETE", "MSG.GET", "INFO", "SNAPSHOT")
    for api, stream in itertools.product(APIS, streams):
        found |= {f"{api}.STREAM.{verb}.{stream}" for verb in verbs}
        found |= {
            f"{api}.CONSUMER.{verb}.{stream}.x" for verb in ("CREATE", "DELETE", "DURABLE.CREATE")
        }
        found |= {f"{api}.DIRECT.GET.{stream}", f"{api}.STREAM.CREATE.OTHER", f"{api}.STREAM.LIST"}
    found |= {f"$JS.ACK.{stream}.x" for stream in streams}
    found |= {"bailiwick.events.3", "bailiwick.relay.3", "bailiwick.other", "_INBOX.x", "x"}
    return sorted(found | {"$SYS.REQ.SERVER.PING", "$SYS.ACCOUNT.BAILIWICK.CONNECT", "$JS.EVENT.x"})


WIDE = (
    ">", "*", "*.>", "_INBOX.>", "_INBOX.*", "_INBOX_node-1.>", "_INBOX_node-2.>", "_INBOX_*.>",
    "bailiwick.>", events.SUBJECTS, events.REPORT_SUBJECTS, "$JS.>", "$SYS.>",
)  # fmt: skip


class Raw:
    """A client that speaks the broker's protocol by hand: it hears each refusal."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, place: Place, user: str, port: int) -> "Raw":
        reader, writer = await asyncio.open_connection("localhost", port)
        assert (await reader.readline()).startswith(b"INFO ")
        context = ssl.create_default_context(cafile=place.pki / "ca.crt")
        context.load_cert_chain(place.pki / "nats.crt", place.pki / "nats.key")
        await writer.start_tls(context, server_hostname="localhost")
        made = cls(reader, writer)
        login = {"user": user, "pass": "secret", "verbose": False, "tls_required": True}
        writer.write(b"CONNECT " + json.dumps(login).encode() + b"\r\n")
        return made

    async def refused(self, line: str) -> bool:
        """Whether the server refuses one line of the protocol for want of a permission."""
        self._writer.write(line.encode() + b"\r\nPING\r\n")
        told = []
        async with asyncio.timeout(20):
            while (heard := await self._reader.readline()).strip() != b"PONG":
                assert heard, f"the connection was closed: {told}"
                told.append(heard)
        return any(each.startswith(b"-ERR 'Permissions Violation") for each in told)

    def close(self) -> None:
        self._writer.close()


def hears(user: str, subject: str) -> bool:
    return subject in HEARS[user] or subject.startswith(f"_INBOX_{user}.")


@pytest.mark.parametrize("user", USERS)
async def test_what_each_user_may_say_and_hear(servers: Place, user: str) -> None:
    port = servers.ports["4222"]
    async with connected(servers, user, port):  # the server is there
        pass
    client = await Raw.connect(servers, user, port)
    try:
        for subject in subjects():
            said = not await client.refused(f"PUB {subject} 0\r\n")
            assert said == (subject in SAYS[user]), f"{user} says {subject}"
            heard = not await client.refused(f"SUB {subject} 1")
            assert heard == hears(user, subject), f"{user} hears {subject}"
        for subject in WIDE:
            heard = not await client.refused(f"SUB {subject} 2")
            assert heard == hears(user, subject), f"{user} hears {subject}"
    finally:
        client.close()


def test_every_user_is_looked_at() -> None:
    named_users = set(re.findall(r"user: ([\w-]+)", ACCOUNTS))
    assert named_users == {*USERS, "leaf-1", "leaf-2", "sys"}


async def test_a_leaf_node_s_password_opens_nothing_else(servers: Place) -> None:
    port = servers.ports["4222"]
    async with connected(servers, "access", port):
        bus = servers.bus("leaf-1", port)
        try:
            assert not await bus.start(wait_s=1)
        finally:
            await bus.close()


async def test_a_region_cannot_speak_as_another_s_node(servers: Place) -> None:
    """Even its leaf node, whose own list of users may have been changed, is held to its region."""
    async with (
        connected(servers, "node-1", servers.leaf_port) as own,
        connected(servers, "node-2", servers.leaf_port) as foreign,
        connected(servers, "overview", servers.ports["4222"]) as overview,
    ):
        await event_stream.ensure(overview)
        await eventually(own)
        await published(own, events.subject(1), events.STREAM)
        await refused(foreign.publish(events.subject(2), b"x", stream=events.STREAM, timeout=0.5))
        state = await overview.state(events.STREAM)
        assert state is not None and state.messages == 1


async def test_answers_come_where_the_user_alone_hears_them(servers: Place) -> None:
    port = servers.ports["4222"]
    async with (
        connected(servers, "node-1", port) as node,
        connected(servers, "node-2", port) as other,
    ):
        assert node.inbox == "_INBOX_node-1"
        heard: asyncio.Queue[Message] = asyncio.Queue()
        for subject in ("_INBOX.>", "_INBOX_node-1.>", ">"):
            await other.listen(subject, heard.put)
        await world_feed.ensure_stream(node)
        assert await node.state(world_feed.STREAM) is not None
        assert await other.state(world_feed.STREAM) is not None  # what was refused has been said
        assert heard.empty()
