"""Connections to a bank: sign-on, echo, many exchanges on each, and exactly how far each got."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from msgspec.structs import replace

from bailiwick.base.clock import boot_ns
from bailiwick.channels.blocks.iso8583.bank import Bank
from bailiwick.channels.blocks.iso8583.codec import Message, pack, unpack
from bailiwick.channels.blocks.iso8583.mac import key_of
from bailiwick.channels.contract import (
    Account,
    Context,
    Exchange,
    Instruction,
    Outcome,
    Permit,
    Phase,
    Reply,
    Request,
)
from bailiwick.channels.transports.iso8583 import Iso8583Transport
from bailiwick.channels.transports.iso8583.link import STALL_S, Link
from bailiwick_lab.servers.scripted_bank import Answering, ScriptedBank, like
from tests.faultproxy import FaultProxy
from tests.unit.iso8583_kit import AT, CHARGE, MAC_KEY, NAMES, PACKED, account, bank, reversal
from tests.unit.transport_kit import trusting
from tests.waiting import PATIENCE_S, until

PATIENT = {
    "connect_ms": int(PATIENCE_S * 1_000),
    "first_byte_ms": int(PATIENCE_S * 1_000),
    "total_ms": int(PATIENCE_S * 1_000),
}
KEY = bytes.fromhex(MAC_KEY)
TLS = Path(__file__).parent.parent / "tls"
CERT, CERT_KEY = str(TLS / "localhost.crt"), str(TLS / "localhost.key")


class Node:
    """A channel with its transport, and what came late."""

    def __init__(self, it: Bank, url: str, *, limit: int = 256, signed: bool | None = None) -> None:
        self.it = it
        signs = it.profile.name == "bank_packed" if signed is None else signed
        self.account: Account = account(url, MAC_KEY if signs else None)
        self.key = KEY if signs else None
        self.late: list[tuple[Request, Reply]] = []
        self.transport = Iso8583Transport(
            limit=limit, late=lambda request, reply: self.late.append((request, reply))
        )

    async def connect(self) -> Exchange:
        return await self.transport.connect(self.it.check(self.account, 0), self.it.profile)

    async def ask(self, order: Instruction, permit: Permit | None = None) -> Exchange:
        request = self.it.request(order, self.account)
        return await self.transport.exchange(request, self.it.profile, permit or fresh())


def fresh() -> Permit:
    return Permit(boot_ns() + 3_600_000_000_000)


def nth(number: int, order: Instruction = CHARGE) -> Instruction:
    return replace(
        order, reference=f"ch_{number}", context=Context(AT.instant_ms, AT.sequence + number)
    )


def silent(request: Message, data: bytes) -> None:
    return None


@pytest.fixture(params=NAMES)
def it(request: pytest.FixtureRequest) -> Bank:
    return bank(request.param, **PATIENT)


@pytest.fixture
async def peer(it: Bank) -> AsyncIterator[ScriptedBank]:
    key = KEY if it.profile.name == "bank_packed" else None
    async with ScriptedBank(it.profile.wire, like(it.profile.wire, "00", key)) as found:
        yield found


@pytest.fixture
async def node(it: Bank, peer: ScriptedBank) -> AsyncIterator[Node]:
    made = Node(it, peer.url)
    assert (await made.connect()).phase is Phase.ANSWERED
    yield made
    await made.transport.close()


def approves(it: Bank) -> Answering:
    return like(it.profile.wire, "00", KEY if it.profile.name == "bank_packed" else None)


# --- the connection


async def test_each_connection_signs_on(node: Node, peer: ScriptedBank) -> None:
    assert peer.connections == 2
    assert peer.network == ["001", "001"]
    told = await node.connect()
    assert peer.network == ["001", "001", "301", "301"]
    assert peer.connections == 2
    assert told.reply is not None and node.it.parse_check(told.reply, node.account) is None


async def test_no_more_connections_than_the_gateway_may_have(it: Bank, peer: ScriptedBank) -> None:
    node = Node(it, peer.url, limit=1)
    await node.connect()
    assert peer.connections == 1
    await node.transport.close()


async def test_a_refused_sign_on_is_told_and_nothing_is_sent(it: Bank, peer: ScriptedBank) -> None:
    peer.signs_on = "05"
    node = Node(it, peer.url)
    told = await node.connect()
    assert told.reply is not None and "05" in str(it.parse_check(told.reply, node.account))
    assert await node.ask(CHARGE) == Exchange(Phase.UNSENT, None, "sign_on_refused")
    assert peer.heard == []
    peer.signs_on = "00"
    assert (await node.ask(CHARGE)).phase is Phase.ANSWERED
    await node.transport.close()


async def test_without_a_bank_nothing_is_sent(it: Bank, peer: ScriptedBank) -> None:
    async with ScriptedBank(it.profile.wire) as gone:
        url = gone.url
    node = Node(it, url)
    assert await node.ask(CHARGE) == Exchange(Phase.UNSENT, None, "not_connected")
    assert await node.connect() == Exchange(Phase.UNSENT, None, "refused")
    assert await node.ask(CHARGE) == Exchange(Phase.UNSENT, None, "refused")
    wrong = Node(it, "https://bank.test")
    assert (await wrong.connect()).phase is Phase.UNSENT
    await node.transport.close()
    assert await node.ask(CHARGE) == Exchange(Phase.UNSENT, None, "closed")
    assert await node.connect() == Exchange(Phase.UNSENT, None, "closed")


async def test_a_bank_that_does_not_sign_on_is_not_waited_for_longer_than_it_takes_to_connect(
    peer: ScriptedBank, it: Bank
) -> None:
    peer.signs_on = None
    hasty = bank(it.profile.name, **{**PATIENT, "first_byte_ms": 200})
    node = Node(hasty, peer.url)
    assert await node.connect() == Exchange(Phase.SENT, None, "read_timeout")
    assert (await node.ask(CHARGE)).phase is Phase.UNSENT
    assert peer.heard == []
    await node.transport.close()


async def test_one_connection_that_is_down_does_not_close_the_gateway(
    node: Node, peer: ScriptedBank
) -> None:
    peer.writers[0].transport.abort()
    await until(lambda: len(peer.writers) == 1)
    told = await node.connect()
    assert told.reply is not None and node.it.parse_check(told.reply, node.account) is None
    await node.connect()
    await until(lambda: len(peer.writers) == 2)
    assert (await node.ask(CHARGE)).phase is Phase.ANSWERED


async def test_an_echo_without_an_answer_ends_its_connection(it: Bank, peer: ScriptedBank) -> None:
    hasty = bank(it.profile.name, **{**PATIENT, "first_byte_ms": 200})
    node = Node(hasty, peer.url, limit=1)
    await node.connect()
    peer.echoes = None
    assert await node.connect() == Exchange(Phase.SENT, None, "read_timeout")
    await until(lambda: not peer.writers)
    assert (await node.ask(CHARGE)).phase is Phase.ANSWERED  # over a new one
    assert peer.connections == 2
    await node.transport.close()


async def test_the_bank_s_own_echo_is_answered(node: Node, peer: ScriptedBank) -> None:
    echo = Message("0800", {7: "0921141320", 11: "000777", 70: "301"})
    peer.say(pack(node.it.profile.wire, echo))
    await until(lambda: "answered 301" in peer.network)
    peer.writers[0].write(bytes(node.it.profile.wire.framing.size))  # keeps the line alive
    assert (await node.ask(CHARGE)).phase is Phase.ANSWERED


async def test_closing_signs_off(node: Node, peer: ScriptedBank) -> None:
    await node.transport.close()
    await until(lambda: not peer.writers)
    assert peer.network[-2:] == ["002", "002"]


# --- exchanges


async def test_an_answer(node: Node, peer: ScriptedBank) -> None:
    done = await node.ask(CHARGE)
    assert done.reply is not None
    found = node.it.parse(CHARGE, done.reply, node.account)
    assert (found.outcome, found.amount) == (Outcome.APPROVED, 1099)
    assert peer.heard[0].type == "0200"


async def test_many_at_once_get_their_own_answers_in_any_order(
    node: Node, peer: ScriptedBank
) -> None:
    held: list[tuple[Message, bytes]] = []
    many = 40

    def hold(request: Message, data: bytes) -> None:
        held.append((request, data))

    peer.then(hold)
    asked = [asyncio.create_task(node.ask(nth(number))) for number in range(many)]
    await until(lambda: len(held) == many)
    answer = approves(node.it)
    for place, (request, data) in enumerate(reversed(held)):
        made = answer(request, data)
        assert made is not None
        peer.say(made, place % len(peer.writers))  # on whichever connection
    for number, each in enumerate(asked):
        done = await each
        assert done.reply is not None
        assert node.it.parse(nth(number), done.reply, node.account).outcome is Outcome.APPROVED
    assert peer.connections == 2


async def test_they_are_spread_over_the_connections(node: Node, peer: ScriptedBank) -> None:
    held: list[bytes] = []
    answer = approves(node.it)
    peer.then(lambda request, data: held.append(data))
    asked = [asyncio.create_task(node.ask(nth(number))) for number in range(2)]
    await until(lambda: len(held) == 2)
    peer.writers[0].transport.abort()
    done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert done.pop().result().phase is Phase.SENT
    for data in held:
        made = answer(unpack(node.it.profile.wire, data), data)
        assert made is not None
        peer.say(made)
    phases = {(await each).phase for each in asked}
    assert phases == {Phase.SENT, Phase.ANSWERED}


async def test_a_permit_that_has_run_out_sends_nothing(node: Node, peer: ScriptedBank) -> None:
    for left in (-1, 0, int(STALL_S * 1e9) - 1):
        done = await node.ask(CHARGE, Permit(boot_ns() + left))
        assert done == Exchange(Phase.UNSENT, None, "permit_expired")
    assert (await node.ask(nth(1))).phase is Phase.ANSWERED
    assert [each.fields[11] for each in peer.heard] == ["790459"]


async def test_the_permit_is_checked_after_a_connection_was_waited_for(
    it: Bank, peer: ScriptedBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = Node(it, peer.url, limit=1)
    await node.connect()
    peer.writers[0].transport.abort()
    await until(lambda: not peer.writers)
    permit = fresh()
    # It signs on once more, and by then the permit has run out.
    original = Link.write

    def later(self: Link, frame: bytes) -> None:
        monkeypatch.setattr(
            "bailiwick.channels.transports.iso8583.boot_ns", lambda: permit.expires_boot_ns
        )
        original(self, frame)

    monkeypatch.setattr(Link, "write", later)
    assert await node.ask(CHARGE, permit) == Exchange(Phase.UNSENT, None, "permit_expired")
    assert peer.heard == []
    assert peer.network == ["001", "001"]
    await node.transport.close()


async def test_a_message_is_handed_over_in_one_piece(
    node: Node, peer: ScriptedBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    original = Link.write

    def spy(self: Link, frame: bytes) -> None:
        written.append(frame)
        original(self, frame)

    monkeypatch.setattr(Link, "write", spy)
    await node.ask(CHARGE)
    request = node.it.request(CHARGE, node.account)
    assert len(written) == 1
    assert written[0].endswith(request.body)


async def test_no_answer_is_sent_and_not_unsent(it: Bank, peer: ScriptedBank) -> None:
    for changes in ({"first_byte_ms": 200}, {"total_ms": 200}):
        hasty = bank(it.profile.name, **{**PATIENT, **changes})
        node = Node(hasty, peer.url)
        await Node.connect(Node(bank(it.profile.name, **PATIENT), peer.url))
        await node.connect()
        peer.then(silent)
        assert await node.ask(CHARGE) == Exchange(Phase.SENT, None, "read_timeout")
        peer.then(approves(it))
        # The connection is kept: others' answers come over it.
        assert (await node.ask(nth(1))).phase is Phase.ANSWERED
        await node.transport.close()


@pytest.mark.parametrize("how", ["disconnected", "reset"])
async def test_a_connection_that_ends_after_the_write(
    node: Node, peer: ScriptedBank, how: str
) -> None:
    def end(request: Message, data: bytes) -> None:
        for writer in peer.writers:
            if how == "reset":
                writer.transport.abort()
            else:
                writer.close()

    peer.then(end)
    done = await node.ask(CHARGE)
    assert (done.phase, done.reply) == (Phase.SENT, None)
    assert done.error in ("disconnected", "reset")
    assert len(peer.heard) == 1
    peer.then(approves(node.it))
    assert (await node.ask(nth(1))).phase is Phase.ANSWERED
    assert len(peer.heard) == 2  # nothing was sent again


async def test_what_is_no_message_ends_the_connection_and_is_no_answer(
    node: Node, peer: ScriptedBank
) -> None:
    framing = node.it.profile.wire.framing
    garbage = b"\xff" * framing.size + b"x" * 100

    def spoil(request: Message, data: bytes) -> None:
        for writer in peer.writers:
            writer.write(garbage)

    peer.then(spoil)
    assert await node.ask(CHARGE) == Exchange(Phase.SENT, None, "garbage")
    peer.then(approves(node.it))
    assert (await node.ask(nth(1))).phase is Phase.ANSWERED


async def test_what_cannot_be_read_is_passed_over(node: Node, peer: ScriptedBank) -> None:
    answer = approves(node.it)

    def both(request: Message, data: bytes) -> bytes | None:
        peer.say(b"0210 or so")
        strange = pack(node.it.profile.wire, Message("0210", {11: "000001", 39: "00"}))
        peer.say(strange)
        peer.say(pack(node.it.profile.wire, Message("0200", {11: "000001"})))
        return answer(request, data)

    peer.then(both)
    done = await node.ask(CHARGE)
    assert done.reply is not None
    assert node.it.parse(CHARGE, done.reply, node.account).outcome is Outcome.APPROVED


@pytest.mark.parametrize("changes", [{"f11": "000001"}, {"f37": "1"}, {"f7": "0101000000"}])
async def test_an_answer_to_something_else_is_none(
    node: Node, peer: ScriptedBank, changes: dict[str, Any]
) -> None:
    wrong, right = like(node.it.profile.wire, "00", node.key, **changes), approves(node.it)

    def both(request: Message, data: bytes) -> bytes | None:
        peer.say(wrong(request, data) or b"")
        return right(request, data)

    peer.then(both)
    done = await node.ask(CHARGE)
    assert done.reply is not None
    assert node.it.parse(CHARGE, done.reply, node.account).outcome is Outcome.APPROVED
    assert node.late == []


async def test_one_message_waits_once(node: Node, peer: ScriptedBank) -> None:
    peer.then(silent)
    first = asyncio.create_task(node.ask(reversal()))
    await until(lambda: peer.heard)
    again = replace(reversal(), repeat=True)
    assert await node.ask(again) == Exchange(Phase.UNSENT, None, "busy")
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    peer.then(approves(node.it))
    assert (await node.ask(again)).phase is Phase.ANSWERED
    assert [each.type[3] for each in peer.heard] == ["0", "1"]


async def test_a_request_that_is_no_message_is_not_sent(node: Node, peer: ScriptedBank) -> None:
    request = replace(node.it.request(CHARGE, node.account), body=b"no message")
    done = await node.transport.exchange(request, node.it.profile, fresh())
    assert done == Exchange(Phase.UNSENT, None, "invalid_request")


# --- codes


async def test_answers_without_a_code_that_holds_are_none() -> None:
    it = bank("bank_packed", **{**PATIENT, "first_byte_ms": 400})
    forged = [
        like(PACKED, "00"),
        like(PACKED, "00", KEY[::-1]),
        lambda request, data: _flipped(like(PACKED, "05", KEY)(request, data)),
    ]
    async with ScriptedBank(PACKED, *forged) as peer:
        node = Node(it, peer.url)
        await node.connect()
        for number in range(len(forged)):
            done = await node.ask(nth(number))
            assert done == Exchange(Phase.SENT, None, "bad_mac")
        peer.then(like(PACKED, "00", KEY))
        assert (await node.ask(nth(9))).phase is Phase.ANSWERED
        await node.transport.close()


def _flipped(answer: bytes | None) -> bytes:
    """A decline made an approval, under the decline's code."""
    assert answer is not None
    return answer.replace("05".encode("cp500"), "00".encode("cp500"), 1)


async def test_a_forged_answer_does_not_keep_the_true_one_away() -> None:
    it = bank("bank_packed", **PATIENT)

    def both(request: Message, data: bytes) -> bytes | None:
        peer.say(like(PACKED, "00")(request, data) or b"")
        return like(PACKED, "51", KEY)(request, data)

    async with ScriptedBank(PACKED, both) as peer:
        node = Node(it, peer.url)
        await node.connect()
        done = await node.ask(CHARGE)
        assert done.reply is not None
        assert it.parse(CHARGE, done.reply, node.account).decline_code == "insufficient_funds"
        await node.transport.close()


async def test_sign_on_and_echo_can_have_codes_too() -> None:
    mac = replace(PACKED.mac, network=True) if PACKED.mac else None
    dialect = replace(PACKED, mac=mac)
    it = bank("bank_packed", **{**PATIENT, "first_byte_ms": 400, "wire": dialect})
    async with ScriptedBank(dialect) as peer:
        node = Node(it, peer.url)
        assert await node.connect() == Exchange(Phase.SENT, None, "bad_mac")
        assert peer.network == ["001", "001"]
        await node.transport.close()
    assert dialect.mac is not None
    assert key_of(dialect.mac, MAC_KEY) == KEY


# --- late answers


async def test_an_answer_after_the_end_is_handed_on_once(it: Bank, peer: ScriptedBank) -> None:
    hasty = bank(it.profile.name, **{**PATIENT, "first_byte_ms": 200})
    node = Node(hasty, peer.url)
    await node.connect()
    held: list[Callable[[], None]] = []
    answer = approves(it)

    def keep(request: Message, data: bytes) -> None:
        held.append(lambda: peer.say(answer(request, data) or b""))

    peer.then(keep)
    assert (await node.ask(CHARGE)).phase is Phase.SENT
    for _ in range(2):
        held[0]()
    peer.then(answer)
    await node.ask(nth(1))  # comes after it
    ((request, reply),) = node.late
    assert request.headers["reference"] == CHARGE.reference
    assert it.parse(CHARGE, reply, node.account).outcome is Outcome.APPROVED
    await node.transport.close()


async def test_a_forged_late_answer_is_none() -> None:
    it = bank("bank_packed", **{**PATIENT, "first_byte_ms": 200})
    async with ScriptedBank(PACKED, silent) as peer:
        node = Node(it, peer.url)
        await node.connect()
        assert (await node.ask(CHARGE)).phase is Phase.SENT
        peer.say(like(PACKED, "00")(peer.heard[0], b"") or b"")
        peer.then(like(PACKED, "00", KEY))
        await node.ask(nth(1))
        assert node.late == []
        await node.transport.close()


# --- the network


async def test_a_bank_that_reads_nothing(
    it: Bank, peer: ScriptedBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits here is thrown away before a permit runs out, and nothing is called unsent."""
    monkeypatch.setattr("bailiwick.channels.transports.iso8583.link.STALL_S", 0.2)
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        node = Node(it, f"tcp://127.0.0.1:{proxy.port}", limit=1)
        await node.connect()
        (link,) = node.transport._lines._links  # type: ignore[union-attr]
        asked = asyncio.create_task(node.ask(CHARGE))
        peer.then(silent)
        await until(lambda: peer.heard)
        link.pause_writing()  # as when the system takes no more
        assert await asked == Exchange(Phase.SENT, None, "stalled")
        assert not link.fit()
        await node.transport.close()


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
async def test_a_reset_on_the_way(it: Bank, peer: ScriptedBank, stream: str) -> None:
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        node = Node(it, f"tcp://127.0.0.1:{proxy.port}")
        await node.connect()
        proxy.add("reset_peer", stream)  # type: ignore[arg-type]
        done = await node.ask(CHARGE)
        assert done.phase is Phase.SENT
        assert done.error in ("reset", "disconnected")
        proxy.clear()
        assert (await node.ask(nth(1))).phase is Phase.ANSWERED
        await node.transport.close()


async def test_answers_in_single_bytes(it: Bank, peer: ScriptedBank) -> None:
    async with FaultProxy("127.0.0.1", peer.port) as proxy:
        node = Node(it, f"tcp://127.0.0.1:{proxy.port}")
        proxy.add("slicer", "downstream", average_size=1, size_variation=0, delay=0)
        await node.connect()
        assert (await node.ask(CHARGE)).phase is Phase.ANSWERED
        await node.transport.close()


# --- TLS, and the other loop


async def test_over_tls_with_a_certificate_that_holds(it: Bank) -> None:
    answer = approves(it)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERT, CERT_KEY)
    async with ScriptedBank(it.profile.wire, answer, tls=context) as peer:
        node = Node(it, f"tls://localhost:{peer.port}")
        assert await node.connect() == Exchange(Phase.UNSENT, None, "tls")  # nobody's certificate
        await node.transport.close()
        node.transport = Iso8583Transport(secured=trusting(CERT))
        await node.connect()
        assert (await node.ask(CHARGE)).phase is Phase.ANSWERED
        other = Node(it, f"tls://127.0.0.2:{peer.port}")
        assert (await other.connect()).phase is Phase.UNSENT
        await node.transport.close()


def test_a_burst_in_one_turn_of_the_loop() -> None:
    """uvloop writes at the end of a turn: what waits until then stalls nothing."""

    async def burst() -> list[Exchange]:
        it = bank("bank_ascii", **PATIENT)
        async with ScriptedBank(it.profile.wire) as peer:
            node = Node(it, peer.url, limit=1)
            await node.connect()
            done = await asyncio.gather(*(node.ask(nth(number)) for number in range(200)))
            await node.transport.close()
            return done

    for kind in (uvloop.new_event_loop, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=kind) as runner:
            assert {each.phase for each in runner.run(burst())} == {Phase.ANSWERED}
