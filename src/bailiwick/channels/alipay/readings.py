"""What Alipay's channel declares, and readings of its answers."""

from decimal import Decimal

import msgspec

from bailiwick.channels.blocks import amounts, parsing, wallets
from bailiwick.channels.blocks.parsing import Digits, Id
from bailiwick.channels.blocks.signing.forms import Gateway, SignedForm, SignedMember
from bailiwick.channels.contract import (
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
    unknown,
)

_MINUTE_MS = 60_000
BEIJING = 8
CALLBACKS = SignedForm("app_id", BEIJING, "alipay_public_key")
ANSWERS = SignedMember("_response", "alipay_public_key")
GATEWAY = Gateway("Alipay", "/gateway.do", "alipay.trade.", BEIJING, "app_id", ANSWERS)
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
CODES = wallets.Codes.beside(__file__)
_STATUS = {"10000": 200, "10003": 202, "40004": 400}
_AT_TILL = {"10000": "TRADE_SUCCESS", "10003": "WAIT_BUYER_PAY"}
_COMES = (Family.REDIRECT, Family.SHOWN_CODE, Family.IN_APP)
"""Of these there is no trade before the payer comes to Alipay: until then it knows none."""


class Told(msgspec.Struct, frozen=True):
    """The fields of an answer, or a callback, that decide something."""

    code: Digits = "0"
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

    @property
    def state(self) -> str | None:
        """How the trade stands; None: it was paid, and all of it given back since."""
        back = self.trade_status == "TRADE_CLOSED" and self.send_pay_date is not None
        return None if back else self.trade_status

    def trade(self, state: str | None) -> wallets.Stands:
        """The trade, which stands so."""
        code = amounts.upper(self.trans_currency or "CNY")
        amount = amounts.from_major(PROFILE, self.total_amount, code)
        return wallets.Stands(state, self.out_trade_no, self.trade_no, amount, code)

    def refund(self, instruction: Instruction, reference: str | None) -> wallets.Stands:
        """The refund, if it is of that trade. ``refund_fee`` counts all refunds of the trade: it
        tells this one's amount of the first."""
        told = self.refund_fee if self.refund_amount is None else self.refund_amount
        code = amounts.upper(self.refund_currency or "CNY")
        amount = amounts.from_major(PROFILE, told, code)
        given = self.fund_change == "Y" and (amount or 0) <= instruction.amount
        given = given or self.refund_status == "REFUND_SUCCESS"
        state = "REFUND_SUCCESS" if given else "REFUND_ASKED"
        own = reference if self.out_trade_no == wallets.charge_of(instruction) else None
        return wallets.Stands(state, own, None, amount, code)

    def said(self, stands: wallets.Stands) -> wallets.Said:
        """It as an answer, about what stands so."""
        status = _STATUS.get(self.code, int(self.code))
        return wallets.Said(status, self.sub_code, self.sub_msg, stands)


def done(instruction: Instruction, told: Told) -> Result:
    """What Alipay has answered to an operation."""
    at_till = instruction.family is Family.PRESENTED_CODE
    stands = told.trade(_AT_TILL.get(told.code) if at_till else None)
    if instruction.operation is Operation.VOID:
        return _voided(instruction, told)
    if instruction.operation is Operation.REFUND:
        stands = told.refund(instruction, instruction.reference)
    elif not at_till and told.code == "10000" and wallets.is_of(instruction, stands):
        return _made(instruction, told)
    return CODES.done(instruction, told.said(stands))


def _made(instruction: Instruction, told: Told) -> Result:
    link, trade_no, action = parsing.link(told.qr_code), told.trade_no, None
    if instruction.family is Family.SHOWN_CODE and link is not None:
        action = Action(Act.SHOWN_CODE, text=link)
    elif instruction.family is Family.IN_APP and trade_no is not None:
        action = Action(Act.IN_APP, parameters={"tradeNO": trade_no})
    return wallets.made(instruction, action, trade_no)


def _voided(instruction: Instruction, told: Told) -> Result:
    said = told.said(told.trade(None))
    absent = CODES.is_absent(said)
    if said.status == 200 and wallets.is_of(instruction, said.stands):
        if told.retry_flag not in (None, "N"):
            return unknown("retry")
        absent = told.retry_flag == "N" and told.action is None
    if absent:
        return wallets.nothing_there(PROFILE, instruction, _COMES)
    return CODES.done(instruction, said)


def looked_up(instruction: Instruction, told: Told) -> Result:
    """What Alipay has answered to a look-up of an operation."""
    if instruction.operation is Operation.REFUND:
        said = told.said(told.refund(instruction, told.out_request_no))
        nothing = said.status == 200 and told.refund_status is None and told.refund_amount is None
        return wallets.absent() if nothing else CODES.looked_up(instruction, said)
    void = instruction.operation is Operation.VOID
    said = told.said(told.trade(told.trade_status if void else told.state))
    if void and CODES.is_absent(said):
        return wallets.nothing_there(PROFILE, instruction, (*_COMES, Family.PRESENTED_CODE))
    if CODES.is_absent(said) and wallets.may_come(PROFILE, instruction, _COMES):
        return wallets.not_there()
    return CODES.looked_up(instruction, said)
