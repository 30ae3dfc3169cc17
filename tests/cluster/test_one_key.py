"""One key, one charge: submitted a thousand times, and with its home killed after the charge."""

import asyncio
import collections
import json
import time
import urllib.request

from chaos_kit import Chaos

from bailiwick.access.nodes.forward import HopError, HopLimits, NodeClient
from tests.waiting import PATIENCE_S

BODY = (
    b"amount=%d&currency=eur&confirm=true&payment_method=pm_card_visa&location[country]=DE"
    b"&metadata[key]=%b"
)


def charges(chaos: Chaos, amount: int) -> int:
    """Charges of one amount in the providers' books: the amount marks the test's payment."""
    with urllib.request.urlopen(chaos.demo["sandbox"]["books_url"], timeout=60) as answer:
        books = json.load(answer)
    return sum(row["amount"] == amount for row in books["charges"])


def headers(chaos: Chaos, key: str) -> list[bytes]:
    return [
        b"authorization: Bearer %b\r\n" % chaos.demo["secret_key"].encode(),
        b"content-type: application/x-www-form-urlencoded\r\n",
        b"idempotency-key: %b\r\n" % key.encode(),
    ]


async def test_a_thousand_submits_of_one_key(chaos: Chaos) -> None:
    amount = 1_000_000 + time.time_ns() % 1_000_000
    key = f"thousand-{time.time_ns()}"
    limits = HopLimits(
        connections=200, waiting=2_000, connect_seconds=PATIENCE_S, wait_seconds=PATIENCE_S
    )
    clients = [NodeClient(each["url"], limits) for each in chaos.demo["access"]]
    body = BODY % (amount, key.encode())

    async def submit(number: int) -> tuple[int, bytes]:
        client = clients[number % len(clients)]
        answer = await client.request(
            "POST", b"/v1/payment_intents", headers=headers(chaos, key), body=body, timeout=60
        )
        return answer.status, answer.body

    answers = await asyncio.gather(*(submit(number) for number in range(1_000)))
    for client in clients:
        client.close()
    statuses = collections.Counter(status for status, _ in answers)
    assert set(statuses) <= {200, 409}, statuses
    ids = {json.loads(body)["id"] for status, body in answers if status == 200}
    assert len(ids) == 1
    assert len({body for status, body in answers if b'"succeeded"' in body}) == 1
    assert charges(chaos, amount) == 1


async def test_the_home_is_killed_after_the_charge(chaos: Chaos) -> None:
    """The provider has charged, the node dies before it knows, and the retry comes through an
    access process that was started after all that."""
    amount = 3_000_000 + time.time_ns() % 1_000_000
    key = f"killed-{time.time_ns()}"
    body = BODY % (amount, key.encode())
    node = chaos.node("europe")
    chaos.arm("europe", "call.answered")
    first, second = (
        NodeClient(each["url"], HopLimits(connections=4)) for each in chaos.demo["access"]
    )
    answer = await first.request(
        "POST", b"/v1/payment_intents", headers=headers(chaos, key), body=body, timeout=60
    )
    assert answer.status == 503
    assert answer.headers[b"stripe-should-retry"] == b"true"
    assert charges(chaos, amount) == 1
    await asyncio.to_thread(chaos.restarted, "europe", node["pid"])
    await asyncio.to_thread(chaos.restart_access, 1)
    status = "processing"
    deadline = time.monotonic() + PATIENCE_S
    while status == "processing":
        assert time.monotonic() < deadline
        try:
            answer = await second.request(
                "POST", b"/v1/payment_intents", headers=headers(chaos, key), body=body, timeout=60
            )
        except HopError:
            await asyncio.sleep(0.2)
            continue
        assert answer.status in (200, 503), answer.body
        status = json.loads(answer.body).get("status", "processing")
        await asyncio.sleep(0.3)
    first.close()
    second.close()
    assert status == "succeeded"
    assert charges(chaos, amount) == 1
