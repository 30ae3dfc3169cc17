"""Hostile HTTP against the sandbox, and pages of other origins at what controls it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge_kit import AMBIGUOUS, HOST, UPGRADE, VERSIONS, Raw, ask, chunked, refused
from tests.unit.test_sandbox_process import BANK, Sandbox

NEXT = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
RULE = json.dumps({"provider": BANK, "operation": "charge", "kind": "garbage", "times": 1}).encode()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
    yield sandbox
    sandbox.stop()


def charge(bank: Sandbox, reference: str, framing: str = "length", more: bytes = b"") -> bytes:
    body = json.dumps(
        {
            "reference": reference,
            "amount": 1000,
            "currency": "EUR",
            "source": "pm_card_visa",
            "capture": True,
        }
    ).encode()
    framed = b"content-length: %d\r\n\r\n%b" % (len(body), body)
    if framing == "chunked":
        framed = b"transfer-encoding: chunked\r\n\r\n" + chunked(body[:20], body[20:])
    key = b"authorization:\t Bearer %b \t\r\n" % bank.keys[BANK].encode()
    return b"POST /%b/charges HTTP/1.1\r\n" % BANK.encode() + HOST + key + more + framed


@pytest.mark.parametrize("step", [1, 50, 100_000])
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_a_charge_that_offers_an_upgrade_is_read_whole(
    bank: Sandbox, framing: str, step: int
) -> None:
    reference = f"upgrade-{framing}-{step}"
    raw = await Raw.to(bank.address[1])
    sent = charge(bank, reference, framing, UPGRADE) + NEXT
    for at in range(0, len(sent), step):
        raw.write(sent[at : at + step])
        await raw.writer.drain()
    answer = await raw.answer()
    assert (answer.status, answer.json["reference"]) == (200, reference)
    assert (await raw.answer()).json == {"status": "ok"}
    raw.close()
    assert len(bank.booked(reference)) == 1


async def test_what_can_be_read_in_two_ways_is_refused(bank: Sandbox) -> None:
    port = bank.address[1]
    for name, (rest, status) in AMBIGUOUS.items():
        for offer in (b"", UPGRADE):
            head = b"POST /%b/charges HTTP/1.1\r\n" % BANK.encode() + HOST + offer
            answer = await refused(port, head + rest + NEXT)
            assert answer.status == status, (name, answer)
    for name, (request, status) in VERSIONS.items():
        answer = await refused(port, request)
        assert answer.status == status, name
        assert answer.json["error"]["code"] == "invalid_request"
    assert (await refused(port, b"GET /healthz HTTP/1.0\r\n\r\n")).status == 200


async def test_a_refusal_is_never_the_answer_of_an_earlier_charge(bank: Sandbox) -> None:
    for number, junk in enumerate((b"nonsense\r\n\r\n", b"GET / HTTP/7.1\r\n\r\n")):
        raw = await Raw.to(bank.address[1])
        raw.write(charge(bank, f"before-{number}") + junk)
        assert b" 400 " not in await raw.closed()
        raw.close()


async def test_trailers_are_no_headers(bank: Sandbox) -> None:
    sent = charge(bank, "trailer", "chunked").replace(b"authorization:", b"x-nothing:")
    sent = sent[:-2] + b"authorization: Bearer %b\r\n\r\n" % bank.keys[BANK].encode()
    assert (await ask(bank.address[1], sent)).status == 401


def control(headers: bytes, body: bytes = RULE, method: bytes = b"POST") -> bytes:
    length = b"content-length: %d\r\n\r\n" % len(body)
    return method + b" /faults HTTP/1.1\r\n" + headers + length + body


JSON = b"content-type: application/json\r\n"
LOCAL = b"host: 127.0.0.1:9400\r\n"


@pytest.mark.parametrize(
    ("headers", "status", "field"),
    [
        (LOCAL + JSON, 200, None),
        (b"host: localhost\r\ncontent-type: application/json; charset=utf-8\r\n", 200, None),
        (b"host: [::1]:9400\r\n" + JSON, 200, None),
        (LOCAL + JSON + b"origin: http://127.0.0.1:9400\r\n", 200, None),
        (LOCAL + JSON + b"sec-fetch-site: same-origin\r\n", 200, None),
        (LOCAL + JSON + b"origin: http://evil.example\r\n", 403, "Origin"),
        (LOCAL + JSON + b"origin: https://127.0.0.1:9400\r\n", 403, "Origin"),
        (LOCAL + JSON + b"origin: http://127.0.0.1:9401\r\n", 403, "Origin"),
        (LOCAL + JSON + b"origin: null\r\n", 403, "Origin"),
        (LOCAL + JSON + b"sec-fetch-site: cross-site\r\n", 403, "Sec-Fetch-Site"),
        (LOCAL + JSON + b"sec-fetch-site: same-site\r\n", 403, "Sec-Fetch-Site"),
        (LOCAL + b"content-type: text/plain\r\n", 415, "Content-Type"),
        (LOCAL + b"content-type: application/x-www-form-urlencoded\r\n", 415, "Content-Type"),
        (LOCAL, 415, "Content-Type"),
        (b"host: evil.example\r\n" + JSON, 403, "Host"),
        (b"host: evil.example:9400\r\n" + JSON, 403, "Host"),
        (b"host: 127.0.0.1.evil.example\r\n" + JSON, 403, "Host"),
        (b"host: localhost.evil.example\r\n" + JSON, 403, "Host"),
        (b"host: [::1\r\n" + JSON, 403, "Host"),
        (JSON, 403, "Host"),
    ],
)
async def test_who_may_set_faults(
    bank: Sandbox, headers: bytes, status: int, field: str | None
) -> None:
    answer = await ask(bank.address[1], control(headers))
    assert answer.status == status
    if field is not None:
        assert answer.json["error"]["param"] == field
        assert bank.call("GET", "/faults")[1]["rules"] == []
    assert bank.call("DELETE", "/faults")[1]["removed"] == (status == 200)


async def test_nor_may_other_origins_lift_them_or_read_the_books(bank: Sandbox) -> None:
    port = bank.address[1]
    foreign = LOCAL + b"origin: http://evil.example\r\n"
    assert (await ask(port, control(foreign, b"", b"DELETE"))).status == 403
    for path in (b"/books", b"/sources", b"/delay", b"/faults"):
        for headers in (foreign, b"host: evil.example\r\n"):
            answer = await ask(port, b"GET " + path + b" HTTP/1.1\r\n" + headers + b"\r\n")
            assert answer.status == 403


async def test_the_configured_name_is_its_own(tmp_path: Path) -> None:
    sandbox = Sandbox(tmp_path, "http://Bank.example:9400")
    try:
        for name, status in ((b"bank.example", 200), (b"other.example", 403)):
            answer = await ask(sandbox.address[1], control(b"host: " + name + b"\r\n" + JSON))
            assert answer.status == status
    finally:
        sandbox.stop()
