"""Every verb that asks a provider about what there is already, where a process dies, the provider
hangs, or answers 500: it is carried out once, and is once in the provider's books.

Three verbs at a time, each at a node of its own: at every node one thing happens, and what has to
be waited for is waited for once.
"""

import json
import time
import urllib.request
from collections.abc import Sequence
from typing import Any

import pytest
import stripe
from chaos_kit import Chaos

from bailiwick.resources.payouts.rows import sending
from tests.campaign import part
from tests.waiting import PATIENCE_S, wait_until

COUNTRIES = {"europe": "DE", "apac": "IN", "americas": "BR"}
SENT = ("begin.before", "begin.committed", "call.before", "call.answered", "settle.before",
        "settle.committed")  # fmt: skip
LATER = {
    "resolve.asked": "charge_then_500",
    "resolve.settled": "charge_then_500",
    "replay.permitted": "error_500_before",
}
"""Points that only an unknown comes to, and the fault that makes one."""
FAULTS = ("charge_then_hang", "charge_then_500", "error_500_before", "reset_after", "reset_before")
HANG_MS = 3_000
NOT_TOLD_MS = 15_000
"""Callbacks come so late that the resolver has asked before."""
KEYS = iter(range(1_000_000))
Row = dict[str, Any]


class Verb:
    """A verb and what it is used on.

    Attributes:
        operation: what the sandbox's fault rules call it.
        table: where the sandbox's books keep what was asked.
    """

    operation = ""
    table = ""

    def __init__(self, chaos: Chaos, node: str) -> None:
        demo = chaos.demo
        client = stripe.StripeClient(
            demo["secret_key"], base_addresses={"api": demo["base_url"]}, max_network_retries=0
        )
        self.api: Any = client.v1
        self.node = node
        self.place = {"country": COUNTRIES[node]}
        self._key = f"verb-{time.time_ns()}-{next(KEYS)}"
        self.made: Any = self.ready()

    def ready(self) -> Any:
        """Make what it is used on."""
        raise NotImplementedError

    def ask(self, key: dict[str, str]) -> Any:
        """Use it once."""
        raise NotImplementedError

    def done(self) -> bool:
        """Whether it has had its effect."""
        raise NotImplementedError

    def ours(self, row: Row, books: Row) -> bool:
        """Whether a row of the books is about this one."""
        return same(row, "charge", books["charges"], self.made.latest_charge)

    def after(self) -> None:
        """What must hold besides."""

    def once(self) -> None:
        """Ask, under one key; under another only once it was definitely not carried out."""
        try:
            found = self.ask({"idempotency_key": self._key})
        except (stripe.APIConnectionError, stripe.APIError):
            return
        except stripe.StripeError:  # never sent, and that is certain; or it is done, or under way
            self._key += "-again"
            return
        if found.status == "failed":
            self._key += "-again"

    def pay(self, **more: Any) -> Any:
        wish = {"amount": 1999, "currency": "eur", "confirm": True, "payment_method":
                "pm_card_visa", "location": self.place, **more}  # fmt: skip
        return self.api.payment_intents.create(wish)

    def held(self, **card: str) -> Any:
        return self.pay(capture_method="manual", payment_method_options={"card": card})

    def now(self) -> Any:
        return self.api.payment_intents.retrieve(self.made.id)


def same(row: Row, by: str, rows: list[Row], reference: str) -> bool:
    """Whether a row of the books is about what we have asked for under a reference."""
    of = next(each for each in rows if each["reference"] == reference)
    return bool((row["provider"], row[by]) == (of["provider"], of["id"]))


class Capture(Verb):
    operation, table = "capture", "captures"

    def ready(self) -> Any:
        return self.held()

    def ask(self, key: dict[str, str]) -> Any:
        return self.api.payment_intents.capture(self.made.id, {}, key)

    def done(self) -> bool:
        now = self.now()
        return (now.status, now.amount_received) == ("succeeded", 1999)


class Part(Capture):
    def ready(self) -> Any:
        return self.held(request_multicapture="if_available")

    def ask(self, key: dict[str, str]) -> Any:
        wish = {"amount_to_capture": 700, "final_capture": False}
        return self.api.payment_intents.capture(self.made.id, wish, key)

    def done(self) -> bool:
        now = self.now()
        assert now.amount_received in (0, 700)
        return now.status == "requires_capture" and now.amount_received == 700


class Increment(Verb):
    operation, table = "increment", "increments"

    def ready(self) -> Any:
        return self.held(request_incremental_authorization="if_available")

    def ask(self, key: dict[str, str]) -> Any:
        wish = {"amount": 2999}
        return self.api.payment_intents.increment_authorization(self.made.id, wish, key)

    def done(self) -> bool:
        now = self.now()
        return (now.status, now.amount_capturable) == ("requires_capture", 2999)

    def after(self) -> None:
        taken = self.api.payment_intents.capture(self.made.id)
        assert (taken.status, taken.amount_received) == ("succeeded", 2999)


class Cancel(Verb):
    operation, table = "void", "voids"

    def ready(self) -> Any:
        return self.held()

    def ask(self, key: dict[str, str]) -> Any:
        return self.api.payment_intents.cancel(self.made.id, {}, key)

    def done(self) -> bool:
        return bool(self.now().status == "canceled")


class Refund(Verb):
    operation, table = "refund", "refunds"

    def ready(self) -> Any:
        return self.pay()

    def ask(self, key: dict[str, str]) -> Any:
        return self.api.refunds.create({"payment_intent": self.made.id}, key)

    def done(self) -> bool:
        found = self.api.refunds.list({"payment_intent": self.made.id}).data
        return "succeeded" in [each.status for each in found]

    def after(self) -> None:
        assert self.api.charges.retrieve(self.made.latest_charge).amount_refunded == 1999


class GivenUp(Verb):
    """A setup that waits for its payer is given up."""

    operation, table = "void", "voids"

    def ready(self) -> Any:
        who = self.api.customers.create({"name": "Ann", "location": self.place}).id
        wish = {"customer": who, "confirm": True, "payment_method":
                "pm_card_authenticationRequired", "return_url": "https://shop.example/back",
                "location": self.place}  # fmt: skip
        return self.api.setup_intents.create(wish)

    def ask(self, key: dict[str, str]) -> Any:
        return self.api.setup_intents.cancel(self.made.id, {}, key)

    def done(self) -> bool:
        return bool(self.api.setup_intents.retrieve(self.made.id).status == "canceled")

    def ours(self, row: Row, books: Row) -> bool:
        return same(row, "charge", books["setups"], self.made.latest_attempt)

    def after(self) -> None:
        assert self.api.customers.payment_methods.list(self.made.customer).data == []


class Recall(Verb):
    """A payout that waits is called back."""

    operation, table = "payout_cancel", "recalls"

    def ready(self) -> Any:
        self.pay()
        wish = {"amount": 700, "currency": "eur", "destination": "btok_sandbox_waits",
                "location": self.place}  # fmt: skip
        return self.api.payouts.create(wish)

    def ask(self, key: dict[str, str]) -> Any:
        return self.api.payouts.cancel(self.made.id, {}, key)

    def done(self) -> bool:
        return bool(self.api.payouts.retrieve(self.made.id).status == "canceled")

    def ours(self, row: Row, books: Row) -> bool:
        return same(row, "payout", books["payouts"], sending(self.made.id))


class Evidence(Verb):
    operation, table = "evidence", "submissions"
    moved = (-1999, 1999)

    def ready(self) -> Any:
        payment = self.pay(payment_method="pm_card_createDispute")
        found: list[Any] = []

        def opened() -> bool:
            found[:] = self.api.disputes.list({"payment_intent": payment.id}).data
            return bool(found)

        wait_until(opened)
        self.dispute = found[0].id
        return payment

    def ask(self, key: dict[str, str]) -> Any:
        said = {"evidence": {"uncategorized_text": "winning_evidence"}}
        return self.api.disputes.update(self.dispute, said, key)

    def done(self) -> bool:
        return bool(self.api.disputes.retrieve(self.dispute).status == "won")

    def after(self) -> None:
        found = self.api.balance_transactions.list({"source": self.dispute}).data
        assert sorted(each.amount for each in found) == list(self.moved)


class Concede(Evidence):
    operation = "concede"
    moved = (-1999,)

    def ask(self, key: dict[str, str]) -> Any:
        return self.api.disputes.close(self.dispute, {}, key)

    def done(self) -> bool:
        return bool(self.api.disputes.retrieve(self.dispute).status == "lost")


# Of each group every operation is another, so that a fault meets the verb that it is meant for.
GROUPS = [(Capture, Refund, GivenUp), (Part, Increment, Cancel), (Recall, Evidence, Concede)]
SHIFTS = part(range(len(GROUPS)), of=len(GROUPS))
"""A run of all tests takes each of what may happen with one group, another one every day."""


def with_groups(whats: Sequence[str]) -> pytest.MarkDecorator:
    cases = {
        f"{what}-{'-'.join(verb.__name__.lower() for verb in group)}": (what, group)
        for shift in SHIFTS
        for number, what in enumerate(whats)
        for group in [GROUPS[(number + shift) % len(GROUPS)]]
    }
    return pytest.mark.parametrize(("what", "group"), cases.values(), ids=cases)


def readied(chaos: Chaos, group: tuple[type[Verb], ...]) -> list[Verb]:
    return [verb(chaos, node) for verb, node in zip(group, COUNTRIES, strict=True)]


def done(verb: Verb) -> bool:
    try:
        return verb.done()
    except (stripe.APIConnectionError, stripe.APIError):
        return False


def carried_out(chaos: Chaos, verbs: list[Verb]) -> None:
    """Ask until each has had its effect."""
    deadline = time.monotonic() + PATIENCE_S
    left = [verb for verb in verbs if not done(verb)]
    while left:
        assert time.monotonic() < deadline, [(type(each).__name__, each.node) for each in left]
        for verb in left:
            verb.once()
        left = [verb for verb in left if not done(verb)]
        if left:
            time.sleep(0.5)


def once_in_the_books(chaos: Chaos, verbs: list[Verb]) -> None:
    with urllib.request.urlopen(f"{chaos.demo['sandbox']['url']}/books", timeout=60) as answer:
        books = json.load(answer)
    for verb in verbs:
        rows = [row for row in books[verb.table] if verb.ours(row, books)]
        assert len(rows) == 1, (type(verb).__name__, rows)
        verb.after()


@with_groups([*SENT, *LATER])
def test_a_kill_there_loses_nothing(chaos: Chaos, what: str, group: tuple[type[Verb], ...]) -> None:
    point = what
    verbs = readied(chaos, group)
    pids = {verb.node: chaos.node(verb.node)["pid"] for verb in verbs}
    try:
        if point in LATER:
            late = {"delay_ms": NOT_TOLD_MS}
            chaos.fault(provider="*", operation="callback", kind="latency", params=late)
            for verb in verbs:
                chaos.fault(provider="*", operation=verb.operation, kind=LATER[point], times=1)
        for verb in verbs:
            chaos.arm(verb.node, point)
        for verb in verbs:
            verb.once()
        carried_out(chaos, verbs)
        for node, pid in pids.items():
            chaos.restarted(node, pid)
    finally:
        chaos.heal()
    once_in_the_books(chaos, verbs)


@with_groups(FAULTS)
def test_an_answer_that_does_not_come(
    chaos: Chaos, what: str, group: tuple[type[Verb], ...]
) -> None:
    kind = what
    verbs = readied(chaos, group)
    hang = {"hang_ms": HANG_MS}
    try:
        rules = {
            chaos.fault(provider="*", operation=verb.operation, kind=kind, times=1, params=hang)
            for verb in verbs
        }
        carried_out(chaos, verbs)
        assert chaos.hits(rules) == len(verbs)
    finally:
        chaos.heal()
    once_in_the_books(chaos, verbs)


def test_the_books_agree_afterwards(chaos: Chaos) -> None:
    verdict = chaos.check()
    assert verdict["violations"] == 0
    least = (len(SENT) + len(FAULTS)) * len(SHIFTS) // len(GROUPS) - 2  # of one group, about
    compared = {each["name"]: each["compared"] for each in verdict["invariants"]}
    for name in ("captures_within_hold", "increments_are_held", "setups_follow_attempts",
                 "payouts_within_balance", "disputes_booked_once"):  # fmt: skip
        assert compared[name] >= least, name
