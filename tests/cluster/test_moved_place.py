"""A place moves to another node while payments fly: one charge per key, whoever is asked when."""

import asyncio
import collections
import itertools
import json
import os
import signal
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
from chaos_kit import Chaos, bailiwick

from bailiwick.access.nodes.forward import Answer, HopError, HopLimits, NodeClient
from tests.waiting import PATIENCE_S, until

EARLIER, LATER = "apac", "americas"
MOVED = f"""
[[rules]]
places = ["JP"]
nodes = ["{LATER}", "{EARLIER}"]
residency = "prefer"
"""
_numbers = itertools.count(time.time_ns() % 1_000_000 * 1_000 + 5_000_000_000)


class Place:
    """Japan in a running demo."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.before = (chaos.data / "world" / "topology.toml").read_text(encoding="utf-8")

    def publish(self, text: str) -> int:
        """Publish a topology; its epoch, which every process has when this returns."""
        epoch = self.chaos.publish(text)
        self.chaos.arrived(epoch)
        return epoch

    def move(self) -> int:
        """Give Japan to the later home."""
        return self.publish(self.before + MOVED)

    def charges(self) -> collections.Counter[int]:
        """How often each amount was charged, by the providers' books."""
        url = self.chaos.demo["sandbox"]["books_url"]
        with urllib.request.urlopen(url, timeout=60) as answer:
            books = json.load(answer)
        return collections.Counter(row["amount"] for row in books["charges"])


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """A demo of its own: what was an earlier home stays one for days."""
    data: Path = tmp_path_factory.mktemp("moving")
    bailiwick("demo", "--background", "--data", str(data), "--nodes", "3", "--access", "2")
    try:
        yield Chaos(data)
    finally:
        bailiwick("demo", "--stop", "--data", str(data))


@pytest.fixture
def place(moving: Chaos) -> Iterator[Place]:
    """Japan at its earlier home, and there again afterwards."""
    found = Place(moving)
    try:
        yield found
    finally:
        found.publish(found.before)


class Client:
    """Pays from Japan over all access processes; the amount is the payment's mark in the books."""

    def __init__(self, chaos: Chaos) -> None:
        self._secret = chaos.demo["secret_key"]
        limits = HopLimits(
            connections=64, waiting=2_000, connect_seconds=PATIENCE_S, wait_seconds=PATIENCE_S
        )
        self.access = [NodeClient(each["url"], limits) for each in chaos.demo["access"]]

    async def submit(self, amount: int, access: int, country: str = "JP") -> Answer:
        body = (
            f"amount={amount}&currency=jpy&confirm=true&payment_method=pm_card_visa"
            f"&location[country]={country}"
        ).encode()
        lines = [
            b"authorization: Bearer %b\r\n" % self._secret.encode(),
            b"content-type: application/x-www-form-urlencoded\r\n",
            b"idempotency-key: moved-%d\r\n" % amount,
        ]
        client = self.access[access % len(self.access)]
        return await client.request(
            "POST", b"/v1/payment_intents", headers=lines, body=body, timeout=60
        )

    async def paid(self, amount: int, access: int) -> dict[str, Any]:
        """The payment, however often the key must be repeated for it."""
        deadline = time.monotonic() + PATIENCE_S
        for attempt in itertools.count():
            assert time.monotonic() < deadline, amount
            try:
                answer = await self.submit(amount, access + attempt)
            except HopError:
                continue
            found: dict[str, Any] = json.loads(answer.body)
            if answer.status == 200 and found["status"] == "succeeded":
                return found
            assert answer.status in (200, 409, 503), answer.body
            await asyncio.sleep(0.05)
        raise AssertionError("unreachable")

    def close(self) -> None:
        for client in self.access:
            client.close()


@pytest.fixture
async def client(moving: Chaos) -> AsyncIterator[Client]:
    made = Client(moving)
    yield made
    made.close()


def amounts(count: int) -> list[int]:
    return list(itertools.islice(_numbers, count))


async def test_moved_under_load(place: Place, client: Client) -> None:
    before = amounts(15)
    first = await asyncio.gather(*(client.paid(each, 0) for each in before))
    assert {each["node"] for each in first} == {EARLIER}

    stop = asyncio.Event()
    flying: dict[int, set[str]] = {}
    homes: set[str] = set()

    async def load(number: int) -> None:
        for turn in itertools.count():
            (amount,) = amounts(1)
            seen = flying.setdefault(amount, set())
            both = (client.paid(amount, number + turn), client.paid(amount, number + turn + 1))
            for each in await asyncio.gather(*both):
                seen.add(each["id"])
                homes.add(each["node"])
            if stop.is_set():
                return

    running = [asyncio.create_task(load(number)) for number in range(12)]
    await until(lambda: EARLIER in homes)
    epoch = await asyncio.to_thread(place.move)
    await until(lambda: LATER in homes)
    stop.set()
    await asyncio.gather(*running)
    again = [
        await asyncio.gather(*(client.paid(each, access) for each in (*before, *flying)))
        for access in (0, 1)
    ]
    after = amounts(5)
    new = await asyncio.gather(*(client.paid(each, 1) for each in after))

    assert [each["id"] for each in first] == [each["id"] for each in again[0][: len(before)]]
    assert [each["id"] for each in again[0]] == [each["id"] for each in again[1]]
    assert all(len(seen) == 1 for seen in flying.values())
    nodes = {each["node"] for each in again[0][len(before) :]}
    assert nodes == {EARLIER, LATER}, "the load saw both homes"
    for each in new:
        assert each["node"] == LATER
        assignment = each["assignment"]
        assert assignment["epoch"] == epoch
        assert [(home["name"], home["answer"]) for home in assignment["earlier_homes"]] == [
            (EARLIER, "refused: moved")
        ]
        assert assignment["earlier_homes"][0]["epoch"] < epoch
    charged = place.charges()
    wrong = {each: charged[each] for each in (*before, *flying, *after) if charged[each] != 1}
    assert not wrong


def test_a_payment_in_flight_stays_home(place: Place, moving: Chaos) -> None:
    demo = moving.demo
    api = stripe.StripeClient(demo["secret_key"], base_addresses={"api": demo["base_url"]})
    wish: Any = {
        "amount": 700, "currency": "jpy", "payment_method": "pm_card_visa",
        "location": {"country": "JP"},
    }  # fmt: skip
    held = api.v1.payment_intents.create({**wish, "confirm": True, "capture_method": "manual"})
    made = api.v1.payment_intents.create(wish)
    place.move()
    captured = api.v1.payment_intents.capture(held.id)
    paid = api.v1.payment_intents.confirm(made.id)
    for each in (captured, paid):
        assert (each.status, each["node"]) == ("succeeded", EARLIER)
    # Nothing moves without confirm, so nobody is asked; the payment lives where it was made.
    fresh = api.v1.payment_intents.create(wish)
    assert fresh["node"] == LATER
    assert "earlier_homes" not in fresh["assignment"]
    assert api.v1.payment_intents.confirm(fresh.id)["node"] == LATER


async def test_a_silent_earlier_home(place: Place, client: Client, moving: Chaos) -> None:
    old, moved, new = amounts(3)
    await client.paid(old, 0)
    await asyncio.to_thread(place.move)
    there = await client.paid(moved, 0)
    node = moving.node(EARLIER)
    os.kill(node["pid"], signal.SIGSTOP)
    try:
        await asyncio.to_thread(moving.seen, EARLIER, is_open=False)
        for amount in (old, new):
            answer = await client.submit(amount, 0)
            error = json.loads(answer.body)["error"]
            assert answer.status == 503, answer
            assert EARLIER in error["message"]
            # Where the later home had refused the key, it is sent to the earlier one at once.
            codes = {"earlier_home_unavailable"} | (
                {"node_unavailable"} if amount == old else set()
            )
            assert error["code"] in codes
            assert answer.headers[b"stripe-should-retry"] == b"true"
        # What the later home has taken it tells; and other places do not notice.
        assert (await client.paid(moved, 1))["id"] == there["id"]
        (other,) = amounts(1)
        assert (await client.submit(other, 0, "DE")).status == 200
    finally:
        os.kill(node["pid"], signal.SIGCONT)
    await asyncio.to_thread(moving.seen, EARLIER, is_open=True)
    assert (await client.paid(old, 1))["node"] == EARLIER
    assert (await client.paid(new, 1))["node"] == LATER
    charged = place.charges()
    assert [charged[each] for each in (old, moved, new)] == [1, 1, 1]


async def test_a_node_drained_by_an_epoch(place: Place, client: Client) -> None:
    old, new = amounts(2)
    await client.paid(old, 0)
    state = f'name = "{EARLIER}"\nstate = "draining"'
    epoch = await asyncio.to_thread(
        place.publish, place.before.replace(f'name = "{EARLIER}"', state, 1)
    )
    assert (await client.paid(old, 1))["node"] == EARLIER
    elsewhere = await client.paid(new, 1)
    assert elsewhere["node"] != EARLIER
    assignment = elsewhere["assignment"]
    assert (assignment["considered"][0]["verdict"], assignment["considered"][0]["reason"]) == (
        "not_active",
        f"draining in epoch {epoch}",
    )
    assert assignment["earlier_homes"][0]["name"] == EARLIER
    await asyncio.to_thread(place.publish, place.before)
    assert (await client.paid(new, 0))["id"] == elsewhere["id"]
    (later,) = amounts(1)
    assert (await client.paid(later, 0))["node"] == EARLIER
    charged = place.charges()
    assert [charged[each] for each in (old, new, later)] == [1, 1, 1]


async def test_explained(place: Place, moving: Chaos) -> None:
    await asyncio.to_thread(place.move)
    form = {
        "amount": "700", "currency": "jpy", "confirm": "true", "payment_method": "pm_card_visa",
        "location[country]": "JP",
    }  # fmt: skip
    told = await asyncio.to_thread(moving.post, f"{moving.demo['base_url']}/v1/explain", form)
    homes = told["assignment"]["earlier_homes"]
    assert ("apac", "would be asked") in [(home["name"], home["answer"]) for home in homes]
    del form["confirm"]
    told = await asyncio.to_thread(moving.post, f"{moving.demo['base_url']}/v1/explain", form)
    assert "earlier_homes" not in told["assignment"]


def test_the_books_are_right(moving: Chaos) -> None:
    """After all of the above."""
    assert moving.check()["ok"]
