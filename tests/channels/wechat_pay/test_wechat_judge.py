"""The WeChat Pay channel held against wechatpayv3, which signs, verifies and opens by itself, and
the published schemas of requests and answers."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec.structs import replace
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3 import utils as sdk_utils
from wechatpayv3.core import Core

from bailiwick.channels import registry
from bailiwick.channels.contract import (
    Account,
    BadSecret,
    CallbackRefused,
    CannotExpress,
    Context,
    Instruction,
    NotPrepared,
    Operation,
    Outcome,
    Prepared,
    Reply,
    Request,
    Resolve,
)
from bailiwick.channels.wechat_pay import CHANNEL, readings, signing
from bailiwick_lab.channel_suite.checks import answers
from bailiwick_lab.channel_suite.subject import NOW_MS, Failed, subject
from tests.providers.keys import Keys, certificate

PUBLISHED: dict[str, Any] = json.loads(Path(__file__).with_name("published.json").read_bytes())
OPERATIONS: dict[str, Any] = PUBLISHED["operations"]
IT = subject(CHANNEL, registry.folder("wechat_pay"))
ACCOUNT = IT.cases.account
SECRETS, OPTIONS = ACCOUNT.secrets, ACCOUNT.options
ORDERS = IT.cases.instructions
(CERTIFICATE,) = ACCOUNT.prepared["certificates"].values()
WECHAT = Keys(SECRETS["provider_private_key"], "")
PUBLIC_KEY_ID = "PUB_KEY_ID_0000000000000024101100397200000006"
BY_KEY = replace(
    ACCOUNT,
    secrets={**SECRETS, "public_key": WECHAT.public_half()},
    options={**OPTIONS, "public_key_id": PUBLIC_KEY_ID},
    prepared={},
)


def core(account: Account = ACCOUNT) -> Any:
    """The SDK's inner part, with what an account has."""
    made = Core.__new__(Core)
    made._mchid, made._cert_serial_no = OPTIONS["mchid"], OPTIONS["serial_no"]
    made._private_key = sdk_utils.load_private_key(SECRETS["private_key"])
    made._apiv3_key, made._logger, made._cert_dir = SECRETS["api_v3_key"], None, None
    texts = account.prepared.get("certificates", {}).values()
    made._certificates = [sdk_utils.load_certificate(each) for each in texts]
    made._public_key_id = account.options.get("public_key_id")
    key = account.secrets.get("public_key")
    made._public_key = None if key is None else sdk_utils.load_public_key(key)
    return made


def every_request(account: Account = ACCOUNT) -> dict[str, Request]:
    found = {
        "check": CHANNEL.check(account, NOW_MS),
        "certificates": CHANNEL.prepare("certificates", account, NOW_MS),
    }
    for name, order in ORDERS.items():
        found[name] = CHANNEL.request(order, account)
        looked_up = CHANNEL.query(order, account, Resolve.REFERENCE)
        assert looked_up is not None
        found[f"{name}, looked up"] = looked_up
    return found


REQUESTS = every_request()
BODIES = {name: json.loads(each.body) for name, each in REQUESTS.items() if each.body}


# What is sent


def target(request: Request) -> str:
    parts = urlsplit(request.url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def parts_of(request: Request) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', request.headers["authorization"]))


@pytest.mark.parametrize("name", REQUESTS)
def test_the_sdk_signs_a_request_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    request = REQUESTS[name]
    told = parts_of(request)
    monkeypatch.setattr(sdk_utils.time, "time", lambda: int(told["timestamp"]))
    made = sdk_utils.build_authorization(
        target(request), request.method, OPTIONS["mchid"], OPTIONS["serial_no"],
        sdk_utils.load_private_key(SECRETS["private_key"]),
        data=request.body.decode(), nonce_str=told["nonce_str"],
    )  # fmt: skip
    assert request.headers["authorization"] == made


def test_each_request_has_a_number_of_its_own() -> None:
    orders = [replace(ORDERS["charge"], context=Context(NOW_MS, each)) for each in range(5)]
    made = [CHANNEL.request(order, ACCOUNT) for order in orders]
    assert len({parts_of(each)["nonce_str"] for each in made}) == 5
    assert CHANNEL.request(orders[0], ACCOUNT) == made[0]


class Caught(Exception):
    """What the SDK would have sent."""


def by_the_sdk(kind: WeChatPayType, name: str, **given: Any) -> tuple[str, str, dict[str, Any]]:
    """Method, target and body that a method of the SDK makes."""
    maker = WeChatPay.__new__(WeChatPay)
    maker._type, maker._mchid, maker._appid = kind, OPTIONS["mchid"], OPTIONS["appid"]
    maker._notify_url, maker._partner_mode, maker._core = None, False, core()

    def catch(path: str, method: Any = None, data: Any = None, **_: Any) -> None:
        raise Caught("GET" if method is None else method.value, path, data or {})

    maker._core.request = catch
    if name == "pay":
        given["pay_type"] = kind
    with pytest.raises(Caught) as caught:
        getattr(maker, name)(**given)
    return caught.value.args  # type: ignore[return-value]


CHARGE, REFUND = ORDERS["charge"], ORDERS["refund"]
OF = CHARGE.reference
SUM = {"total": 100, "currency": "CNY"}
MADE = {"description": CHARGE.description, "out_trade_no": OF, "amount": SUM}
TOLD = {"notify_url": CHARGE.callback_url, "time_expire": "2026-09-21T22:28:20+08:00"}
SOON = {**TOLD, "time_expire": "2026-09-21T22:18:20+08:00"}
OPENID = {"payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}
SCENE = {"payer_client_ip": "14.23.150.211", "h5_info": {"type": "Wap"}}
TILL = {
    "payer": {"auth_code": CHARGE.code}, "scene_info": {"store_info": {"out_id": "A1111"}}
}  # fmt: skip
BACK = {
    "out_refund_no": REFUND.reference, "out_trade_no": OF, "notify_url": REFUND.callback_url
}  # fmt: skip
BY_THE_SDK: dict[str, tuple[WeChatPayType, str, dict[str, Any]]] = {
    "charge": (WeChatPayType.CODEPAY, "pay", {**MADE, **TILL}),
    "shown": (WeChatPayType.NATIVE, "pay", {**MADE, **TOLD}),
    "official": (WeChatPayType.JSAPI, "pay", {**MADE, **TOLD, **OPENID}),
    "app": (WeChatPayType.APP, "pay", {**MADE, **TOLD}),
    "page": (WeChatPayType.H5, "pay", {**MADE, **SOON, "scene_info": SCENE}),
    "charge, looked up": (WeChatPayType.CODEPAY, "query", {"out_trade_no": OF}),
    "void": (WeChatPayType.CODEPAY, "codepay_reverse", {"out_trade_no": OF}),
    "void_shown": (WeChatPayType.NATIVE, "close", {"out_trade_no": OF}),
    "refund": (
        WeChatPayType.NATIVE, "refund",
        {**BACK, "amount": {"refund": 100, "total": 100, "currency": "CNY"}},
    ),
    "part": (
        WeChatPayType.NATIVE, "refund",
        {**BACK, "amount": {"refund": 40, "total": 100, "currency": "CNY"}},
    ),
    "refund, looked up": (
        WeChatPayType.NATIVE, "query_refund", {"out_refund_no": REFUND.reference}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_THE_SDK)
def test_a_request_is_what_the_sdk_makes_of_the_same(name: str) -> None:
    kind, call, given = BY_THE_SDK[name]
    ours = REQUESTS[name]
    assert (ours.method, target(ours), BODIES.get(name, {})) == by_the_sdk(kind, call, **given)


def operation_of(request: Request) -> dict[str, Any]:
    """The published operation that a request is for."""
    path = urlsplit(request.url).path
    for each in OPERATIONS.values():
        shape = re.sub(r"\{\w+\}", "[^/]+", each["path"])
        if each["method"] == request.method and re.fullmatch(shape, path):
            assert isinstance(each, dict)
            return each
    raise AssertionError(f"{request.method} {path} is not published")


def names(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The published members of an object."""
    found = dict(schema.get("properties", {}))
    for each in schema.get("allOf", []):
        for name, inside in names(each).items():
            known = found.get(name, {})
            found[name] = {"allOf": [known, inside]} if known else inside
    return found


def strange(schema: dict[str, Any], value: Any) -> list[str]:
    """Members that are not published, anywhere."""
    if not isinstance(value, dict):
        return []
    known = names(schema)
    found = [name for name in value if name not in known]
    for name in value.keys() & known.keys():
        found += [f"{name}.{each}" for each in strange(known[name], value[name])]
    return found


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_as_published(name: str) -> None:
    request = REQUESTS[name]
    operation = operation_of(request)
    asked = {each.partition("=")[0] for each in urlsplit(request.url).query.split("&") if each}
    assert asked <= set(operation["query"])
    if operation["body"] is None:
        assert not request.body
        return
    jsonschema.validate(BODIES[name], operation["body"])
    own = {"h5_info"}  # the schema has it, and not where
    found = strange(operation["body"], BODIES[name])
    assert not [each for each in found if each.split(".")[-1] not in own]


def test_each_operation_is_asked() -> None:
    asked = {operation_of(each)["path"] for each in REQUESTS.values()}
    assert asked == {each["path"] for each in OPERATIONS.values()} - {"/v3/webhooks"}


# What is answered


@pytest.mark.parametrize("case", IT.cases.answers, ids=lambda case: str(case.name))
def test_an_answer_that_is_believed_is_as_published(case: Any) -> None:
    silent = case.says.outcome is Outcome.UNKNOWN and not case.says.not_found
    if silent or case.reply.status not in (200, 204):
        return
    own = case.instruction
    request = IT.asked(own) if case.way is None else CHANNEL.query(own, ACCOUNT, case.way)
    assert request is not None
    schema = operation_of(request)["answers"][str(case.reply.status)]
    if schema is None:
        assert not case.reply.body
        return
    jsonschema.validate(json.loads(case.reply.body), schema)


def test_each_state_is_published_and_read() -> None:
    shape = names(OPERATIONS["query"]["answers"]["200"])["trade_state"]
    states = {json.loads(case.reply.body).get("trade_state") for case in IT.cases.answers
              if case.reply.body.startswith(b"{")}  # fmt: skip
    assert set(shape["enum"]) <= states


MODES = (ACCOUNT, BY_KEY)


@pytest.mark.parametrize("account", MODES, ids=["certificates", "public key"])
@pytest.mark.parametrize("case", IT.cases.answers, ids=lambda case: str(case.name))
def test_the_sdk_verifies_the_answers_of_the_cases(case: Any, account: Account) -> None:
    sent = signing.Answers().sign(case.reply, account, NOW_MS)
    assert core(account)._verify_signature(sent.headers, sent.body.decode())
    assert not core(account)._verify_signature(sent.headers, sent.body.decode() + " ")
    again = replace(case, reply=signing.Answers().sign(case.reply, account, _asked_ms(case)))
    assert again.read(CHANNEL, account) == case.says


def _asked_ms(case: Any) -> int:
    return int(case.instruction.context.instant_ms)


def test_what_the_sdk_signs_as_wechat_pay_is_believed() -> None:
    case = next(each for each in IT.cases.answers if each.name == "paid")
    moment, nonce = str(NOW_MS // 1000 + 1), "593BEC0C930BF1AFEB40B4A08C8FB242"
    text = f"{moment}\n{nonce}\n{case.reply.body.decode()}\n"
    key = sdk_utils.load_private_key(WECHAT.private)
    headers = {
        "Wechatpay-Timestamp": moment,
        "Wechatpay-Nonce": nonce,
        "Wechatpay-Serial": next(iter(ACCOUNT.prepared["certificates"])),
        "Wechatpay-Signature": sdk_utils.rsa_sign(key, text),
    }
    assert CHANNEL.parse(CHARGE, Reply(200, headers, case.reply.body), ACCOUNT) == case.says
    probe = {**headers, "Wechatpay-Signature": "WECHATPAY/SIGNTEST/" + "A" * 300}
    told = CHANNEL.parse(CHARGE, Reply(200, probe, case.reply.body), ACCOUNT)
    assert (told.outcome, told.detail) == (Outcome.UNKNOWN, "not_signed")


def read_signed(account: Account, signed_by: Account, asked_ms: int = NOW_MS) -> Outcome:
    """What a paid answer is, signed at the usual time for a gateway with another account."""
    case = next(each for each in IT.cases.answers if each.name == "paid")
    reply = signing.Answers().sign(case.reply, signed_by, NOW_MS)
    return CHANNEL.parse(replace(CHARGE, context=Context(asked_ms, 1)), reply, account).outcome


def test_an_answer_from_before_it_was_asked_says_nothing() -> None:
    assert read_signed(ACCOUNT, ACCOUNT, NOW_MS + 300_000) is Outcome.APPROVED
    assert read_signed(ACCOUNT, ACCOUNT, NOW_MS + 301_000) is Outcome.UNKNOWN


def test_an_answer_that_another_key_has_signed_says_nothing() -> None:
    other = Keys.made()
    secrets = {**SECRETS, "provider_private_key": other.private}
    serial = next(iter(ACCOUNT.prepared["certificates"]))
    forged = replace(ACCOUNT, secrets=secrets)
    new = certificate(other, int(serial, 16) + 1)
    renewed = replace(forged, prepared={"certificates": {f"{int(serial, 16) + 1:X}": new}})
    ended = certificate(WECHAT, int(serial, 16), (2018, 2023))
    late = replace(ACCOUNT, prepared={"certificates": {serial: ended}})
    assert read_signed(renewed, renewed) is Outcome.APPROVED
    for account, signed_by in (
        (ACCOUNT, forged),
        (ACCOUNT, renewed),
        (late, late),
        (BY_KEY, ACCOUNT),
        (ACCOUNT, BY_KEY),
        (replace(BY_KEY, options={**OPTIONS, "public_key_id": "PUB_KEY_ID_1"}), BY_KEY),
        (replace(BY_KEY, secrets={**SECRETS, "public_key": "none"}), BY_KEY),
    ):
        assert read_signed(account, signed_by) is Outcome.UNKNOWN


def test_a_request_that_was_not_taken_for_ours_may_come_back_unsigned() -> None:
    """WeChat Pay signs no answer to it; the gateway closes, and the charge is looked for."""
    body = b'{"code":"SIGN_ERROR","message":"."}'
    told = CHANNEL.parse(CHARGE, Reply(401, {}, body), ACCOUNT)
    assert (told.outcome, told.detail) == (Outcome.UNKNOWN, "credentials")


def test_the_suite_sees_a_channel_that_believes_anybody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing.Answers, "is_signed", lambda *_: True)
    with pytest.raises(Failed, match="not signed"):
        answers.check_an_answer_that_is_not_signed_says_nothing(IT)


@pytest.mark.parametrize("name", ["official", "app"])
def test_the_sdk_signs_what_opens_the_app_alike(name: str) -> None:
    order, prepay = ORDERS[name], "wx201410272009395522657a690389285100"
    reply = Reply(200, {}, json.dumps({"prepay_id": prepay}).encode())
    told = IT.channel.parse(order, reply, ACCOUNT)
    assert told.action is not None
    given = told.action.parameters
    assert order.context is not None
    own = [OPTIONS["appid"], str(NOW_MS // 1000), f"{order.context.sequence:032x}"]
    last, at = (given["package"], "paySign") if name == "official" else (prepay, "sign")
    assert given[at] == core().sign([*own, last])


# Certificates


def test_the_sdk_opens_the_same_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    case = next(each for each in IT.cases.preparations if isinstance(each.says, Prepared))
    theirs = core()
    told = (200, case.reply.body.decode())
    monkeypatch.setattr(theirs, "request", lambda *_, **__: told, raising=False)
    theirs._update_certificates()
    ours = CHANNEL.prepared("certificates", case.reply, ACCOUNT, NOW_MS)
    assert isinstance(ours, Prepared)
    assert set(ours.values) == {f"{each.serial_number:X}" for each in theirs._certificates}


def test_a_public_key_is_told_and_needs_no_certificates() -> None:
    assert CHANNEL.profile.needed(ACCOUNT.secrets) == ("certificates",)
    assert CHANNEL.profile.needed(BY_KEY.secrets) == ()
    for name, request in every_request(BY_KEY).items():
        assert request.headers["wechatpay-serial"] == PUBLIC_KEY_ID, name
        assert "wechatpay-serial" not in REQUESTS[name].headers


@pytest.mark.parametrize(
    "wrong",
    [
        replace(BY_KEY, options=OPTIONS),
        replace(BY_KEY, secrets=SECRETS),
        replace(ACCOUNT, secrets={**SECRETS, "api_v3_key": "short"}),
        replace(ACCOUNT, secrets={**SECRETS, "private_key": "none"}),
    ],
    ids=["no id", "no key", "short", "no private key"],
)
def test_secrets_that_cannot_be_are_named(wrong: Account) -> None:
    with pytest.raises(BadSecret, match="secrets\\."):
        CHANNEL.check(wrong, NOW_MS)


# Callbacks


@pytest.mark.parametrize("account", MODES, ids=["certificates", "public key"])
@pytest.mark.parametrize("case", IT.cases.callbacks, ids=lambda case: str(case.name))
def test_the_sdk_verifies_and_opens_the_callbacks_of_the_cases(case: Any, account: Account) -> None:
    notice = IT.signed(case, account=account)
    if case.refused is not None and "not sealed" in case.refused:
        return
    told = core(account).callback(notice.headers, notice.body)
    assert told == json.loads(case.body)
    sent = json.loads(notice.body)
    published = OPERATIONS["webhook"]["body"]
    if case.name != "of_another_product":
        jsonschema.validate(sent, published)
    assert not strange(published, sent)


def test_a_callback_as_others_seal_it() -> None:
    case = next(each for each in IT.cases.callbacks if each.name == "paid")
    note = json.loads(case.body)
    text = json.dumps(note["resource"], ensure_ascii=False).encode()
    for key in (SECRETS["api_v3_key"], SECRETS["api_v3_key"][::-1]):
        sealed = AESGCM(key.encode()).encrypt(b"61f9c719728a", text, b"transaction")
        note["resource"] = {
            "algorithm": "AEAD_AES_256_GCM",
            "ciphertext": base64.b64encode(sealed).decode(),
            "nonce": "61f9c719728a",
            "associated_data": "transaction",
            "original_type": "transaction",
        }
        body = json.dumps(note).encode()
        notice = IT.signed(replace(case, body=body))
        if key == SECRETS["api_v3_key"]:
            assert CHANNEL.callback(notice, ACCOUNT, NOW_MS) == case.says
        else:
            with pytest.raises(CallbackRefused, match="sealed"):
                CHANNEL.callback(notice, ACCOUNT, NOW_MS)


def test_a_callback_by_a_new_certificate_waits_for_it() -> None:
    case = next(each for each in IT.cases.callbacks if each.name == "paid")
    notice = IT.signed(case)
    headers = {**notice.headers, "wechatpay-serial": "5157F09EFDC096DE15EBE81A47057A7232F1B8EF"}
    with pytest.raises(NotPrepared):
        CHANNEL.callback(replace(notice, headers=headers), ACCOUNT, NOW_MS)
    with pytest.raises(CallbackRefused, match="another key"):
        CHANNEL.callback(replace(notice, headers=headers), BY_KEY, NOW_MS)


def test_the_acknowledgement_is_as_published() -> None:
    told = CHANNEL.profile.acknowledgement
    jsonschema.validate(json.loads(told.body), OPERATIONS["webhook"]["answers"][str(told.status)])


# What cannot be said


def test_a_payer_has_a_minute_at_least() -> None:
    for name in ("shown", "page", "app", "official"):
        order = replace(ORDERS[name], expires_ms=NOW_MS + 59_000)
        with pytest.raises(CannotExpress) as cannot:
            CHANNEL.request(order, ACCOUNT)
        assert cannot.value.param == "payment_method_data[expires_at]"


@pytest.mark.parametrize(
    "order",
    [
        replace(CHARGE, reference="ch_01jd3x4m5n6p7q8r9s0tabcdef-100"),
        replace(ORDERS["void"], charge_reference=None),
        replace(REFUND, charge_amount=None),
        replace(CHARGE, context=None),
        Instruction(Operation.CHARGE, OF, 1, "CNY", payment_method="t", context=Context(0, 1)),
    ],
    ids=["long reference", "no charge", "no total", "no time", "a token"],
)
def test_what_cannot_be_said_is_not_sent(order: Instruction) -> None:
    with pytest.raises(CannotExpress):
        CHANNEL.request(order, ACCOUNT)


def test_a_long_description_is_cut_and_none_is_the_payment() -> None:
    long = CHANNEL.request(replace(CHARGE, description="茶" * 200), ACCOUNT)
    assert json.loads(long.body)["description"] == "茶" * 127
    nameless = CHANNEL.request(replace(CHARGE, description=None), ACCOUNT)
    assert json.loads(nameless.body)["description"] == CHARGE.payment


def test_a_shop_is_the_merchant_where_no_other_is_told() -> None:
    bare = {name: value for name, value in OPTIONS.items() if name != "store"}
    made = CHANNEL.request(CHARGE, replace(ACCOUNT, options=bare))
    assert json.loads(made.body)["scene_info"] == {"store_info": {"out_id": OPTIONS["mchid"]}}


def test_it_has_the_fields_that_we_read() -> None:
    known = {"code", "message", "refund_status"}
    for operation in OPERATIONS.values():
        for schema in operation["answers"].values():
            known |= set(names(schema or {}))
    assert {each.encode_name for each in msgspec.structs.fields(readings.Told)} <= known
