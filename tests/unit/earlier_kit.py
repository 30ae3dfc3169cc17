"""Access processes and nodes of different epochs, run against each other one step at a time.

Real are everything that decides: ``Delivery`` and ``RoutePlan`` at access, ``inbound`` and the
refusal tokens at the node. The model has the rest: a node's table of keys, and the time between
deciding, committing and answering, in which anything else may happen.
"""

import types
from collections import defaultdict
from collections.abc import Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from random import Random
from typing import Any, cast
from unittest import mock

import msgspec

from bailiwick.access import deliver
from bailiwick.access.deliver import Delivery
from bailiwick.access.front import Front
from bailiwick.access.inbound import Inbound
from bailiwick.access.nodes.forward import Answer, HopError
from bailiwick.base.errors import ApiError
from bailiwick.base.keys import key_identity, request_hash
from bailiwick.geo import atlas
from bailiwick.idempotency.requests import IdempotentRequest
from bailiwick.interlink.admission_query import FULL, KNOWN, AdmissionQuery, AdmissionVerdict
from bailiwick.interlink.refusals import Refusals, on_behalf, stored
from bailiwick.jurisdiction.home_history import Held, HomeHistories
from bailiwick.jurisdiction.locate import Evidence
from bailiwick.jurisdiction.route_plan import RoutePlan
from bailiwick.resources.payments import placing
from bailiwick.resources.payments.params import CreatePayment
from bailiwick.topology.merchants import Merchant, Merchants
from bailiwick.topology.snapshot import Earlier, World
from bailiwick.topology.topology import Topology, parse

ATLAS = atlas.load()
NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
EVIDENCE = Evidence(country="DE")
WISH = CreatePayment(
    amount=100, currency="eur", confirm=True, location=EVIDENCE,
    payment_method="pm_card_visa",
)  # fmt: skip


@cache
def topology(
    epoch: int,
    nodes: tuple[int, ...],
    residency: str = "prefer",
    states: tuple[tuple[int, str], ...] = (),
    *,
    present: tuple[int, ...] = (1, 2, 3, 4),
    geo: str = "",
    more: str = "",
) -> Topology:
    """Germany belongs to ``nodes`` in this order; all else to the first node."""
    known = dict(states)
    lines = [f'epoch = {epoch}\ngeo = "{geo}"']
    lines += [
        f'[[nodes]]\nnumber = {n}\nname = "n{n}"\nurl = "http://127.0.0.1:{9000 + n}"\n'
        f'state = "{known.get(n, "active")}"'
        for n in present
    ]
    listed = ", ".join(f'"n{n}"' for n in nodes)
    lines.append(f'[[rules]]\nplaces = ["DE"]\nnodes = [{listed}]\nresidency = "{residency}"')
    lines.append(f'[[rules]]\nplaces = ["default"]\nnodes = ["n{present[0]}"]\nresidency = "free"')
    return parse("\n".join([*lines, more]).encode())


def merchants(merchant: Merchant) -> Merchants:
    return Merchants((merchant,), {merchant.id: merchant}, {})


SHOP = Merchant("acct_shop", "Shop")
NODES = (1, 2, 3, 4)


def worlds(topologies: Sequence[Topology], merchant: Merchant = SHOP) -> list[World]:
    """The World of each epoch; the epochs follow each other by an hour."""
    found = []
    for place, each in enumerate(topologies):
        earlier = [
            Earlier(old.epoch, NOW_MS - (len(topologies) - 1 - number) * HOUR_MS, old)
            for number, old in enumerate(topologies[:place])
        ]
        found.append(
            World(
                each.epoch, each, merchants(merchant), f"sha256:{place}", tuple(reversed(earlier))
            )
        )
    return found


class Hop:
    """A request that an access process has sent, on its way.

    Attributes:
        plan: what the node has decided to do, not yet done.
        answer: what it has done.
    """

    def __init__(self, node: "ModelNode", lines: list[bytes]) -> None:
        self.node = node
        self.headers = {
            name.decode(): value.decode()
            for name, _, value in (line.rstrip(b"\r\n").partition(b": ") for line in lines)
        }
        self.plan: Any = None
        self.answer: Answer | None = None

    def get_header(self, name: str) -> str | None:
        return self.headers.get(name.lower())


KEYS: dict[str, str] = {}
"""The keys that were submitted, by what a question shows of them."""


class KeyHop:
    """A question about a key alone, on its way; ``plan`` and ``answer`` as of a ``Hop``."""

    def __init__(self, node: "ModelNode", epoch: int, ask: AdmissionQuery) -> None:
        self.node = node
        self.epoch = epoch
        self.ask = ask
        self.plan: Any = None
        self.answer: AdmissionVerdict | None = None


class _Pause:
    """What a coroutine waits for: a hop's answer, or None for a while."""

    def __init__(self, hop: "Hop | KeyHop | None") -> None:
        self.hop = hop

    def __await__(self) -> Generator["_Pause", Any, Any]:
        return (yield self)


class ModelNode:
    """One node: a World, and which keys it has taken or refused for ever."""

    def __init__(self, number: int, chain: list[World], epoch: int) -> None:
        self.number = number
        self.chain = chain
        self.at = epoch
        self.atlas = ATLAS
        self.refusals = Refusals(b"secret")
        self.home_histories = HomeHistories(ATLAS)
        self.keys: dict[str, str] = {}  # "taken", or a tombstone's reason
        self.settings = types.SimpleNamespace(name=f"n{number}")

    @property
    def world(self) -> World:
        return self.chain[self.at]

    def asked(self, key: str) -> IdempotentRequest:
        merchant = self.world.merchants.all[0]
        return IdempotentRequest(merchant, False, key, request_hash("create", "", {}), "create", [])

    def decide(self, hop: Hop | KeyHop, shed: str | None) -> None:
        """What the route does before it writes."""
        if isinstance(hop, KeyHop):
            hop.plan = on_behalf(hop.epoch, self.world.epoch) or AdmissionVerdict(
                "behind", epoch=self.world.epoch
            )
            return
        key = hop.headers["idempotency-key"]
        request, node = cast(Any, hop), cast(Any, self)
        try:
            why: placing.Otherwise = placing.asked_for_another(node, request)
            if why is None:
                who = types.SimpleNamespace(merchant=self.world.merchants.all[0])
                location = placing.located(node, cast(Any, who), WISH.location)
                _, why = placing.placed(node, request, self.asked(key), WISH, location)
        except ApiError as error:
            why = error
        hop.plan = "take" if why is None and shed is None else why if why is not None else shed

    def commit(self, hop: Hop | KeyHop) -> None:
        """The write: a key has one fate here, whoever comes first."""
        if isinstance(hop, KeyHop):
            hop.answer = self._told(hop)
            return
        key = hop.headers["idempotency-key"]
        if hop.plan == "take":
            self.keys.setdefault(key, "taken")
        elif isinstance(hop.plan, str):
            self.keys.setdefault(key, hop.plan)
        known = self.keys.get(key)
        if known == "taken":
            hop.answer = Answer(200, {}, b'{"node":%d}' % self.number)
        elif known is not None:
            said = stored(known, self.world.epoch)
            token = self.refusals.token(self.number, said, self.asked(key).named)
            hop.answer = Answer(503, {b"bailiwick-refusal": token.encode()}, b"{}")
        else:
            assert isinstance(hop.plan, ApiError)
            hop.answer = Answer(hop.plan.status, {}, msgspec.json.encode(hop.plan.body()))

    def _told(self, hop: KeyHop) -> AdmissionVerdict:
        if isinstance(hop.plan, AdmissionVerdict):
            return hop.plan
        known = self.keys.setdefault(KEYS[hop.ask.identity], hop.plan)
        if known == "taken":
            return KNOWN
        said = stored(known, self.world.epoch)
        return AdmissionVerdict("refused", said.reason, said.epoch)


class _Client:
    """The way from an access process to one node."""

    def __init__(self, node: ModelNode) -> None:
        self._node = node

    async def request(
        self,
        method: str,
        path: bytes,
        lines: list[bytes],
        body: bytes,
        timeout: float | None,
        answer_bytes: int,
    ) -> Answer:
        return cast(Answer, await _Pause(Hop(self._node, lines)))


class ModelAccess:
    """One access process: a World, and ways to the nodes."""

    def __init__(self, nodes: dict[int, ModelNode], chain: list[World], epoch: int) -> None:
        self.nodes = nodes
        self.chain = chain
        self.at = epoch
        self.atlas = ATLAS
        self.home_histories = HomeHistories(ATLAS)
        self.region = None
        self.clients = {number: _Client(node) for number, node in nodes.items()}
        self.internal_secret = b"secret"
        self.metrics = types.SimpleNamespace(
            failures=defaultdict(int), refusals=defaultdict(int), assigned=defaultdict(int),
            hop=lambda *_: None,
        )  # fmt: skip
        self.node_monitor = types.SimpleNamespace(
            verdict=lambda *_: "open", silent=lambda *_: False, verdicts=lambda *_: {},
            failed=lambda *_: None,
            observe=lambda *_: None, shedding=lambda *_: False, sent=lambda *_: None,
            answered=lambda *_: None,
        )  # fmt: skip

    @property
    def world(self) -> World:
        return self.chain[self.at]

    def suspect_world(self) -> None:
        """The files may not be there yet: a step of the model brings them."""

    def admission_batcher(self, node: Any) -> Any:
        target = self.nodes[node.number]

        async def ask(epoch: int, ask: AdmissionQuery) -> AdmissionVerdict:
            return cast(AdmissionVerdict, await _Pause(KeyHop(target, epoch, ask)))

        return types.SimpleNamespace(ask=ask)

    def submit(self, key: str, evidence: Evidence = EVIDENCE) -> "Submission":
        """A client's one-shot payment."""
        principal = types.SimpleNamespace(merchant=SHOP, livemode=False)
        lines = [b"idempotency-key: %b\r\n" % key.encode()]
        came = Inbound(cast(Any, principal), "req_1", lines, key)
        merchant = self.world.merchants.all[0]
        KEYS[key_identity(merchant.id, False, key)] = key
        placed = RoutePlan(self.world, ATLAS, self.home_histories, evidence, merchant, key)
        front = cast(Front, self)
        return Submission(Delivery(front, came, placed, b"/", b"", one_shot=True, params={}).run())


class Submission:
    """A delivery under way.

    Attributes:
        hop: the request that it waits for; None while it merely waits.
        outcome: how it ended for the client.
    """

    def __init__(self, running: Coroutine[Any, Any, Answer]) -> None:
        self._running = running
        self.hop: Hop | KeyHop | None = None
        self.outcome: Answer | ApiError | None = None
        self.resume()

    def resume(self, answer: Answer | AdmissionVerdict | HopError | None = None) -> None:
        """Go on until the next thing to wait for."""
        self.hop = None
        try:
            if isinstance(answer, HopError):
                pause = self._running.throw(answer)
            else:
                pause = self._running.send(answer)
            self.hop = pause.hop
        except StopIteration as done:
            self.outcome = done.value
        except ApiError as error:
            self.outcome = error

    def step(self, random: Random, *, faults: bool) -> None:
        """One thing that can happen to it next."""
        hop = self.hop
        if hop is None:
            self.resume()
        elif faults and random.random() < 0.08:
            self.lose()
        elif hop.plan is None:
            shed = "overloaded" if faults and random.random() < 0.2 else None
            hop.node.decide(hop, shed)
        elif hop.answer is None:
            hop.node.commit(hop)
        else:
            self.resume(hop.answer)

    def lose(self) -> None:
        """What it waits for is lost; a question about keys is then answered so."""
        self.resume(FULL if isinstance(self.hop, KeyHop) else HopError("sent", "lost"))

    def finish(self) -> Answer | ApiError:
        """The outcome when nothing goes wrong any more."""
        random = Random(0)
        while self.outcome is None:
            self.step(random, faults=False)
        return self.outcome


@contextmanager
def stepped() -> Iterator[None]:
    """Waiting takes steps of the model, and no time."""
    passed = [0.0]

    async def sleep(seconds: float) -> None:
        passed[0] += seconds
        await _Pause(None)

    clock = types.SimpleNamespace(monotonic=lambda: passed[0])
    waiting = types.SimpleNamespace(sleep=sleep)
    with (
        mock.patch.object(deliver, "asyncio", waiting),
        mock.patch.object(deliver, "time", clock),
        mock.patch.object(deliver, "now_ms", return_value=NOW_MS),
        mock.patch.object(placing, "now_ms", return_value=NOW_MS),
    ):
        yield


def tokens(held: dict[int, Held], asked: IdempotentRequest) -> str:
    """The refusals as access would carry them."""
    made = Refusals(b"secret")
    return ",".join(made.token(number, each, asked) for number, each in held.items())


class Cluster:
    """Four nodes and two access processes, each at an epoch of its own."""

    def __init__(self, found: list[Topology], random: Random, merchant: Merchant = SHOP) -> None:
        chain = worlds(found, merchant)
        self.random = random
        self.last = len(chain) - 1
        self.nodes = {n: ModelNode(n, chain, random.randint(0, self.last)) for n in NODES}
        self.access = [
            ModelAccess(self.nodes, chain, random.randint(0, self.last)) for _ in range(2)
        ]

    @property
    def takers(self) -> list[int]:
        """Nodes that have executed the key."""
        return [n for n, node in self.nodes.items() if node.keys.get("k") == "taken"]

    def run(self, steps: int, submits: int) -> list[Submission]:
        """Submit one key several times while Worlds spread, messages are lost and nodes shed."""
        made: list[Submission] = []
        for _ in range(steps):
            running = [each for each in made if each.outcome is None]
            choice = self.random.random()
            if choice < 0.1:
                process = self.random.choice([*self.nodes.values(), *self.access])
                process.at = min(process.at + 1, self.last)
            elif (choice < 0.25 or not running) and len(made) < submits:
                made.append(self.random.choice(self.access).submit("k"))
            elif running:
                self.random.choice(running).step(self.random, faults=True)
            assert len(self.takers) <= 1, self.takers
        return made

    def settle(self) -> None:
        """Everybody gets to the last epoch."""
        for process in (*self.nodes.values(), *self.access):
            process.at = self.last


def cluster(*found: Topology, merchant: Merchant = SHOP) -> Cluster:
    """All at the last epoch."""
    made = Cluster(list(found), Random(0), merchant)
    made.settle()
    return made


def fate(made: Cluster, key: str = "k") -> dict[int, str]:
    return {n: node.keys[key] for n, node in made.nodes.items() if key in node.keys}
