"""The drill's client: steady open load, and the same key again as an SDK would send it.

A process of its own, on a host of its own: ``python -m bailiwick_lab.drill.load PLAN.json``. It
pays until SIGTERM or the plan's end, brings what it began to an end, and writes its history: one
JSON object a line, as ``bailiwick check --history`` reads it, with times that `measure` reads.
"""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec

from bailiwick.access.nodes.forward import Answer, HopError, HopLimits, NodeClient

AMOUNT: Final = 1999
GOOD_S: Final = 2.0
UNDER_WAY_MAX: Final = 5_000
FIRST_PAUSE_S: Final = 0.1
MOST_PAUSE_S: Final = 1.0
METHODS: Final = {
    "sale": "pm_card_visa",
    "captured": "pm_card_visa",
    "confirmed": "pm_card_visa",
    "unknown": "pm_sandbox_charge_then_500",
    "replayed": "pm_sandbox_error_500_before",
    "pending": "pm_sandbox_pending",
    "disputed": "pm_card_createDispute",
    "forgone": "pm_card_threeDSecure2Required",
}
"""Kind of payment -> its payment method; `captured` is authorized first and captured then,
`confirmed` created first and confirmed then, `forgone` waits for the payer and is voided."""
LAST: Final = {"captured": "capture", "confirmed": "confirm"}
"""Kind of payment -> the operation that takes the money, where that is not its creation."""
_GOOD: Final = frozenset({"succeeded", "requires_capture", "requires_confirmation"})
_REFUSED: Final = {"forgone": "402 authentication_required"}
_AGAIN: Final = frozenset({409, 429})


class Place(msgspec.Struct, frozen=True):
    """Where payers are, and the node whose place it is."""

    node: str
    country: str
    currency: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to send.

    ``rate``: payments per second over all places, by a Poisson process seeded with ``seed``.
    ``kinds``: what each payment is, in turn. ``most_s``: no payment begins after so long.
    ``give_up_s``: a payment that is not definite after so long is in doubt.
    ``answer_s``: how long one request may take before it is sent again.
    """

    accesses: list[str]
    secret_key: str
    places: list[Place]
    run: str
    history: str
    rate: float = 40.0
    seed: int = 1
    kinds: tuple[str, ...] = ("sale",)
    most_s: float = 300.0
    give_up_s: float = 90.0
    answer_s: float = 8.0


class Told(msgspec.Struct, kw_only=True):
    """One line of the history: a key, and what the client was told at last.

    ``due``: when it was to be sent (monotonic clock, s); ``first_s`` and ``done_s``: from then to
    the first and to the definite answer; ``first``: the first answer in a word; ``good``:
    whether a healthy system answers so, and within GOOD_S.
    """

    key: str
    operation: str
    status: str
    payment: str | None
    node: str
    kind: str
    access: int
    due: float
    first: str = "none"
    first_s: float = 0.0
    done_s: float = 0.0
    tries: int = 0
    good: bool = False


class Load:
    """One run of the plan."""

    def __init__(self, plan: Plan, out: TextIO) -> None:
        self._plan = plan
        self._out = out
        self._chance = random.Random(plan.seed)
        limits = HopLimits(connections=1_024, waiting=UNDER_WAY_MAX)
        self._access = [NodeClient(url, limits) for url in plan.accesses]
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self.begun = 0
        self.dropped = 0

    def stop(self) -> None:
        """Begin no further payment."""
        self._stopping.set()

    async def run(self) -> None:
        """Pay until stopped, then until every payment has ended."""
        started = due = time.monotonic()
        while not self._stopping.is_set() and due - started < self._plan.most_s:
            due += self._chance.expovariate(self._plan.rate)
            await self._pause(due - time.monotonic())
            if not self._stopping.is_set():
                self._arrive(due)
        if self._tasks:
            await asyncio.wait(self._tasks)
        for client in self._access:
            client.close()

    async def _pause(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        waiting = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait({waiting}, timeout=seconds)
        waiting.cancel()

    def _arrive(self, due: float) -> None:
        if len(self._tasks) >= UNDER_WAY_MAX:
            self.dropped += 1
            return
        number, plan = self.begun, self._plan
        self.begun += 1
        place = plan.places[number % len(plan.places)]
        kind = plan.kinds[number // len(plan.places) % len(plan.kinds)]
        task = asyncio.create_task(self._pay(f"drill-{plan.run}{number}", place, kind, due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _pay(self, key: str, place: Place, kind: str, due: float) -> None:
        more = {
            "captured": "&confirm=true&capture_method=manual",
            "confirmed": "",
            "forgone": "&confirm=true&error_on_requires_action=true",
        }.get(kind, "&confirm=true")
        last = LAST.get(kind)
        body = (
            f"amount={AMOUNT}&currency={place.currency}"
            f"&payment_method={METHODS[kind]}&location[country]={place.country}"
            f"&receipt_email={key}%40drill.example{more}"
        )
        told = await self._until_definite("create", key, b"/v1/payment_intents", body, kind, due)
        self._note(told, place)
        if last and told.status == "ok" and told.payment:
            path = f"/v1/payment_intents/{told.payment}/{last}".encode()
            now = time.monotonic()
            told = await self._until_definite(last, f"{key}-{last}", path, "", kind, now)
            self._note(told, place)

    def _note(self, told: Told, place: Place) -> None:
        told.node = place.node
        self._out.write(msgspec.json.encode(told).decode() + "\n")

    async def _until_definite(
        self, operation: str, key: str, path: bytes, body: str, kind: str, due: float
    ) -> Told:
        """Send one key until its outcome is known or the patience is over."""
        told = Told(
            key=key, operation=operation, status="in_doubt", payment=None, node="", kind=kind,
            access=self._chance.randrange(len(self._access)), due=due,
        )  # fmt: skip
        lines = [
            b"authorization: Bearer %b\r\n" % self._plan.secret_key.encode(),
            b"content-type: application/x-www-form-urlencoded\r\n",
            b"idempotency-key: %b\r\n" % key.encode(),
        ]
        pause = FIRST_PAUSE_S
        while time.monotonic() - due < self._plan.give_up_s:
            word = await self._once(told, path, lines, body.encode())
            if told.tries == 1:
                told.first, told.first_s = word, time.monotonic() - due
                healthy = word in _GOOD or word == _REFUSED.get(kind)
                healthy = healthy or (word == "processing" and kind != "sale")
                told.good = healthy and told.first_s <= GOOD_S
            if told.status != "in_doubt":
                break
            await asyncio.sleep(pause * self._chance.uniform(0.5, 1.0))
            pause = min(pause * 2, MOST_PAUSE_S)
        told.done_s = time.monotonic() - due
        return told

    async def _once(self, told: Told, path: bytes, lines: list[bytes], body: bytes) -> str:
        """One try; the answer in a word. Another try goes to another access process."""
        client = self._access[(told.access + told.tries) % len(self._access)]
        told.tries += 1
        try:
            answer = await client.request(
                "POST", path, headers=lines, body=body, timeout=self._plan.answer_s
            )
        except HopError as error:
            return error.reason
        return read(answer, told)


def read(answer: Answer, told: Told) -> str:
    """Take an answer in: what it says of the payment, and whether that is definite."""
    try:
        document: dict[str, Any] = msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.DecodeError:
        return f"{answer.status} without JSON"
    error = document.get("error") or {}
    code = str(error.get("code") or error.get("type") or "")
    if answer.status >= 500 or answer.status in _AGAIN:
        if code == "no_node" and answer.headers.get(b"stripe-should-retry") == b"false":
            told.status = "fail"  # refused by every node: this key is never taken any more
        return f"{answer.status} {code}"
    intent = error.get("payment_intent") or document
    told.payment = intent.get("id") or told.payment
    if error:
        told.status = "fail"
        return f"{answer.status} {code}"
    status = str(intent.get("status"))
    if status != "processing":
        told.status = "ok" if status in _GOOD else "fail"
    return status


async def _run(plan: Plan, out: TextIO) -> None:
    load = Load(plan, out)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, load.stop)
    await load.run()
    print(f'{{"begun": {load.begun}, "dropped": {load.dropped}}}', flush=True)


def main() -> None:
    """Run the plan in the file that is named."""
    plan = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)
    with Path(plan.history).open("w", encoding="utf-8") as out:
        asyncio.run(_run(plan, out))


if __name__ == "__main__":
    main()
