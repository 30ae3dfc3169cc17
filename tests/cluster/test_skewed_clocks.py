"""Clocks that are minutes apart: nodes, access processes and providers agree on money.

What providers say by themselves is signed with their time; at a node whose clock is wrong none
of it is fresh, and some of it (a success after a no, a refund that came back) is said in no
other way.
"""

import itertools
import json
import os
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from chaos_kit import Chaos, bailiwick

SKEWS = {"apac": -600, "europe": 600, "americas": 0}
PLACES = {"apac": ("IN", "inr"), "europe": ("DE", "eur"), "americas": ("BR", "brl")}
TOLD_LATER = (
    "pm_sandbox_pending", "pm_sandbox_pending_fail", "pm_sandbox_decline_then_success",
    "pm_card_refundFail", "pm_card_pendingRefund", "pm_sandbox_early_callback",
    "pm_sandbox_duplicate_callback", "pm_sandbox_callback_stale", "pm_sandbox_charge_then_500",
    "pm_card_visa",
)  # fmt: skip


@pytest.fixture(scope="module")
def skewed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    """A demo whose access processes and two of whose nodes have clocks ten minutes off."""
    data: Path = tmp_path_factory.mktemp("skewed")
    skewing = Path(__file__).parent / "skewed"
    off = [f"{name}/node.toml={seconds}" for name, seconds in SKEWS.items() if seconds]
    bailiwick(
        "demo", "--background", "--data", str(data), "--nodes", "3", "--access", "2",
        PYTHONPATH=os.pathsep.join(filter(None, [str(skewing), os.environ.get("PYTHONPATH")])),
        SKEWED=",".join([*off, "bailiwick access=-600"]),
    )  # fmt: skip
    try:
        yield Chaos(data)
    finally:
        bailiwick("demo", "--stop", "--data", str(data))


def _pay(chaos: Chaos, node: str, token: str) -> dict[str, Any]:
    country, currency = PLACES[node]
    url = f"{chaos.demo['base_url']}/v1"
    form = {
        "amount": "5000", "currency": currency, "payment_method": token, "confirm": "true",
        "location[country]": country,
    }  # fmt: skip
    answer = chaos.post(f"{url}/payment_intents", form)
    payment: dict[str, Any] = answer.get("error", {}).get("payment_intent") or answer
    assert payment["node"] == node, answer
    if payment["status"] == "succeeded":
        for amount in ("1000", "500"):
            part = {"payment_intent": payment["id"], "amount": amount}
            assert chaos.post(f"{url}/refunds", part)["object"] == "refund"
    return payment


def test_operators_see_it(skewed: Chaos) -> None:
    for name in SKEWS:
        skewed.seen(name, is_open=True)  # each was asked, by both access processes
    nodes = json.loads(bailiwick("usage", "--data", str(skewed.data), "--json"))["nodes"]
    ahead = {each["name"]: each["clock_ahead_ms"] / 1000 for each in nodes}
    assert {name: round(seconds, -2) for name, seconds in ahead.items()} == {
        name: seconds + 600 for name, seconds in SKEWS.items()
    }
    text = bailiwick("usage", "--data", str(skewed.data))
    assert "europe: its clock is 1200 s ahead of" in text
    assert "apac: its clock" not in text
    status_url = skewed.demo["access"][0]["status_url"]
    with urllib.request.urlopen(f"{status_url}/metrics", timeout=60) as answer:
        metrics = answer.read().decode()
    shown = re.search(r'_node_clock_ahead_seconds\{node="americas"\} (\S+)', metrics)
    assert shown is not None and round(float(shown[1]), -2) == 600


def test_money_agrees(skewed: Chaos) -> None:
    wishes = [*itertools.product(SKEWS, TOLD_LATER)] * 2
    with ThreadPoolExecutor(8) as clients:
        payments = list(clients.map(lambda wish: _pay(skewed, *wish), wishes))
    with urllib.request.urlopen(f"{skewed.demo['sandbox']['url']}/books", timeout=60) as answer:
        books = {each["reference"]: each for each in json.load(answer)["charges"]}
    for node, seconds in SKEWS.items():
        # The clocks are as wrong as they should be, or this would prove nothing.
        charge = next(each["latest_charge"] for each in payments if each["node"] == node)
        payment = next(each for each in payments if each["node"] == node)
        assert abs(payment["created"] - books[charge]["created"] / 1000 - seconds) < 60
    verdict = skewed.check()
    assert verdict["violations"] == 0
    assert verdict["payments"] == len(wishes)
