"""The ways in which this bank misbehaves when it is told to, and the rules that tell it.

A fault comes from a rule (POST /faults) or from the source of a charge (``bank/sources.py``).
"""

from __future__ import annotations

import random
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

FaultKind = Literal[
    "reset_before",
    "hang_before",
    "error_500_before",
    "rate_limited",
    "credentials_revoked",
    "latency",
    "charge_then_hang",
    "charge_then_500",
    "reset_after",
    "late",
    "eventual_read",
    "garbage",
    "truncated",
    "huge",
    "wrong_amount",
    "wrong_currency",
    "missing_amount",
    "partial_approval",
    "early_callback",
    "duplicate_callback",
    "callback_drop",
    "callback_shuffle",
    "callback_forged_signature",
    "callback_stale",
]
FaultOperation = Literal[
    "charge",
    "increment",
    "capture",
    "complete",
    "void",
    "refund",
    "setup",
    "evidence",
    "concede",
    "payout",
    "payout_cancel",
    "query",
    "token",
    "callback",
    "*",
]

# What each one does; shown by GET /faults.
KINDS: Final[dict[str, str]] = {
    "reset_before": "the connection is reset and nothing is processed",
    "hang_before": "nothing is processed and no answer comes",
    "error_500_before": "nothing is processed and the answer is 500",
    "rate_limited": "429 with Retry-After (retry_after_s), not processed",
    "credentials_revoked": "401, not processed",
    "latency": "processed and answered delay_ms late",
    "charge_then_hang": "processed, then no answer comes",
    "charge_then_500": "processed, then the answer is 500",
    "reset_after": "processed, then the connection is reset",
    "late": "processed delay_ms later, after the answer hangs or is 500 (answer)",
    "eventual_read": "processed, but look-ups say 404 for delay_ms (answer: 500, hang or ok)",
    "garbage": "processed, then an answer nobody can read",
    "truncated": "processed, then the answer breaks off in the middle",
    "huge": "processed, then an answer of `bytes` bytes",
    "wrong_amount": "answers name another amount (answer_only: not the look-up and callbacks)",
    "wrong_currency": "answers name another currency (answer_only, likewise)",
    "missing_amount": "answers leave the amount out (answer_only, likewise)",
    "partial_approval": "approved for `percent` of the amount only",
    "early_callback": "the callback is delivered before the answer",
    "duplicate_callback": "the callback is delivered `count` times",
    "callback_drop": "no callback is sent",
    "callback_shuffle": "callbacks arrive out of order (up to delay_ms apart)",
    "callback_forged_signature": "a forged callback arrives before the true one",
    "callback_stale": "a callback with an old timestamp arrives before the true one",
}

CALLBACK_KINDS: Final = frozenset(
    {
        "duplicate_callback",
        "callback_drop",
        "callback_shuffle",
        "callback_forged_signature",
        "callback_stale",
    }
)
LIES: Final = frozenset({"wrong_amount", "wrong_currency", "missing_amount"})
_CHARGE_ONLY: Final = frozenset({"partial_approval"})
_HOUR_MS: Final = 3_600_000


class Params(Struct, frozen=True, forbid_unknown_fields=True):
    """How strong a fault is; times in milliseconds, sizes in bytes."""

    delay_ms: Annotated[int, Meta(ge=0, le=_HOUR_MS)] | UnsetType = UNSET
    hang_ms: Annotated[int, Meta(ge=0, le=_HOUR_MS)] = 300_000
    count: Annotated[int, Meta(ge=1, le=1000)] = 5
    bytes: Annotated[int, Meta(ge=1, le=1_000_000_000)] = 100_000_000
    retry_after_s: Annotated[int, Meta(ge=0, le=86_400)] = 1
    percent: Annotated[int, Meta(ge=1, le=99)] = 50
    answer: Literal["", "500", "hang", "ok"] = ""
    answer_only: bool = False


_DELAYS: Final = {"latency": 2000, "late": 2000, "eventual_read": 3000, "callback_shuffle": 500}


class Fault(Struct, frozen=True):
    """One fault about to happen."""

    kind: str
    params: Params = Params()

    @property
    def delay_ms(self) -> int:
        """The delay asked for, else the usual one of this kind."""
        asked = self.params.delay_ms
        return _DELAYS.get(self.kind, 1000) if isinstance(asked, UnsetType) else asked


class RuleRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /faults."""

    operation: FaultOperation
    kind: FaultKind
    provider: Annotated[str, Meta(max_length=40)] = "*"
    times: Annotated[int, Meta(ge=1)] | None = None
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    params: Params = Params()


class Rule(Struct):
    """A rule at work; ``remaining`` none means until it is deleted."""

    id: str
    provider: str
    operation: str
    fault: Fault
    share: float
    remaining: int | None
    hits: int = 0


class RuleView(Struct, frozen=True):
    """A rule as GET /faults shows it."""

    id: str
    provider: str
    operation: str
    kind: str
    share: float
    remaining: int | None
    hits: int
    params: Params


def problem(request: RuleRequest) -> str | None:
    """Why this kind of fault cannot happen to this operation, if so."""
    callback = request.operation == "callback"
    if callback and request.kind not in CALLBACK_KINDS | {"latency"}:
        return f"{request.kind} cannot happen to a callback; use one of the callback kinds"
    if request.kind in _CHARGE_ONLY and request.operation != "charge":
        return f"{request.kind} happens to the operation charge only"
    return None


class FaultBoard:
    """The rules in force, in the order of their arrival."""

    def __init__(self, seed: int = 0) -> None:
        self._rules: list[Rule] = []
        self._random = random.Random(seed or None)
        self._count = 0
        self.fired: dict[str, int] = {}

    def add(self, request: RuleRequest) -> str:
        """Put a rule in force and return its id; raises ValueError when it makes no sense."""
        wrong = problem(request)
        if wrong:
            raise ValueError(wrong)
        self._count += 1
        rule = Rule(
            id=f"fault_{self._count}",
            provider=request.provider,
            operation=request.operation,
            fault=Fault(request.kind, request.params),
            share=request.share,
            remaining=request.times,
        )
        self._rules.append(rule)
        return rule.id

    def pick(self, provider: str, operation: str) -> tuple[Fault | None, int]:
        """The fault that happens now, if any, and the extra latency in milliseconds.

        Latency adds up with one other fault, so that a slow provider can also fail.
        """
        chosen: Fault | None = None
        delay_ms = 0
        for rule in self._rules:
            if rule.remaining == 0 or not _matches(rule, provider, operation):
                continue
            is_latency = rule.fault.kind == "latency"
            if chosen is not None and not is_latency:
                continue
            if rule.share < 1 and self._random.random() >= rule.share:
                continue
            self._hit(rule)
            if is_latency:
                delay_ms += rule.fault.delay_ms
            else:
                chosen = rule.fault
        return chosen, delay_ms

    def revoked(self, provider: str) -> bool:
        """Whether the provider's credentials are refused at present (not counted as a hit)."""
        return any(
            rule.fault.kind == "credentials_revoked"
            and rule.remaining != 0
            and rule.provider in ("*", provider)
            for rule in self._rules
        )

    def note(self, kind: str) -> None:
        """Count a fault that happened."""
        self.fired[kind] = self.fired.get(kind, 0) + 1

    def remove(self, rule_id: str | None = None) -> int:
        """Lift one rule or all of them; returns how many."""
        before = len(self._rules)
        self._rules = [rule for rule in self._rules if rule_id is not None and rule.id != rule_id]
        return before - len(self._rules)

    def view(self) -> list[RuleView]:
        """All rules, used up ones included, with how often each has hit."""
        return [
            RuleView(
                rule.id,
                rule.provider,
                rule.operation,
                rule.fault.kind,
                rule.share,
                rule.remaining,
                rule.hits,
                rule.fault.params,
            )
            for rule in self._rules
        ]

    def _hit(self, rule: Rule) -> None:
        rule.hits += 1
        if rule.remaining is not None:
            rule.remaining -= 1
        if rule.fault.kind == "latency":
            self.note("latency")


def _matches(rule: Rule, provider: str, operation: str) -> bool:
    if rule.provider != "*" and rule.provider != provider:
        return False
    if rule.operation == "*":
        return operation != "callback"
    return rule.operation == operation


def decode_rule(body: bytes) -> RuleRequest:
    """Read the body of POST /faults; raises msgspec.DecodeError."""
    return msgspec.json.decode(body, type=RuleRequest)
