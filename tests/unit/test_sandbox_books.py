"""The sandbox bank's books, journal, checks, fault rules and settings, without a process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import json, structs

from bailiwick_sandbox import config
from bailiwick_sandbox.bank import checks, currencies, identifiers
from bailiwick_sandbox.bank.answers import CaptureView, IncrementView, charge_view
from bailiwick_sandbox.bank.books import Books
from bailiwick_sandbox.bank.delay import Delay, DelayRequest
from bailiwick_sandbox.bank.journal import Journal, JournalError
from bailiwick_sandbox.bank.ledger import Ledger
from bailiwick_sandbox.bank.records import (
    CaptureRequest,
    Charge,
    ChargeRequest,
    IncrementRequest,
    RefundRequest,
    Refusal,
    VoidRequest,
)
from bailiwick_sandbox.bank.sources import SOURCES, describe
from bailiwick_sandbox.faults import FaultBoard, Params, RuleRequest
from bailiwick_sandbox.web.views import export, operation_view


class Bank:
    """One bank over one journal, with a clock to turn."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_800_000_000_000
        provider = config.ProviderConfig(
            "rhein-bank", "Rhein Bank", "large_domestic_bank", "key-12345678", "secret-12345678"
        )
        self.config = config.Config([provider], config.ServerConfig(settle_ms=500))
        self.path = folder / "books.jsonl"
        self.open()

    def open(self) -> None:
        self.journal = Journal(self.path)
        self.books = Books(self.config, self.journal, lambda: self.now)
        self.ledger: Ledger = self.books.ledgers["rhein-bank"]

    def reopen(self) -> None:
        self.journal.close()
        self.open()

    def charge(
        self,
        reference: str,
        amount: int = 1000,
        source: str = "pm_card_visa",
        capture: bool = True,
        currency: str = "EUR",
        percent: int = 100,
        **more: Any,
    ) -> Charge:
        request = ChargeRequest(reference, amount, currency, source, capture, **more)
        redirect = "http://127.0.0.1/pay/".__add__
        return self.books.charge(self.ledger, request, redirect, percent=percent)[0]


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    yield made
    made.journal.close()


def refusal(code: str) -> pytest.RaisesExc[Refusal]:
    return pytest.RaisesExc(Refusal, check=lambda error: error.code == code)


def test_a_reference_is_charged_once_and_never_for_another_body(bank: Bank) -> None:
    first = bank.charge("r1")
    assert bank.charge("r1") == first
    with refusal("reference_mismatch"):
        bank.charge("r1", amount=1001)
    with refusal("reference_mismatch"):
        bank.books.refund(bank.ledger, RefundRequest("r1", first.id, 1))
    assert len(bank.ledger.charges) == 1


def test_partial_capture_releases_the_rest(bank: Bank) -> None:
    held = bank.charge("r1", capture=False)
    with refusal("amount_too_large"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c0", 1001))
    taken, replayed = bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 400))
    assert (taken.status, taken.amount_captured, replayed) == ("captured", 400, False)
    assert bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 400)) == (taken, True)
    with refusal("reference_mismatch"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 500))
    with refusal("already_captured"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c2"))
    with refusal("already_captured"):
        bank.books.void(bank.ledger, held.id, VoidRequest("v1"))
    with refusal("amount_too_large"):
        bank.books.refund(bank.ledger, RefundRequest("f1", held.id, 401))


def test_several_captures_and_the_rest_released(bank: Bank) -> None:
    held = bank.charge("r1", capture=False)
    for number, amount in enumerate((300, 200)):
        request = CaptureRequest(f"c{number}", amount, False)
        row, replayed = bank.books.capture(bank.ledger, held.id, request)
        assert (row.status, replayed) == ("authorized", False)
        assert bank.books.capture(bank.ledger, held.id, request) == (row, True)
        with refusal("reference_mismatch"):
            bank.books.capture(bank.ledger, held.id, CaptureRequest(f"c{number}", amount))
    assert row.amount_captured == 500
    view = operation_view(bank.books, bank.ledger, "c1").charge.capture
    assert isinstance(view, CaptureView) and (view.amount, view.final) == (200, False)
    with refusal("amount_too_large"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c2", 501))
    bank.books.refund(bank.ledger, RefundRequest("f1", held.id, 500))
    with refusal("amount_too_large"):
        bank.books.refund(bank.ledger, RefundRequest("f2", held.id, 1))
    row, _ = bank.books.void(bank.ledger, held.id, VoidRequest("v1"))
    assert (row.status, row.amount_captured) == ("captured", 500)
    with refusal("already_captured"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c3", 1))


def test_a_partly_captured_authorization_expires_as_captured(bank: Bank) -> None:
    held = bank.charge("r1", capture=False)
    bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 300, False))
    bank.now = held.expires_at
    with refusal("expired"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c2", 300))
    assert bank.ledger.charges[held.id].status == "captured"


def test_more_than_was_authorized_where_it_was_asked_for(bank: Bank) -> None:
    request = ChargeRequest("r1", 1000, "usd", "pm_card_visa", False, overcapture=True)
    held, _ = bank.books.charge(bank.ledger, request, str)
    bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 400, False))
    with refusal("amount_too_large"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c2", 601, False))
    with refusal("amount_too_large"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c3", 751))
    row, _ = bank.books.capture(bank.ledger, held.id, CaptureRequest("c4", 750))
    assert (row.status, row.amount_captured) == ("captured", 1150)


def test_more_is_held(bank: Bank) -> None:
    held = bank.charge("r1", capture=False)
    row, replayed = bank.books.increment(bank.ledger, held.id, IncrementRequest("i1", 1500))
    assert (row.status, row.amount, row.amount_authorized, replayed) == (
        "authorized", 1000, 1500, False,
    )  # fmt: skip
    request = IncrementRequest("i1", 1500)
    assert bank.books.increment(bank.ledger, held.id, request) == (row, True)
    with refusal("reference_mismatch"):
        bank.books.increment(bank.ledger, held.id, IncrementRequest("i1", 1600))
    with refusal("amount_too_small"):
        bank.books.increment(bank.ledger, held.id, IncrementRequest("i2", 1500))
    row, _ = bank.books.increment(bank.ledger, held.id, IncrementRequest("i3", 1501))
    view = operation_view(bank.books, bank.ledger, "i1").charge
    assert isinstance(view.increment, IncrementView)
    assert (view.increment.amount, view.amount_authorized) == (1500, 1501)
    with refusal("amount_too_large"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 1502))
    row, _ = bank.books.capture(bank.ledger, held.id, CaptureRequest("c2", 1400, False))
    with refusal("already_captured"):
        bank.books.increment(bank.ledger, held.id, IncrementRequest("i4", 1600))
    row, _ = bank.books.capture(bank.ledger, held.id, CaptureRequest("c3", 101))
    assert (row.status, row.amount_captured) == ("captured", 1501)
    with refusal("already_captured"):
        bank.books.increment(bank.ledger, held.id, IncrementRequest("i5", 1600))


def test_a_source_that_grants_no_more(bank: Bank) -> None:
    held = bank.charge("r1", source="pm_sandbox_increment_decline", capture=False)
    with refusal("card_declined"):
        bank.books.increment(bank.ledger, held.id, IncrementRequest("i1", 1500))
    assert bank.ledger.charges[held.id].amount_authorized == 1000


def test_void_once_and_only_while_nothing_is_captured(bank: Bank) -> None:
    for source in ("pm_card_visa", "pm_sandbox_pending", "pm_card_threeDSecure2Required"):
        row = bank.charge(f"r-{source}", source=source, capture=False)
        row, _ = bank.books.void(bank.ledger, row.id, VoidRequest(f"v-{source}"))
        assert row.status == "voided"
        with refusal("already_voided"):
            bank.books.void(bank.ledger, row.id, VoidRequest(f"w-{source}"))
        bank.now += 10_000
        assert bank.books.advance_charge(bank.ledger, row.id) == (row, False)
    declined = bank.charge("d", source="pm_card_chargeDeclined")
    with refusal("not_voidable"):
        bank.books.void(bank.ledger, declined.id, VoidRequest("vd"))


def test_an_authorization_expires(bank: Bank) -> None:
    held = bank.charge("r1", capture=False)
    bank.now = held.expires_at
    with refusal("expired"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c1"))
    view = operation_view(bank.books, bank.ledger, "r1")
    assert (view.charge.status, view.status) == ("voided", "succeeded")
    assert export(bank.books, None)["charges"][0]["void_reason"] == "expired"


def test_refunds_count_pending_and_give_back_failed_ones(bank: Bank) -> None:
    slow = bank.charge("r1", source="pm_card_pendingRefund")
    refund, _ = bank.books.refund(bank.ledger, RefundRequest("f1", slow.id, 700))
    assert refund.status == "pending"
    with refusal("amount_too_large"):
        bank.books.refund(bank.ledger, RefundRequest("f2", slow.id, 301))
    bank.now += 500
    assert bank.books.advance_refund(bank.ledger, refund.id)[0].status == "succeeded"

    failing = bank.charge("r2", source="pm_card_refundFail")
    refund, _ = bank.books.refund(bank.ledger, RefundRequest("f3", failing.id, 1000))
    assert refund.status == "succeeded"
    bank.now += 500
    refund, changed = bank.books.advance_refund(bank.ledger, refund.id)
    assert changed
    assert refund.status == "failed"
    assert refund.failure is not None
    assert bank.ledger.charges[failing.id].amount_refunded == 0
    assert operation_view(bank.books, bank.ledger, "f3").status == "failed"
    again, _ = bank.books.refund(bank.ledger, RefundRequest("f4", failing.id, 1000))
    assert again.status == "succeeded"


def test_partial_approval_books_the_part(bank: Bank) -> None:
    row = bank.charge("r1", percent=50)
    assert (row.amount, row.amount_authorized, row.amount_captured) == (1000, 500, 500)
    assert charge_view(row).amount_authorized == 500
    held = bank.charge("r2", percent=50, capture=False)
    with refusal("amount_too_large"):
        bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 501))


def test_lies_never_reach_the_books(bank: Bank) -> None:
    request = ChargeRequest("r1", 1000, "usd", "pm_card_visa", True)
    row, _ = bank.books.charge(bank.ledger, request, str, lie="wrong_amount")
    assert charge_view(row).amount == 1100
    assert charge_view(row, "wrong_currency").currency == "eur"
    assert b'"amount":' not in json.encode(charge_view(row, "missing_amount"))
    assert export(bank.books, "rhein-bank")["charges"][0]["amount"] == 1000


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_order_of_requests_breaks_a_bank(bank: Bank, data: st.DataObject) -> None:
    fresh = (f"{len(bank.ledger.references)}-{n}" for n in itertools.count())
    source = data.draw(
        st.sampled_from(["pm_card_visa", "pm_card_refundFail", "pm_card_pendingRefund"])
    )
    row = bank.charge(next(fresh), source=source, capture=data.draw(st.booleans()))
    amounts = st.integers(1, 1200)
    for step in data.draw(st.lists(st.sampled_from("cvrrt"), max_size=8)):
        try:
            if step == "c":
                request = CaptureRequest(next(fresh), data.draw(amounts), data.draw(st.booleans()))
                bank.books.capture(bank.ledger, row.id, request)
            elif step == "v":
                bank.books.void(bank.ledger, row.id, VoidRequest(next(fresh)))
            elif step == "r":
                refund_request = RefundRequest(next(fresh), row.id, data.draw(amounts))
                bank.books.refund(bank.ledger, refund_request)
        except Refusal:
            pass
        if step == "t":
            bank.now += 500
            for refund in list(bank.ledger.refunds.values()):
                bank.books.advance_refund(bank.ledger, refund.id)
        now = bank.ledger.charges[row.id]
        counted = sum(
            refund.amount
            for refund in bank.ledger.refunds.values()
            if refund.charge == row.id and refund.status != "failed"
        )
        assert counted == now.amount_refunded <= now.amount_captured <= now.amount_authorized
        captures = [c for c in bank.ledger.captures.values() if c.charge == row.id]
        finals = sum(c.final for c in captures)
        assert finals <= 1 and (not finals or now.status == "captured")
        assert row.capture or sum(c.amount for c in captures) == now.amount_captured
        assert not (now.status == "voided" and now.amount_captured)


def test_replaying_the_journal_gives_the_same_books(bank: Bank) -> None:
    bank.charge("r1")
    held = bank.charge("r2", capture=False)
    bank.books.capture(bank.ledger, held.id, CaptureRequest("c1", 10))
    bank.books.refund(bank.ledger, RefundRequest("f1", held.id, 5))
    bank.books.void(bank.ledger, bank.charge("r3", capture=False).id, VoidRequest("v1"))
    bank.charge("r4", source="pm_sandbox_pending")
    before = export(bank.books, None)
    bank.reopen()
    assert export(bank.books, None) == before
    assert len(list(bank.books.unfinished())) == 1
    assert bank.charge("r5").id not in {row["id"] for row in before["charges"]}


def test_a_torn_last_line_is_cut_off_and_a_torn_middle_refused(bank: Bank) -> None:
    bank.charge("r1")
    whole = bank.path.read_bytes()
    bank.journal.close()
    bank.path.write_bytes(whole + b'{"charge":{"provider":"rhein')
    bank.open()
    assert bank.path.read_bytes() == whole
    bank.charge("r2")
    bank.journal.close()
    bank.path.write_bytes(whole + b'{"charge":\n' + whole.splitlines(keepends=True)[1])
    with pytest.raises(JournalError, match="line 3"):
        bank.open()
    bank.journal.close()
    bank.path.write_bytes(b"something else entirely\n")
    with pytest.raises(JournalError, match="not the books"):
        bank.open()
    bank.journal.close()


def test_one_journal_has_one_writer(bank: Bank) -> None:
    with pytest.raises(JournalError, match="another sandbox"):
        Journal(bank.path)


def test_nothing_happens_when_the_disk_refuses(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_line: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(bank.journal, "_write", full)
        with refusal("books_unavailable"):
            bank.charge("r1")
    assert not bank.ledger.references
    assert bank.charge("r1").id.endswith("000000001")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"reference":"r","amount":1.5}', "amount"),
        (b'{"reference":"r","amount":-1}', "amount"),
        (b'{"reference":"r","amount":0}', "amount"),
        (b'{"reference":"r","amount":10000000000000}', "amount"),
        (b'{"reference":"r","amount":1,"tip":2}', "tip"),
        (b'{"reference":"","amount":1}', "reference"),
        (b'{"amount":1}', "reference"),
        (b"{", None),
        (b'{"reference":"\xff"}', None),
    ],
)
def test_unfit_bodies_name_the_field(body: bytes, param: str | None) -> None:
    with pytest.raises(Refusal) as caught:
        checks.decode(json.Decoder(CaptureRequest), body)
    assert (caught.value.status, caught.value.param) == (400, param)


def test_currencies(bank: Bank) -> None:
    for wrong in ("XXX", "EURO", "Eur", ""):
        with refusal("currency_unknown"):
            bank.charge("r1", currency=wrong)
    with pytest.raises(Refusal, match="Only INR"):
        checks.check_currency(["INR"], "EUR")
    checks.check_currency(["INR"], "inr")
    shown = [currencies.display(1234, code) for code in ("JPY", "KWD", "eur")]
    assert shown == ["1,234 JPY", "1.234 KWD", "12.34 EUR"]


def test_only_loopback_is_called_back() -> None:
    for good in ("http://127.0.0.1:1/x", "http://localhost/", "http://[::1]:9/"):
        assert checks.callback_problem(good, ()) is None
    for bad in ("http://10.0.0.1/", "http://bank.example/", "ftp://127.0.0.1/", "x", "http://a b/"):
        assert checks.callback_problem(bad, ())
    assert checks.callback_problem("http://bank.example/", ("bank.example",)) is None


def test_the_source_table_has_both_spellings() -> None:
    for name in ("pm_card_visa", "tok_visa", "pm_card_in", "pm_sandbox_late"):
        assert name in SOURCES
    for prefix, infix in itertools.product(("pm_card_", "tok_"), ("", "visa_")):
        decline = SOURCES[f"{prefix}{infix}chargeDeclinedInsufficientFunds"].decline
        assert decline is not None
        assert decline.decline_code == "insufficient_funds"
    assert describe().keys() == SOURCES.keys()


@pytest.mark.parametrize("kind", get_args(config.Kind))
def test_ids_are_unique(kind: config.Kind) -> None:
    numbering = identifiers.Numbering(kind)
    assert len({numbering.next(1_800_000_000_000) for _ in range(2000)}) == 2000


def test_fault_rules_are_counted_shared_and_combined() -> None:
    node_monitor = FaultBoard(seed=7)
    node_monitor.add(RuleRequest("charge", "latency", params=Params(delay_ms=30)))
    once = node_monitor.add(RuleRequest("charge", "reset_after", provider="a", times=1))
    assert node_monitor.pick("b", "charge") == (None, 30)
    fault, delay_ms = node_monitor.pick("a", "charge")
    assert fault is not None
    assert (fault.kind, delay_ms) == ("reset_after", 30)
    assert node_monitor.pick("a", "charge")[0] is None
    assert [rule.hits for rule in node_monitor.view() if rule.id == once] == [1]
    assert node_monitor.remove() == 2
    node_monitor.add(RuleRequest("*", "error_500_before", share=0.3))
    hits = sum(node_monitor.pick("a", "query")[0] is not None for _ in range(1000))
    assert 230 < hits < 370
    assert node_monitor.pick("a", "callback")[0] is None
    with pytest.raises(ValueError, match="callback"):
        node_monitor.add(RuleRequest("callback", "late"))


def test_the_delay_has_the_percentiles_asked_for() -> None:
    delay = Delay(seed=3)
    assert delay.sample_ms() == 0
    delay.set(DelayRequest("lognormal", 20, 200))
    drawn = sorted(delay.sample_ms() for _ in range(20_000))
    assert 19 < drawn[10_000] < 21
    assert 170 < drawn[19_800] < 235
    with pytest.raises(ValueError, match="p99_ms"):
        delay.set(DelayRequest("lognormal", 20, 10))


def test_default_settings_are_kept_once_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "sandbox.toml"
    made = config.write_default(path, public_url="http://127.0.0.1:9400")
    assert config.load(path) == made == config.write_default(path)
    assert path.stat().st_mode & 0o077 == 0
    assert len(made.providers) == 9
    assert {provider.kind for provider in made.providers} == set(get_args(config.Kind))


def test_all_problems_of_the_settings_are_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sandbox.toml"
    good = config.ProviderConfig("a", "A", "foreign_bank", "key-12345678", "secret-12345678")
    bad = structs.replace(good, name="books", currencies=["eur"], callback_secret="x")
    path.write_text(config.render(config.Config([good, bad])))
    with pytest.raises(config.ConfigError) as caught:
        config.load(path)
    for field in ("name", "api_key", "callback_secret", "currencies"):
        assert f"providers[1].{field}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "without", "agreed"),
    [
        ("visa", "captured", "captured"),
        ("authenticationRequired", "declined", "declined"),
        ("authenticationRequiredOnSetup", "declined", "captured"),
        ("authenticationRequiredSetupForOffSession", "captured", "captured"),
        ("threeDSecure2Required", "declined", "declined"),
        ("chargeDeclined", "declined", "declined"),
    ],
)
def test_who_is_not_there_cannot_authenticate(
    bank: Bank, name: str, without: str, agreed: str
) -> None:
    """The table of https://docs.stripe.com/testing, "3D Secure authentication"."""
    source = f"pm_card_{name}"
    first = bank.charge("first", source=source, store=True)
    alone = bank.charge("alone", source=source, off_session=True)
    assert alone.status == without
    assert charge_view(alone).agreement is msgspec.UNSET
    if first.status == "action_required":
        assert charge_view(first).agreement is msgspec.UNSET, "nobody has agreed yet"
        with pytest.raises(Refusal, match="No such agreement"):
            bank.charge("early", source=source, off_session=True, agreement=first.id)
        first, _ = bank.books.answer_action(bank.ledger, first.id, True)
    if first.status != "captured":
        return
    assert charge_view(first).agreement == first.id
    bank.reopen()
    later = bank.charge("later", source=source, off_session=True, agreement=first.id)
    assert later.status == agreed
    for row in (alone, later):
        if row.status == "declined":
            assert row.decline is not None
            assert row.decline.decline_code == "authentication_required"


def test_an_agreement_is_one_payer_s(bank: Bank) -> None:
    stored = bank.charge("stored", store=True)
    plain = bank.charge("plain")
    for agreement, source in (
        (plain.id, "pm_card_visa"), (stored.id, "pm_card_mastercard"), ("x", "pm_card_visa"),
    ):  # fmt: skip
        with pytest.raises(Refusal, match="No such agreement"):
            bank.charge("again", source=source, off_session=True, agreement=agreement)
    done = bank.charge("again", off_session=True, agreement=stored.id)
    assert done.status == "captured"
    for other in ({}, {"off_session": True}, {"off_session": True, "agreement": stored.id,
                                              "store": True}):  # fmt: skip
        with pytest.raises(Refusal) as refused:
            bank.charge("again", **other)
        assert refused.value.code == "reference_mismatch"
