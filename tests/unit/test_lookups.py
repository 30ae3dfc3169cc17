"""Names of webhook hosts: one merchant's silent name servers hold up nobody else."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from bailiwick.delivery.lookups import ON_BEHALF, THREADS_OF_ONE_MAX, GuardedResolver


def answer(address: str) -> tuple[Any, ...]:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (kind, socket.SOCK_STREAM, 6, "", (address, 443))


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "169.254.169.254", "2002:7f00:1::"])
async def test_a_name_that_leads_inside_is_not_followed(address: str) -> None:
    """Rebinding: every address is checked, and the checked one is the one connected to."""

    def leads(*_: object, **__: object) -> list[Any]:
        return [answer("8.8.8.8"), answer(address)]

    with pytest.raises(OSError, match="not public"):
        await GuardedResolver(False, leads).resolve("rebound.example.com", 443)
    found = await GuardedResolver(True, leads).resolve("rebound.example.com", 443)
    assert [each["host"] for each in found] == ["8.8.8.8", address]


@pytest.mark.parametrize(
    "host",
    ["0x7f.0.0.1", "0x7f000001", "017700000001", "127.1", "fe80::1%lo", "nowhere.invalid",
     "a" * 64 + ".example.com"],
)  # fmt: skip
async def test_what_does_not_resolve_to_the_public_internet(host: str) -> None:
    with pytest.raises((OSError, UnicodeError)):
        await GuardedResolver(False).resolve(host, 443)


async def test_silent_name_servers_of_one_merchant() -> None:
    never, under_way = threading.Event(), threading.Semaphore(0)

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        if host.startswith("silent"):
            under_way.release()
            never.wait(30)
        return [answer("8.8.8.8")]

    resolver = GuardedResolver(False, look_up)
    loop = asyncio.get_running_loop()

    async def connect(merchant: str, host: str) -> str:
        ON_BEHALF.set(merchant)
        return (await resolver.resolve(host, 443))[0]["host"]

    try:
        silent = [
            asyncio.create_task(connect("acct_a", f"silent{n}.example.com")) for n in range(200)
        ]
        for _ in range(THREADS_OF_ONE_MAX):
            await loop.run_in_executor(None, under_way.acquire)
        for task in silent[: THREADS_OF_ONE_MAX // 2]:
            task.cancel()  # its try is over; the thread is not
        # Even for the very name that another merchant waits for in vain.
        for number in range(50):
            assert await connect("acct_b", f"host{number}.example.com") == "8.8.8.8"
        assert not under_way.acquire(blocking=False), "no more than its own"
        never.set()
        done = await asyncio.gather(*silent, return_exceptions=True)
        assert done[-1] == "8.8.8.8", "those that waited got their turn"
    finally:
        never.set()
        await resolver.close()
