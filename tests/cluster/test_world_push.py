"""Epochs pushed to a running system: at once, without the broker, after a wipe, never a fork."""

import asyncio
import json
import os
import shutil
import signal
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from chaos_kit import Chaos, bailiwick

from bailiwick.bus.client import Bus, BusError
from bailiwick.control import publishing
from bailiwick.topology import chain
from bailiwick.topology.epochs import Epochs
from bailiwick.topology.feed import newest, push, unpack
from bailiwick.topology.succession import next_epoch
from tests.waiting import PATIENCE_S, wait_until

T = TypeVar("T")


class Desk:
    """Who publishes to a running demo."""

    def __init__(self, chaos: Chaos) -> None:
        self.chaos = chaos
        self.world = chaos.data / "world"
        self.key = chaos.data / "secrets" / "world.key"

    @property
    def nats(self) -> dict[str, Any]:
        found: dict[str, Any] = self.chaos.demo["nats"]
        return found

    @property
    def urls(self) -> list[str]:
        """Where each process tells operators."""
        demo = self.chaos.demo
        return [
            *(each["url"] for each in demo["nodes"]),
            *(each["status_url"] for each in demo["access"]),
        ]

    def call(self, *arguments: str, broker: bool = True) -> dict[str, Any]:
        """`bailiwick topology ...`; its answer."""
        words = ["topology", *arguments, "--world", str(self.world), "--json"]
        if arguments[0] in ("publish", "rollback"):
            words += ["--key", str(self.key)]
        said = bailiwick(*words, BAILIWICK_NATS=self.nats["url"] if broker else "")
        answer: dict[str, Any] = json.loads(said)
        return answer

    def change(self) -> None:
        """Make the working copies of the topology differ from what is in force."""
        file = self.world / "topology.toml"
        text = file.read_text()
        title = f'title = "Europe {uuid.uuid4()}"'
        file.write_text(
            "\n".join(title if line[:14] == 'title = "Europ' else line for line in text.split("\n"))
        )

    def worlds(self) -> list[dict[str, Any]]:
        """What each process says of its world."""
        found = []
        for url in self.urls:
            with urllib.request.urlopen(f"{url}/readyz", timeout=60) as answer:
                found.append(json.load(answer)["world"])
        return found

    def until(self, true: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until something is true of every process's world."""
        wait_until(lambda: all(true(world) for world in self.worlds()))

    def pay(self) -> None:
        """One payment over each access process."""
        for access in self.chaos.demo["access"]:
            form = {
                "amount": "100", "currency": "eur", "payment_method": "pm_card_visa",
                "confirm": "true", "location[country]": "DE",
            }  # fmt: skip
            answer = self.chaos.post(f"{access['url']}/v1/payment_intents", form)
            assert answer.get("status") == "succeeded", answer

    def over(self, use: Callable[[Bus], Awaitable[T]]) -> T:
        """Do something over the broker."""

        async def run() -> T:
            bus = Bus([self.nats["url"]], "test")
            try:
                assert await bus.start(wait_s=PATIENCE_S)
                return await use(bus)
            finally:
                await bus.close()

        return asyncio.run(run())

    def at_broker(self) -> bytes:
        """The broker's newest epoch."""

        async def use(bus: Bus) -> bytes:
            message = await newest(bus)
            return unpack(message.data) if message is not None else b""

        return self.over(use)


@pytest.fixture
def desk(chaos: Chaos) -> Iterator[Desk]:
    it = Desk(chaos)
    yield it
    head = Epochs(it.world).head().link
    assert head is not None
    it.until(lambda world: world["epoch"] == head.epoch and world["connected"])


def test_a_publish_reaches_every_process_and_a_rollback_too(desk: Desk) -> None:
    first = desk.call("history")["epochs"][0]["epoch"]
    desk.change()
    done = desk.call("publish", "--note", "a test")
    assert (done["epoch"], done["pushed"]) == (first + 1, True)
    desk.until(lambda world: world["epoch"] == first + 1 and world["stale_s"] == 0)
    desk.pay()
    back = desk.call("rollback", str(first))
    desk.until(lambda world: world["epoch"] == back["epoch"] == first + 2)
    assert desk.call("diff", str(first), str(first + 2))["changes"] == []


def test_a_revoked_key_is_refused_everywhere(desk: Desk) -> None:
    key = desk.chaos.demo["other_secret_key"]

    def statuses() -> set[int]:
        found = set()
        for access in desk.chaos.demo["access"]:
            request = urllib.request.Request(
                f"{access['url']}/v1/payment_intents", headers={"Authorization": f"Bearer {key}"}
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    found.add(answer.status)
            except urllib.error.HTTPError as error:
                found.add(error.code)
        return found

    assert statuses() == {200}
    file = desk.world / "merchants.toml"
    before = desk.call("history")["epochs"][0]["epoch"]
    parts = file.read_text().split("[[merchants.keys]]\n")
    kept = [part for part in parts if f'last4 = "{key[-4:]}"' not in part]
    file.write_text("[[merchants.keys]]\n".join(kept))
    told = desk.call("publish")
    assert any("is revoked" in line for line in told["changes"])
    desk.until(lambda world: world["epoch"] == told["epoch"])
    assert statuses() == {401}
    desk.call("rollback", str(before), "--merchants", "restore")
    desk.until(lambda world: world["epoch"] == told["epoch"] + 1)
    assert statuses() == {200}


class Keys:
    """`bailiwick keys ...` over the broker, and what a key gets where."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        demo = desk.chaos.demo
        self.access = [each["url"] for each in demo["access"]]
        self.nodes = [each["url"] for each in demo["nodes"]]

    def run(self, *words: str) -> dict[str, Any]:
        said = bailiwick(
            "keys", *words, "--world", str(self.desk.world), "--key", str(self.desk.key), "--json",
            BAILIWICK_NATS=self.desk.nats["url"],
        )  # fmt: skip
        told: dict[str, Any] = json.loads(said)
        assert told["pushed"]
        self.desk.until(lambda world: world["epoch"] == told["epoch"])
        return told

    def got(self, key: str, path: str, form: dict[str, str] | None = None) -> set[tuple[int, str]]:
        """Status and code, at every access process and every node."""
        found = set()
        for url in (*self.access, *self.nodes):
            request = urllib.request.Request(
                url + path,
                urllib.parse.urlencode(form).encode() if form is not None else None,
                {"Authorization": f"Bearer {key}"},
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    found.add((answer.status, ""))
            except urllib.error.HTTPError as error:
                said = json.load(error)["error"]
                found.add((error.code, said.get("code") or ""))
        return found


REFUND = {"payment_intent": "pi_none"}


def test_a_key_is_made_rolled_and_revoked_at_every_process(desk: Desk) -> None:
    keys = Keys(desk)
    made = keys.run(
        "make", "acct_demo", "--kind", "restricted", "--mode", "test", "--allow", "charge=read"
    )
    key = made["secret"]
    assert keys.got(key, "/v1/charges?limit=1") == {(200, "")}
    assert keys.got(key, "/v1/refunds?limit=1") == {(403, "permission_denied")}
    assert keys.got(key, "/v1/refunds", REFUND) == {(403, "permission_denied")}
    assert keys.got(key, "/v1/charges?limit=1&expand[]=data.payment_intent") == {
        (403, "permission_denied")
    }
    rolled = keys.run("roll", made["sha256"][:12], "--overlap", "1h")
    for each in (key, rolled["secret"]):
        assert keys.got(each, "/v1/charges?limit=1") == {(200, "")}
    keys.run("revoke", made["sha256"][:12])
    assert keys.got(key, "/v1/charges?limit=1") == {(401, "api_key_invalid")}
    assert keys.got(rolled["secret"], "/v1/charges?limit=1") == {(200, "")}
    keys.run("revoke", rolled["sha256"][:12])
    assert keys.got(rolled["secret"], "/v1/charges?limit=1") == {(401, "api_key_invalid")}


def test_without_the_broker_all_goes_on_and_it_is_brought_up_to_date(desk: Desk) -> None:
    pid = desk.nats["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        desk.until(lambda world: not world["connected"])
        assert all(world["stale_s"] > 0 for world in desk.worlds())
        desk.pay()
        desk.change()
        done = desk.call("publish", broker=False)  # every process here sees the folder
        desk.until(lambda world: world["epoch"] == done["epoch"])
        desk.pay()
        shutil.rmtree(desk.chaos.data / "nats" / "streams")
    finally:
        os.kill(pid, signal.SIGKILL)  # the supervisor starts another
    desk.until(lambda world: world["connected"])
    newest_here = Epochs(desk.world).path(done["epoch"]).read_bytes()
    wait_until(lambda: _tried(desk.at_broker) == newest_here)
    desk.pay()


def _tried(read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except BusError:
        return b""


def test_a_fork_is_refused_everywhere(desk: Desk) -> None:
    key = publishing.signing_key(desk.key)
    head = Epochs(desk.world).head().link
    assert head is not None
    lost, _ = next_epoch(None, head.files, now_ms=publishing.now_ms(), first=head.epoch)
    for _ in range(2):
        fork = chain.seal(lost, key)
        lost, _ = next_epoch(fork, head.files, now_ms=publishing.now_ms())

    async def smuggle(bus: Bus) -> None:
        message = await newest(bus)
        assert message is not None
        await push(bus, fork, message.sequence)

    desk.over(smuggle)
    desk.until(lambda world: "fork" in (world["problem"] or ""))
    assert {world["epoch"] for world in desk.worlds()} == {head.epoch}
    desk.pay()
    with urllib.request.urlopen(f"{desk.urls[-1]}/metrics", timeout=60) as answer:
        assert 'access_world_refused_total{reason="fork"}' in answer.read().decode()
    assert desk.call("push", "--force")["pushed"] is True
    desk.until(lambda world: world["problem"] is None)
    assert desk.at_broker() == head.raw


def test_an_epoch_torn_on_disk_is_passed_over(desk: Desk) -> None:
    epochs = Epochs(desk.world)
    number = epochs.numbers()[-1] + 1
    torn: Path = epochs.path(number)
    torn.write_bytes(epochs.path(number - 1).read_bytes()[:-99])
    desk.until(lambda world: torn.name in (world["problem"] or ""))
    desk.change()
    assert desk.call("publish")["epoch"] == number  # puts the rubbish aside
    desk.until(lambda world: world["epoch"] == number and world["problem"] is None)
