"""Blocks that wallets share: amounts in whole units, clocks, signed forms, what an end means."""

import json
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bailiwick.base.money import CURRENCIES
from bailiwick.channels.blocks import amounts, times, wallets
from bailiwick.channels.blocks.signing import forms
from bailiwick.channels.contract import (
    Account,
    Act,
    Action,
    BadSecret,
    CallbackRefused,
    CannotExpress,
    Context,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
)
from tests.providers.keys import Keys, is_signed

PROFILE = Profile(
    "p", "P", {Operation.CHARGE: (Resolve.REFERENCE,)}, 1, exponents={"JPY": 2, "KWD": 2}
)
OURS, THEIRS = Keys.made(), Keys.made()
SECRETS = {
    "private_key": OURS.private,
    "public": THEIRS.public,
    "provider_private_key": THEIRS.private,
}
ACCOUNT = Account("g", "https://p.test", SECRETS, options={"app": "1"})
NOW_MS = 1_790_000_000_000


# Amounts


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1, "CNY", "0.01"),
        (8_888, "CNY", "88.88"),
        (100_000_000_00, "CNY", "100000000.00"),
        (1_999, "JPY", "1999.00"),
        (1_230, "KWD", "1.23"),
        (500, "KRW", "500"),
    ],
)
def test_amounts_in_whole_units(amount: int, currency: str, text: str) -> None:
    assert amounts.to_major(PROFILE, amount, currency) == text
    assert amounts.from_major(PROFILE, Decimal(text), currency) == amount


def test_what_no_decimals_can_say_is_not_said() -> None:
    for amount, currency in ((1, "KWD"), (1, "XXX")):
        with pytest.raises(CannotExpress):
            amounts.to_major(PROFILE, amount, currency)
    for text in ("0.001", "1E-9", "-1", "NaN", "Infinity", "1E+30"):
        assert amounts.from_major(PROFILE, Decimal(text), "CNY") is None
    assert amounts.from_major(PROFILE, None, "CNY") is None
    assert amounts.from_major(PROFILE, Decimal(1), None) is None


@given(st.integers(0, 10**12), st.sampled_from(sorted(CURRENCIES)))
def test_whole_units_come_back(amount: int, currency: str) -> None:
    if amounts.expressible(PROFILE, amount, currency):
        text = amounts.to_major(PROFILE, amount, currency)
        assert amounts.from_major(PROFILE, Decimal(text), currency) == amount


# Clocks


def test_clocks_of_a_place() -> None:
    assert times.clock(NOW_MS + 999, 8) == "2026-09-21 22:13:20"
    assert times.clock(NOW_MS) == "2026-09-21 14:13:20"
    assert times.rfc3339(NOW_MS, 8) == "2026-09-21T22:13:20+08:00"
    assert times.of_clock("2026-09-21 22:13:20", 8) == NOW_MS
    assert times.of_clock("2026-09-21 11:13:20", -3) == NOW_MS
    for text in (None, "", "2026-09-21", "2026-09-21T22:13:20", "2026-02-30 00:00:00", " " * 19):
        assert times.of_clock(text, 8) is None


@given(st.integers(0, 4_000_000_000), st.integers(-12, 14))
def test_clocks_come_back(second: int, hours: int) -> None:
    assert times.of_clock(times.clock(second * 1000, hours), hours) == second * 1000


# Signed forms, answers with a signed member


def test_a_form_is_signed_over_what_has_a_value() -> None:
    form = forms.signed({"b": "2 &=", "a": "1", "c": None, "d": ""}, ACCOUNT)
    body, _, signature = form.partition("&sign=")
    assert body == "b=2+%26%3D&a=1"
    assert is_signed(OURS.public, b"a=1&b=2 &=", json.loads(f'"{_unquoted(signature)}"'))
    with pytest.raises(BadSecret, match=r"secrets\.private_key"):
        forms.signed({"a": "1"}, replace(ACCOUNT, secrets={"private_key": "none"}))


def _unquoted(text: str) -> str:
    return text.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=")


MEMBER = forms.SignedMember("_response", "public")


def test_a_signed_member_is_read_as_it_is_written() -> None:
    reply = Reply(200, {}, b'{ "x_response" : {"a" : "\\/",\t"b": 1} }')
    sent = MEMBER.sign(reply, ACCOUNT, 0)
    assert MEMBER.sign(sent, ACCOUNT, 0) == sent, "once"
    assert MEMBER.read(sent, ACCOUNT, "x_response") == b'{"a" : "\\/",\t"b": 1}'
    assert MEMBER.read(sent, ACCOUNT, "y_response") is None
    for other in (
        reply,
        Reply(200, {}, sent.body.replace(b'"b": 1', b'"b": 2')),
        Reply(200, {}, b""),
    ):
        assert MEMBER.read(other, ACCOUNT, "x_response") is None
    stranger = replace(ACCOUNT, secrets={**SECRETS, "public": Keys.made().public})
    nobody = replace(ACCOUNT, secrets={**SECRETS, "public": ""})
    for account in (stranger, nobody):
        assert MEMBER.read(sent, account, "x_response") is None
    for body in (b"", b"{}", b"[]", b'{"other":1}', b"\xff"):
        assert MEMBER.sign(Reply(200, {}, body), ACCOUNT, 0).body == body


FORM = forms.SignedForm("app", 8, "public")


def called(**given: str) -> Notice:
    return Notice("POST", "https://node.test/c", {}, urlencode({"app": "1", **given}).encode())


def test_a_signed_callback_has_its_time() -> None:
    sent = FORM.sign(called(a="1", empty=""), ACCOUNT, NOW_MS)
    assert FORM.check(sent, ACCOUNT, NOW_MS + 300_000)
    assert not FORM.check(sent, ACCOUNT, NOW_MS + 301_000)
    assert not FORM.check(sent, ACCOUNT, NOW_MS - 301_000)
    assert forms.fields(sent)["empty"] == ""


def test_callbacks_that_are_not_genuine() -> None:
    sent = FORM.sign(called(a="1"), ACCOUNT, NOW_MS)
    other = replace(ACCOUNT, secrets={**SECRETS, "provider_private_key": Keys.made().private})
    for wrong, match in (
        (FORM.sign(called(a="1", app="2"), ACCOUNT, NOW_MS), "another app"),
        (FORM.sign(called(a="1"), other, NOW_MS), "does not fit"),
        (replace(sent, body=sent.body + b"&a=2"), "twice"),
        (replace(sent, body=sent.body.replace(b"a=1", b"a=2")), "does not fit"),
        (replace(sent, body=sent.body.replace(b"RSA2", b"RSA1")), "does not fit"),
        (called(a="1"), "does not fit"),
        (replace(sent, body=b"\xff"), "no form"),
        (replace(sent, body=b"nothing"), "no form"),
        (replace(sent, body=b""), "does not fit"),
    ):
        with pytest.raises(CallbackRefused, match=match):
            FORM.check(wrong, ACCOUNT, NOW_MS)
    with pytest.raises(CallbackRefused, match=r"secrets\.public"):
        FORM.check(sent, replace(ACCOUNT, secrets={"public": "none"}), NOW_MS)


# What an end means

ORDER = Instruction(
    Operation.CHARGE, "ch_1", 100, "CNY", expires_ms=NOW_MS, context=Context(NOW_MS, 1)
)


def test_a_payer_s_time_is_over_when_it_has_run_out() -> None:
    assert wallets.is_over(ORDER)
    assert not wallets.is_over(replace(ORDER, expires_ms=NOW_MS + 1))
    assert not wallets.is_over(ORDER, by_ms=1)
    assert wallets.is_over(replace(ORDER, expires_ms=NOW_MS - 1), by_ms=1)
    assert not wallets.is_over(replace(ORDER, expires_ms=None))
    assert not wallets.is_over(replace(ORDER, context=None))


def test_what_the_payer_has_to_do_ends_with_the_payer_s_time() -> None:
    made = wallets.made(ORDER, Action(Act.SHOWN_CODE, text="x"), "1")
    assert made.action == Action(Act.SHOWN_CODE, text="x", expires_ms=NOW_MS)
    assert wallets.waits(ORDER).action == Action(Act.WAIT, expires_ms=NOW_MS)
    assert wallets.made(ORDER, None).outcome is Outcome.UNKNOWN
    assert wallets.absent().not_found and wallets.absent().outcome is Outcome.UNKNOWN
    gone = wallets.gone(ORDER)
    assert (gone.outcome, gone.amount, gone.captured) == (Outcome.APPROVED, 100, False)


def test_codes_beside_a_channel(tmp_path: Path) -> None:
    (tmp_path / "codes.toml").write_text(
        '[charge]\ninsufficient_funds = ["POOR"]\nprocessing_error = ["SHUT"]\n'
        '[refund]\nrefund_failed = ["NO"]\n',
        encoding="utf-8",
    )
    codes = wallets.Codes.beside(str(tmp_path / "__init__.py"))
    poor = codes.refused(Operation.CHARGE, "POOR", "No.")
    assert (poor.outcome, poor.decline_code, poor.message) == (
        Outcome.DECLINED, "insufficient_funds", "No.",
    )  # fmt: skip
    assert codes.refused(Operation.CHARGE, "SHUT", None).retryable and not poor.retryable
    assert codes.refused(Operation.REFUND, "NO", None).code == "refund_failed"
    for operation, code in (
        (Operation.REFUND, "POOR"), (Operation.VOID, "NO"), (Operation.CHARGE, "New Code"),
        (Operation.CHARGE, None), (Operation.CHARGE, ""),
    ):  # fmt: skip
        assert codes.refused(operation, code, "x").outcome is Outcome.UNKNOWN
