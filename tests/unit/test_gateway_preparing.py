"""A gateway that has to prepare something, against a provider of the test's own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bailiwick.base.clock import boot_ns
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import (
    Account,
    Instruction,
    NotBuilt,
    NotPrepared,
    Operation,
    Outcome,
    Permit,
    Request,
    Resolve,
    Result,
)
from bailiwick.node import metrics
from bailiwick.orders.callbacks import Callbacks
from bailiwick.routing.building import build, question
from bailiwick.routing.gateway import Gateway
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings
from bailiwick_lab.servers.scripted import ScriptedServer, http
from tests.waiting import until

SECRETS = {"client_id": "bank", "client_secret": "secret_of_bank", "callback_secret": "callbacks"}
CHARGE = Instruction(Operation.CHARGE, "ch_1", 1000, "EUR", payment_method="pm_card_visa")
AWAY = http(401, b'{"error":{"code":"unauthorized","message":"No.","param":null}}')
OK = http(200, b"{}")
REFUSED = Result(Outcome.DECLINED, retryable=True, detail="credentials")


class Provider:
    """Gives the tokens t1, t2, ...; takes the newest and those before it that are not revoked."""

    def __init__(self) -> None:
        self.given = 0
        self.good: set[str] = set()
        self.mute = False
        self.asked: list[str] = []

    def answer(self, head: bytes, body: bytes) -> bytes | None:
        line, _, rest = head.decode().partition("\r\n")
        path = line.split()[1]
        shown = next(
            (each[15:] for each in rest.split("\r\n") if each.startswith("authorization: ")), ""
        )
        if path != "/oauth/token":
            self.asked.append(path)
            return OK if shown.removeprefix("Bearer ") in self.good else AWAY
        if self.mute:
            return http(500)
        self.given += 1
        self.good.add(f"t{self.given}")
        told = {"access_token": f"t{self.given}", "token_type": "Bearer", "expires_in": 3600}
        return http(200, json.dumps(told).encode())


@asynccontextmanager
async def connected(provider: Provider) -> AsyncIterator[Gateway]:
    async with ScriptedServer(provider.answer) as server:
        url = f"http://127.0.0.1:{server.port}"
        settings = GatewaySettings(
            name="bank", channel="sandbox_oauth", kind="domestic_platform", base_url=url
        )
        account = Account("bank", url, SECRETS)
        gateways = Gateways([settings], {"bank": account}, "http://node/v1/callbacks")
        await gateways.connect()
        try:
            yield gateways.all()[0]
        finally:
            await gateways.close()


async def charged(gateway: Gateway) -> int:
    """The status that a charge is answered with."""
    request = build(gateway, CHARGE)
    assert isinstance(request, Request)
    done = await gateway.exchange(request, Permit(boot_ns() + 10**12))
    assert done.reply is not None
    return done.reply.status


async def test_late_refusals_say_nothing_of_the_new_token() -> None:
    provider = Provider()
    async with connected(provider) as gateway:
        begun_ns = boot_ns()
        provider.good.clear()
        assert await charged(gateway) == 401
        gateway.saw(REFUSED, begun_ns)
        assert gateway.usage == "the provider refuses the credentials"
        await until(lambda: gateway.usage == "open")
        for _ in range(100):
            gateway.saw(REFUSED, begun_ns)
        assert gateway.usage == "open"
        assert await charged(gateway) == 200
        assert provider.given == 2


async def test_a_check_that_is_refused_is_made_again_with_the_new_token() -> None:
    provider = Provider()
    async with connected(provider) as gateway:
        provider.good.clear()
        await gateway.connect()  # as the watch does
        assert "client secret" in gateway.usage
        await until(lambda: gateway.usage == "open")
        assert provider.given == 2


async def test_a_look_up_that_is_refused_renews_and_closes_nothing() -> None:
    provider = Provider()
    async with connected(provider) as gateway:
        provider.good.clear()
        asked = question(gateway, CHARGE, Resolve.REFERENCE)
        assert asked is not None
        done = await gateway.exchange(asked)
        assert done.reply is not None and done.reply.status == 401
        assert gateway.usage == "open"
        await until(lambda: provider.given == 2)


async def test_the_first_token_is_waited_for_by_the_gateway_alone() -> None:
    provider = Provider()
    provider.mute = True
    async with connected(provider) as gateway:
        assert gateway.usage.startswith("token is lacking: the sandbox answered 500")
        assert gateway.noted().state == "closed"
        assert provider.asked == [], "without it there is nothing to check"
        made = build(gateway, CHARGE)
        assert isinstance(made, NotBuilt)
        assert (made.outcome, made.retryable) == (Outcome.DECLINED, True)
        assert question(gateway, CHARGE, Resolve.REFERENCE) is None
        provider.mute = False
        await until(lambda: gateway.usage == "open")
        assert gateway.noted().state == "open"
        assert await charged(gateway) == 200


async def test_operators_see_how_it_stands() -> None:
    provider = Provider()
    async with connected(provider) as gateway:
        node = MagicMock(relay=None)
        node.gateways.all.return_value = [gateway]
        found = {
            (sample.name.removeprefix("bailiwick_node_gateway_"), sample.labels.get("outcome")): (
                sample.labels["preparation"], sample.value,
            )
            for family in text_string_to_metric_families(metrics.render(node).decode())
            for sample in family.samples
            if sample.labels.get("gateway") == "bank" and "preparation" in sample.labels
        }  # fmt: skip
        name, left_s = found["prepared_seconds", None]
        assert name == "token" and 0 < left_s <= 3_600
        assert found["preparations", "obtained"] == ("token", 1)
        assert found["preparations", "failed"] == ("token", 0)
        assert "t1" not in json.dumps(gateway.preparations.shown())


class Signed:
    """A channel whose callbacks are signed by a certificate that is not there."""

    def callback(self, notice: Any, account: Account, now_ms: int) -> None:
        raise NotPrepared("token")


async def test_a_callback_that_cannot_be_checked_yet_comes_again() -> None:
    provider = Provider()
    async with connected(provider) as gateway:
        channel: Any = Signed()
        gateway.channel = channel
        machine: Any = SimpleNamespace(
            store=None, executor=None, kinds=None,
            gateways=SimpleNamespace(get=lambda name: gateway),
        )  # fmt: skip
        callbacks = Callbacks(machine)
        taking = [callbacks.take("bank", {}, b"") for _ in range(50)]
        done = await asyncio.gather(*taking, return_exceptions=True)
        assert {type(each) for each in done} == {ApiError}
        assert {each.status for each in done if isinstance(each, ApiError)} == {503}
        await until(lambda: provider.given == 2)
        assert provider.given == 2, "one for all of them"
        with pytest.raises(ApiError):
            await callbacks.take("bank", {}, b"")
