"""Bad input over a socket, through access: a clear 4xx, and nothing written anywhere."""

import asyncio
import contextlib
import json
import socket
import urllib.parse
from collections.abc import Iterator

import asyncpg
import pytest
from chaos_kit import Chaos

GOOD = "amount=1999&currency=eur&confirm=true&payment_method=pm_card_visa&location[country]=DE"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def good(**changes: str) -> str:
    params = dict(urllib.parse.parse_qsl(GOOD))
    params.update({name.replace("__", "["): value for name, value in changes.items()})
    return urllib.parse.urlencode(params)


def json_body(**changes: object) -> str:
    wish = {"amount": 1999, "currency": "eur", "location": {"country": "DE"}, **changes}
    return json.dumps(wish)


# name -> (content type, body, field that the error names)
CASES: dict[str, tuple[str, str | bytes, str | None]] = {
    "unknown currency": (FORM, good(currency="xyz"), "currency"),
    "withdrawn currency": (FORM, good(currency="hrk"), "currency"),
    "no currency": (FORM, "amount=500&location[country]=DE", "currency"),
    "fraction": (FORM, good(amount="19.99"), "amount"),
    "exponent": (FORM, good(amount="1e3"), "amount"),
    "negative": (FORM, good(amount="-5"), "amount"),
    "zero": (FORM, good(amount="0"), "amount"),
    "huge": (FORM, good(amount="9" * 30), "amount"),
    "too much": (FORM, good(amount="1000000000000"), "amount"),
    "amount twice": (FORM, GOOD + "&amount=5", "amount"),
    "broken nesting": (FORM, GOOD + "&metadata[a=b", "metadata[a"),
    "value and object": (FORM, GOOD + "&metadata=x&metadata[a]=b", "metadata[a]"),
    "deep": (FORM, GOOD + "&metadata" + "[a]" * 20 + "=b", None),
    "unknown parameter": (FORM, GOOD + "&capture_metod=manual", "capture_metod"),
    "unknown place field": (FORM, GOOD + "&location[contry]=DE", "location[contry]"),
    "unknown country": (FORM, good(**{"location[country]": "ZZ"}), "location[country]"),
    "subdivision elsewhere": (FORM, GOOD + "&location[subdivision]=US-CA", "location[subdivision]"),
    "impossible point": (
        FORM, "amount=500&currency=eur&location[coordinates]=95,10", "location[coordinates]",
    ),
    "open sea": (
        FORM, "amount=500&currency=eur&location[coordinates]=-40,-120", "location[coordinates]",
    ),
    "no address": (
        FORM, "amount=500&currency=eur&location[ip_address]=1.2.3", "location[ip_address]",
    ),
    "no place": (FORM, "amount=500&currency=eur", "location"),
    "bad escape": (FORM, GOOD + "&description=%zz", "description"),
    "bad UTF-8": (FORM, GOOD.encode() + b"&description=\xff\xfe", None),
    "NUL": (FORM, GOOD + "&description=a%00b", "description"),
    "card in description": (FORM, GOOD + "&description=4242424242424242", "description"),
    "card in metadata": (FORM, GOOD + "&metadata[x]=4242+4242+4242+4242", "metadata[x]"),
    "card as a name": (FORM, GOOD + "&metadata[5555555555554444]=x", "metadata"),
    "card in the place": (FORM, good(**{"location[country]": "378282246310005"}), None),
    "card fields": (
        FORM,
        GOOD + "&payment_method_data[type]=card&payment_method_data[card][number]=4242424242424242",
        None,
    ),
    "long metadata": (FORM, GOOD + "&metadata[a]=" + "x" * 501, "metadata[a]"),
    "bad token": (FORM, good(payment_method="visa"), "payment_method"),
    "bad expand": (FORM, GOOD + "&expand[]=everything", "expand"),
    "duplicate JSON key": (JSON, '{"amount":1999,"amount":1,"currency":"eur"}', "amount"),
    "JSON fraction": (JSON, json_body(amount=19.99), "amount"),
    "JSON 1e400": (JSON, '{"amount":1e400,"currency":"eur"}', "amount"),
    "JSON NaN": (JSON, '{"amount":NaN,"currency":"eur"}', "amount"),
    "JSON boolean": (JSON, json_body(amount=True), "amount"),
    "JSON array": (JSON, "[1,2]", None),
    "JSON broken": (JSON, '{"amount":', None),
    "JSON deep": (JSON, "[" * 100_000, None),
    "XML": ("text/xml", "<a/>", None),
}  # fmt: skip


def exchange(url: str, key: str, kind: str, body: bytes, extra: bytes = b"") -> tuple[int, dict]:  # type: ignore[type-arg]
    """One request over a plain socket; status and JSON body."""
    parts = urllib.parse.urlsplit(url)
    assert parts.hostname is not None
    head = (
        f"POST /v1/payment_intents HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Authorization: Bearer {key}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n"
    ).encode()
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=60) as stream:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stream.sendall(head + extra + b"\r\n" + body)  # may be refused before its end
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := stream.recv(65_536):
                answer += chunk
    top, _, content = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ", 2)[1]), json.loads(content)


async def _counts(dsns: list[str]) -> list[dict[str, int]]:
    found = []
    for dsn in dsns:
        connection = await asyncpg.connect(dsn)
        rows = await connection.fetch(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        names = [row["relname"] for row in rows]
        counts = {
            name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for name in names
        }
        found.append(counts)
        await connection.close()
    return found


@pytest.fixture(scope="module")
def unchanged(chaos: Chaos) -> Iterator[None]:
    """No row is added to or taken from any table while the bad input comes in."""
    dsns = [node["dsn"] for node in chaos.demo["nodes"]]
    before = asyncio.run(_counts(dsns))
    yield
    assert asyncio.run(_counts(dsns)) == before


@pytest.mark.parametrize("name", CASES)
def test_refused_by_name(chaos: Chaos, unchanged: None, name: str) -> None:
    kind, body, param = CASES[name]
    raw = body.encode() if isinstance(body, str) else body
    status, answer = exchange(chaos.demo["base_url"], chaos.demo["secret_key"], kind, raw)
    assert 400 <= status < 500, (status, answer)
    error = answer["error"]
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) > 10
    assert "4242" not in json.dumps(answer)
    if param is not None:
        assert error.get("param") == param, error


def test_a_card_number_as_a_key(chaos: Chaos, unchanged: None) -> None:
    demo, line = chaos.demo, b"Idempotency-Key: order-4242-4242-4242-4242\r\n"
    url, key = demo["base_url"], demo["secret_key"]
    status, answer = exchange(url, key, FORM, GOOD.encode(), line)
    assert (status, answer["error"]["param"]) == (400, "Idempotency-Key")
    assert "4242" not in json.dumps(answer)


def test_the_nearest_name_is_offered(chaos: Chaos, unchanged: None) -> None:
    demo = chaos.demo
    _, answer = exchange(
        demo["base_url"], demo["secret_key"], FORM, (GOOD + "&capture_metod=manual").encode()
    )
    assert "capture_method" in answer["error"]["message"]


@pytest.mark.parametrize("size", [1_000_000, 10_000_000])
def test_a_big_body(chaos: Chaos, unchanged: None, size: int) -> None:
    body = GOOD.encode() + b"&description=" + b"x" * size
    status, answer = exchange(chaos.demo["base_url"], chaos.demo["secret_key"], FORM, body)
    assert status == 413
    assert answer["error"]["type"] == "invalid_request_error"


def test_sixty_megabytes_of_headers(chaos: Chaos, unchanged: None) -> None:
    extra = b"".join(b"x-%d: %b\r\n" % (number, b"y" * 1_000) for number in range(60_000))
    assert len(extra) > 60_000_000
    status, answer = exchange(
        chaos.demo["base_url"], chaos.demo["secret_key"], FORM, GOOD.encode(), extra
    )
    assert status == 431
    assert answer["error"]["type"] == "invalid_request_error"
