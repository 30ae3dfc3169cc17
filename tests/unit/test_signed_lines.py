"""Answers and callbacks signed over lines, by certificates that change or by a provider's own key;
and a gateway of signed forms."""

import json

import msgspec
import pytest
from msgspec.structs import replace

from bailiwick.channels.blocks.signing import certificates, encryption, forms, lines
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    CallbackRefused,
    CannotExpress,
    Context,
    Notice,
    NotPrepared,
    Outcome,
    Prepared,
    Refused,
    Reply,
    Result,
)
from tests.providers.keys import Keys, certificate

NOW_MS = 1_790_000_000_000
OURS, THEIRS, OTHERS = Keys.made(), Keys.made(), Keys.made()
KEY_ID, SERIAL = "PUB_KEY_ID_1", "A1B2"
BY = lines.SignedLines("P", "P-SHA256", "p-")
ANSWERS, CALLBACKS = lines.Answers(BY), lines.Callbacks(BY)
SECRETS = {
    "private_key": OURS.private,
    "api_v3_key": "0" * 32,
    "provider_private_key": THEIRS.private,
}
CERTIFICATE = certificate(THEIRS, 0xA1B2)
OPTIONS = {"mchid": "1", "serial_no": "AA"}
BY_CERTIFICATE = Account(
    "g", "https://p.test", SECRETS, options=OPTIONS,
    prepared={"certificates": {SERIAL: CERTIFICATE}},
)  # fmt: skip
BY_KEY = replace(
    BY_CERTIFICATE, secrets={**SECRETS, "public_key": THEIRS.public},
    options={**OPTIONS, "public_key_id": KEY_ID}, prepared={},
)  # fmt: skip
BOTH = pytest.mark.parametrize("account", [BY_CERTIFICATE, BY_KEY], ids=["certificate", "key"])
ASKED = Context(NOW_MS, 1)


class Told(msgspec.Struct, frozen=True):
    mchid: str | None = None
    state: str | None = None


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, {}, body)


@BOTH
def test_an_answer_is_read_if_it_is_signed(account: Account) -> None:
    sent = ANSWERS.sign(reply(b'{"state":"PAID"}'), account, NOW_MS)
    assert ANSWERS.sign(sent, account, NOW_MS + 1) == sent, "once"
    assert ANSWERS.told(sent, account, ASKED, Told) == Told(state="PAID")
    nothing = ANSWERS.sign(reply(b"", 204), account, NOW_MS)
    assert ANSWERS.told(nothing, account, ASKED, Told) is None
    for wrong in (
        replace(sent, body=b'{"state":"PAIN"}'),
        replace(sent, headers={}),
        replace(sent, headers={**sent.headers, "p-nonce": "1"}),
        replace(sent, headers={**sent.headers, "p-signature-type": "P-SM2"}),
        replace(sent, headers={**sent.headers, "p-serial": "C3"}),
        reply(b'{"state":"PAID"}'),
    ):
        found = ANSWERS.told(wrong, account, ASKED, Told)
        assert isinstance(found, Result) and found.outcome is Outcome.UNKNOWN
        assert found.detail == "not_signed"
    forged = replace(account, secrets={**account.secrets, "provider_private_key": OTHERS.private})
    assert not ANSWERS.is_signed(ANSWERS.sign(reply(b"{}"), forged, NOW_MS), account, ASKED)


def test_an_answer_from_before_it_was_asked_is_none() -> None:
    late = Context(NOW_MS + 301_000, 1)
    sent = ANSWERS.sign(reply(b"{}"), BY_KEY, NOW_MS)
    assert ANSWERS.is_signed(sent, BY_KEY, Context(NOW_MS + 300_000, 1))
    assert ANSWERS.is_signed(sent, BY_KEY, None)
    assert not ANSWERS.is_signed(sent, BY_KEY, late)


def test_what_decides_nothing_says_why() -> None:
    for status, body, why in (
        (401, b"{}", "credentials"), (204, b"", "not_signed"), (502, b"<html>", "http_502"),
    ):  # fmt: skip
        found = ANSWERS.told(reply(body, status), BY_KEY, ASKED, Told)
        assert isinstance(found, Result) and found.detail == why
    broken = ANSWERS.sign(reply(b'{"state":1}'), BY_KEY, NOW_MS)
    found = ANSWERS.told(broken, BY_KEY, ASKED, Told)
    assert isinstance(found, Result) and found.detail == "unreadable"


def test_who_changes_over_to_a_key_names_it() -> None:
    for wrong in (
        replace(BY_KEY, options=OPTIONS),
        replace(BY_KEY, secrets=SECRETS),
        replace(BY_KEY, secrets={**BY_KEY.secrets, "api_v3_key": "short"}),
    ):
        with pytest.raises(BadSecret, match=r"secrets\."):
            BY.check_keys(wrong)
    BY.check_keys(BY_KEY)
    BY.check_keys(BY_CERTIFICATE)
    assert "p-serial" not in BY.get(BY_CERTIFICATE, "/a", ASKED).headers
    assert BY.get(BY_KEY, "/a", ASKED).headers["p-serial"] == KEY_ID
    with pytest.raises(CannotExpress):
        BY.get(BY_KEY, "/a", None)


def called(account: Account, **told: str) -> Notice:
    note = {"id": "n1", "event_type": "PAID", "resource": told}
    notice = Notice("POST", "https://node.test/c", {}, json.dumps(note).encode())
    return CALLBACKS.sign(notice, account, NOW_MS)


@BOTH
def test_a_callback_is_opened_by_its_owner(account: Account) -> None:
    sent = called(account, mchid="1", state="PAID")
    assert b"PAID" not in sent.body.replace(b'"event_type":"PAID"', b"")
    assert CALLBACKS.check(sent, account, NOW_MS + 300_000)
    assert not CALLBACKS.check(sent, account, NOW_MS + 301_000)
    note, told = CALLBACKS.opened(sent, account, Told)
    assert (note.id, told.state) == ("n1", "PAID")
    with pytest.raises(CallbackRefused, match="another mchid"):
        CALLBACKS.opened(called(account, mchid="2"), account, Told)
    with pytest.raises(CallbackRefused, match="another mchid"):
        CALLBACKS.opened(called(account), account, Told)
    for key, match in (("1" * 32, "not sealed"), ("short", "api_v3_key")):
        other = replace(account, secrets={**account.secrets, "api_v3_key": key})
        with pytest.raises(CallbackRefused, match=match):
            CALLBACKS.opened(sent, other, Told)


def test_a_certificate_that_is_not_there_is_asked_for() -> None:
    with pytest.raises(NotPrepared):
        CALLBACKS.check(called(BY_CERTIFICATE), replace(BY_CERTIFICATE, prepared={}), NOW_MS)
    with pytest.raises(CallbackRefused, match="another key"):
        CALLBACKS.check(called(BY_CERTIFICATE), BY_KEY, NOW_MS)


def brought(*texts: str, key: str = "0" * 32, status: int = 200) -> Prepared | Refused:
    sealer = Account("p", "", {"api_v3_key": "0" * 32})
    sealed = [
        {"encrypt_certificate": encryption.Sealed.of(sealer, "api_v3_key", "c", each.encode())}
        for each in texts
    ]
    account = replace(BY_CERTIFICATE, secrets={**SECRETS, "api_v3_key": key})
    return BY.brought(reply(msgspec.json.encode({"data": sealed}), status), account, NOW_MS)


def test_certificates_that_are_brought() -> None:
    other = certificate(OTHERS, 0xC3)
    both = brought(CERTIFICATE, other)
    assert isinstance(both, Prepared)
    assert both.values == {SERIAL: CERTIFICATE, "C3": other}
    assert both.lasts_ms == 12 * 3_600_000


def test_certificates_that_are_none() -> None:
    gone = certificate(THEIRS, 0xD4, (2000, 2001))
    for found, remedy in (
        (brought(CERTIFICATE, status=401), "private_key"),
        (brought(CERTIFICATE, key="1" * 32), "api_v3_key"),
        (brought(CERTIFICATE, key="short"), "api_v3_key"),
        (brought(CERTIFICATE, "no certificate"), "api_v3_key"),
        (brought(gone), "clock"),
        (brought(), "clock"),
        (BY.brought(reply(b"{}"), BY_CERTIFICATE, NOW_MS), "base_url"),
        (certificates.brought([CERTIFICATE.encode(), None], NOW_MS, "k", 1), "secrets.k"),
    ):
        assert isinstance(found, Refused) and remedy in found.remedy


MEMBER = forms.SignedMember("_response", "public")
GATEWAY = forms.Gateway("P", "/gate", "p.trade.", 8, "app_id", MEMBER)
CALLER = Account(
    "g", "https://p.test/",
    {**SECRETS, "public": THEIRS.public}, options={"app_id": "7"},
)  # fmt: skip


def test_a_gateway_s_answer_to_a_method() -> None:
    sent = MEMBER.sign(reply(b'{"p_trade_pay_response":{"state":"PAID"}}'), CALLER, 0)
    assert GATEWAY.told(sent, CALLER, "pay", Told) == Told(state="PAID")
    for wrong, why in (
        (reply(b'{"p_trade_pay_response":{}}'), "not_signed"),
        (replace(sent, body=sent.body.replace(b"trade_pay", b"trade_cancel")), "not_signed"),
        (replace(sent, status=502), "http_502"),
    ):
        found = GATEWAY.told(wrong, CALLER, "pay", Told)
        assert isinstance(found, Result)
        assert (found.outcome, found.detail) == (Outcome.UNKNOWN, why)


def test_a_page_s_address_is_not_too_long() -> None:
    assert GATEWAY.page(CALLER, "a=1") == "https://p.test/gate?a=1"
    assert GATEWAY.page(CALLER, "a" * 2_000)
    with pytest.raises(CannotExpress) as cannot:
        GATEWAY.page(CALLER, "a" * 2_001)
    assert cannot.value.param == "return_url"
    with pytest.raises(CannotExpress):
        GATEWAY.form(CALLER, None, "pay", {})


def test_what_is_wrong_with_a_gateway_s_credentials() -> None:
    for body, names in (
        (b'{"p_trade_query_response":{"sub_code":"isv.invalid-signature"}}', "secrets.private_key"),
        (b'{"p_trade_query_response":{"sub_code":"isv.invalid-app-id"}}', "options.app_id"),
        (b'{"p_trade_query_response":{"sub_code":"ELSE"}}', "secrets.public"),
        (b"[]", "secrets.public"),
    ):
        assert names in GATEWAY.problem(reply(body), CALLER)
    assert "500" in GATEWAY.problem(reply(b"", 500), CALLER)
