"""The load generator against a small HTTP server: what it sends, counts and drops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import psutil
import pytest

from bailiwick_lab.bench.load import (
    LIST,
    LIST_PATH,
    Endpoint,
    Load,
    LoadError,
    Plan,
    error_name,
    request_parts,
)
from bailiwick_lab.bench.parts.apart import NICENESS, Order, apart
from tests.waiting import PATIENCE_S

Answer = Callable[[int], bytes]


def reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def succeeded(number: int) -> bytes:
    return reply(200, b'{"id":"pi","latest_charge":"ch_%d","status":"succeeded"}' % number)


class Server:
    """Answers each request by its number; keeps every request's key and country."""

    def __init__(self, answer: Answer, pause_s: float = 0.0) -> None:
        self.answer = answer
        self.pause_s = pause_s
        self.keys: list[bytes] = []
        self.bodies: list[bytes] = []
        self.targets: list[bytes] = []
        self.asked = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
                length = int(lines.get(b"Content-Length", 0))
                self.bodies.append(await reader.readexactly(length))
                self.keys.append(lines.get(b"Idempotency-Key", b""))
                self.targets.append(head.split(b" ", 2)[1])
                number = len(self.keys)
                self.asked.set()
                await asyncio.sleep(self.pause_s)
                said = self.answer(number)
                if not said:
                    return
                # In two parts: an answer may come in any number of them.
                writer.write(said[:40])
                await writer.drain()
                writer.write(said[40:])
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    finally:
        listener.close()


async def test_closed_load_sends_exactly_what_was_asked() -> None:
    server = Server(succeeded)
    async with serving(server) as url:
        load = Load([Endpoint(url, ("DE", "IN"))], "sk_test_x")
        await load.connect(4)
        outcome = await load.run(Plan(4, 60, payments=50))
        again = await load.run(Plan(4, 60, payments=10))
        load.close()
    assert (outcome.sent, len(outcome.references), outcome.dropped) == (50, 50, 0)
    assert not outcome.errors
    assert len(set(outcome.references) | set(again.references)) == 60
    assert len(outcome.taken_s) == 50
    assert len(set(server.keys)) == 60
    assert {b"country%5D=DE", b"country%5D=IN"} == {body[-13:] for body in server.bodies}


async def test_open_load_drops_what_finds_no_free_connection() -> None:
    server = Server(succeeded, pause_s=0.2)
    async with serving(server) as url:
        load = Load([Endpoint(url, ("DE",))], "sk_test_x")
        await load.connect(2)
        outcome = await load.run(Plan(2, 60, payments=40, rate=2000))
        load.close()
    assert outcome.sent + outcome.dropped == 40
    assert outcome.dropped > 0
    assert len(outcome.references) == outcome.sent == len(server.keys)


async def test_other_answers_are_errors_by_name() -> None:
    def answer(number: int) -> bytes:
        if number % 2:
            return succeeded(number)
        return reply(402, b'{"error":{"type":"card_error","code":"card_declined"}}')

    async with serving(Server(answer)) as url:
        load = Load([Endpoint(url, ("DE",))], "sk_test_x")
        await load.connect(1)
        outcome = await load.run(Plan(1, 60, payments=10))
        load.close()
    assert outcome.errors == {"402 card_declined": 5}
    assert len(outcome.references) == len(outcome.succeeded_s) == 5


async def test_a_lost_connection_is_counted_and_does_not_hang() -> None:
    async with serving(Server(lambda number: succeeded(number) if number < 3 else b"")) as url:
        load = Load([Endpoint(url, ("DE",))], "sk_test_x")
        await load.connect(1)
        outcome = await load.run(Plan(1, 5, payments=10))
        with pytest.raises(LoadError, match="no connection"):
            await load.run(Plan(1, 5, payments=10))
        load.close()
    assert len(outcome.references) == 2
    assert sum(outcome.errors.values()) == 1


async def test_open_load_whose_connections_are_all_lost_ends() -> None:
    async with serving(Server(lambda _: b"")) as url:
        load = Load([Endpoint(url, ("DE",))], "sk_test_x")
        await load.connect(2)
        outcome = await asyncio.wait_for(load.run(Plan(2, 60, payments=20, rate=1000)), PATIENCE_S)
        load.close()
    assert sum(outcome.errors.values()) == outcome.sent == 2
    assert outcome.dropped == 18


async def test_lists_are_good_only_if_they_hold_payments() -> None:
    payment = b'{"latest_charge":"ch_1","status":"succeeded"}'
    said = {
        1: reply(200, b'{"object":"list","data":[%b]}' % payment),
        2: reply(200, b'{"object":"list","data":[]}'),
        3: reply(503, b'{"error":{"code":"overloaded"}}'),
    }
    server = Server(lambda number: said[number])
    async with serving(server) as url:
        load = Load([Endpoint(url, ("DE",))], "sk_test_x", LIST)
        await load.connect(1)
        outcome = await load.run(Plan(1, 60, payments=3))
        load.close()
    assert server.targets == [LIST_PATH.encode()] * 3
    assert outcome.references == [""] and len(outcome.succeeded_s) == 1
    assert outcome.errors == {"200 without JSON": 1, "503 overloaded": 1}


async def test_a_load_apart_gives_way_and_tells_what_it_did() -> None:
    server = Server(succeeded)
    async with serving(server) as url:
        async with apart(Order("payments", [Endpoint(url, ("DE",))], "sk", 2)) as beside:
            assert psutil.Process(beside.pid).nice() == NICENESS
            await asyncio.wait_for(server.asked.wait(), PATIENCE_S)
            told = await beside.end()
        assert not psutil.pid_exists(beside.pid)
    assert told.succeeded == told.sent == len(set(told.references)) == len(server.keys) > 0
    assert (told.dropped, told.errors) == (0, {})


async def test_a_load_apart_does_not_outlive_the_block() -> None:
    class Interrupted(Exception):
        pass

    server = Server(succeeded)
    async with serving(server) as url:
        with pytest.raises(Interrupted):
            async with apart(Order("payments", [Endpoint(url, ("DE",))], "sk", 2, 9.0)) as beside:
                raise Interrupted
    assert not psutil.pid_exists(beside.pid)


async def test_a_load_apart_that_reaches_nobody() -> None:
    with pytest.raises(LoadError, match="ended with status 1"):
        async with apart(Order("lists", [Endpoint("http://127.0.0.1:1", ("DE",))], "sk", 1)):
            pass


async def test_nobody_listens() -> None:
    load = Load([Endpoint("http://127.0.0.1:1", ("DE",))], "sk_test_x")
    with pytest.raises(LoadError, match="does it run"):
        await load.connect(1)


def test_the_request_is_whole() -> None:
    before, after = request_parts(Endpoint("http://h:1", ("DE",)), "DE", "sk", "run")
    head, _, body = (before + b"0001" + after).partition(b"\r\n\r\n")
    assert b"Idempotency-Key: bench-run-0001" in head
    assert b"Content-Length: %d\r\n" % len(body) in head


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"error":{"type":"api_error"}}', "503 api_error"),
        (b'{"status":"processing"}', "503 processing"),
        (b"<html>", "503 without JSON"),
        (b"[]", "503 without JSON"),
    ],
)
def test_error_names(body: bytes, name: str) -> None:
    assert error_name(503, body) == name
