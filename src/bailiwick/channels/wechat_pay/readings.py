"""What WeChat Pay's channel declares, and readings of its answers."""

import msgspec

from bailiwick.channels.blocks import amounts, parsing, refusals, wallets
from bailiwick.channels.blocks.parsing import Id, Minor
from bailiwick.channels.contract import (
    Acknowledgement,
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
from bailiwick.channels.wechat_pay import signing

_MINUTE_MS = 60_000
ANSWERS, CALLBACKS = signing.Answers(), signing.Callbacks()
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
    other_options=(signing.PUBLIC_KEY_ID, "store"),
    preparations=(signing.CERTIFICATES,),
    instead={signing.CERTIFICATES: signing.PUBLIC_KEY},
    secret_headers=(signing.SIGNATURE,),
    callbacks=CALLBACKS,
    answers=ANSWERS,
    acknowledgement=Acknowledgement(body='{"code":"SUCCESS","message":"成功"}'.encode()),
)
_CODES = wallets.Codes.beside(__file__)
NO_ORDER = ("ORDER_NOT_EXIST", "ORDERNOTEXIST")
_NO_REFUND = "RESOURCE_NOT_EXISTS"
_NOT_LOOKED_AT = {
    (401, "SIGN_ERROR"): "credentials",
    (429, "FREQUENCY_LIMITED"): "rate_limited",
    (429, "RATELIMIT_EXCEEDED"): "rate_limited",
}
_PAYS = ("USERPAYING", "USER_PAYING")
_GONE = ("CLOSED", "REVOKED", "PAYERROR")


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


class Note(msgspec.Struct, frozen=True):
    """A callback."""

    id: Id
    event_type: str
    resource: signing.Sealed


class Certificate(msgspec.Struct, frozen=True):
    """One of WeChat Pay's."""

    encrypt_certificate: signing.Sealed


class Certificates(msgspec.Struct, frozen=True):
    """Those that are good now, or soon."""

    data: list[Certificate]


def done(instruction: Instruction, named: str, status: int, told: Told | None) -> Result:
    """What was answered to an operation that names this charge; None: nothing, which is an answer
    too. Where a payer is to come, see
    ``payers``."""
    charge, void = (instruction.operation is each for each in (Operation.CHARGE, Operation.VOID))
    at_till = instruction.family is Family.PRESENTED_CODE
    if told is None or status == 204:
        closed = told is None and status == 204 and void and not at_till
        return wallets.gone(instruction) if closed else unknown("unreadable")
    if charge and told.code in _PAYS and status in (202, 400, 403):
        return wallets.waits(instruction)
    if status not in ((200, 202) if charge else (200,)):
        return refused(instruction, status, told)
    if instruction.operation is Operation.REFUND:
        return refund(instruction.reference, told)
    if not at_till:
        return unknown("unreadable")
    if told.out_trade_no != named:
        return unknown("reference_mismatch")
    if void:
        return wallets.gone(instruction)
    return wallets.waits(instruction, told.transaction_id) if _is_open(told) else trade(told)


def looked_up(instruction: Instruction, named: str, status: int, told: Told | None) -> Result:
    """What was answered to a look-up, which has named this charge, or the refund."""
    refunded = instruction.operation is Operation.REFUND
    absent = (_NO_REFUND,) if refunded else NO_ORDER
    if told is not None and status == 404 and told.code in absent:
        return wallets.absent()
    if told is None or status != 200:
        return unknown(_word(status, told))
    if refunded:
        return refund(instruction.reference, told)
    if told.out_trade_no != named:
        return unknown("reference_mismatch")
    if instruction.operation is not Operation.VOID:
        return trade(told)
    if told.trade_state in _GONE:
        return wallets.gone(instruction)
    known = told.trade_state == "SUCCESS" or _is_open(told)
    return wallets.absent() if known else unknown("unknown_status")


def trade(told: Told) -> Result:
    """What an order says of its charge."""
    if told.trade_state == "SUCCESS":
        return _paid(told.transaction_id, told.amount.total, told.amount.currency)
    if _is_open(told):
        detail = (told.trade_state or "").lower()
        return Result(Outcome.PENDING, told.transaction_id, detail=detail)
    if told.trade_state == "PAYERROR":
        return msgspec.structs.replace(
            refusals.declined(told.transaction_id, "generic_decline"),
            message=parsing.sentence(told.trade_state_desc),
        )
    if told.trade_state in _GONE:
        return wallets.expired(told.transaction_id)
    # It was paid, and some of it given back since; or it is a state that nobody knows.
    return msgspec.structs.replace(unknown("unknown_status"), provider_ref=told.transaction_id)


def refund(reference: str, told: Told) -> Result:
    """What a refund says of itself."""
    if told.out_refund_no != reference:
        return unknown("reference_mismatch")
    state = told.status or told.refund_status
    if state == "SUCCESS":
        return _paid(told.refund_id, told.amount.refund, told.amount.currency)
    if state in ("PROCESSING", "ABNORMAL"):  # of the latter, the merchant has to see to it there
        return Result(Outcome.PENDING, told.refund_id, detail=state.lower())
    if state == "CLOSED":
        return Result(Outcome.DECLINED, told.refund_id, code="refund_failed", detail="closed")
    return msgspec.structs.replace(unknown("unknown_status"), provider_ref=told.refund_id)


def _is_open(told: Told) -> bool:
    return told.trade_state in ("NOTPAY", "USERPAYING")


def _paid(known: str | None, amount: int | None, currency: str | None) -> Result:
    if currency is None:  # callbacks about refunds have none: then it is asked for
        return msgspec.structs.replace(unknown("no_currency"), provider_ref=known)
    return Result(Outcome.APPROVED, known, *amounts.told(PROFILE, amount, currency))


def refused(instruction: Instruction, status: int, told: Told) -> Result:
    """What was answered instead of what was asked for."""
    why = _NOT_LOOKED_AT.get((status, told.code or ""))
    if why is not None:
        message = parsing.sentence(told.message)
        return Result(
            Outcome.DECLINED, code="processing_error", message=message, retryable=True, detail=why
        )
    if not 400 <= status < 500 or status in (401, 408, 409, 429):
        return unknown(_word(status, told))
    return _CODES.refused(instruction.operation, told.code, told.message)


def _word(status: int, told: Told | None) -> str:
    code = None if told is None or told.code is None else parsing.word(told.code.lower())
    return code or f"http_{status}"
