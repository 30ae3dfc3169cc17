"""The load generator: one-shot payments, or lists, over raw keep-alive connections.

It shares the machine with what it measures, so it does as little as possible: a prepared request
with only the Idempotency-Key changing, no header parsed, and the two fields that the accounting
needs cut out of the answer.

* Closed: each connection sends its next payment when the last one is answered.
* Open: payments arrive by a Poisson process, whatever the answers do. One that finds no free
  connection is a dropped iteration, counted and never sent. Latency counts from the time of
  arrival, so a generator that falls behind makes it longer, not shorter.
"""

from __future__ import annotations

import asyncio
import gc
import random
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

import httptools
import msgspec

AMOUNT = 1999
"""Minor units of every payment."""

ANSWER_TIMEOUT_S = 60.0
_CONNECT_AT_ONCE = 64
_SUCCEEDED = b'"status":"succeeded"'
_CHARGE = b'"latest_charge":"'
_LIST = b'"object":"list"'
LIST_PATH = "/v1/payment_intents?limit=100"


class LoadError(Exception):
    """No load can be made; the message has the remedy."""


class Endpoint(msgspec.Struct, frozen=True):
    """An address and the payers' countries that its payments take turns with."""

    url: str
    countries: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True):
    """How to load. ``rate`` (payments/s): open load; None: closed. Ends after ``payments``
    arrivals if given, else after ``seconds``."""

    clients: int
    seconds: float
    payments: int | None = None
    rate: float | None = None


class Outcome(msgspec.Struct):
    """What one phase of load saw. ``taken``: seconds for each answer; ``references``: the
    provider's reference of each succeeded payment (of a list: nothing), in the same order as
    ``succeeded_s``."""

    started: float
    ended: float
    sent: int
    dropped: int
    taken_s: list[float]
    references: list[str]
    succeeded_s: list[float]
    errors: dict[str, int]

    @property
    def seconds(self) -> float:
        """From the first request to the last answer."""
        return max(self.ended - self.started, 1e-9)


def request_parts(endpoint: Endpoint, country: str, key: str, run: str) -> tuple[bytes, bytes]:
    """A request's bytes before and after the number that makes its Idempotency-Key unique."""
    fields = {
        "amount": AMOUNT,
        "currency": "eur",
        "payment_method": "pm_card_visa",
        "confirm": "true",
        "location[country]": country,
    }
    body = urlencode(fields).encode("ascii")
    head = (
        "POST /v1/payment_intents HTTP/1.1\r\n"
        f"Host: {urlsplit(endpoint.url).netloc}\r\n"
        f"Authorization: Bearer {key}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n"
        f"Idempotency-Key: bench-{run}-"
    )
    return head.encode("ascii"), b"\r\n\r\n" + body


def charged(status: int, body: bytes) -> str | None:
    """The provider's reference of a payment that succeeded; None of any other answer."""
    reference = body.find(_CHARGE)
    if status != 200 or reference < 0 or _SUCCEEDED not in body:
        return None
    begin = reference + len(_CHARGE)
    return body[begin : body.index(b'"', begin)].decode("ascii")


def list_parts(endpoint: Endpoint, _country: str, key: str, run: str) -> tuple[bytes, bytes]:
    """The same of a list of the merchant's newest payments, in all countries; the number says
    nothing there."""
    head = (
        f"GET {LIST_PATH} HTTP/1.1\r\n"
        f"Host: {urlsplit(endpoint.url).netloc}\r\n"
        f"Authorization: Bearer {key}\r\n"
        f"User-Agent: bench-{run}-"
    )
    return head.encode("ascii"), b"\r\n\r\n"


def listed(status: int, body: bytes) -> str | None:
    """Nothing of a list that holds payments; None of any other answer."""
    return "" if status == 200 and _LIST in body and _SUCCEEDED in body else None


class Ask(msgspec.Struct, frozen=True):
    """What is asked. ``parts``: of a request, see ``request_parts``; ``good``: what an answer of
    this status and body is counted by, None if it is an error."""

    parts: Callable[[Endpoint, str, str, str], tuple[bytes, bytes]]
    good: Callable[[int, bytes], str | None]


PAY = Ask(request_parts, charged)
LIST = Ask(list_parts, listed)


class Load:
    """Open connections and the phases of load sent over them."""

    def __init__(self, endpoints: list[Endpoint], key: str, ask: Ask = PAY) -> None:
        self._endpoints = endpoints
        self._key = key
        self._ask = ask
        self._run = secrets.token_hex(8)
        self._connections: list[_Connection] = []
        self._free: deque[_Connection] = deque()
        self._number = 0
        self._plan = Plan(0, 0)
        self._until = 0.0
        self._open = False
        self._arrivals = 0
        self._under_way = 0
        self._arriving = False
        self._done = asyncio.Event()
        self._outcome = _empty()
        self._chance = random.Random(1)

    async def connect(self, clients: int) -> None:
        """Open this many connections in all, in turn to each endpoint. Raises LoadError."""
        loop = asyncio.get_running_loop()
        while len(self._connections) < clients:
            made = len(self._connections)
            wave = range(made, min(clients, made + _CONNECT_AT_ONCE))
            self._connections += await asyncio.gather(*(self._connect(loop, n) for n in wave))

    async def _connect(self, loop: asyncio.AbstractEventLoop, number: int) -> _Connection:
        endpoint = self._endpoints[number % len(self._endpoints)]
        parts = urlsplit(endpoint.url)
        shots = [self._ask.parts(endpoint, c, self._key, self._run) for c in endpoint.countries]
        turn = number // len(self._endpoints)
        try:
            _, connection = await asyncio.wait_for(
                loop.create_connection(
                    lambda: _Connection(self, shots, turn), parts.hostname or "", parts.port or 80
                ),
                5,
            )
        except OSError as error:
            raise LoadError(f"{endpoint.url} cannot be reached ({error}): does it run?") from error
        return connection

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.close()
        self._connections.clear()

    async def run(self, plan: Plan) -> Outcome:
        """Send one phase of load, and return when its last answer is in. Raises LoadError."""
        usable = [each for each in self._connections if each.usable][: plan.clients]
        if not usable:
            raise LoadError("no connection is left; see the errors of the run before")
        self._plan, self._open = plan, plan.rate is not None
        self._outcome = outcome = _empty()
        self._arrivals = self._under_way = 0
        self._done.clear()
        # Nothing here makes cycles; a collection would only look like latency of the service.
        gc.collect()
        gc.disable()
        try:
            outcome.started = time.perf_counter()
            self._until = outcome.started + plan.seconds
            if self._open:
                self._free = deque(usable)
                self._arriving = True
                self._arrive(asyncio.get_running_loop(), outcome.started)
            else:
                for connection in usable:
                    self.again(connection)
            patience = ANSWER_TIMEOUT_S + (plan.seconds if plan.payments is None else 3600)
            await asyncio.wait_for(self._done.wait(), patience)
        except TimeoutError:
            outcome.errors["no answer in time"] = self._under_way
        finally:
            gc.enable()
        outcome.ended = time.perf_counter()
        return outcome

    def stop(self) -> None:
        """Send nothing more: ``run`` returns with the last answer."""
        self._until = time.perf_counter()

    def _arrive(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        """Let everything arrive that is due, and come back for the next."""
        rate = self._plan.rate or 1.0
        now = time.perf_counter()
        while due <= now:
            if self._over(due):
                self._arriving = False
                self._settle()
                return
            self._arrivals += 1
            if self._free:
                self._shoot(self._free.popleft(), due)
            else:
                self._outcome.dropped += 1
            due += self._chance.expovariate(rate)
        loop.call_later(due - now, self._arrive, loop, due)

    def _over(self, now: float) -> bool:
        if self._plan.payments is not None:
            return self._arrivals >= self._plan.payments
        return now >= self._until

    def _shoot(self, connection: _Connection, since: float) -> None:
        self._number += 1
        self._under_way += 1
        self._outcome.sent += 1
        connection.shoot(b"%016x" % self._number, since)

    def again(self, connection: _Connection) -> None:
        """Closed load: the connection's next payment, if there is to be one."""
        now = time.perf_counter()
        if self._over(now):
            self._settle()
            return
        self._arrivals += 1
        self._shoot(connection, now)

    def _settle(self) -> None:
        if not self._under_way and not self._arriving:
            self._done.set()

    def answered(self, connection: _Connection, status: int, body: bytes, since: float) -> None:
        """Count an answer and go on."""
        self._under_way -= 1
        outcome = self._outcome
        taken = time.perf_counter() - since
        outcome.taken_s.append(taken)
        reference = self._ask.good(status, body)
        if reference is not None:
            outcome.references.append(reference)
            outcome.succeeded_s.append(taken)
        else:
            name = error_name(status, body)
            outcome.errors[name] = outcome.errors.get(name, 0) + 1
        self._next(connection)

    def lost(self, reason: str) -> None:
        """A connection broke with a payment on it. It is not replaced: the run fails anyway."""
        self._under_way -= 1
        self._outcome.errors[reason] = self._outcome.errors.get(reason, 0) + 1
        self._settle()

    def _next(self, connection: _Connection) -> None:
        if not connection.usable:
            self._settle()
        elif self._open:
            self._free.append(connection)
            if not self._arriving:
                self._settle()
        else:
            self.again(connection)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one payment on it."""

    def __init__(self, load: Load, shots: list[tuple[bytes, bytes]], turn: int) -> None:
        self._load = load
        self._shots = shots
        self._turn = turn
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._since: float | None = None
        self._body = b""
        self.usable = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self.usable = True

    def shoot(self, number: bytes, since: float) -> None:
        """Send the next request."""
        before, after = self._shots[self._turn % len(self._shots)]
        self._turn += 1
        self._since = since
        self._body = b""
        assert self._transport is not None
        self._transport.write(before + number + after)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._broken("the answer was not HTTP")

    def on_body(self, body: bytes) -> None:
        self._body = self._body + body if self._body else body

    def on_message_complete(self) -> None:
        since, self._since = self._since, None
        if since is None:
            return
        if not self._parser.should_keep_alive():
            self.usable = False
        self._load.answered(self, self._parser.get_status_code(), self._body, since)

    def connection_lost(self, exc: Exception | None) -> None:
        self._broken("connection reset" if exc else "connection closed")

    def _broken(self, reason: str) -> None:
        self.usable = False
        since, self._since = self._since, None
        if since is not None:
            self._load.lost(reason)
        self.close()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.abort()


def error_name(status: int, body: bytes) -> str:
    """Status and code of an answer that is not what was asked for."""
    try:
        document = msgspec.json.decode(body)
        error = document.get("error") or {}
        word = error.get("code") or error.get("type") or document.get("status")
    except (msgspec.DecodeError, AttributeError):
        word = None
    return f"{status} {word or 'without JSON'}"


def _empty() -> Outcome:
    return Outcome(0.0, 0.0, 0, 0, [], [], [], Counter())
