"""``explain`` equals what payments do, on a thousand random inputs."""

import asyncio
import json
import random
import urllib.parse

from chaos_kit import Chaos

from bailiwick.access.nodes.forward import HopLimits, NodeClient
from bailiwick.geo.places import load_places

INPUTS = 1_000
CURRENCIES = ("eur", "usd", "inr", "brl", "jpy", "kwd", "gbp", "clp")


def wish(numbers: random.Random, countries: list[str]) -> dict[str, str]:
    """A random payment: explicit country, coordinates or IP address."""
    found = {
        "amount": str(10 * numbers.randrange(5, 50_000)),
        "currency": numbers.choice(CURRENCIES),
        "confirm": "true",
        "payment_method": "pm_card_visa",
        "capture_method": numbers.choice(("automatic", "manual")),
    }
    kind = numbers.randrange(3)
    if kind == 0:
        found["location[country]"] = numbers.choice(countries)
    elif kind == 1:
        lat, lon = numbers.uniform(-55, 70), numbers.uniform(-180, 180)
        found["location[coordinates]"] = f"{lat:.4f},{lon:.4f}"
    else:
        found["location[ip_address]"] = ".".join(str(numbers.randrange(1, 224)) for _ in range(4))
    return found


async def test_explain_is_what_happens(chaos: Chaos) -> None:
    seed = 20_261_123
    numbers = random.Random(seed)
    countries = sorted(load_places().countries)
    url = chaos.demo["base_url"]
    client = NodeClient(url, HopLimits(connections=16, waiting=2_000))
    authorization = b"authorization: Bearer %b\r\n" % chaos.demo["secret_key"].encode()
    form = b"content-type: application/x-www-form-urlencoded\r\n"
    compared = 0
    refused = 0

    async def one(number: int, params: dict[str, str]) -> None:
        nonlocal compared, refused
        body = urllib.parse.urlencode(params).encode()
        key = b"idempotency-key: explain-%d-%d\r\n" % (seed, id(chaos) + number)
        lines = [authorization, form]
        said = await client.request("POST", b"/v1/explain", headers=lines, body=body)
        done = await client.request(
            "POST", b"/v1/payment_intents", headers=[*lines, key], body=body
        )
        told, paid = json.loads(said.body), json.loads(done.body)
        if done.status == 400:
            assert said.status == 400, (params, told)
            assert told["error"]["param"] == paid["error"]["param"], (params, told, paid)
            refused += 1
            return
        assert (said.status, done.status) == (200, 200), (params, told, paid)
        for part in ("location", "assignment", "routing", "node"):
            assert told[part] == paid[part], (seed, number, params, part)
        compared += 1

    waiting = asyncio.Semaphore(16)

    async def bounded(number: int, params: dict[str, str]) -> None:
        async with waiting:
            await one(number, params)

    inputs = [wish(numbers, countries) for _ in range(INPUTS)]
    await asyncio.gather(*(bounded(number, params) for number, params in enumerate(inputs)))
    client.close()
    assert compared + refused == INPUTS
    assert compared >= INPUTS // 2, (compared, refused)
