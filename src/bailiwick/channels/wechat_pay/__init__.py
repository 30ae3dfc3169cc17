"""WeChat Pay: codes that either side shows, official accounts and mini programs, apps, pages; and
refunds.

Sources: https://pay.weixin.qq.com/doc/v3/merchant (code payment, native, JSAPI, app, H5, refunds,
signatures, callbacks), and the SDKs of wechatpay-apiv3. Signatures are in ``blocks.signing.lines``.

How unknowns end: a charge by our reference, which WeChat Pay takes but once; a refund likewise.
"""

from typing import Any
from urllib.parse import quote

from bailiwick.channels.blocks import amounts, parsing, requests, times, wallets
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    Context,
    Family,
    Instruction,
    Notice,
    Operation,
    Payer,
    Prepared,
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
_DESCRIPTION_CHARS_MAX = 127
_BEIJING = 8


class WeChatPayChannel:
    """See the module's description."""

    profile = PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        SIGNED.check_keys(account)
        return SIGNED.get(account, _order("credential_check", account), Context(now_ms, now_ms))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        told = parsing.decode(reply.body, read.Told)
        known = told is not None and read.CODES.is_absent(told.said(Operation.CHARGE, reply.status))
        return SIGNED.problem(reply, account, known)

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
            at_till = instruction.family is Family.PRESENTED_CODE
            last, body = ("reverse", apps) if at_till else ("close", own)
            path = f"{_ORDERS}/out-trade-no/{wallets.named(PROFILE, instruction)}/{last}"
        else:
            path = f"{_ORDERS}/{read.kind_of(instruction)}"
            body = {**apps, **_charge(instruction, account)}
        return SIGNED.post(account, path, instruction.context, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        told = read.ANSWERS.told(reply, account, instruction.context, read.Told)
        if isinstance(told, Result):
            return told
        operation, at_till = instruction.operation, instruction.family is Family.PRESENTED_CODE
        if operation is Operation.VOID and not at_till and reply.status in (200, 204):
            closed = told is None and reply.status == 204
            return wallets.gone(instruction) if closed else unknown("unreadable")
        if told is None:
            return unknown("unreadable")
        if operation is Operation.CHARGE and not at_till and reply.status == 200:
            return read.made(instruction, told, account)
        return read.CODES.done(instruction, told.said(operation, reply.status))

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        if way is not Resolve.REFERENCE:
            return None
        path = f"{_REFUNDS}/{quote(instruction.reference, safe='')}"
        if instruction.operation is not Operation.REFUND:
            path = _order(wallets.named(PROFILE, instruction), account)
        return SIGNED.get(account, path, instruction.context)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        told = read.ANSWERS.told(reply, account, instruction.context, read.Told)
        if isinstance(told, Result):
            return told
        if told is None or way is not Resolve.REFERENCE:
            return unknown(parsing.not_answered(reply))
        return read.CODES.looked_up(instruction, told.said(instruction.operation, reply.status))

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.CALLBACKS.check(notice, account, now_ms)
        note, told = read.CALLBACKS.opened(notice, account, read.Told)
        refund = note.event_type.startswith("REFUND.")
        if not refund and note.event_type != "TRANSACTION.SUCCESS":
            return None  # of another product
        operation = Operation.REFUND if refund else Operation.CHARGE
        return read.CODES.event(operation, note.id, told.said(operation).stands, dated)


CHANNEL = WeChatPayChannel()


def _order(named: str, account: Account) -> str:
    mchid = quote(account.options.get("mchid", ""), safe="")
    return f"{_ORDERS}/out-trade-no/{named}?mchid={mchid}"


def _charge(instruction: Instruction, account: Account) -> dict[str, Any]:
    amount = amounts.to_provider(PROFILE, instruction.amount, instruction.currency)
    known = {
        "description": wallets.title(instruction, _DESCRIPTION_CHARS_MAX),
        "out_trade_no": wallets.named(PROFILE, instruction),
        "amount": {"total": amount, "currency": instruction.currency},
    }
    if instruction.family is Family.PRESENTED_CODE:
        shop = account.options.get("store") or account.options.get("mchid", "")
        till = {"store_info": {"out_id": shop}}
        return {**known, "payer": {"auth_code": instruction.code or ""}, "scene_info": till}
    who = instruction.payer or Payer()
    page = {"payer_client_ip": who.ip_address, "h5_info": {"type": "Wap"}}
    return {
        **known,
        "payer": None if who.wallet_id is None else {"openid": who.wallet_id},
        "scene_info": page if instruction.family is Family.REDIRECT else None,
        "time_expire": times.rfc3339(wallets.until(PROFILE, instruction), _BEIJING),
        "notify_url": instruction.callback_url,
    }


def _refund(instruction: Instruction) -> dict[str, Any]:
    given, total = wallets.given_back(PROFILE, instruction)
    return {
        "out_trade_no": wallets.named(PROFILE, instruction),
        "out_refund_no": instruction.reference,
        "notify_url": instruction.callback_url,
        "amount": {"refund": given, "total": total, "currency": instruction.currency},
    }
