"""What the tests of the transport share: profiles, requests, permits."""

from bailiwick.base.clock import boot_ns
from bailiwick.channels.base import Exchange, Permit, Phase, Profile, Request
from bailiwick.channels.http import HttpTransport
from tests.scripted import http

FAST = Profile(
    name="test",
    title="Test",
    resolve={},
    visibility_ms=0,
    connect_ms=1_000,
    first_byte_ms=2_000,
    total_ms=4_000,
    answer_bytes_max=100_000,
)
HASTY = Profile(
    name="hasty",
    title="Hasty",
    resolve={},
    visibility_ms=0,
    connect_ms=200,
    first_byte_ms=200,
    total_ms=500,
    answer_bytes_max=1_000,
)
OK = http(200, b'{"ok":true}')


def post(port: int, body: bytes = b'{"amount":1}') -> Request:
    headers = {"content-type": "application/json", "authorization": "Bearer k"}
    return Request("POST", f"http://127.0.0.1:{port}/charges", headers, body)


def get(port: int) -> Request:
    return Request("GET", f"http://127.0.0.1:{port}/operations/a%2Fb?x=%5B1%5D", {})


def fresh() -> Permit:
    return Permit(boot_ns() + 60_000_000_000)


def expired() -> Permit:
    return Permit(boot_ns() - 1)


async def answered(transport: HttpTransport, request: Request) -> Exchange:
    done = await transport.exchange(request, FAST, fresh())
    assert done.phase is Phase.ANSWERED, done
    return done
