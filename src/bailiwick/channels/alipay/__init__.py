"""Alipay: its page, its app, codes that either side shows; and refunds.

Sources: https://opendocs.alipay.com/apis/api_1 (alipay.trade.pay, precreate, create, query, cancel,
close, refund, fastpay.refund.query), /open (page.pay, wap.pay, app.pay), /common/02mse7
(signatures), and Alipay's own SDKs. Readings of answers are in ``readings``.

How unknowns end: a charge by our reference. Of a page, a shown code and an app's order Alipay knows
nothing before the payer comes: until the payer's time is over "no such trade" says nothing, of a
void either. A refund is found by our reference, which Alipay takes but once of a trade.
"""

import re

from bailiwick.channels.alipay import readings as read
from bailiwick.channels.alipay.readings import GATEWAY, PROFILE
from bailiwick.channels.blocks import amounts, requests, times, wallets
from bailiwick.channels.contract import (
    Account,
    Act,
    Action,
    CallbackEvent,
    Context,
    Family,
    Instruction,
    Notice,
    Operation,
    Reply,
    Request,
    Resolve,
    Result,
    redirect,
)

_PAGES = ("page.pay", "wap.pay")  # the payer's browser or app asks for these, and not we
_SPECIAL = re.compile(r"[/=&\x00-\x1f]+")
_TITLE_CHARS_MAX = 256


class AlipayChannel:
    """See the module's description."""

    profile = PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        none = {"out_trade_no": "credential_check"}
        return GATEWAY.ask(account, Context(now_ms, 0), "query", none)

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        told = GATEWAY.told(reply, account, "query", read.Told)
        known = isinstance(told, read.Told) and (told.sub_code or "").startswith("ACQ.")
        return None if known else GATEWAY.problem(reply, account)

    def request(self, instruction: Instruction, account: Account) -> Request | Result:
        """See ``Channel.request``. For a page or an app's order nothing is asked: it is signed.

        Raises:
            CannotExpress: a token, too little time for the payer, or no charge to act upon.
        """
        requests.only_declared(PROFILE, instruction)
        method = _method_of(instruction)
        content = _content(instruction, account, method)
        back = instruction.return_url if method in _PAGES else None
        urls = {"notify_url": instruction.callback_url, "return_url": back}
        form = GATEWAY.form(account, instruction.context, method, content, **urls)
        if method == "app.pay":
            return wallets.made(instruction, Action(Act.IN_APP, parameters={"orderStr": form}))
        if method in _PAGES:
            return wallets.made(instruction, redirect(GATEWAY.page(account, form)))
        return GATEWAY.call(account, form)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        told = GATEWAY.told(reply, account, _method_of(instruction), read.Told)
        return told if isinstance(told, Result) else read.done(instruction, told)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        if way is not Resolve.REFERENCE:
            return None
        named = {"out_trade_no": wallets.named(PROFILE, instruction)}
        if instruction.operation is Operation.REFUND:
            named["out_request_no"] = instruction.reference
        return GATEWAY.ask(account, instruction.context, _look_up(instruction), named)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        told = GATEWAY.told(reply, account, _look_up(instruction), read.Told)
        return told if isinstance(told, Result) else read.looked_up(instruction, told)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.CALLBACKS.check(notice, account, now_ms)
        notice_id, told = read.CALLBACKS.told(notice, read.Told)
        if told.gmt_refund is None and not told.out_biz_no:
            return read.CODES.event(Operation.CHARGE, notice_id, told.trade(told.state), dated)
        # It counts all refunds of the trade: what became of this one is asked.
        refund = wallets.Stands(None, told.out_biz_no, None)
        return read.CODES.event(Operation.REFUND, notice_id, refund, dated)


CHANNEL = AlipayChannel()


def _method_of(instruction: Instruction) -> str:
    family, who = instruction.family, instruction.payer
    if instruction.operation is Operation.REFUND:
        return "refund"
    if instruction.operation is Operation.VOID:  # a cancel is for what is paid at a till
        return "cancel" if family in (Family.PRESENTED_CODE, Family.SHOWN_CODE) else "close"
    known = {
        Family.PRESENTED_CODE: "pay",
        Family.SHOWN_CODE: "precreate",
        Family.REDIRECT: "wap.pay" if who and who.device == "mobile" else "page.pay",
        Family.IN_APP: "create" if who and who.wallet_id else "app.pay",
    }
    return wallets.way(PROFILE, instruction, known)


def _look_up(instruction: Instruction) -> str:
    return "fastpay.refund.query" if instruction.operation is Operation.REFUND else "query"


def _content(instruction: Instruction, account: Account, method: str) -> dict[str, str]:
    amount = amounts.to_major(PROFILE, instruction.amount, instruction.currency)
    named = {"out_trade_no": wallets.named(PROFILE, instruction)}
    if instruction.operation is Operation.REFUND:
        return {**named, "refund_amount": amount, "out_request_no": instruction.reference}
    if instruction.operation is Operation.VOID:
        return named
    product = read.CODES.known["products"][method]
    title = wallets.title(instruction, _TITLE_CHARS_MAX, _SPECIAL)
    found = {**named, "total_amount": amount, "subject": title, "product_code": product}
    if method == "pay":
        return {**found, "scene": "bar_code", "auth_code": instruction.code or ""}
    if method == "create" and instruction.payer is not None:
        who = instruction.payer.wallet_id or ""
        name = "buyer_id" if re.fullmatch(r"2088\d{12}", who) else "buyer_open_id"
        found |= {name: who, "op_app_id": account.options.get("app_id", "")}
    until = wallets.until(PROFILE, instruction)
    return {**found, "time_expire": times.clock(until, read.BEIJING)}
