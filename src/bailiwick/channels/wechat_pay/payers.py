"""Orders that wait for their payer: what that one is told to do."""

import re
from urllib.parse import quote

from bailiwick.channels.blocks import parsing, wallets
from bailiwick.channels.blocks.signing import canonical, rsa
from bailiwick.channels.contract import (
    Account,
    Act,
    Action,
    Family,
    Instruction,
    Result,
    redirect,
    unknown,
)
from bailiwick.channels.wechat_pay import orders
from bailiwick.channels.wechat_pay import readings as read

_CODE = re.compile(r"^weixin://[\x21-\x7e]{1,500}\Z")


def made(instruction: Instruction, status: int, told: read.Told | None, account: Account) -> Result:
    """What was answered to such an order."""
    if told is None or status != 200:
        return unknown("unreadable") if told is None else read.refused(instruction, status, told)
    return wallets.made(instruction, _action(instruction, told, account))


def _action(instruction: Instruction, told: read.Told, account: Account) -> Action | None:
    if instruction.family is Family.SHOWN_CODE:
        text = told.code_url or ""
        return Action(Act.SHOWN_CODE, text=text) if _CODE.match(text) else None
    if instruction.family is Family.REDIRECT:
        back = quote(instruction.return_url or "", safe="")
        link = parsing.link(f"{told.h5_url}&redirect_url={back}", https_only=True)
        return None if link is None else redirect(link)
    if told.prepay_id is None:
        return None
    return Action(Act.IN_APP, parameters=_parameters(instruction, account, told.prepay_id))


def _parameters(instruction: Instruction, account: Account, prepay_id: str) -> dict[str, str]:
    """What the payer's app opens WeChat Pay with."""
    context = orders.moment(instruction.context)
    appid, moment = account.options.get("appid", ""), str(context.instant_ms // 1000)
    nonce, package = f"{context.sequence:032x}", f"prepay_id={prepay_id}"
    if orders.kind_of(instruction) == orders.OFFICIAL:
        text = canonical.lines(appid, moment, nonce, package)
        return {
            "appId": appid,
            "timeStamp": moment,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": rsa.sign(account, "private_key", text),
        }
    text = canonical.lines(appid, moment, nonce, prepay_id)
    return {
        "appid": appid,
        "partnerid": account.options.get("mchid", ""),
        "prepayid": prepay_id,
        "package": "Sign=WXPay",
        "noncestr": nonce,
        "timestamp": moment,
        "sign": rsa.sign(account, "private_key", text),
    }
