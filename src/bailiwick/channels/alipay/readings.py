"""What Alipay's channel declares, and readings of its answers."""

from decimal import Decimal

import msgspec

from bailiwick.channels.blocks import amounts, parsing, wallets
from bailiwick.channels.blocks.parsing import Id
from bailiwick.channels.blocks.signing.forms import SignedForm, SignedMember
from bailiwick.channels.contract import (
    Acknowledgement,
    Act,
    Action,
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Resolve,
    Result,
    Takes,
    unknown,
)

_MINUTE_MS = 60_000
CALLBACKS = SignedForm("app_id", 8, "alipay_public_key")
ANSWERS = SignedMember("_response", "alipay_public_key")
PROFILE = Profile(
    name="alipay",
    title="Alipay",
    resolve={
        Operation.CHARGE: (Resolve.REFERENCE, Resolve.CALLBACK),
        Operation.VOID: (Resolve.REFERENCE,),
        Operation.REFUND: (Resolve.REFERENCE,),
    },
    visibility_ms=_MINUTE_MS,  # a refund can be looked up after ten seconds; a trade: not said
    contexts=True,
    reversal=True,
    methods={
        "alipay": (
            Takes(Family.REDIRECT, tells=("device",), returns=True, lasts_ms=30 * _MINUTE_MS),
            Takes(Family.SHOWN_CODE, lasts_ms=15 * _MINUTE_MS),
            Takes(Family.PRESENTED_CODE, needs=("code",), lasts_ms=_MINUTE_MS),
            Takes(Family.IN_APP, tells=("wallet_id",), lasts_ms=15 * _MINUTE_MS),
        )
    },
    currencies=("CNY",),
    secrets=("private_key", "alipay_public_key"),
    options=("app_id",),
    callbacks=CALLBACKS,
    answers=ANSWERS,
    acknowledgement=Acknowledgement(content_type="text/plain", body=b"success"),
)
_CODES = wallets.Codes.beside(__file__)
_DONE, _WAITS, _FAILED = "10000", "10003", "40004"
_COMES = (Family.REDIRECT, Family.SHOWN_CODE, Family.IN_APP)
"""Of these there is no trade before the payer comes to Alipay: until then it knows none."""
# The gateway's own codes, of requests that it has not passed on.
_NOT_LOOKED_AT = {
    "20001": "credentials",
    "40001": "refused",
    "40002": "refused",
    "40003": "refused",
    "40005": "rate_limited",
    "40006": "refused",
}
CREDENTIALS = {"isv.invalid-signature": "private_key", "isv.invalid-app-id": "app_id"}


class Told(msgspec.Struct, frozen=True):
    """The fields of an answer, or a callback, that decide something."""

    code: str = ""
    sub_code: str | None = None
    sub_msg: str | None = None
    trade_no: Id | None = None
    out_trade_no: Id | None = None
    trade_status: str | None = None
    total_amount: Decimal | None = None
    trans_currency: str | None = None
    send_pay_date: str | None = None
    qr_code: str | None = None
    retry_flag: str | None = None
    action: str | None = None
    fund_change: str | None = None
    refund_fee: Decimal | None = None
    refund_currency: str | None = None
    out_request_no: Id | None = None
    refund_amount: Decimal | None = None
    refund_status: str | None = None
    gmt_refund: str | None = None
    out_biz_no: str | None = None


def done(instruction: Instruction, named: dict[str, str], told: Told) -> Result:
    """What Alipay has answered to an operation, with the trade that the request named."""
    if told.code not in (_DONE, _WAITS):
        return _not_done(instruction, told)
    if not _is(named, told):
        return unknown("reference_mismatch")
    if told.code == _WAITS:
        presented = instruction.family is Family.PRESENTED_CODE
        charge = instruction.operation is Operation.CHARGE
        known = wallets.waits(instruction, told.trade_no)
        return known if presented and charge else unknown("unreadable")
    if instruction.operation is Operation.REFUND:
        return _refunded(instruction, told)
    if instruction.operation is Operation.VOID:
        if told.retry_flag not in (None, "N"):
            return unknown("retry")
        absent = told.retry_flag == "N" and told.action is None
        return _nothing_there(instruction) if absent else wallets.gone(instruction)
    if instruction.family is Family.PRESENTED_CODE:
        return _paid(told, told.total_amount, told.trans_currency)
    if instruction.family is Family.SHOWN_CODE:
        link = parsing.link(told.qr_code)
        action = None if link is None else Action(Act.SHOWN_CODE, text=link)
    else:
        trade_no = told.trade_no
        given = None if trade_no is None else {"tradeNO": trade_no}
        action = None if given is None else Action(Act.IN_APP, parameters=given)
    return wallets.made(instruction, action, told.trade_no)


def looked_up(instruction: Instruction, named: dict[str, str], told: Told) -> Result:
    """What Alipay has answered to a look-up, with what that has named."""
    refund, void = (instruction.operation is each for each in (Operation.REFUND, Operation.VOID))
    if told.code == _FAILED and told.sub_code == "ACQ.TRADE_NOT_EXIST" and not refund:
        if void:
            return _nothing_there(instruction, Family.PRESENTED_CODE)
        if instruction.family in _COMES and not _nobody_can_come(instruction):
            return Result(Outcome.PENDING, detail="payer_not_there")
        return wallets.absent()
    if told.code != _DONE:
        return unknown(parsing.word((told.sub_code or "").lower()) or "unreadable")
    if refund and told.refund_status is None and told.refund_amount is None:
        return wallets.absent()
    if not _is(named, told):
        return unknown("reference_mismatch")
    if void:
        closed = told.trade_status == "TRADE_CLOSED"
        return wallets.gone(instruction) if closed else wallets.absent()
    if not refund:
        return trade(told)
    if told.refund_status != "REFUND_SUCCESS":
        return Result(Outcome.PENDING, detail="refund_asked")
    return _paid(None, told.refund_amount, told.refund_currency)


def trade(told: Told) -> Result:
    """What a trade says of its charge."""
    if told.trade_status in ("TRADE_SUCCESS", "TRADE_FINISHED"):
        return _paid(told, told.total_amount, told.trans_currency)
    if told.trade_status == "WAIT_BUYER_PAY":
        return Result(Outcome.PENDING, told.trade_no, detail="wait_buyer_pay")
    if told.trade_status == "TRADE_CLOSED" and told.send_pay_date is None:
        return wallets.expired(told.trade_no)
    # It was paid, and all of it given back since; or it is a status that nobody knows.
    return msgspec.structs.replace(unknown("unknown_status"), provider_ref=told.trade_no)


def _paid(told: Told | None, amount: Decimal | None, currency: str | None) -> Result:
    code = amounts.upper(currency or "CNY")
    known = None if told is None else told.trade_no
    return Result(Outcome.APPROVED, known, amounts.from_major(PROFILE, amount, code), code)


def _refunded(instruction: Instruction, told: Told) -> Result:
    """``refund_fee`` counts all refunds of the trade: it tells this one's amount of the first."""
    found = _paid(None, told.refund_fee, told.refund_currency)
    if told.fund_change == "Y" and (found.amount or 0) <= instruction.amount:
        return found
    return Result(Outcome.PENDING, detail="refund_asked")


def _nothing_there(instruction: Instruction, *also: Family) -> Result:
    """A void finds no trade: the payer has not come, and may do so until the time is over."""
    if instruction.family in (*_COMES, *also) and not _nobody_can_come(instruction):
        return unknown("payer_not_there")
    return wallets.gone(instruction)


def _nobody_can_come(instruction: Instruction) -> bool:
    """The time is over, and what was begun in its last moment would be seen."""
    return wallets.is_over(instruction, by_ms=PROFILE.visibility_ms)


def _is(named: dict[str, str], told: Told) -> bool:
    return all(getattr(told, name) == value for name, value in named.items())


def _not_done(instruction: Instruction, told: Told) -> Result:
    absent = told.sub_code == "ACQ.TRADE_NOT_EXIST" and told.code == _FAILED
    if absent and instruction.operation is Operation.VOID:
        return _nothing_there(instruction)
    if told.code == _FAILED:
        return _CODES.refused(instruction.operation, told.sub_code, told.sub_msg)
    if told.code not in _NOT_LOOKED_AT:
        return unknown(parsing.word((told.sub_code or "").lower()) or "unreadable")
    why = "credentials" if told.sub_code in CREDENTIALS else _NOT_LOOKED_AT[told.code]
    message = parsing.sentence(told.sub_msg)
    return Result(
        Outcome.DECLINED, code="processing_error", message=message, retryable=True, detail=why
    )
