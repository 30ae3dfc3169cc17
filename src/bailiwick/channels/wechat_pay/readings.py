"""What WeChat Pay's channel declares, and readings of its answers."""

import re
from urllib.parse import quote

import msgspec

from bailiwick.channels.blocks import amounts, parsing, wallets
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.blocks.signing import canonical, lines, rsa
from bailiwick.channels.contract import (
    Account,
    Acknowledgement,
    Act,
    Action,
    Family,
    Instruction,
    Operation,
    Profile,
    Resolve,
    Result,
    Takes,
    redirect,
)

_MINUTE_MS = 60_000
SIGNED = lines.SignedLines("WeChat Pay", "WECHATPAY2-SHA256-RSA2048", "wechatpay-")
ANSWERS, CALLBACKS = lines.Answers(SIGNED), lines.Callbacks(SIGNED)
PROFILE = Profile(
    name="wechat_pay",
    title="WeChat Pay",
    resolve={
        Operation.CHARGE: (Resolve.REFERENCE, Resolve.CALLBACK),
        Operation.VOID: (Resolve.REFERENCE,),
        Operation.REFUND: (Resolve.REFERENCE, Resolve.CALLBACK),
    },
    visibility_ms=_MINUTE_MS,  # not said
    contexts=True,
    reversal=True,
    methods={
        "wechat_pay": (
            # The page's address is good for five minutes.
            Takes(Family.REDIRECT, needs=("ip_address",), returns=True, lasts_ms=5 * _MINUTE_MS),
            Takes(Family.SHOWN_CODE, lasts_ms=15 * _MINUTE_MS),
            Takes(Family.PRESENTED_CODE, needs=("code",), lasts_ms=_MINUTE_MS),
            Takes(Family.IN_APP, tells=("wallet_id",), lasts_ms=15 * _MINUTE_MS),
        )
    },
    currencies=("CNY",),
    secrets=("private_key", "api_v3_key"),
    options=("mchid", "appid", "serial_no"),
    other_options=(lines.PUBLIC_KEY_ID, "store"),
    preparations=(SIGNED.certificates,),
    instead={SIGNED.certificates: lines.PUBLIC_KEY},
    secret_headers=(SIGNED.signature,),
    callbacks=CALLBACKS,
    answers=ANSWERS,
    acknowledgement=Acknowledgement(body='{"code":"SUCCESS","message":"成功"}'.encode()),
)
CODES = wallets.Codes.beside(__file__)
_CODE = re.compile(r"^weixin://[\x21-\x7e]{1,500}\Z")


class Amount(msgspec.Struct, frozen=True):
    """Amounts of an order or a refund, in fen."""

    total: Minor | None = None
    refund: Minor | None = None
    currency: str | None = None


class Told(msgspec.Struct, frozen=True):
    """The fields of an answer, or of a callback's object, that decide something."""

    code: str | None = None
    message: str | None = None
    mchid: str | None = None
    out_trade_no: Id | None = None
    transaction_id: Id | None = None
    trade_state: str | None = None
    trade_state_desc: str | None = None
    amount: Amount = Amount()
    code_url: str | None = None
    prepay_id: Id | None = None
    h5_url: str | None = None
    out_refund_no: Id | None = None
    refund_id: Id | None = None
    status: str | None = None
    refund_status: str | None = None

    def said(self, operation: Operation, status: int = 200) -> wallets.Said:
        """It as an answer to an operation. Callbacks about refunds name no currency."""
        of = (self.trade_state, self.out_trade_no, self.transaction_id)
        total, why = self.amount.total, self.trade_state_desc
        if operation is Operation.REFUND:
            of = (self.status or self.refund_status, self.out_refund_no, self.refund_id)
            total, why = self.amount.refund, None
        amount = amounts.told(PROFILE, total, self.amount.currency)
        return wallets.Said(status, self.code, self.message, wallets.Stands(*of, *amount, why))


def kind_of(instruction: Instruction) -> str:
    """How a charge is paid, in WeChat Pay's words. Raises CannotExpress: in no such way."""
    official = instruction.payer is not None and instruction.payer.wallet_id
    known = {
        Family.PRESENTED_CODE: "codepay",
        Family.SHOWN_CODE: "native",
        Family.REDIRECT: "h5",
        Family.IN_APP: "jsapi" if official else "app",
    }
    return wallets.way(PROFILE, instruction, known)


def made(instruction: Instruction, told: Told, account: Account) -> Result:
    """An order that waits for its payer elsewhere than at a till, who is told what to do."""
    action = None
    if instruction.family is Family.SHOWN_CODE and _CODE.match(told.code_url or ""):
        action = Action(Act.SHOWN_CODE, text=told.code_url)
    elif instruction.family is Family.REDIRECT:
        back = quote(instruction.return_url or "", safe="")
        action = redirect(parsing.link(f"{told.h5_url}&redirect_url={back}", https_only=True))
    elif instruction.family is Family.IN_APP and told.prepay_id is not None:
        action = Action(Act.IN_APP, parameters=_opens(instruction, account, told.prepay_id))
    return wallets.made(instruction, action)


def _opens(instruction: Instruction, account: Account, prepay_id: str) -> dict[str, str]:
    """What the payer's app opens WeChat Pay with."""
    moment, nonce = SIGNED.moment(instruction.context)
    appid, official = account.options.get("appid", ""), kind_of(instruction) == "jsapi"
    last = f"prepay_id={prepay_id}" if official else prepay_id
    sign = rsa.sign(account, "private_key", canonical.lines(appid, moment, nonce, last))
    if official:
        given = {"appId": appid, "timeStamp": moment, "nonceStr": nonce}
        return {**given, "package": last, "signType": "RSA", "paySign": sign}
    given = {"appid": appid, "partnerid": account.options.get("mchid", ""), "prepayid": last}
    at = {"noncestr": nonce, "timestamp": moment}
    return {**given, "package": "Sign=WXPay", **at, "sign": sign}
