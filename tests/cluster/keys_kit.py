"""Keys kept as a client keeps them: submitted again and again until there is a definite answer."""

import asyncio
import collections
import itertools
import json
import time
import urllib.request
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from chaos_kit import Chaos

from bailiwick.access.nodes.forward import Answer, HopError, HopLimits, NodeClient
from tests.waiting import PATIENCE_S

MOST_WAIT_S = 0.3
"""However long a Retry-After asks for."""
ANSWER_S = 60.0


class Ending(msgspec.Struct, frozen=True):
    """A definite answer: the status, what it says, and the payment and charge that it names."""

    status: int
    said: str
    payment: str | None = None
    charge: str | None = None


class Key(msgspec.Struct):
    """An idempotency key with its form.

    Attributes:
        text: the key itself.
        amount: minor units; no two keys have the same, so it marks the key in the banks' books.
        endings: the definite answers so far; they must all be equal.
        raw: their bodies.
        nodes: who the answers say is the payment's node.
        others: how often there was no definite answer, by what was said instead.
    """

    text: str
    amount: int
    form: str
    endings: list[Ending] = []
    raw: set[bytes] = set()
    nodes: set[str] = set()
    others: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)

    @property
    def body(self) -> bytes:
        return f"amount={self.amount}&confirm=true&payment_method=pm_card_visa&{self.form}".encode()


class Keys:
    """Makes keys; their amounts are theirs alone in this demo."""

    def __init__(self) -> None:
        self._numbers = itertools.count(100_000)
        self._run = f"{time.time_ns():x}"
        self.all: list[Key] = []

    def make(self, count: int, *forms: str) -> list[Key]:
        """So many keys that take turns with these forms."""
        made = []
        for turn in range(count):
            number = next(self._numbers)
            made.append(Key(f"{self._run}-{number}", number, forms[turn % len(forms)]))
        self.all += made
        return made


class Client:
    """A client of a demo that has every access process's address."""

    def __init__(self, chaos: Chaos) -> None:
        limits = HopLimits(
            connections=128, waiting=4_000, connect_seconds=PATIENCE_S, wait_seconds=PATIENCE_S
        )
        demo = chaos.demo
        self._access = [NodeClient(each["url"], limits) for each in demo["access"]]
        self._secret = demo["secret_key"].encode()

    def close(self) -> None:
        for client in self._access:
            client.close()

    async def submit(self, key: Key, access: int) -> Ending | None:
        """Submit a key once over one access process; its definite answer, if that is one."""
        ending, _ = await self._submit(key, access)
        return ending

    async def both(self, keys: Iterable[Key]) -> list[Ending | None]:
        """Submit each key once over every access process, all at the same time."""
        several = (self.submit(key, place) for key in keys for place in range(len(self._access)))
        return await asyncio.gather(*several)

    async def settle(self, keys: Sequence[Key], first: int = 0) -> None:
        """Submit each key until it has a definite answer, trying the access processes by turns."""
        await asyncio.gather(*(self._settle(key, first + turn) for turn, key in enumerate(keys)))

    async def _settle(self, key: Key, access: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        for attempt in itertools.count():
            ending, wait_s = await self._submit(key, access + attempt)
            if ending is not None:
                return
            assert time.monotonic() < deadline, f"{key.amount} has no end: {key.others}"
            await asyncio.sleep(min(wait_s, MOST_WAIT_S))

    async def _submit(self, key: Key, access: int) -> tuple[Ending | None, float]:
        """A definite answer, or after how many seconds to try again."""
        lines = [
            b"authorization: Bearer %b\r\n" % self._secret,
            b"content-type: application/x-www-form-urlencoded\r\n",
            b"idempotency-key: %b\r\n" % key.text.encode(),
        ]
        client = self._access[access % len(self._access)]
        try:
            answer = await client.request(
                "POST", b"/v1/payment_intents", lines, key.body, timeout=ANSWER_S
            )
        except HopError as error:
            key.others[error.phase] += 1
            return None, 0.1
        ending, said, node = read(answer)
        if ending is None:
            key.others[said] += 1
            return None, float(answer.headers.get(b"retry-after", b"0.1"))
        key.endings.append(ending)
        key.raw.add(answer.body)
        key.nodes.add(node)
        return ending, 0.0


def read(answer: Answer) -> tuple[Ending | None, str, str]:
    """A definite ending, else None; what was said in a word; and the node, as SDKs would."""
    document: dict[str, Any] = json.loads(answer.body)
    error = document.get("error", {})
    payment = error.get("payment_intent") or ({} if error else document)
    said = str(error.get("code") or error.get("type") or payment.get("status"))
    again = answer.headers.get(b"stripe-should-retry")
    later = answer.status >= 500 or answer.status in (409, 429)
    if said == "processing" or (later and again != b"false"):
        return None, f"{answer.status} {said}", ""
    ending = Ending(answer.status, said, payment.get("id"), payment.get("latest_charge"))
    return ending, said, str(payment.get("node"))


def charges(chaos: Chaos) -> dict[int, list[str]]:
    """Our references of the charges in the banks' books, by amount, whatever became of them."""
    with urllib.request.urlopen(chaos.demo["sandbox"]["books_url"], timeout=60) as answer:
        books = json.load(answer)
    found: dict[int, list[str]] = collections.defaultdict(list)
    for each in books["charges"]:
        found[each["amount"]].append(each["reference"])
    return found


async def charged(chaos: Chaos, keys: Sequence[Key], within_s: float = PATIENCE_S) -> None:
    """Wait until the banks have charged all these keys."""
    deadline = time.monotonic() + within_s
    while True:
        found = await asyncio.to_thread(charges, chaos)
        missing = [key for key in keys if key.amount not in found]
        if not missing:
            return
        assert time.monotonic() < deadline, [key.others for key in missing]
        await asyncio.sleep(0.1)
