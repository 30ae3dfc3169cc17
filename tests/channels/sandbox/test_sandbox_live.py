"""The sandbox channel against the sandbox itself: two readings of one protocol must agree."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from bailiwick.base.clock import boot_ns
from bailiwick.channels.contract import (
    Account,
    Exchange,
    Instruction,
    Operation,
    Outcome,
    Permit,
    Profile,
    Resolve,
    Result,
    agreed,
    read,
)
from bailiwick.channels.sandbox import CHANNEL
from bailiwick.channels.transports.http import HttpTransport
from bailiwick_sandbox.bank.sources import SOURCES

PROFILE: Profile = msgspec.structs.replace(CHANNEL.profile, first_byte_ms=700, total_ms=1_500)
A, D, P, U = Outcome.APPROVED, Outcome.DECLINED, Outcome.PENDING, Outcome.UNKNOWN


@dataclass
class Bank:
    """A running sandbox and the account at one of its providers."""

    account: Account
    transport: HttpTransport
    count: int = 0

    async def do(self, operation: Operation, **more: object) -> tuple[Instruction, Result]:
        """Carry out one operation and read the answer."""
        self.count += 1
        given = {"amount": 1000, "currency": "EUR", "payment_method": "pm_card_visa"} | more
        order = Instruction(operation, f"live_{self.count}", **given)  # type: ignore[arg-type]
        request = CHANNEL.request(order, self.account)
        done = await self.transport.exchange(request, PROFILE, Permit(boot_ns() + 10**10))
        return order, read(CHANNEL, order, done, self.account)

    async def ask(self, order: Instruction) -> Result:
        """Look an operation up."""
        request = CHANNEL.query(order, self.account, Resolve.REFERENCE)
        assert request is not None
        done: Exchange = await self.transport.exchange(request, PROFILE, None)
        assert done.reply is not None, done
        told = CHANNEL.parse_query(order, done.reply, Resolve.REFERENCE, self.account)
        return agreed(order, told, PROFILE)


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[Bank]:
    config = tmp_path / "sandbox.toml"
    command = [sys.executable, "-m", "bailiwick_sandbox", "--config", str(config), "--init"]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE, text=True
    )
    transport = HttpTransport()
    try:
        assert process.stdout is not None
        url = json.loads(process.stdout.readline())["url"]
        first = tomllib.loads(config.read_text())["providers"][0]
        secrets = {name: first[name] for name in ("api_key", "callback_secret")}
        yield Bank(Account("live", f"{url}/{first['name']}", secrets), transport)
    finally:
        await transport.close()
        process.terminate()
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()


async def test_credentials(bank: Bank) -> None:
    done = await bank.transport.connect(CHANNEL.check(bank.account, 0), PROFILE)
    assert done.reply is not None
    assert CHANNEL.parse_check(done.reply, bank.account) is None
    wrong = Account("live", bank.account.base_url, {"api_key": "wrong"})
    done = await bank.transport.connect(CHANNEL.check(wrong, 0), PROFILE)
    assert done.reply is not None
    assert "secrets.api_key" in str(CHANNEL.parse_check(done.reply, bank.account))


async def test_every_operation_and_its_look_up(bank: Bank) -> None:
    order, charge = await bank.do(Operation.CHARGE)
    assert (charge.outcome, charge.amount, charge.captured) == (A, 1000, True)
    assert await bank.ask(order) == charge
    order, refund = await bank.do(Operation.REFUND, provider_ref=charge.provider_ref, amount=400)
    assert (refund.outcome, refund.amount) == (A, 400)
    assert await bank.ask(order) == refund
    order, refund = await bank.do(Operation.REFUND, provider_ref=charge.provider_ref, amount=700)
    assert (refund.outcome, refund.code) == (D, "amount_too_large")
    assert (await bank.ask(order)).not_found

    order, hold = await bank.do(Operation.CHARGE, automatic=False)
    assert (hold.outcome, hold.amount, hold.captured) == (A, 1000, False)
    assert await bank.ask(order) == hold
    order, capture = await bank.do(Operation.CAPTURE, provider_ref=hold.provider_ref, amount=300)
    assert (capture.outcome, capture.amount) == (A, 300)
    assert await bank.ask(order) == capture

    _, hold = await bank.do(Operation.CHARGE, automatic=False)
    on = {"provider_ref": hold.provider_ref}
    first, grown = await bank.do(Operation.INCREMENT, **on, amount=1500)
    assert (grown.outcome, grown.amount, grown.captured) == (A, 1500, False)
    order, grown = await bank.do(Operation.INCREMENT, **on, amount=1700)
    assert await bank.ask(order) == grown and (await bank.ask(first)).amount == 1500
    order, refused = await bank.do(Operation.INCREMENT, **on, amount=1700)
    assert (refused.outcome, refused.code) == (D, "amount_too_small")
    assert (await bank.ask(order)).not_found
    order, void = await bank.do(Operation.VOID, **on, amount=1700)
    assert (void.outcome, void.amount, void.captured) == (A, 1700, False)
    assert await bank.ask(order) == void

    _, hold = await bank.do(Operation.CHARGE, automatic=False)
    order, void = await bank.do(Operation.VOID, provider_ref=hold.provider_ref)
    assert (void.outcome, void.amount, void.captured) == (A, 1000, False)
    assert await bank.ask(order) == void


@pytest.mark.parametrize(
    ("token", "outcome", "detail", "looked_up"),
    [
        ("pm_card_visa_chargeDeclinedInsufficientFunds", D, "declined", D),
        ("pm_card_authenticationRequired", P, "action_required", P),
        ("pm_sandbox_pending", P, "pending", P),
        ("pm_sandbox_charge_then_hang", U, "read_timeout", A),
        ("pm_sandbox_charge_then_500", U, "http_500", A),
        ("pm_sandbox_reset_before", U, "reset", U),
        ("pm_sandbox_reset_after", U, "reset", A),
        ("pm_sandbox_garbage", U, "unreadable", A),
        ("pm_sandbox_huge", U, "too_large", A),
        ("pm_sandbox_rate_limited", D, "rate_limited", U),
        ("pm_sandbox_wrong_amount", U, "amount_mismatch", U),
        ("pm_sandbox_wrong_currency", U, "currency_mismatch", U),
        ("pm_sandbox_missing_amount", U, "amount_missing", U),
    ],
)
async def test_what_a_fault_looks_like(
    bank: Bank, token: str, outcome: Outcome, detail: str, looked_up: Outcome
) -> None:
    order, told = await bank.do(Operation.CHARGE, payment_method=token)
    assert (told.outcome, told.detail) == (outcome, detail)
    assert (await bank.ask(order)).outcome is looked_up


async def test_a_replay_is_the_same_charge(bank: Bank) -> None:
    order, first = await bank.do(Operation.CHARGE)
    again = await bank.transport.exchange(CHANNEL.request(order, bank.account), PROFILE, None)
    assert read(CHANNEL, order, again, bank.account) == first
    other = msgspec.structs.replace(order, amount=999)
    refused = await bank.transport.exchange(CHANNEL.request(other, bank.account), PROFILE, None)
    told = read(CHANNEL, other, refused, bank.account)
    assert (told.outcome, told.detail) == (U, "reference_mismatch")


def test_every_token_of_the_sandbox_is_shared() -> None:
    shared = CHANNEL.profile.shared_tokens
    assert shared is not None
    for token in SOURCES:
        assert re.fullmatch(shared, token), token
