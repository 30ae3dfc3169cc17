"""WeChat Pay: codes that either side shows, official accounts and mini programs, apps, pages; and
refunds.

Sources: https://pay.weixin.qq.com/doc/v3/merchant (code payment, native, JSAPI, app, H5, refunds,
signatures, callbacks), and the SDKs of wechatpay-apiv3. What is declared, and readings of answers,
are in ``readings``; signatures in ``blocks.signing.lines``.

How unknowns end: a charge by our reference, which WeChat Pay takes but once; a refund likewise.
"""

import re
from typing import Any
from urllib.parse import quote

from bailiwick.channels.blocks import amounts, parsing, requests, times, wallets
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
    CannotExpress,
    Context,
    Family,
    Instruction,
    Notice,
    Operation,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.wechat_pay import readings as read
from bailiwick.channels.wechat_pay.readings import PROFILE, SIGNED

_ORDERS, _REFUNDS = "/v3/pay/transactions", "/v3/refund/domestic/refunds"
_TRADE_NO = re.compile(r"[0-9A-Za-z_*-]{1,32}", re.ASCII)
_DESCRIPTION_CHARS_MAX = 127
_BEIJING = 8
_NO_ORDER = ("ORDER_NOT_EXIST", "ORDERNOTEXIST")


class WeChatPayChannel:
    """See the module's description."""

    profile: Profile = PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        SIGNED.check_keys(account)
        return SIGNED.get(account, _order("credential_check", account), Context(now_ms, now_ms))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        told = parsing.decode(reply.body, read.Told)
        return SIGNED.problem(reply, account, told is not None and told.code in _NO_ORDER)

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        return SIGNED.ask(account, now_ms)

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        return SIGNED.brought(reply, account, now_ms)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: a token, too little time for the payer, or no charge to act upon.
        """
        requests.only_declared(PROFILE, instruction)
        own = {"mchid": account.options.get("mchid", "")}
        apps = {"appid": account.options.get("appid", ""), **own}
        if instruction.operation is Operation.REFUND:
            path, body = _REFUNDS, _refund(instruction)
        elif instruction.operation is Operation.VOID:
            back = instruction.family is Family.PRESENTED_CODE
            path = f"{_ORDERS}/out-trade-no/{_named(instruction)}/{'reverse' if back else 'close'}"
            body = apps if back else own
        else:
            path = f"{_ORDERS}/{read.kind_of(instruction)}"
            body = {**apps, **_charge(instruction, account)}
        return SIGNED.post(account, path, instruction.context, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        told = read.told(instruction, reply, account)
        if isinstance(told, Result):
            return told
        if told is None or reply.status == 204:
            return read.closed(instruction, reply.status if told is None else 0)
        charge = instruction.operation is Operation.CHARGE
        refund = instruction.operation is Operation.REFUND
        if reply.status == 200 and not refund and instruction.family is not Family.PRESENTED_CODE:
            return read.made(instruction, told, account) if charge else unknown("unreadable")
        return read.CODES.done(instruction, told.said(instruction.operation, reply.status))

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        if way is not Resolve.REFERENCE:
            return None
        if instruction.operation is Operation.REFUND:
            path = f"{_REFUNDS}/{quote(instruction.reference, safe='')}"
        else:
            path = _order(_named(instruction), account)
        return SIGNED.get(account, path, instruction.context)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        told = read.told(instruction, reply, account)
        if way is not Resolve.REFERENCE or told is None:
            return unknown(parsing.not_answered(reply))
        if isinstance(told, Result):
            return told
        return read.CODES.looked_up(instruction, told.said(instruction.operation, reply.status))

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.CALLBACKS.check(notice, account, now_ms)
        note, told = read.CALLBACKS.opened(notice, account, read.Told)
        if told.mchid != account.options.get("mchid"):
            raise CallbackRefused("it is for another mchid")
        operation = Operation.REFUND
        if note.event_type == "TRANSACTION.SUCCESS":
            operation = Operation.CHARGE
        elif not note.event_type.startswith("REFUND."):
            return None  # of another product
        return read.CODES.event(operation, note.id, told.stands(operation), dated)


CHANNEL = WeChatPayChannel()


def _order(named: str, account: Account) -> str:
    mchid = quote(account.options.get("mchid", ""), safe="")
    return f"{_ORDERS}/out-trade-no/{named}?mchid={mchid}"


def _named(instruction: Instruction) -> str:
    own = wallets.charge_of(instruction)
    if own is None or _TRADE_NO.fullmatch(own) is None:
        raise CannotExpress(
            f"A {instruction.operation} has to name its charge, in 32 letters and digits at most; "
            "nothing was sent."
        )
    return own


def _charge(instruction: Instruction, account: Account) -> dict[str, Any]:
    amount = amounts.to_provider(PROFILE, instruction.amount, instruction.currency)
    payer, known = (
        instruction.payer,
        {
            "description": wallets.title(instruction, _DESCRIPTION_CHARS_MAX),
            "out_trade_no": _named(instruction),
            "amount": {"total": amount, "currency": instruction.currency},
        },
    )
    if instruction.family is Family.PRESENTED_CODE:
        shop = account.options.get("store") or account.options.get("mchid", "")
        scene: dict[str, Any] = {"store_info": {"out_id": shop}}
        return {**known, "payer": {"auth_code": instruction.code or ""}, "scene_info": scene}
    until = times.rfc3339(wallets.until(PROFILE, instruction), _BEIJING)
    known |= {"time_expire": until, "notify_url": instruction.callback_url}
    if instruction.family is Family.REDIRECT and payer is not None:
        scene = {"payer_client_ip": payer.ip_address, "h5_info": {"type": "Wap"}}
        known["scene_info"] = scene
    if payer is not None and payer.wallet_id is not None:
        known["payer"] = {"openid": payer.wallet_id}
    return known


def _refund(instruction: Instruction) -> dict[str, Any]:
    if instruction.charge_amount is None:
        raise CannotExpress("WeChat Pay is told the charge's amount with a refund; it is unknown.")
    given, total = (
        amounts.to_provider(PROFILE, each, instruction.currency)
        for each in (instruction.amount, instruction.charge_amount)
    )
    by_id = instruction.charge_reference is None and instruction.provider_ref
    return {
        "transaction_id": instruction.provider_ref if by_id else None,
        "out_trade_no": None if by_id else _named(instruction),
        "out_refund_no": instruction.reference,
        "notify_url": instruction.callback_url,
        "amount": {"refund": given, "total": total, "currency": instruction.currency},
    }
