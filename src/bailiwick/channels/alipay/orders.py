"""What Alipay is asked for an instruction: the method, its parameters, and the call."""

import json
import re

from bailiwick.channels.alipay.readings import PROFILE
from bailiwick.channels.blocks import amounts, requests, times, wallets
from bailiwick.channels.blocks.signing import forms
from bailiwick.channels.contract import (
    Account,
    CannotExpress,
    Context,
    Family,
    Instruction,
    Operation,
    Request,
)

BEIJING = 8
PAGE, PHONE, APP = "alipay.trade.page.pay", "alipay.trade.wap.pay", "alipay.trade.app.pay"
LOCAL = (PAGE, PHONE, APP)
"""What the payer's browser or app asks, and not we."""
PAY, SHOW, CREATE = "alipay.trade.pay", "alipay.trade.precreate", "alipay.trade.create"
CANCEL, CLOSE, REFUND = "alipay.trade.cancel", "alipay.trade.close", "alipay.trade.refund"
QUERY, REFUND_QUERY = "alipay.trade.query", "alipay.trade.fastpay.refund.query"
_PRODUCTS = {
    PAGE: "FAST_INSTANT_TRADE_PAY",
    PHONE: "QUICK_WAP_WAY",
    APP: "QUICK_MSECURITY_PAY",
    CREATE: "JSAPI_PAY",
    PAY: "FACE_TO_FACE_PAYMENT",
    SHOW: "FACE_TO_FACE_PAYMENT",
}
_SPECIAL = re.compile(r"[/=&\x00-\x1f]+")


def method_of(instruction: Instruction) -> str:
    """The method for an instruction. Raises CannotExpress: there is none."""
    if instruction.operation is Operation.REFUND:
        return REFUND
    family, payer = instruction.family, instruction.payer
    if instruction.operation is Operation.VOID:  # a cancel is for what is paid at a till
        return CANCEL if family in (Family.PRESENTED_CODE, Family.SHOWN_CODE) else CLOSE
    if family is Family.REDIRECT:
        return PHONE if payer is not None and payer.device == "mobile" else PAGE
    if family is Family.IN_APP:
        return CREATE if payer is not None and payer.wallet_id else APP
    known = {Family.PRESENTED_CODE: PAY, Family.SHOWN_CODE: SHOW}.get(family)
    if known is None:
        raise CannotExpress("Alipay takes no token; nothing was sent. Leave payment_method out.")
    return known


def content(instruction: Instruction, account: Account, method: str) -> dict[str, str]:
    """Its parameters. Raises CannotExpress."""
    amount = amounts.to_major(PROFILE, instruction.amount, instruction.currency)
    if method == REFUND:
        own = {"refund_amount": amount, "out_request_no": instruction.reference}
        return {**trade(instruction), **own}
    if instruction.operation is Operation.VOID:
        return trade(instruction)
    title = _SPECIAL.sub(" ", instruction.description or "").strip()[:256]
    found = {
        "out_trade_no": instruction.reference,
        "total_amount": amount,
        "subject": title or instruction.payment or instruction.reference,
        "product_code": _PRODUCTS[method],
    }
    if method == PAY:
        return {**found, "scene": "bar_code", "auth_code": instruction.code or ""}
    if method == CREATE and instruction.payer is not None:
        who = instruction.payer.wallet_id or ""
        name = "buyer_id" if re.fullmatch(r"2088\d{12}", who) else "buyer_open_id"
        found |= {name: who, "op_app_id": account.options.get("app_id", "")}
    return {**found, "time_expire": times.clock(wallets.until(PROFILE, instruction), BEIJING)}


def trade(instruction: Instruction) -> dict[str, str]:
    """Names the trade that is acted upon, or asked about. Raises CannotExpress: it is not known."""
    charge = instruction.operation is Operation.CHARGE
    own = instruction.reference if charge else instruction.charge_reference
    if own:
        return {"out_trade_no": own}
    if instruction.provider_ref:
        return {"trade_no": instruction.provider_ref}
    raise CannotExpress(f"A {instruction.operation} has to name its charge; nothing was sent.")


def look_up(instruction: Instruction) -> tuple[str, dict[str, str]]:
    """The method that tells how an operation ended, and its parameters. Raises CannotExpress."""
    if instruction.operation is Operation.REFUND:
        return REFUND_QUERY, {**trade(instruction), "out_request_no": instruction.reference}
    return QUERY, trade(instruction)


def signed(
    account: Account,
    context: Context | None,
    method: str,
    content: dict[str, str],
    **urls: str | None,
) -> str:
    """A call's parameters, as a signed form. Raises CannotExpress, BadSecret."""
    if context is None:
        raise CannotExpress("A request to Alipay has its time, and there is none.")
    given: dict[str, str | None] = {
        "app_id": account.options.get("app_id"),
        "method": method,
        "format": "JSON",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "timestamp": times.clock(context.instant_ms, BEIJING),
        "version": "1.0",
        "biz_content": json.dumps(content, ensure_ascii=False, separators=(",", ":")),
        **urls,
    }
    return forms.signed(given, account)


def call(account: Account, form: str) -> Request:
    """The call with such parameters."""
    headers = {"accept": "application/json", "content-type": forms.TYPE}
    return Request("POST", requests.at(account, "/gateway.do"), headers, form.encode())
