"""A node without its network: real store, real script, a bank in memory that does as it is told.

The bank is the oracle: what *it* has charged, captured and given back is what the tests hold the
node's rows against.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any, cast

import asyncpg
import msgspec

from bailiwick.base import sequence
from bailiwick.base.clock import boot_ns, now_ms
from bailiwick.base.keys import request_hash
from bailiwick.channels.contract import (
    PAYOUT_CANCELED,
    Account,
    CallbackEvent,
    CallbackRefused,
    Context,
    Exchange,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Permit,
    Phase,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    Takes,
    no_such_method,
    redirect,
)
from bailiwick.delivery.webhooks import Endpoints
from bailiwick.idempotency.requests import Answer, IdempotentRequest
from bailiwick.jurisdiction.assign import Assignment, Considered
from bailiwick.jurisdiction.locate import Location
from bailiwick.node import assembly
from bailiwick.orders.callbacks import Callbacks
from bailiwick.orders.executor import PERMIT_NS
from bailiwick.orders.machine import Machine
from bailiwick.orders.resolver import Resolver
from bailiwick.resources.payments.commands import Payments
from bailiwick.resources.payments.create import PaymentCreation
from bailiwick.resources.payments.params import CreatePayment
from bailiwick.resources.refunds.commands import Refunds
from bailiwick.routing.gateways import Gateways
from bailiwick.routing.match import GatewayFacts, Routing, Wanted, match
from bailiwick.screening.screener import Screener
from bailiwick.topology.merchants import Merchant, Merchants
from bailiwick.topology.snapshot import World
from tests.store_kit import NodeStore
from tests.waiting import PATIENCE_S, until

MERCHANT = Merchant("acct_1", "Shop")
STRICT = Merchant("acct_2", "No cascade", cascade=False)
LOCATION = Location("DE", None, None, "explicit", "high", {"country": "DE"})
ASSIGNMENT = Assignment(1, 1, 1, "DE", "free", (Considered(1, "europe", "chosen", "the home"),))
BY_REFERENCE: dict[Operation, tuple[Resolve, ...]] = dict.fromkeys(Operation, (Resolve.REFERENCE,))


class Signed:
    """How the bank in memory signs its callbacks."""

    def sign(self, notice: Notice, account: Account, now_ms: int) -> Notice:
        return msgspec.structs.replace(notice, headers={"signature": "genuine"})

    def check(self, notice: Notice, account: Account, now_ms: int) -> bool:
        if notice.headers.get("signature") != "genuine":
            raise CallbackRefused("forged")
        return True


PROFILE = Profile(
    "bank", "Bank", BY_REFERENCE, visibility_ms=1_000, total_ms=1_000, callbacks=Signed(),
    shared_tokens="pm_card_[a-z]+", evidence_files=True,
)  # fmt: skip


class Lost(Exception):
    """The process dies here, as far as the test is concerned."""


class Bank:
    """A provider in memory: a channel, its gateway and its books in one.

    ``script``: what to do with the next calls of an operation, else approve. Words: approve,
    hold, decline, retryable, pending, act, unsent, lost (done, but the answer is), never (lost
    before it arrived), revoked (the credentials: not looked at), wrong, missing (amount), currency,
    crash, slow.
    """

    def __init__(
        self, name: str = "bank", profile: Profile = PROFILE, priority: int = 1, vault: str = ""
    ) -> None:
        self.name = name
        self.vault = vault or name
        self.profile = msgspec.structs.replace(profile, name=name)
        self.channel: Any = self
        self.account = Account(name, "", {})
        self.callback_url = f"http://node/v1/callbacks/{name}"
        self.priority = priority
        self.usage = "open"
        self.methods = frozenset({"card"})
        self.takes = (Takes(),)
        self.script: dict[Operation, list[str]] = defaultdict(list)
        self.done: dict[str, tuple[Instruction, Result]] = {}
        self.calls: list[Instruction] = []
        self.queries: list[str] = []
        self.seen: list[tuple[Outcome, str | None]] = []
        self.before_answer: Any = None
        self.hidden = False
        self.lacking: str | None = None
        self.sequence = sequence.Sequence()

    # What the books say

    def taken(self) -> int:
        """Minor units that payers have paid and not got back."""
        total = 0
        for instruction, result in self.done.values():
            if result.outcome is not Outcome.APPROVED:
                continue
            if instruction.operation is Operation.REFUND:
                total -= instruction.amount
            elif instruction.operation is Operation.CAPTURE or (
                instruction.operation is Operation.CHARGE and result.captured
            ):
                total += instruction.amount
        return total

    def called(self, operation: Operation) -> int:
        """How many calls of an operation arrived."""
        return sum(each.operation is operation for each in self.calls)

    def hold_back(self) -> asyncio.Event:
        """Have the next call carried out, and answered when this is set."""
        gate = asyncio.Event()

        async def hold(_: Instruction) -> None:
            await gate.wait()

        self.before_answer = hold
        return gate

    # Gateway

    def context(self) -> Context | None:
        if not self.profile.contexts:
            return None
        return Context(now_ms(), self.sequence.next(now_ms()))

    def back_to(self, instruction: Instruction, attempt: str) -> str | None:
        takes = next((each for each in self.takes if each.family is instruction.family), None)
        here = takes is not None and takes.return_step is not None
        return f"http://node/v1/returns/{attempt}" if here else instruction.return_url

    async def send(self, instruction: Instruction, permit: Permit) -> Exchange:
        if boot_ns() >= permit.expires_boot_ns:
            return Exchange(Phase.UNSENT, None, "permit_expired")
        words = self.script[instruction.operation]
        word = words.pop(0) if words else "approve"
        if word == "unsent":
            return Exchange(Phase.UNSENT, None, "refused")
        if word == "never":
            return Exchange(Phase.SENT, None, "reset")
        self.calls.append(instruction)
        if word == "revoked":
            away = Result(Outcome.DECLINED, retryable=True, detail="credentials")
            return Exchange(Phase.ANSWERED, Reply(401, {}, msgspec.json.encode(away)))
        result = self.carry_out(instruction, word)
        if self.before_answer is not None:
            hook, self.before_answer = self.before_answer, None
            await hook(instruction)
        if word == "slow":
            await asyncio.sleep(0.05)
        if word == "crash":
            raise Lost
        if word == "lost":
            return Exchange(Phase.SENT, None, "timeout")
        return Exchange(Phase.ANSWERED, Reply(200, {}, msgspec.json.encode(result)))

    def carry_out(self, instruction: Instruction, word: str) -> Result:
        known = self.done.get(instruction.reference)
        if known is not None:
            return known[1]
        setup = instruction.operation is Operation.SETUP
        held = instruction.operation is Operation.CHARGE and not instruction.automatic
        done = Result(
            Outcome.APPROVED, f"b_{instruction.reference}", instruction.amount,
            instruction.currency, not held,
            agreement=f"agr_{instruction.reference}" if instruction.store or setup else None,
        )  # fmt: skip
        replace = msgspec.structs.replace
        answers = {
            "decline": Result(Outcome.DECLINED, code="card_declined", message="No."),
            "expired": Result(Outcome.DECLINED, code="expired", message="Too late."),
            "retryable": Result(Outcome.DECLINED, code="processing_error", retryable=True),
            "pending": Result(Outcome.PENDING, done.provider_ref),
            "in_transit": Result(Outcome.PENDING, done.provider_ref, detail="in_transit"),
            "canceled": Result(Outcome.DECLINED, done.provider_ref, code=PAYOUT_CANCELED),
            "unheard": no_such_method(),
            "act": Result(Outcome.PENDING, done.provider_ref, action=redirect("https://bank/act")),
        }
        result = answers.get(word, done)
        self.done[instruction.reference] = (instruction, result)
        lies: dict[str, dict[str, Any]] = {
            "wrong": {"amount": instruction.amount + 1},
            "missing": {"amount": None},
            "currency": {"currency": "USD"},
        }
        return replace(result, **lies[word]) if word in lies else result

    def decide(self, reference: str, word: str) -> Result:
        """What was pending, or declined, becomes something else."""
        instruction, _ = self.done.pop(reference)
        return self.carry_out(instruction, word)

    def request(self, instruction: Instruction, account: Account) -> Request:
        return Request("POST", instruction.reference, {}, msgspec.json.encode(instruction))

    async def exchange(self, request: Request, permit: Permit | None = None) -> Exchange:
        if request.method == "POST":
            assert permit is not None
            return await self.send(msgspec.json.decode(request.body, type=Instruction), permit)
        self.queries.append(request.url)
        found = self.done.get(request.url)
        missing = Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
        body = missing if found is None or self.hidden else found[1]
        return Exchange(Phase.ANSWERED, Reply(200, {}, msgspec.json.encode(body)))

    def saw(self, outcome: Outcome, detail: str | None, begun_ns: int) -> None:
        self.seen.append((outcome, detail))

    # Channel

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        return msgspec.json.decode(reply.body, type=Result)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        return Request("GET", instruction.reference, {})

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        return msgspec.json.decode(reply.body, type=Result)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        Signed().check(notice, account, now_ms)
        return msgspec.json.decode(notice.body, type=CallbackEvent)

    def facts(self) -> GatewayFacts:
        none: frozenset[str] = frozenset()
        return GatewayFacts(
            self.name, "bank", "large_domestic_bank", self.usage, False, self.priority, 0, 0,
            none, none, dict.fromkeys(self.methods, self.takes), True, self.vault,
            self.profile.multiples,
            re.compile(self.profile.shared_tokens or "none"),
            Operation.SETUP in self.profile.resolve,
        )  # fmt: skip


class Banks:
    """The node's gateways: the given banks."""

    def __init__(self, *banks: Bank) -> None:
        self.banks = {bank.name: bank for bank in banks}

    def get(self, name: str) -> Bank | None:
        return self.banks.get(name)

    def all(self) -> list[Bank]:
        return list(self.banks.values())

    def has_vault(self, vault: str, livemode: bool) -> bool:
        return not livemode and vault in {bank.vault for bank in self.banks.values()}

    def profile_of(self, name: str) -> Profile | None:
        return self.banks[name].profile if name in self.banks else None

    def vault_of(self, name: str) -> str:
        return self.banks[name].vault if name in self.banks else name

    def match(self, wanted: Wanted, tried: Collection[str] = ()) -> Routing:
        return match(self.facts(), wanted, tried)

    def facts(self) -> list[GatewayFacts]:
        return [bank.facts() for bank in self.banks.values()]


class Region:
    """One node's pieces on a store."""

    def __init__(
        self,
        store: NodeStore,
        *banks: Bank,
        deadline_s: float = PATIENCE_S,
        gateways: Gateways | None = None,
        screener: Screener | None = None,
    ) -> None:
        self.store = store
        self.banks = Banks(*banks)
        gateways = gateways or cast(Gateways, self.banks)
        merchants = Merchants(
            (MERCHANT, STRICT), {each.id: each for each in (MERCHANT, STRICT)}, {}
        )
        world = World(1, cast(Any, None), merchants, "sha256:test")
        self.machine = Machine(
            1, store, gateways, Endpoints(), lambda: world, assembly.kinds(), deadline_s
        )
        self.executor = self.machine.executor
        self.keys = self.machine.keys
        self.tombstones = self.machine.tombstones
        self.creation = PaymentCreation(self.machine, screener=screener)
        self.payments = Payments(self.machine, screener=screener)
        self.refunds = Refunds(self.machine)
        self.callbacks = Callbacks(self.machine)
        self.resolver = Resolver(self.machine, 0.01)

    async def pay(self, key: str, **values: Any) -> Answer:
        """Create and confirm a payment of 1000 EUR cents, as the route does."""
        merchant = values.pop("merchant", MERCHANT)
        assignment = values.pop("assignment", ASSIGNMENT)
        given = {"amount": 1000, "currency": "eur", "confirm": True,
                 "payment_method": "pm_card_visa", **values}  # fmt: skip
        wish = msgspec.convert(given, CreatePayment)
        made = asked("create", key, given, merchant, wish.expand)
        return await self.keys.once(
            made, lambda: self.creation.create(made, wish, LOCATION, assignment)
        )

    async def act(
        self, verb: str, key: str, identifier: str, wish: Any, merchant: Merchant = MERCHANT
    ) -> Answer:
        """Capture, cancel or confirm, as the routes do."""
        made = asked(verb, key, {"id": identifier, "wish": msgspec.to_builtins(wish)}, merchant)
        work = getattr(self.payments, verb)
        return await self.keys.once(made, lambda: work(made, identifier, wish))

    async def refund(self, key: str, wish: Any) -> Answer:
        made = asked("refund", key, {"wish": msgspec.to_builtins(wish)})
        return await self.keys.once(made, lambda: self.refunds.create(made, wish))

    async def notify(
        self, bank: Bank, reference: str, result: Result, notice_id: str, **values: Any
    ) -> str:
        """A callback of a bank about one of our references."""
        operation = values.pop("operation", Operation.CHARGE)
        notice = CallbackEvent(
            notice_id, operation, reference, result.provider_ref, result, **values
        )
        body = msgspec.json.encode(notice)
        return await self.callbacks.take(bank.name, {"signature": "genuine"}, body)

    async def resolve(self, reference: str, *, age_ms: int | None = None) -> None:
        """Have the resolver look at an attempt now, as if it were so old."""
        attempt = await self.store.attempt(reference)
        assert attempt is not None
        if age_ms is not None:
            attempt = msgspec.structs.replace(attempt, age_ms=age_ms, quiet_ms=age_ms)
        await self.resolver.resolve(attempt)

    async def settled(self, record_outcome: Any) -> None:
        """Wait until a condition on the database holds."""
        await until(record_outcome)


def asked(
    operation: str,
    key: str,
    params: dict[str, Any],
    merchant: Merchant = MERCHANT,
    expand: Sequence[str] = (),
) -> IdempotentRequest:
    hashed = request_hash(operation, "", params)
    return IdempotentRequest(merchant, False, key, hashed, operation, list(expand))


def body(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(bytes(answer.body))
    return found


SURE_MS = PERMIT_NS // 1_000_000 + PROFILE.total_ms + PROFILE.visibility_ms
"""After so long without a sign of it, "not found" is definite."""


async def reviews(sql: asyncpg.Connection) -> set[str]:
    """The reasons of the open reviews."""
    return {row[0] for row in await sql.fetch("SELECT reason FROM review WHERE closed_at IS NULL")}


async def balance(sql: asyncpg.Connection, account: str) -> int:
    """The sum over accounts of this pattern."""
    found = await sql.fetchval(
        "SELECT coalesce(sum(amount), 0)::bigint FROM entry WHERE account LIKE $1", account
    )
    return int(found)


async def paid(region: Region, key: str = "k0", **values: Any) -> dict[str, Any]:
    """A payment that the bank took, as an object."""
    answer = await region.pay(key, **values)
    assert answer.status == 200, bytes(answer.body)
    return body(answer)
