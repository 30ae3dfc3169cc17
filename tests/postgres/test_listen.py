"""``bailiwick listen`` over real nodes and access, to a real server."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import standardwebhooks
import stripe
from click.testing import CliRunner

from bailiwick.cli.client import Target
from bailiwick.cli.listen.forwarding import Happened, Listener, Unusable, secret_of
from bailiwick.cli.main import bailiwick
from tests.postgres.hooks_kit import sink
from tests.postgres.lists_kit import SECRET, Site, site
from tests.postgres.test_webhook_log import event_at


@pytest.fixture
async def two(server_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(server_dsn, tmp_path, ("europe", "asia")) as made:
        yield made


async def listening(two: Site, to: str | None, *types: str) -> Listener:
    made = Listener(Target(two.url, SECRET), to, types)
    await asyncio.to_thread(made.begin)
    return made


async def step(listener: Listener) -> list[Happened]:
    return await asyncio.to_thread(lambda: list(listener.step()))


async def test_what_happens_is_forwarded_once_and_signed(two: Site) -> None:
    old = await event_at(two.nodes[0])
    async with sink() as server:
        listener = await listening(two, server.url("/hooks?a=1"))
        assert await step(listener) == [], "not what happened before"
        events = [await event_at(one) for one in (*two.nodes, *two.nodes)]
        found = await step(listener)
        assert [each.event for each in found] == sorted(events)
        assert [each.status for each in found] == [200] * 4
        assert await step(listener) == []
        server.statuses = [500]
        last = await event_at(two.nodes[1])
        assert [(each.event, each.status) for each in await step(listener)] == [(last, 500)]
        assert await step(listener) == [], "nothing is tried again"
        assert server.seen("came", "/hooks?a=1") == [*sorted(events), last]
        secret = secret_of(SECRET)
        for head, body in zip(server.heads, server.bodies, strict=True):
            event = stripe.Webhook.construct_event(body, head["stripe-signature"], secret)
            standardwebhooks.Webhook(secret).verify(body, head)
            assert event["id"] == head["webhook-id"] != old


async def test_a_server_that_is_away_is_told_and_that_is_all(two: Site) -> None:
    listener = await listening(two, "http://127.0.0.1:9/")
    event = await event_at(two.nodes[0])
    (told,) = await step(listener)
    assert (told.event, told.status) == (event, None) and told.failure
    assert await step(listener) == []


async def test_more_than_a_page_and_only_what_is_wanted(
    two: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bailiwick.cli.listen.forwarding.PAGE", 3)
    listener = await listening(two, None)
    refunds = await listening(two, None, "refund.*")
    events = [await event_at(two.nodes[n % 2]) for n in range(8)]
    assert [each.event for each in await step(listener)] == sorted(events)
    assert await step(refunds) == []
    assert len(listener._seen) == 8


async def test_a_node_that_is_away_is_named_and_its_events_come_later(two: Site) -> None:
    listener = await listening(two, None)
    front = two.front
    asia = two.nodes[1]
    answering = type(front.node_monitor).answering
    hidden = {asia.number}

    def known() -> list[int]:
        return [each for each in answering(front.node_monitor) if each not in hidden]

    front.node_monitor.answering = known  # type: ignore[method-assign]
    first, second = await event_at(two.nodes[0]), await event_at(asia)
    assert [each.event for each in await step(listener)] == [first]
    assert "asia" in listener.words()[0]
    hidden.clear()
    assert [each.event for each in await step(listener)] == [second]
    assert listener.words() == []


@pytest.mark.parametrize(
    ("base_url", "key", "to", "types", "said"),
    [
        ("", "sk_unknown", None, (), "401"),
        ("http://127.0.0.1:9", SECRET, None, (), "no answer"),
        ("nonsense", SECRET, None, (), "--base-url"),
        ("", SECRET, "localhost:3000", (), "--forward-to"),
        ("", SECRET, "http://localhost:x/", (), "--forward-to"),
        ("", SECRET, None, ("zebra.*",), "no event type"),
    ],
    ids=["key", "nobody", "address", "no scheme", "port", "type"],
)
async def test_what_cannot_be_listened_to(
    two: Site, base_url: str, key: str, to: str | None, types: tuple[str, ...], said: str
) -> None:
    def begin() -> None:
        Listener(Target(base_url or two.url, key), to, types).begin()

    with pytest.raises(Unusable, match=said):
        await asyncio.to_thread(begin)


async def test_the_command_ends_cleanly_by_ctrl_c(two: Site) -> None:
    words = ["listen", "--base-url", two.url, "--key", SECRET, "--every", "0.1"]
    async with sink() as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bailiwick", *words, "--json", "--forward-to", server.url("/x"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None

        async def line() -> dict[str, Any]:
            assert process.stdout is not None
            found: dict[str, Any] = json.loads(await process.stdout.readline())
            return found

        ready = await line()
        assert ready == {
            "ready": True, "secret": secret_of(SECRET), "forward_to": server.url("/x"),
        }  # fmt: skip
        event = await event_at(two.nodes[1])
        told = await line()
        assert (told["event"], told["status"]) == (event, 200)
        process.send_signal(signal.SIGINT)
        _, complaints = await process.communicate()
        assert (process.returncode, complaints) == (0, b"")


def test_the_secret_alone() -> None:
    words = ["listen", "--base-url", "http://127.0.0.1:9", "--key", "sk_1", "--print-secret"]
    result = CliRunner().invoke(bailiwick, words)
    assert result.output == secret_of("sk_1") + "\n"
    assert secret_of("sk_1") != secret_of("sk_2")
