"""The Alipay channel held against python-alipay-sdk, which signs and verifies by itself, and the
fields and codes of Alipay's own SDKs."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import alipay
import msgspec
import pytest
from alipay.exceptions import AliPayException, AliPayValidationError
from msgspec.structs import replace

from bailiwick.channels import registry
from bailiwick.channels.alipay import CHANNEL, orders, readings
from bailiwick.channels.contract import (
    CallbackRefused,
    CannotExpress,
    Context,
    Instruction,
    Operation,
    Outcome,
    Reply,
    Request,
    Resolve,
    Result,
)
from bailiwick_lab.channel_suite.checks import answers
from bailiwick_lab.channel_suite.subject import NOW_MS, Failed, subject
from tests.providers.keys import Keys

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())
IT = subject(CHANNEL, registry.folder("alipay"))
ACCOUNT = IT.cases.account
SECRETS = ACCOUNT.secrets
ORDERS = IT.cases.instructions


def sdk(ours: bool = True) -> Any:
    """The SDK with the merchant's key to sign by, or as Alipay itself."""
    return alipay.AliPay(
        appid=ACCOUNT.options["app_id"],
        app_private_key_string=SECRETS["private_key" if ours else "provider_private_key"],
        alipay_public_key_string=SECRETS["alipay_public_key"],
    )


def form_of(made: Request | Result) -> dict[str, str]:
    """The parameters of a call, or of what a payer's browser or app calls by itself."""
    if isinstance(made, Request):
        return dict(parse_qsl(made.body.decode(), strict_parsing=True))
    assert made.action is not None
    form = made.action.parameters.get("orderStr") or urlsplit(made.action.url or "").query
    return dict(parse_qsl(form, strict_parsing=True))


def every_form() -> dict[str, dict[str, str]]:
    found = {"check": form_of(CHANNEL.check(ACCOUNT, NOW_MS))}
    for name, order in ORDERS.items():
        found[name] = form_of(CHANNEL.request(order, ACCOUNT))
        looked_up = CHANNEL.query(order, ACCOUNT, Resolve.REFERENCE)
        assert looked_up is not None
        found[f"{name}, looked up"] = form_of(looked_up)
    return found


FORMS = every_form()


# What is sent


@pytest.mark.parametrize("name", FORMS)
def test_the_sdk_signs_the_same_parameters_alike(name: str) -> None:
    given = dict(FORMS[name])
    signature = given.pop("sign")
    made = dict(parse_qsl(sdk().sign_data(dict(given)), strict_parsing=True))
    assert made == {**given, "sign": signature}


@pytest.mark.parametrize("name", FORMS)
def test_each_parameter_is_one_of_the_method_s(name: str) -> None:
    form = FORMS[name]
    known = PUBLISHED["requests"][form["method"]]
    assert set(json.loads(form["biz_content"])) <= set(known)


def test_each_method_is_asked() -> None:
    assert {form["method"] for form in FORMS.values()} == set(PUBLISHED["requests"])


class Caught(Exception):
    """What the SDK would have sent."""


def by_the_sdk(name: str, *given: str, **more: str | None) -> dict[str, str]:
    """The parameters that a method of the SDK makes, at the time of the cases."""
    maker = sdk()

    def catch(data: dict[str, Any], *_: object) -> None:
        raise Caught(data)

    maker.verified_sync_response = catch
    try:
        form = getattr(maker, f"api_alipay_trade_{name}")(*given, **more)
    except Caught as caught:
        form = maker.sign_data(caught.args[0])
    return dict(parse_qsl(form, strict_parsing=True))


CHARGE, REFUND = ORDERS["charge"], ORDERS["refund"]
OF = CHARGE.reference
MADE = {"subject": "Iphone6 16G", "total_amount": "88.88", "out_trade_no": OF}
TOLD = {"notify_url": CHARGE.callback_url}
QUARTER = {"time_expire": "2026-09-21 22:28:20"}
HALF = {"time_expire": "2026-09-21 22:43:20"}
BACK = {"return_url": "https://shop.test/back"}
TILL = {"product_code": "FACE_TO_FACE_PAYMENT"}
MINI = {"product_code": "JSAPI_PAY", "op_app_id": ACCOUNT.options["app_id"]}
BY_THE_SDK: dict[str, tuple[str, dict[str, str | None]]] = {
    "charge": ("pay", {**MADE, **TOLD, **TILL, "scene": "bar_code", "auth_code": CHARGE.code}),
    "shown": ("precreate", {**MADE, **TOLD, **TILL, **QUARTER}),
    "mini_by_user_id": (
        "create", {**MADE, **TOLD, **MINI, **QUARTER, "buyer_id": "2088102146225135"},
    ),
    "app": ("app_pay", {**MADE, **TOLD, **QUARTER}),
    "page": ("page_pay", {**MADE, **TOLD, **HALF, "return_url": "https://shop.test/back?a=1"}),
    "phone": ("wap_pay", {**MADE, **TOLD, **HALF, **BACK, "product_code": "QUICK_WAP_WAY"}),
    "charge, looked up": ("query", {"out_trade_no": OF}),
    "void": ("cancel", {"out_trade_no": OF}),
    "void_page": ("close", {"out_trade_no": OF}),
    "refund": (
        "refund",
        {"refund_amount": "88.88", "out_trade_no": OF, "out_request_no": REFUND.reference},
    ),
    "refund, looked up": (
        "fastpay_refund_query", {"out_request_no": REFUND.reference, "out_trade_no": OF},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_THE_SDK)
def test_a_request_is_what_the_sdk_makes_of_the_same(name: str) -> None:
    method, given = BY_THE_SDK[name]
    theirs, ours = by_the_sdk(method, **given), dict(FORMS[name])
    for form in (theirs, ours):
        form["biz_content"] = json.loads(form["biz_content"])
        for own in ("sign", "timestamp", "format"):
            form.pop(own, None)
    assert ours == theirs


def test_times_are_of_beijing() -> None:
    assert FORMS["charge"]["timestamp"] == "2026-09-21 22:13:20"
    assert json.loads(FORMS["shown"]["biz_content"])["time_expire"] == "2026-09-21 22:28:20"


# What is answered


@pytest.mark.parametrize("case", IT.cases.answers, ids=lambda case: str(case.name))
def test_the_sdk_reads_the_cases_as_they_are_signed(case: Any) -> None:
    sent = IT.sent(case)
    if sent == case.reply:
        return  # no answer of Alipay's
    text = sent.body.decode()
    (name,) = [each for each in json.loads(text) if each != "sign"]
    told = sdk()._verify_and_return_sync_response(text, name)
    assert told == json.loads(case.reply.body)[name]
    changed = text.replace('"code":"', '"code":"1', 1)
    with pytest.raises(AliPayValidationError):
        sdk()._verify_and_return_sync_response(changed, name)


def test_what_the_sdk_signs_as_alipay_is_believed() -> None:
    case = next(each for each in IT.cases.answers if each.name == "paid")
    told = json.loads(case.reply.body)["alipay_trade_pay_response"]
    for spaces in ((",", ":"), (", ", ": ")):
        raw = json.dumps(told, separators=spaces)
        signature = sdk(ours=False)._sign(raw)
        body = f'{{ "alipay_trade_pay_response" : {raw} , "sign" : "{signature}" }}'.encode()
        assert CHANNEL.parse(CHARGE, Reply(200, {}, body), ACCOUNT) == case.says


def test_what_is_signed_before_its_slashes_are_escaped() -> None:
    order, link = ORDERS["shown"], "https://qr.alipay.com/bax03206ug0kulveltqc80a8"
    raw = f'{{"code":"10000","out_trade_no":"{OF}","qr_code":"{link}"}}'
    escaped = raw.replace("/", "\\/")
    for signed in (raw, escaped):
        body = json.dumps({"sign": sdk(ours=False)._sign(signed)})[:-1]
        body += f',"alipay_trade_precreate_response":{escaped}}}'
        told = CHANNEL.parse(order, Reply(200, {}, body.encode()), ACCOUNT)
        assert told.action is not None and told.action.text == link


def test_an_answer_without_a_signature_is_refused_by_the_sdk_too() -> None:
    text = '{"alipay_trade_pay_response":{"code":"40002","sub_code":"isv.invalid-app-id"}}'
    with pytest.raises(AliPayException):
        sdk()._verify_and_return_sync_response(text, "alipay_trade_pay_response")
    told = CHANNEL.parse(CHARGE, Reply(200, {}, text.encode()), ACCOUNT)
    assert (told.outcome, told.detail) == (Outcome.UNKNOWN, "not_signed")


def test_the_suite_sees_a_channel_that_believes_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(_: object, reply: Reply, account: object, name: str) -> bytes | None:
        found = json.loads(reply.body).get(name) if reply.body.startswith(b"{") else None
        return None if found is None else json.dumps(found).encode()

    monkeypatch.setattr(type(readings.ANSWERS), "read", believing)
    with pytest.raises(Failed, match="not signed"):
        answers.check_an_answer_that_is_not_signed_says_nothing(IT)


def test_it_has_the_fields_that_we_read() -> None:
    known = {"code", "sub_code", "sub_msg", "gmt_refund", "out_biz_no"}
    for names in PUBLISHED["answers"].values():
        known |= set(names)
    assert {each.encode_name for each in msgspec.structs.fields(readings.Told)} <= known


METHODS = {
    Operation.CHARGE: (orders.PAY, orders.SHOW, orders.CREATE),
    Operation.VOID: (orders.CANCEL, orders.CLOSE),
    Operation.REFUND: (orders.REFUND,),
}


@pytest.mark.parametrize("operation", METHODS)
def test_the_codes_that_are_definite_are_published(operation: Operation) -> None:
    published = {code for each in METHODS[operation] for code in PUBLISHED["codes"][each]}
    ours = set(readings._CODES.known[operation.value])
    assert ours <= published
    assert not {code for code in ours if "SYSTEM_ERROR" in code or "HAS_SUCCESS" in code}


@pytest.mark.parametrize("order", [CHARGE, REFUND, ORDERS["void"], ORDERS["void_page"]])
def test_every_published_code_is_read(order: Instruction) -> None:
    method = orders.method_of(order)
    for code in PUBLISHED["codes"][method]:
        told = {"code": "40004", "sub_code": code, "out_trade_no": OF}
        body = json.dumps({f"{method.replace('.', '_')}_response": told}).encode()
        read = IT.channel.parse(order, Reply(200, {}, body), ACCOUNT)
        assert read.outcome in (Outcome.DECLINED, Outcome.UNKNOWN), code
        assert read.detail != "not_signed"


# Callbacks


@pytest.mark.parametrize("case", IT.cases.callbacks, ids=lambda case: str(case.name))
def test_the_sdk_verifies_the_callbacks_of_the_cases(case: Any) -> None:
    given = dict(parse_qsl(IT.signed(case).body.decode(), keep_blank_values=True))
    signature = given.pop("sign")
    assert sdk().verify(dict(given), signature)
    assert not sdk().verify({**given, "total_amount": "0.01"}, signature)


def test_a_callback_as_the_sdk_signs_it() -> None:
    case = next(each for each in IT.cases.callbacks if each.name == "paid")
    given = dict(parse_qsl(case.body.decode()))
    text = "&".join(f"{name}={given[name]}" for name in sorted(given))
    for theirs in (True, False):
        signer = sdk(ours=not theirs)
        body = urlencode({**given, "sign_type": "RSA2", "sign": signer._sign(text)})
        notice = replace(IT.signed(case), body=body.encode())
        if theirs:
            assert CHANNEL.callback(notice, ACCOUNT, NOW_MS) == case.says
        else:
            with pytest.raises(CallbackRefused):
                CHANNEL.callback(notice, ACCOUNT, NOW_MS)


# What cannot be said


def test_a_payer_has_a_minute_at_least() -> None:
    for name in ("shown", "page", "app", "mini"):
        order = replace(ORDERS[name], expires_ms=NOW_MS + 59_000)
        with pytest.raises(CannotExpress) as cannot:
            CHANNEL.request(order, ACCOUNT)
        assert cannot.value.param == "payment_method_data[expires_at]"


def test_an_address_that_is_too_long_is_not_made() -> None:
    order = replace(ORDERS["page"], return_url=f"https://shop.test/{'a' * 1200}")
    with pytest.raises(CannotExpress) as cannot:
        CHANNEL.request(order, ACCOUNT)
    assert cannot.value.param == "return_url"


def test_a_token_is_none_of_alipay_s() -> None:
    with pytest.raises(CannotExpress, match="no token"):
        CHANNEL.request(Instruction(
            Operation.CHARGE, OF, 100, "CNY", payment_method="tok_1", context=Context(0, 1)
        ), ACCOUNT)  # fmt: skip


def test_titles_have_none_of_the_signs_that_alipay_refuses() -> None:
    order = replace(CHARGE, description="Tea & milk = 1/2\n" + "x" * 300)
    made = form_of(CHANNEL.request(order, ACCOUNT))
    title = json.loads(made["biz_content"])["subject"]
    assert title.startswith("Tea   milk   1 2 x") and len(title) == 256
    nameless = form_of(CHANNEL.request(replace(CHARGE, description="&&"), ACCOUNT))
    assert json.loads(nameless["biz_content"])["subject"] == CHARGE.payment


def test_keys_of_the_cases_are_of_two_owners() -> None:
    assert Keys(SECRETS["provider_private_key"], "").sign(b"x") != Keys(
        SECRETS["private_key"], ""
    ).sign(b"x")
