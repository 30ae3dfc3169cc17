"""The arithmetic of the report: quantiles, accounting, comparison of runs. Pure."""

from __future__ import annotations

import math
import random
from collections import Counter
from statistics import NormalDist, median
from typing import Any

import msgspec

from bailiwick.base.ids import node_of
from bailiwick_lab.bench.database import Counts
from bailiwick_lab.bench.load import AMOUNT
from bailiwick_lab.bench.site import Charge

CONFIDENCE = 0.95
RESAMPLES = 10_000


class Estimate(msgspec.Struct, frozen=True):
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


class Accounts(msgspec.Struct, frozen=True):
    """The same payments, counted four times. ``received`` in minor units."""

    answers: int
    payments: int
    succeeded: int
    charges: int
    received: int
    problems: list[str]


def quantile(ordered: list[float], share: float) -> float:
    """The nearest-rank quantile of sorted values; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latency_ms(seconds: list[float]) -> dict[str, float]:
    """The quantiles of latencies, in milliseconds."""
    ordered = sorted(seconds)
    shares = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: round(quantile(ordered, q) * 1000, 3) for name, q in shares.items()}


def account(
    references: list[str],
    before: list[Counts],
    after: list[Counts],
    books_before: dict[str, Charge],
    books_after: dict[str, Charge],
) -> Accounts:
    """Compare what was answered with what the nodes stored and the providers took."""
    payments = sum(n.payments for n in after) - sum(n.payments for n in before)
    succeeded = sum(n.succeeded for n in after) - sum(n.succeeded for n in before)
    received = sum(n.received for n in after) - sum(n.received for n in before)
    new = {key: each for key, each in books_after.items() if key not in books_before}
    taken = [c for c in new.values() if c.status == "captured" and c.amount_captured == AMOUNT]
    answers = len(references)
    problems = []
    if not answers:
        problems.append("no payment succeeded")
    if len(set(references)) != answers:
        problems.append("two answers name one charge")
    counted = (
        ("payments were stored", payments),
        ("stored payments succeeded", succeeded),
        ("charges were taken by the providers", len(taken)),
    )
    for what, count in counted:
        if count != answers:
            problems.append(f"{answers} answers said succeeded, but {count} {what}")
    if len(new) != len(taken):
        problems.append(f"{len(new) - len(taken)} charges are not taken in full")
    if set(references) != set(new):
        odd = len(set(references) ^ set(new))
        problems.append(f"{odd} charges are on one side only (is the demo used by others?)")
    if received != answers * AMOUNT:
        problems.append(f"{received} minor units were stored as received, not {answers * AMOUNT}")
    return Accounts(answers, payments, succeeded, len(taken), received, problems)


def by_node(references: list[str]) -> dict[str, int]:
    """How many of these charges each node made, by its number, which their ids carry."""
    return {str(node): count for node, count in Counter(map(node_of, references)).items()}


def added_s(
    succeeded_s: list[float], references: list[str], waited: dict[str, float]
) -> list[float]:
    """Each payment's latency less the time its provider held it back."""
    return [
        taken - waited[reference] / 1000
        for taken, reference in zip(succeeded_s, references, strict=True)
        if reference in waited
    ]


def compare(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Runs of each target side by side. ``spread``: fastest by slowest of the same thing (A/A),
    so the least ratio that would mean anything; ``access_by_node``: round by round."""
    by_target: dict[str, list[float]] = {}
    for run in runs:
        by_target.setdefault(run["scenario"]["target"], []).append(run["payments_per_s"])
    found: dict[str, Any] = {}
    for target, rates in by_target.items():
        found[target] = {
            "payments_per_s": rates,
            "best": max(rates),
            "median": round(median(rates), 1),
            "to_first": [round(rate / rates[0], 3) if rates[0] else 0.0 for rate in rates],
            "spread": round(max(rates) / min(rates), 3) if min(rates) else None,
        }
    if {"access", "node"} <= by_target.keys():
        rounds = zip(by_target["access"], by_target["node"], strict=True)
        found["access_by_node"] = [round(a / n, 3) if n else 0.0 for a, n in rounds]
    return found


def mean_ratio(ratios: list[float], seed: int = 1) -> Estimate:
    """The geometric mean of paired ratios, 0 of none; the interval is a percentile bootstrap of the
    pairs."""
    if not ratios:
        return Estimate(0.0, 0.0, 0.0)
    logs = [math.log(ratio) for ratio in ratios]
    chance, count = random.Random(seed), len(logs)
    means = sorted(sum(chance.choices(logs, k=count)) / count for _ in range(RESAMPLES))
    tail = (1 - CONFIDENCE) / 2
    logged = (sum(logs) / count, quantile(means, tail), quantile(means, 1 - tail))
    return Estimate(*(round(math.exp(each), 4) for each in logged))


def share_difference(hits_a: int, of_a: int, hits_b: int, of_b: int) -> Estimate:
    """B's share less A's in percentage points, with Newcombe's interval of Wilson scores, which
    is honest where both shares are 1 (Statistics in Medicine 17, 1998, page 873, method 10)."""
    if not (of_a and of_b):
        return Estimate(0.0, -100.0, 100.0)
    a, low_a, high_a = _wilson(hits_a, of_a)
    b, low_b, high_b = _wilson(hits_b, of_b)
    low = b - a - math.hypot(b - low_b, high_a - a)
    high = b - a + math.hypot(high_b - b, a - low_a)
    return Estimate(*(round(each * 100, 4) for each in (b - a, low, high)))


def _wilson(hits: int, of: int) -> tuple[float, float, float]:
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share = hits / of
    middle = share + z * z / (2 * of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    scale = 1 + z * z / of
    return share, max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)
