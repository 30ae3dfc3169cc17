"""Alipay: its page, its app, codes that either side shows; and refunds.

Sources: https://opendocs.alipay.com/apis/api_1 (alipay.trade.pay, precreate, create, query, cancel,
close, refund, fastpay.refund.query), /open (page.pay, wap.pay, app.pay), /common/02mse7
(signatures), and Alipay's own SDKs. Readings of answers are in ``readings``.

How unknowns end: a charge by our reference. Of a page, a shown code and an app's order Alipay knows
nothing before the payer comes: until the payer's time is over "no such trade" says nothing, of a
void either. A refund is found by our reference, which Alipay takes but once of a trade.
"""

from bailiwick.base.ids import is_id
from bailiwick.channels.alipay import orders
from bailiwick.channels.alipay import readings as read
from bailiwick.channels.blocks import parsing, requests, wallets
from bailiwick.channels.blocks.signing import forms
from bailiwick.channels.contract import (
    Account,
    Act,
    Action,
    CallbackEvent,
    CallbackRefused,
    CannotExpress,
    Context,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    redirect,
    unknown,
)

_NO_TRADE = {"out_trade_no": "credential_check"}
_QUERY_CHARS_MAX = 2_000


class AlipayChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return orders.call(
            account, orders.signed(account, Context(now_ms, 0), orders.QUERY, _NO_TRADE)
        )

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        known = _told(reply, account, orders.QUERY)
        if known is not None and (known.sub_code or "").startswith("ACQ."):
            return None
        body = parsing.decode(reply.body, dict[str, read.Told | str]) or {}
        codes = {each.sub_code for each in body.values() if isinstance(each, read.Told)}
        wrong = next((read.CREDENTIALS[each] for each in codes if each in read.CREDENTIALS), None)
        if wrong is not None:
            return f"Alipay refused secrets.{wrong} of the gateway: correct it, and the app_id"
        if reply.status == 200:
            return "The answer is not signed by secrets.alipay_public_key: correct it"
        return requests.credential_problem("Alipay", reply, "private_key")

    def request(self, instruction: Instruction, account: Account) -> Request | Result:
        """See ``Channel.request``. For a page or an app's order nothing is asked: it is signed.

        Raises:
            CannotExpress: a token, too little time for the payer, or no charge to act upon.
        """
        requests.only_declared(self.profile, instruction)
        method = orders.method_of(instruction)
        content = orders.content(instruction, account, method)
        back = instruction.return_url if method in (orders.PAGE, orders.PHONE) else None
        urls = {"notify_url": instruction.callback_url, "return_url": back}
        query = orders.signed(account, instruction.context, method, content, **urls)
        if method not in orders.LOCAL:
            return orders.call(account, query)
        action = redirect(requests.at(account, f"/gateway.do?{query}"))
        if method == orders.APP:
            action = Action(Act.IN_APP, parameters={"orderStr": query})
        if len(query) > _QUERY_CHARS_MAX:
            raise CannotExpress(
                "Alipay's page would have too long an address; nothing was sent. Shorten it.",
                param="return_url",
            )
        return wallets.made(instruction, action)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        method = orders.method_of(instruction)
        told = _told(reply, account, method)
        named = orders.trade(instruction)
        return unknown(_silent(reply)) if told is None else read.done(instruction, named, told)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        if way is not Resolve.REFERENCE:
            return None
        return orders.call(
            account, orders.signed(account, instruction.context, *orders.look_up(instruction))
        )

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        method, named = orders.look_up(instruction)
        told = _told(reply, account, method)
        if told is None or way is not Resolve.REFERENCE:
            return unknown(_silent(reply))
        return read.looked_up(instruction, named, told)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.CALLBACKS.check(notice, account, now_ms)
        given = forms.fields(notice)
        told = parsing.converted(given, read.Told)
        if told is None or not (notice_id := given.get("notify_id")):
            raise CallbackRefused("the callback cannot be read")
        if told.gmt_refund is not None or told.out_biz_no:
            # It counts all refunds of the trade: what became of this one is asked.
            own = told.out_biz_no or ""
            event = CallbackEvent(notice_id, Operation.REFUND, own, dated=dated)
            return event if is_id(own, "at") else None
        if told.out_trade_no is None or not is_id(told.out_trade_no, "ch"):
            return None  # of another use of the account
        result = read.trade(told)
        known_result = None if result.outcome is Outcome.UNKNOWN else result
        about = (Operation.CHARGE, told.out_trade_no, told.trade_no)
        return CallbackEvent(notice_id, *about, known_result, dated)


CHANNEL = AlipayChannel()


def _told(reply: Reply, account: Account, method: str) -> read.Told | None:
    """What Alipay has answered to this method; None where it has not signed it."""
    name = f"{method.replace('.', '_')}_response"
    body = read.ANSWERS.read(reply, account, name) if reply.status == 200 else None
    return None if body is None else parsing.decode(body, read.Told)


def _silent(reply: Reply) -> str:
    return parsing.not_answered(reply) if reply.status != 200 else "not_signed"
