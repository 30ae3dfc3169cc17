"""A corpus of URLs that would lead inside: none is taken, and none is connected to.

Families follow what is known to get past checks of this kind: OWASP's cheat sheet on server-side
request forgery, Orange Tsai, "A New Era of SSRF" (Black Hat 2017), and RFC 6890, 6052, 3056, 4291.
"""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bailiwick.delivery.addresses import allowed_url
from bailiwick.delivery.lookups import GuardedResolver
from bailiwick.delivery.post import Poster
from bailiwick.delivery.webhooks import Endpoint

ESCAPES = {"\\t": "\t", "\\n": "\n", "\\r": "\r", "\\0": "\0", "\\x20": " ", "\\x7f": "\x7f"}


def corpus() -> list[str]:
    file = Path(__file__).with_name("hostile_urls.txt")
    found = []
    for line in file.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        for written, meant in ESCAPES.items():
            line = line.replace(written, meant)
        found.append(line)
    return found


URLS = corpus()


def endpoint(url: str) -> Endpoint:
    return Endpoint("we_1", "acct_1", False, url, "whsec_" + "0" * 48, ["*"], "enabled", 1, {})


def answer(address: str, port: int = 443) -> tuple[Any, ...]:
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    return (kind, socket.SOCK_STREAM, 6, "", (address, port))


class Names:
    """A name server that gives each answer once, and the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers: Iterator[list[str]] = iter(answers)
        self._last: list[str] = []
        self.asked = 0

    def __call__(self, host: str, port: int, **_: object) -> list[Any]:
        self.asked += 1
        self._last = next(self._answers, self._last)
        return [answer(each, port) for each in self._last]


def test_the_corpus_is_large_and_has_no_doubles() -> None:
    assert len(URLS) == len(set(URLS)) >= 200


@pytest.mark.parametrize("number", range(len(URLS)))
def test_is_refused_as_written(number: int) -> None:
    assert allowed_url(URLS[number], private=False) is not None, repr(URLS[number])


async def test_nothing_of_it_is_connected_to_even_if_it_was_stored_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each try checks the URL again: no name is looked up, no socket opened."""
    names = Names(["8.8.8.8"])
    connected: list[object] = []

    async def connect(*where: object, **_: object) -> None:
        connected.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "sock_connect", connect)
    async with Poster(private=False, resolver=GuardedResolver(False, names)) as poster:
        for url in URLS:
            told = await poster.post(endpoint(url), "evt_1", b"{}")
            assert (told.status, told.failure) == (0, "address_refused"), url
    assert (names.asked, connected) == (0, [])


@pytest.mark.parametrize(
    "answers",
    [["127.0.0.1"], ["8.8.8.8", "10.0.0.1"], ["::1"], ["::ffff:127.0.0.1"], ["2002:7f00:1::"],
     ["169.254.169.254"], ["64:ff9b::a9fe:a9fe"], ["2606:4700:4700::1111", "fd00:ec2::254"]],
    ids=lambda answers: "+".join(answers),
)  # fmt: skip
async def test_a_name_that_leads_inside(answers: list[str]) -> None:
    names = Names(answers)
    async with Poster(private=False, resolver=GuardedResolver(False, names)) as poster:
        told = await poster.post(endpoint("https://shop.example.com/"), "evt_1", b"{}")
    assert (told.status, told.failure, names.asked) == (0, "address_refused", 1)


async def test_rebinding_the_connection_goes_to_the_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that leads outside when it is checked and inside a moment later: it is looked up once
    for each connection, and that answer is the one connected to."""
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    connected: list[str] = []

    async def connect(_: object, sock: socket.socket, address: tuple[Any, ...]) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop().__class__, "sock_connect", connect)
    async with Poster(private=False, resolver=GuardedResolver(False, names)) as poster:
        first = await poster.post(endpoint("https://rebind.example.com/"), "evt_1", b"{}")
        assert (connected, names.asked, first.failure) == (["8.8.8.8"], 1, "not_connected")
        second = await poster.post(endpoint("https://rebind.example.com/"), "evt_1", b"{}")
    assert (connected, names.asked, second.failure) == (["8.8.8.8"], 2, "address_refused")
