"""Whose payment method it is: no provider but its owner's is ever shown a token."""

from typing import Any

import asyncpg
import msgspec
import pytest

from bailiwick.base.errors import ApiError
from bailiwick.channels.contract import Operation
from bailiwick.idempotency.requests import Refused
from bailiwick.resources.payments.methods.params import CardOptions, MethodOptions
from bailiwick.resources.payments.params import ConfirmPayment, UpdatePayment
from tests.postgres.node_kit import ASSIGNMENT, STRICT, Bank, Region, body, paid
from tests.postgres.rows_kit import sound
from tests.store_kit import NodeStore

OWNED = "pm_1PgafyB7WZ01zgkWSjxsAJo3"
OTHER = "pm_1PgafyB7WZ01zgkWSjxsAJo4"


def vault(name: str) -> dict[str, Any]:
    return {"payment_method_options": {"card": {"vault": name}}}


@pytest.fixture
def two(store: NodeStore, bank: Bank) -> tuple[Region, Bank, Bank]:
    other = Bank("other", priority=2)
    return Region(store, bank, other), bank, other


async def test_a_cascade_does_not_show_a_token_to_another_vault(
    two: tuple[Region, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, other = two
    bank.script[Operation.CHARGE] = ["retryable"] * 3
    answer = await region.pay("k", payment_method=OWNED)
    assert answer.status == 402
    error = body(answer)["error"]
    assert error["code"] == "processing_error", "the provider's own words, not another's"
    # A confirmation with the same token stays there too; the merchant may know better.
    again = ConfirmPayment(payment_method=OWNED)
    identifier = error["payment_intent"]["id"]
    assert (await region.act("confirm", "c1", identifier, again)).status == 402
    assert other.calls == [] and len(bank.calls) == 2
    bank.usage = "shut"
    with pytest.raises(ApiError) as closed:
        await region.act("confirm", "c2", identifier, again)
    assert closed.value.status == 503 and "belongs to vault bank" in closed.value.message
    assert other.calls == []
    # Another token may belong elsewhere.
    assert body(await region.act("confirm", "c3", identifier, ConfirmPayment(
        payment_method=OTHER)))["status"] == "succeeded"  # fmt: skip
    assert [call.payment_method for call in other.calls] == [OTHER]
    with pytest.raises(ApiError):
        await region.act("confirm", "c4", identifier, again)
    await sound(sql)


async def test_a_cascade_goes_on_within_the_vault(
    store: NodeStore, sql: asyncpg.Connection
) -> None:
    banks = Bank(), Bank("other", priority=2), Bank("twin", priority=3, vault="bank")
    region = Region(store, *banks)
    banks[0].script[Operation.CHARGE] = ["retryable", "retryable"]
    answer = await paid(region, "k", payment_method=OWNED)
    assert answer["routing"]["gateway"] == "twin"
    assert answer["payment_method_options"]["card"]["vault"] == "bank"
    assert [bank.taken() for bank in banks] == [0, 0, 1000]
    # A published token has no owner.
    assert (await paid(region, "k2"))["routing"]["gateway"] == "other"
    strict = await paid(region, "k3", merchant=STRICT)
    assert "vault" not in strict["payment_method_options"]["card"]
    await sound(sql)


async def test_a_named_vault(two: tuple[Region, Bank, Bank], sql: asyncpg.Connection) -> None:
    region, bank, other = two
    other.script[Operation.CHARGE] = ["retryable"]
    assert (await region.pay("k", payment_method=OWNED, **vault("other"))).status == 402
    answer = await paid(region, "k2", payment_method=OWNED, **vault("other"))
    assert answer["payment_method_options"]["card"]["vault"] == "other"
    assert bank.calls == [] and other.taken() == 1000
    await sound(sql)


async def test_a_vault_comes_with_the_token_whenever_that_comes(
    two: tuple[Region, Bank, Bank], sql: asyncpg.Connection
) -> None:
    region, bank, other = two
    made = body(await region.pay("k", confirm=False, payment_method=OWNED))
    assert "vault" not in made["payment_method_options"]["card"], "it has been sent nowhere"
    options = UpdatePayment(payment_method_options=options_of("other"))
    shown = body(await region.act("update", "u", made["id"], options))
    assert shown["payment_method_options"]["card"]["vault"] == "other"
    assert body(await region.act("confirm", "c", made["id"], ConfirmPayment()))["status"] == (
        "succeeded"
    )
    bare = body(await region.pay("k2", confirm=False, payment_method=None))
    confirm = ConfirmPayment(payment_method=OTHER, payment_method_options=options_of("other"))
    assert body(await region.act("confirm", "c2", bare["id"], confirm))["status"] == "succeeded"
    assert bank.calls == [] and [call.payment_method for call in other.calls] == [OWNED, OTHER]
    await sound(sql)


def options_of(name: str) -> Any:
    return MethodOptions(CardOptions(name))


async def test_a_vault_that_is_not_here_is_refused_by_name(
    two: tuple[Region, Bank, Bank],
) -> None:
    region, bank, other = two
    made = body(await region.pay("k", confirm=False))
    stray = options_of("nowhere")
    for work in (
        region.pay("k1", payment_method=OWNED, **vault("nowhere")),
        region.pay("k2", confirm=False, payment_method=OWNED, **vault("nowhere")),
        region.act("confirm", "c", made["id"], ConfirmPayment(payment_method_options=stray)),
        region.act("update", "u", made["id"], UpdatePayment(payment_method_options=stray)),
        # A vault of nothing.
        region.pay("k3", confirm=False, payment_method=None, **vault("other")),
    ):
        with pytest.raises(ApiError) as refused:
            await work
        assert refused.value.status == 400
        assert refused.value.param == "payment_method_options[card][vault]"
    assert bank.calls == other.calls == []
    # What was done with a key is told all the same, when the vault is there no more.
    first = body(await region.pay("k4", payment_method=OWNED, **vault("other")))
    del region.banks.banks["other"]
    assert body(await region.pay("k4", payment_method=OWNED, **vault("other"))) == first


async def test_where_only_other_accounts_could_take_it(
    two: tuple[Region, Bank, Bank], monkeypatch: pytest.MonkeyPatch
) -> None:
    region, bank, other = two
    facts = bank.facts
    monkeypatch.setattr(
        bank, "facts", lambda: msgspec.structs.replace(facts(), manual_capture=False)
    )
    held = {"payment_method": OWNED, "capture_method": "manual", **vault("bank")}
    with pytest.raises(ApiError) as refused:
        await region.pay("k", **held)
    assert (refused.value.status, refused.value.param) == (400, "payment_method")
    assert "other: the payment method belongs to vault bank" in refused.value.message
    # Another node may have been asked before: then it is not for this one alone to say.
    after = msgspec.structs.replace(ASSIGNMENT, home=2)
    with pytest.raises(Refused, match="unsupported"):
        await region.pay("k2", assignment=after, **held)
    assert bank.calls == other.calls == []
