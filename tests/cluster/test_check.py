"""The checker over a running demo: green after honest work, red for each thing put wrong."""

import asyncio
import io
import json
import re
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import stripe
from payer_kit import Payer

from bailiwick.checker.places import from_folder
from bailiwick.checker.run import Verdict, Wanted, check
from tests.waiting import until, wait_until

Demo = dict[str, Any]
QUIET_S = 120


def run(*arguments: object) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "bailiwick", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    return done.returncode, done.stdout


class Done:
    """What was done to the demo: payments by what became of them."""

    def __init__(self, demo: Demo) -> None:
        self.demo = demo
        client = stripe.StripeClient(
            demo["secret_key"],
            base_addresses={"api": demo["base_url"], "files": demo["base_url"]},
            max_network_retries=2,
        )
        self.disputes, self.files = client.v1.disputes, client.v1.files
        self.intents = client.v1.payment_intents
        self.refunds = client.v1.refunds
        self.payouts: Any = client.v1.payouts
        self.customers, self.methods = client.v1.customers, client.v1.payment_methods
        self.setups = client.v1.setup_intents
        self.history: list[dict[str, Any]] = []

    def pay(self, country: str = "DE", **more: Any) -> Any:
        wish = {
            "amount": 1999,
            "currency": "eur",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "location": {"country": country},
            **more,
        }
        key = f"check-{len(self.history)}"
        line = {"key": key, "operation": "create", "status": "ok", "payment": None}
        self.history.append(line)
        try:
            intent = self.intents.create(wish, {"idempotency_key": key})  # type: ignore[arg-type]
        except stripe.CardError as error:
            line["status"] = "fail"
            return error.error.payment_intent  # type: ignore[union-attr]
        line["payment"] = intent.id
        return intent

    def everything(self) -> None:
        self.plain = self.pay()
        self.abroad = self.pay("IN", currency="inr")
        self.pay("BR", currency="brl")
        self.declined = self.pay(payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
        held = self.pay(capture_method="manual")
        self.intents.capture(held.id, {"amount_to_capture": 1000})
        self.intents.cancel(self.pay(capture_method="manual").id)
        self.pay(capture_method="manual")
        parts = self.pay(
            capture_method="manual",
            payment_method_options={"card": {"request_multicapture": "if_available"}},
        )
        self.parts = parts
        self.intents.capture(parts.id, {"amount_to_capture": 700, "final_capture": False})
        self.intents.capture(parts.id, {"amount_to_capture": 800, "final_capture": False})
        self.grown = self.pay(
            capture_method="manual",
            payment_method_options={"card": {"request_incremental_authorization": "if_available"}},
        )
        for amount in (2500, 3100):
            self.intents.increment_authorization(self.grown.id, {"amount": amount})
        self.refunded = self.pay(amount=5000)
        self.refund = self.refunds.create({"payment_intent": self.refunded.id, "amount": 400})
        for name in ("createDispute", "createDisputeInquiry"):
            self.pay(payment_method=f"pm_card_{name}")
        for destination in ("btok_sandbox", "btok_sandbox_waits", "btok_sandbox_no_account"):
            out = self.payouts.create(
                {
                    "amount": 200,
                    "currency": "eur",
                    "destination": destination,
                    "location": {"country": "DE"},
                }
            )
            if destination.endswith("waits"):
                self.payouts.cancel(out.id)
        draft = self.pay(confirm=False)
        self.intents.update(draft.id, {"amount": 600})
        self.intents.confirm(
            draft.id,
            {"payment_method": "pm_card_threeDSecure2Required", "return_url": "https://a.example/"},
        )
        self.intents.cancel(self.pay(confirm=False).id)
        for token in ("charge_then_500", "reset_before", "pending", "decline_then_success"):
            self.pay(payment_method=f"pm_sandbox_{token}")
        self.pay(payment_method="pm_sandbox_wrong_amount")
        self.save()
        self.dispute()
        self.step()

    def step(self) -> None:
        """A charge of several requests: nothing is taken before the last."""
        payer = Payer(self.demo, "paypal")
        payer.approves()
        payer.has_paid_once()

    def dispute(self) -> None:
        """A dispute that is answered with a file."""
        payment = self.pay(payment_method="pm_card_createDisputeProductNotReceived")
        wait_until(lambda: bool(self.disputes.list({"payment_intent": payment.id}).data))
        (found,) = self.disputes.list({"payment_intent": payment.id}).data
        paper = io.BytesIO(b"%PDF-1.7 Ann has it.")
        wish: Any = {"purpose": "dispute_evidence", "file": paper, "dispute": found.id}
        self.evidence = self.files.create(wish)
        self.disputes.update(found.id, {"evidence": {"receipt": self.evidence.id}})

    def save(self) -> None:
        """A customer with a card, and one who was erased with it."""
        place: Any = {"country": "DE"}
        card: Any = {"type": "card", "card": {"token": "pm_card_visa"}, "location": place}
        for gone in (True, False):
            made = self.customers.create({"name": "Ann", "location": place})  # type: ignore[typeddict-unknown-key]
            self.methods.attach(self.methods.create(card).id, {"customer": made.id})
            setup: Any = {"customer": made.id, "confirm": True, "payment_method": "pm_card_visa",
                          "location": place}  # fmt: skip
            self.setup = self.setups.create(setup)
            if gone:
                self.customers.delete(made.id)

    def erase(self) -> None:
        """Two payers who were there: one paid, one did not."""
        gone = [self.pay(country, currency="eur", metadata={"name": "Ann"}, **more)
                for country, more in (("DE", {}), ("IN", {"confirm": False}))]  # fmt: skip
        self.intents.cancel(gone[1].id)
        who = [part for each in gone for part in ("--payment", each.id)]
        status, out = run("erase", "--data", folder(self.demo), *who, "--yes", "--json")
        assert status == 0, out
        assert sorted(
            each for node in json.loads(out)["nodes"] for each in node["erased"]
        ) == sorted(each.id for each in gone)

    def delete(self) -> None:
        """What another merchant's test mode had: paid, refunded, held and paid out."""
        here = Done({**self.demo, "secret_key": self.demo["other_secret_key"]})
        payment = here.pay(amount=5000)
        here.refunds.create({"payment_intent": payment.id, "amount": 400})
        here.pay(capture_method="manual")
        place: Any = {"location": {"country": "DE"}}
        out: Any = {"amount": 200, "currency": "eur", "destination": "btok_sandbox"}
        here.payouts.create({**out, **place})
        here.save()
        self.history += [{**each, "key": None} for each in here.history]
        self.deleted = len(here.history)
        who = ("--data", folder(self.demo), "--merchant", "acct_other", "--yes", "--json")

        def deleted() -> bool:  # a payout is on its way for a moment
            status, said = run("test-data", "delete", *who)
            return status == 0 and json.loads(said)["done"]

        wait_until(deleted)


@pytest.fixture(scope="module")
def done(demo: Demo) -> Done:
    work = Done(demo)
    work.everything()
    # Everything has ended before a test looks; what is wrong then is the first test's to tell.
    asyncio.run(verdict(demo, wait_s=QUIET_S))
    work.erase()
    work.delete()
    return work


def folder(demo: Demo) -> Path:
    return Path(demo["data"])


def node(demo: Demo, name: str = "europe") -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in demo["nodes"] if each["name"] == name)
    return found


async def verdict(demo: Demo, **wanted: Any) -> Verdict:
    return await check(Wanted(from_folder(folder(demo)), **wanted))


def red(found: Verdict) -> dict[str, list[str]]:
    return {
        each.name: [f"{one.id} {one.wrong}" for one in each.violations]
        for each in found.findings.all()
        if each.count
    }


@pytest.fixture
async def clean(done: Done) -> AsyncIterator[Done]:
    """Nothing is wrong before a test and after it."""
    yield done

    async def nothing() -> bool:  # a callback's change may reach us a moment later
        return red(await verdict(done.demo)) == {}

    await until(nothing)


@asynccontextmanager
async def planted(
    demo: Demo, table: str, where: str, change: str, name: str = "europe"
) -> AsyncIterator[asyncpg.Connection]:
    """Change rows behind the node's back, append-only ones too; put them back at the end."""
    db = await asyncpg.connect(node(demo, name)["admin_dsn"])
    try:
        await db.execute("SET session_replication_role = replica")  # triggers are off
        rows = await db.fetch(f"SELECT to_json(t)::text FROM {table} t WHERE {where}")
        assert rows, f"no {table} where {where}"
        await db.execute(change)
        try:
            yield db
        finally:
            await db.execute(f"DELETE FROM {table} WHERE {where}")
            for (row,) in rows:
                await db.execute(
                    f"INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, $1)",
                    row,
                )
    finally:
        await db.close()


def test_green_after_honest_work(done: Done, tmp_path: Path) -> None:
    told = tmp_path / "history.jsonl"
    told.write_text("".join(json.dumps(line) + "\n" for line in done.history))
    status, out = run(
        "check", "--data", folder(done.demo), "--json", "--wait", QUIET_S, "--seed", "7",
        "--history", told, "--reviews-max-share", "0.5",
    )  # fmt: skip
    found = json.loads(out)
    assert status == 0, out
    assert (found["ok"], found["violations"], found["seed"]) == (True, 0, "7")
    compared = {each["name"]: each["compared"] for each in found["invariants"]}
    compared.pop("deliveries_done_or_due")  # there may be no webhook endpoint
    assert all(compared.values()), compared
    assert len(compared) >= 25
    assert all(each["rule"] for each in found["invariants"])
    assert {each["reason"] for each in found["open_reviews"]} >= {"late_success", "amount_mismatch"}
    assert found["payments"] >= len(done.history) - done.deleted
    status, out = run("check", "--data", folder(done.demo))
    assert status == 0, out
    assert "No violation." in out


def test_databases_and_books_can_be_named(done: Done) -> None:
    dsns = [f"--dsn={each['name']}={each['dsn']}" for each in done.demo["nodes"]]
    books = done.demo["sandbox"]["books_url"]
    status, out = run("check", *dsns, "--books", books, "--json", "--wait", QUIET_S)
    assert status == 0, out
    # Books without a node's database: calls that nobody permitted.
    status, out = run("check", dsns[1], "--books", books, "--json")
    assert status == 1
    wrong = [each["name"] for each in json.loads(out)["invariants"] if each["count"]]
    assert wrong == ["no_call_without_attempt"]
    status, out = run("check", *dsns, "--books", books.replace("/books", "/nothing"), "--json")
    assert status == 2
    assert "/nothing" in json.loads(out)["error"]


def test_reviews_are_listed_and_closed(done: Done) -> None:
    data = folder(done.demo)
    assert red(asyncio.run(verdict(done.demo, wait_s=QUIET_S))) == {}
    status, out = run("reviews", "--data", data, "--json")
    assert status == 0
    late = next(each for each in json.loads(out) if each["reason"] == "late_success")
    assert "Refund it there" in late["remedy"]
    status, out = run("reviews", "--data", data)
    assert late["attempt"] in out
    closing = (
        "reviews", "close", "--data", data, "--payment", late["payment"],
        "--attempt", late["attempt"], "--reason", "late_success", "--note", "refunded by hand",
    )  # fmt: skip
    status, out = run(*closing)
    assert (status, out) == (0, "Closed.\n")
    status, out = run(*closing)
    assert status == 1
    assert "no such open review" in out
    status, out = run("reviews", "--dsn", node(done.demo)["dsn"], "--all", "--json")
    closed = next(each for each in json.loads(out) if each["attempt"] == late["attempt"])
    assert closed["note"] == "refunded by hand"
    assert closed["closed_by"]
    assert red(asyncio.run(verdict(done.demo))) == {}


def test_migrate_says_what_it_did(demo: Demo) -> None:
    where = ("--dsn", node(demo)["dsn"])
    status, out = run("migrate", *where, "--node", 2, "--json")
    assert (status, json.loads(out)) == (0, {"node": 2, "applied": []})
    status, out = run("migrate", *where, "--node", 3)
    assert status == 1
    assert "belongs to node 2" in out


# table, which rows, what is done to them, and exactly what the checker must name. {plain} and the
# like are ids of payments; {attempt} is the plain payment's.
PLANTS = {
    "a posting is lost": (
        "posting", "subject = '{plain}'", "DELETE FROM posting WHERE {where}",
        {"balances_replay"},
    ),
    "a posting changes": (
        "posting", "subject = '{plain}'", "UPDATE posting SET amount = amount * 2 WHERE {where}",
        {"balances_replay"},
    ),
    "the payment's amount changes": (
        "payment", "id = '{plain}'", "UPDATE payment SET amount = amount + 1 WHERE {where}",
        {"payment_is_its_last_event", "stored_answers"},
    ),
    "the attempt's amount changes": (
        "attempt", "id = '{attempt}'", "UPDATE attempt SET amount = amount + 1 WHERE {where}",
        {"attempts_match_books"},
    ),
    "the attempt's currency changes": (
        "attempt", "id = '{attempt}'", "UPDATE attempt SET currency = 'USD' WHERE {where}",
        {"attempts_match_books"},
    ),
    "a decline is forged": (
        "attempt", "id = '{attempt}'", "UPDATE attempt SET state = 'declined' WHERE {where}",
        {"failed_means_no_charge", "told_with_their_move"},
    ),
    "a success is forged": (
        "attempt", "subject = '{declined}'", "UPDATE attempt SET state = 'approved' WHERE {where}",
        {"attempts_match_books", "told_with_their_move"},
    ),
    "a paid payment fails": (
        "payment", "id = '{plain}'",
        "UPDATE payment SET state = 'requires_payment_method' WHERE {where}",
        {"failed_means_no_charge", "payment_is_its_last_event"},
    ),
    "an unpaid payment succeeds": (
        "payment", "id = '{declined}'", "UPDATE payment SET state = 'succeeded' WHERE {where}",
        {"succeeded_means_one_charge", "payment_is_its_last_event"},
    ),
    "an event is lost": (
        "event", "subject = '{plain}'", "DELETE FROM event WHERE {where} AND seq = 1",
        {"events_gap_free"},
    ),
    "an event is about another payment": (
        "event", "subject = '{plain}'",
        "UPDATE event SET body = replace(body, '{plain}', '{refunded}') WHERE {where} AND seq = 2",
        {"events_name_their_object", "stored_answers"},
    ),
    "a transition that is not": (
        "event", "subject = '{plain}'",
        "UPDATE event SET type = 'bailiwick.capture_refused' WHERE {where} AND seq = 2",
        {"transitions_allowed", "told_with_their_move"},
    ),
    "something after the end": (
        "event", "subject = '{refunded}'",
        "UPDATE event SET type = 'payment_intent.processing' WHERE {where} AND seq = 4",
        {"terminal_stays", "told_with_their_move"},
    ),
    "another tenant's attempt": (
        "attempt", "id = '{attempt}'", "UPDATE attempt SET merchant = 'acct_other' WHERE {where}",
        {"tenants_match"},
    ),
    "an orphan": (
        "payment", "id = '{canceled}'", "DELETE FROM payment WHERE {where}",
        {"tenants_match", "stored_answers"},
    ),
    "an attempt is lost": (
        "attempt", "subject = '{declined}'", "DELETE FROM attempt WHERE {where}",
        {"attempts_complete", "no_call_without_attempt", "told_with_their_move"},
    ),
    "an attempt came after its call": (
        "attempt", "id = '{attempt}'",
        "UPDATE attempt SET permitted_at = permitted_at + interval '1 minute' WHERE {where}",
        {"no_call_without_attempt"},
    ),
    "a capture that had ended is open": (
        "attempt", "subject = '{twice}' AND number = 2",
        "UPDATE attempt SET state = 'unknown' WHERE {where}",
        {"one_operation_at_a_time", "liveness"},
    ),
    "more is captured than was held": (
        "attempt", "subject = '{parts}' AND number = 2",
        "UPDATE attempt SET result = replace(result, '700', '1700') WHERE {where}",
        {"captures_within_hold"},
    ),
    "a capture is booked twice": (
        "payment", "id = '{parts}'",
        "UPDATE payment SET amount_received = amount_received + 700 WHERE {where}",
        {"captures_within_hold", "balances_replay", "payment_is_its_last_event",
         "succeeded_means_one_charge"},
    ),
    "an increment was granted less": (
        "attempt", "subject = '{grown}' AND number = 3",
        "UPDATE attempt SET result = replace(result, '3100', '2400') WHERE {where}",
        {"increments_are_held"},
    ),
    "more is shown as held than was granted": (
        "payment", "id = '{grown}'",
        "UPDATE payment SET (amount, amount_capturable) = (amount + 1, amount + 1) WHERE {where}",
        {"increments_are_held", "payment_is_its_last_event", "succeeded_means_one_charge"},
    ),
    "a decline of a setup is forged": (
        "attempt", "id = '{set_up}'", "UPDATE attempt SET state = 'declined' WHERE {where}",
        {"attempts_match_books", "setups_follow_attempts"},
    ),
    "money moves for a setup": (
        "attempt", "id = '{set_up}'", "UPDATE attempt SET amount = 1 WHERE {where}",
        {"setups_told"},
    ),
    "a setup came after its call": (
        "attempt", "id = '{set_up}'",
        "UPDATE attempt SET permitted_at = permitted_at + interval '1 minute' WHERE {where}",
        {"no_call_without_attempt"},
    ),
    "a setup is lost": (
        "setup", "id = '{setup}'", "DELETE FROM setup WHERE {where}",
        {"tenants_match"},
    ),
    "a refund is forgotten": (
        "payment", "id = '{refunded}'", "UPDATE payment SET amount_refunded = 0 WHERE {where}",
        {"refund_guards", "balances_replay", "refunds_match_books"},
    ),
    "a refund fails by hand": (
        "refund", "payment = '{refunded}'", "UPDATE refund SET state = 'failed' WHERE {where}",
        {"refund_guards", "refunds_follow_attempts"},
    ),
    "a key leads elsewhere": (
        "idempotency_key", "key = 'check-0'",
        "UPDATE idempotency_key SET object = '{refunded}' WHERE {where}",
        {"keys_claimed", "stored_answers"},
    ),
    "a key is found by another's identity": (
        "idempotency_key", "key = 'check-0'",
        "UPDATE idempotency_key SET identity = gen_random_uuid() WHERE {where}",
        {"keys_claimed"},
    ),
    "an answer is lost": (
        "event", "answer_key = 'check-0'",
        "UPDATE event SET answer_status = NULL WHERE {where}",
        {"stored_answers"},
    ),
    "a card number is kept": (
        "event", "subject = '{plain}' AND seq = 1",
        "UPDATE event SET content = replace(content, 'visa', '4242 4242 4242 4242') WHERE {where}",
        {"no_card_numbers"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
async def test_red_for_what_is_put_wrong(clean: Done, name: str) -> None:
    table, where, change, expected = PLANTS[name]
    ids = {
        "plain": clean.plain.id,
        "declined": clean.declined.id,
        "refunded": clean.refunded.id,
        "attempt": clean.plain.latest_charge,
        "parts": clean.parts.id,
        "grown": clean.grown.id,
        "setup": clean.setup.id,
        "set_up": clean.setup.latest_attempt,
        "canceled": await one(clean.demo, "SELECT id FROM payment WHERE attempts = 0 LIMIT 1"),
        "twice": await one(
            clean.demo,
            "SELECT id FROM payment p WHERE state = 'succeeded' AND EXISTS (SELECT FROM attempt a"
            " WHERE a.subject = p.id AND a.number = 2 AND a.operation = 'capture') LIMIT 1",
        ),
    }
    where = filled(where, ids)
    async with planted(clean.demo, table, where, filled(change, {**ids, "where": where})):
        found = await verdict(clean.demo, wait_s=0)
    assert set(red(found)) == expected, red(found)


def filled(text: str, ids: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: ids[match[1]], text)


async def one(demo: Demo, sql: str) -> str:
    db = await asyncpg.connect(node(demo)["dsn"])
    try:
        return str(await db.fetchval(sql))
    finally:
        await db.close()


async def test_one_key_on_two_nodes(clean: Done) -> None:
    key = "check-0"
    abroad = clean.abroad
    claim = (
        f"UPDATE idempotency_key SET key = '{key}', identity = key_identity(merchant, livemode,"
        f" '{key}') WHERE object = '{abroad.id}'"
    )
    attempt = f"UPDATE attempt SET key = '{key}' WHERE id = '{abroad.latest_charge}'"
    answer = f"UPDATE event SET answer_key = '{key}' WHERE subject = '{abroad.id}' AND seq = 2"
    async with (
        planted(clean.demo, "idempotency_key", f"object = '{abroad.id}'", claim, "apac"),
        planted(clean.demo, "event", f"subject = '{abroad.id}'", answer, "apac"),
        planted(clean.demo, "attempt", f"id = '{abroad.latest_charge}'", attempt, "apac"),
    ):
        found = await verdict(clean.demo)
    assert set(red(found)) == {"one_payment_per_key"}
    assert clean.plain.id in red(found)["one_payment_per_key"][0]


def charge_directly(demo: Demo, reference: str, amount: int) -> str:
    """Charge at a provider behind our back; its name."""
    settings = tomllib.loads(Path(node(demo)["config"]).read_text())
    gateway = settings["gateways"][0]
    wish = {
        "reference": reference,
        "amount": amount,
        "currency": "EUR",
        "source": "pm_card_visa",
        "capture": True,
    }
    request = urllib.request.Request(
        gateway["base_url"] + "/charges",
        data=json.dumps(wish).encode(),
        headers={
            "Authorization": "Bearer " + gateway["secrets"]["api_key"].removeprefix("plain:"),
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert json.load(answer)["status"] == "captured"
    time.sleep(0.01)  # older than the snapshot, by whole milliseconds
    return str(gateway["name"])


@pytest.fixture
async def reviewed(done: Done) -> AsyncIterator[list[str]]:
    """References that only a provider has: what is in review is no violation any more."""
    references: list[str] = []
    yield references
    db = await asyncpg.connect(node(done.demo)["dsn"])
    try:
        for reference in references:
            await db.execute(
                "INSERT INTO review (subject, attempt, reason) VALUES ($1, $2, 'provider_only')",
                done.plain.id,
                reference,
            )
        assert red(await verdict(done.demo)) == {}
    finally:
        await db.close()


async def test_a_charge_that_nobody_permitted(done: Done, reviewed: list[str]) -> None:
    charge_directly(done.demo, "ch_foreign", 1234)
    reviewed.append("ch_foreign")
    found = await verdict(done.demo)
    assert set(red(found)) == {"no_call_without_attempt"}
    assert "ch_foreign" in red(found)["no_call_without_attempt"][0]


async def test_a_second_charge_of_one_payment(done: Done, reviewed: list[str]) -> None:
    plain, second = done.plain, "ch_second"
    # Permitted before the provider saw it, as a node that charges twice would have it.
    again = f"""INSERT INTO attempt SELECT (json_populate_record(a, json_build_object(
        'id', '{second}', 'number', 2))).* FROM attempt a WHERE id = '{plain.latest_charge}'"""
    count = f"UPDATE payment SET attempts = 2 WHERE id = '{plain.id}'"
    charge_directly(done.demo, second, plain.amount)
    reviewed.append(second)
    async with (
        planted(done.demo, "payment", f"id = '{plain.id}'", count),
        planted(done.demo, "attempt", f"subject = '{plain.id}'", again),
    ):
        found = await verdict(done.demo)
    assert set(red(found)) == {"one_live_charge", "succeeded_means_one_charge"}
    assert second in red(found)["one_live_charge"][0]


async def test_a_delivery_that_is_forgotten(clean: Done) -> None:
    db = await asyncpg.connect(node(clean.demo)["dsn"])
    try:
        await db.execute(
            "INSERT INTO delivery (event, endpoint, subject, seq, next_at)"
            " SELECT id, 'we_none', subject, seq, NULL FROM event LIMIT 1"
        )
        assert set(red(await verdict(clean.demo))) == {"deliveries_done_or_due"}
    finally:
        await db.execute("DELETE FROM delivery WHERE endpoint = 'we_none'")
        await db.close()


async def test_histories_and_receivers_are_compared(clean: Done, tmp_path: Path) -> None:
    told = tmp_path / "history.jsonl"
    lines = [
        {"key": "check-0", "operation": "create", "status": "ok", "payment": clean.abroad.id},
        {"key": "check-1", "operation": "create", "status": "fail"},
        {"key": "never", "operation": "create", "status": "ok", "payment": clean.plain.id},
        {"key": "maybe", "operation": "create", "status": "in_doubt"},
    ]
    told.write_text("".join(json.dumps(line) + "\n" for line in lines))
    sink = tmp_path / "sink.jsonl"
    events = [{"id": f"evt_{seq}", "payment": "pi_1", "sequence": seq} for seq in (1, 3, 1, 2)]
    sink.write_text("".join(json.dumps(line) + "\n" for line in events))
    found = await verdict(clean.demo, history=told, sink=sink)
    wrong = red(found)
    assert set(wrong) == {"history_agrees", "webhooks_in_order"}
    assert len(wrong["history_agrees"]) == 3
    assert wrong["webhooks_in_order"] == ["evt_2 version 2 of pi_1 came first after evt_3"]
