"""What WeChat Pay is asked for an instruction."""

import re
from typing import Any
from urllib.parse import quote

from bailiwick.channels.blocks import amounts, requests, times, wallets
from bailiwick.channels.contract import (
    Account,
    CannotExpress,
    Context,
    Family,
    Instruction,
    Operation,
    Request,
)
from bailiwick.channels.wechat_pay import signing
from bailiwick.channels.wechat_pay.readings import PROFILE

BEIJING = 8
AT_TILL, SHOWN, PAGE = "codepay", "native", "h5"
OFFICIAL, APP = "jsapi", "app"
_ORDERS = "/v3/pay/transactions"
_REFUNDS = "/v3/refund/domestic/refunds"
_HEADERS = {"accept": "application/json", "user-agent": "bailiwick"}
_TRADE_NO = re.compile(r"[0-9A-Za-z_*-]{1,32}", re.ASCII)
_DESCRIPTION_CHARS_MAX = 127


def kind_of(instruction: Instruction) -> str:
    """How a charge is paid, in WeChat Pay's words. Raises CannotExpress: in no such way."""
    if instruction.family is Family.IN_APP:
        return OFFICIAL if instruction.payer and instruction.payer.wallet_id else APP
    known = {Family.PRESENTED_CODE: AT_TILL, Family.SHOWN_CODE: SHOWN, Family.REDIRECT: PAGE}
    if instruction.family not in known:
        raise CannotExpress(
            "WeChat Pay takes no token; nothing was sent. Leave payment_method out."
        )
    return known[instruction.family]


def request(instruction: Instruction, account: Account) -> Request:
    """The request for an operation. Raises CannotExpress, BadSecret."""
    if instruction.operation is Operation.REFUND:
        return _post(instruction, account, _REFUNDS, _refund(instruction))
    own = {"mchid": account.options.get("mchid", "")}
    apps = {"appid": account.options.get("appid", ""), **own}
    if instruction.operation is Operation.VOID:
        back = instruction.family is Family.PRESENTED_CODE
        path = f"{_order(instruction)}/{'reverse' if back else 'close'}"
        return _post(instruction, account, path, apps if back else own)
    kind = kind_of(instruction)
    body = {**apps, **_charge(instruction, account, kind)}
    return _post(instruction, account, f"{_ORDERS}/{kind}", body)


def look_up(instruction: Instruction, account: Account) -> Request:
    """Asks for the refund, or the order of which the instruction is. Raises CannotExpress."""
    if instruction.operation is Operation.REFUND:
        path = f"{_REFUNDS}/{quote(instruction.reference, safe='')}"
    else:
        path = f"{_order(instruction)}?mchid={quote(account.options.get('mchid', ''), safe='')}"
    return get(account, path, instruction.context)


def get(account: Account, path: str, context: Context | None) -> Request:
    """A signed request that only reads. Raises CannotExpress, BadSecret."""
    return signing.signed(requests.get(account, path, _HEADERS), account, moment(context))


def trade_no(instruction: Instruction) -> str:
    """Our reference of the charge that is made, or acted upon. Raises CannotExpress."""
    charge = instruction.operation is Operation.CHARGE
    own = instruction.reference if charge else instruction.charge_reference
    if own is None or _TRADE_NO.fullmatch(own) is None:
        raise CannotExpress(
            f"A {instruction.operation} has to name its charge, in 32 letters and digits at most; "
            "nothing was sent."
        )
    return own


def _order(instruction: Instruction) -> str:
    return f"{_ORDERS}/out-trade-no/{trade_no(instruction)}"


def _charge(instruction: Instruction, account: Account, kind: str) -> dict[str, Any]:
    amount = amounts.to_provider(PROFILE, instruction.amount, instruction.currency)
    title = (instruction.description or "").strip() or instruction.payment or instruction.reference
    body: dict[str, Any] = {
        "description": title[:_DESCRIPTION_CHARS_MAX],
        "out_trade_no": trade_no(instruction),
        "amount": {"total": amount, "currency": instruction.currency},
    }
    payer = instruction.payer
    if kind == AT_TILL:
        shop = account.options.get("store") or account.options.get("mchid", "")
        body["payer"] = {"auth_code": instruction.code or ""}
        return {**body, "scene_info": {"store_info": {"out_id": shop}}}
    if kind == OFFICIAL and payer is not None:
        body["payer"] = {"openid": payer.wallet_id}
    if kind == PAGE and payer is not None:
        scene = {"payer_client_ip": payer.ip_address, "h5_info": {"type": "Wap"}}
        body["scene_info"] = scene
    until = times.rfc3339(wallets.until(PROFILE, instruction), BEIJING)
    return {**body, "time_expire": until, "notify_url": instruction.callback_url}


def _refund(instruction: Instruction) -> dict[str, Any]:
    if instruction.charge_amount is None:
        raise CannotExpress("WeChat Pay is told the charge's amount with a refund; it is unknown.")
    given, total = (
        amounts.to_provider(PROFILE, each, instruction.currency)
        for each in (instruction.amount, instruction.charge_amount)
    )
    if instruction.charge_reference is None and instruction.provider_ref:
        named = {"transaction_id": instruction.provider_ref}
    else:
        named = {"out_trade_no": trade_no(instruction)}
    return {
        **named,
        "out_refund_no": instruction.reference,
        "notify_url": instruction.callback_url,
        "amount": {"refund": given, "total": total, "currency": instruction.currency},
    }


def _post(instruction: Instruction, account: Account, path: str, body: dict[str, Any]) -> Request:
    known = {name: value for name, value in body.items() if value is not None}
    made = requests.post_json(account, path, _HEADERS, known)
    return signing.signed(made, account, moment(instruction.context))


def moment(context: Context | None) -> Context:
    """The time and the number of a request. Raises CannotExpress: there is none."""
    if context is None:
        raise CannotExpress("A request to WeChat Pay has its time, and there is none.")
    return context
