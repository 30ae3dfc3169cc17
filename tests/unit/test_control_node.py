"""What a node does for its operator: the canary's door, and silence once it is superseded."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from bailiwick.admission.load import Load
from bailiwick.base import canary, sealing
from bailiwick.base.canary import FRESH_MS, CanaryAsk
from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Account, Permit, Phase, Request
from bailiwick.node import canary as node_canary
from bailiwick.node.canary import Canary
from bailiwick.node.operations import Usage, refuse_if_superseded
from bailiwick.node.service import Node
from bailiwick.routing.gateway import SILENT, Gateway
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.settings import GatewaySettings

SECRET = b"shared"


def door() -> Canary:
    node = SimpleNamespace(number=2, refusals=SimpleNamespace(secret=SECRET))
    made = Canary(cast(Node, node))

    async def pay(ask: CanaryAsk) -> dict[str, bool]:
        return {"ok": True}

    made._pay = pay  # type: ignore[method-assign, assignment]
    return made


class Asking:
    """A request, as far as the door looks."""

    def __init__(self, ask: CanaryAsk | bytes, secret: bytes = SECRET) -> None:
        self.body = ask if isinstance(ask, bytes) else msgspec.json.encode(ask)
        self.seal = sealing.seal(secret, canary.KIND, self.body)

    def get_header(self, name: str) -> str | None:
        return self.seal if name == sealing.SEAL else None


class Answering:
    """A response, as far as the door fills it."""

    def __init__(self) -> None:
        self.status: int | str = 0
        self.data = b""
        self.headers: dict[str, str] = {}

    def set_header(self, name: str, value: str) -> None:
        self.headers[name] = value


async def knock(at: Canary, asking: Asking, monkeypatch: pytest.MonkeyPatch) -> int:
    async def body(_: Any, most: int) -> bytes:
        assert most == canary.BYTES_MAX
        return asking.body

    monkeypatch.setattr(node_canary, "read_body", body)
    response = Answering()
    try:
        await at.on_post(cast(Any, asking), cast(Any, response))
    except ApiError as error:
        return error.status
    expected = sealing.answer_seal(SECRET, canary.KIND, asking.seal, response.data)
    assert response.headers == {sealing.SEAL: expected}
    return int(response.status)


def ask(**values: Any) -> CanaryAsk:
    return CanaryAsk(**{"node": 2, "issued_ms": now_ms(), "nonce": "n" * 32, **values})


async def test_a_canary_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    at, asking = door(), Asking(ask())
    assert await knock(at, asking, monkeypatch) == 200
    assert await knock(at, asking, monkeypatch) == 400, "the same question again"
    assert await knock(at, Asking(ask(nonce="m" * 32)), monkeypatch) == 200


@pytest.mark.parametrize(
    ("asking", "status"),
    [
        (Asking(ask(), b"another secret"), 403),
        (Asking(ask(node=3)), 400),
        (Asking(ask(issued_ms=now_ms() - FRESH_MS - 1_000)), 400),
        (Asking(ask(issued_ms=now_ms() + FRESH_MS + 86_400_000)), 400),  # made at collection
        (Asking(ask(nonce="short")), 400),
        (Asking(ask(nonce="n" * 65)), 400),
        (Asking(b"{}"), 400),
        (Asking(b"no JSON"), 400),
    ],
)
async def test_what_is_not_answered(
    asking: Asking, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await knock(door(), asking, monkeypatch) == status


async def test_a_seal_of_another_kind_does_not_open_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from bailiwick.interlink import admission_query as bulk

    asking = Asking(ask())
    asking.seal = sealing.seal(SECRET, bulk.KIND, asking.body)
    assert await knock(door(), asking, monkeypatch) == 403


async def test_questions_are_kept_no_longer_than_they_are_fresh(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = door()
    monkeypatch.setattr(node_canary, "NONCES_MAX", 2)
    for nonce in ("a" * 16, "b" * 16):
        assert await knock(at, Asking(ask(nonce=nonce)), monkeypatch) == 200
    assert await knock(at, Asking(ask(nonce="c" * 16)), monkeypatch) == 503
    at._seen = dict.fromkeys(at._seen, now_ms() - 2 * FRESH_MS)
    assert await knock(at, Asking(ask(nonce="c" * 16)), monkeypatch) == 200
    assert len(at._seen) == 1


# --- superseded -------------------------------------------------------------------------------


def process(own: str, topology: str) -> Any:
    """A node as far as these properties look."""
    node = SimpleNamespace(url=topology)
    world = SimpleNamespace(epoch=7, topology=SimpleNamespace(by_number={2: node}))
    made: Any = SimpleNamespace(
        number=2,
        settings=SimpleNamespace(url=own, name="europe"),
        world=world,
        current=SimpleNamespace(world=world),
        _looked_at=None,
    )
    made.superseded_by = Node.superseded_by.fget(made)  # type: ignore[attr-defined]
    return made


@pytest.mark.parametrize(
    ("own", "topology", "superseded"),
    [
        ("", "http://b:1", False),
        ("http://b:1", "http://b:1", False),
        ("http://b:1/", "http://b:1", False),
        ("http://a:1", "http://b:1", True),
    ],
)
def test_a_process_knows_when_another_serves_its_node(
    own: str, topology: str, superseded: bool
) -> None:
    node = process(own, topology)
    assert node.superseded_by == (topology if superseded else None)
    assert Node.writing_epoch(node) == (0 if superseded else 7), "which no fence lets in"
    if superseded:
        with pytest.raises(ApiError) as refused:
            refuse_if_superseded(node)
        assert (refused.value.status, refused.value.code) == (503, "node_superseded")
        assert refused.value.extra["url"] == topology
    else:
        refuse_if_superseded(node)


@pytest.mark.parametrize("path", ["/v1/payment_intents", "/internal/refusals", "/v1/events"])
async def test_it_answers_nothing_that_could_be_out_of_date(path: str) -> None:
    node = process("http://a:1", "http://b:1")
    node.load = SimpleNamespace(open=0, check_open=lambda: None)
    request: Any = SimpleNamespace(path=path, headers={})
    with pytest.raises(ApiError):
        await Usage(node).process_request(request, cast(Any, None))
    request.path = "/readyz"
    await Usage(node).process_request(request, cast(Any, None))


async def test_it_tells_providers_nothing() -> None:
    silent = True
    settings = GatewaySettings(
        name="bank", channel="sandbox", kind="large_domestic_bank", base_url="http://127.0.0.1:1"
    )
    account = Account("bank", settings.base_url, {"api_key": "k", "callback_secret": "c"})
    gateways = Gateways([settings], {"bank": account}, "http://node", lambda: silent)
    await gateways.connect()
    gateway: Gateway = gateways.all()[0]
    assert gateway.usage == SILENT
    request = Request("POST", "http://127.0.0.1:1/charges", {}, b"{}")
    exchange = await gateway.exchange(request, Permit(boot_ns() + 10**9))
    assert (exchange.phase, exchange.error) == (Phase.UNSENT, SILENT)
    assert gateway.calls == 0
    silent = False
    await gateway.connect()
    assert gateway.usage.startswith("unreachable"), "it speaks again, and asks"
    await gateways.close()


def test_it_reports_draining() -> None:
    lane: Any = SimpleNamespace(lag_ms=0)
    load = Load(2, 10, lane, lane)
    assert not load.usage(7).draining
    load.superseded = True
    assert load.usage(7).draining
    assert not load.usage(7).fenced


async def test_a_process_that_is_behind_its_database_waits_and_gives_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bailiwick.node import service
    from bailiwick.runtime.settings import SettingsError
    from bailiwick.store.database import Fence

    node = process("", "http://b:1")
    fence = Fence(2, 9, False, False)

    async def read() -> Fence:
        return fence

    async def check() -> bool:
        node.world.epoch += 1
        return True

    node.store = SimpleNamespace(fence=read)
    node.current = SimpleNamespace(check=check, directory="world")
    monkeypatch.setattr(asyncio, "sleep", lambda _: _nothing())
    await Node._catch_up(node)
    assert node.world.epoch == 9
    fence = Fence(2, 10**9, False, False)
    monkeypatch.setattr(service, "CATCH_UP_S", 0.0)
    with pytest.raises(SettingsError, match="epoch 1000000000 or later"):
        await Node._catch_up(node)


async def _nothing() -> None: ...
