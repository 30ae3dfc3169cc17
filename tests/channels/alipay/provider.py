"""Alipay, as far as tests need it: a server that keeps books by the rules it has documented.

It verifies our signature, knows no trade of a page or a shown code before its payer comes, closes
what has run out, gives back once under a reference, signs its answers and callbacks by RSA2. What
payers do is the test's: ``payers`` has what happens to a code at a till (``pays``, ``pin``,
``poor``), and ``scan``, ``visit``, ``pay`` are a payer at a phone.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from tests.providers.books import Refused, Trade
from tests.providers.keys import Keys, is_signed
from tests.providers.serving import Asked, Provider, Said, Told

BEIJING = timezone(timedelta(hours=8))
Content = dict[str, str]


class Alipay(Provider):
    """See the module's description. ``app``, ``own``: the keys of the merchant's app and Alipay's.

    Attributes:
        now_ms: its clock.
        due: callbacks that it has made, in order.
    """

    def __init__(self, now_ms: Callable[[], int], app_id: str = "2014072300007148") -> None:
        super().__init__()
        self.app, self.own, self.app_id = Keys.made(), Keys.made(), app_id
        self.now_ms = now_ms
        self.payers: dict[str, str] = {}
        self.due: list[Told] = []
        self._offers: dict[str, Content] = {}
        self._used: dict[str, str] = {}

    # What the payer does

    def scan(self, code: str) -> None:
        """Scan a code that was shown: now there is a trade."""
        self._come(next(each for each in self._offers.values() if each["qr_code"] == code))

    def visit(self, form: str) -> None:
        """Open a page of Alipay's, or its app with a merchant's order."""
        given = self._verified(urlsplit(form).query or form)
        content: Content = json.loads(given["biz_content"])
        self._come({**content, "notify_url": given.get("notify_url", "")})

    def _come(self, offer: Content) -> None:
        if offer.get("time_expire", "9") <= self._clock():
            raise Refused("over")
        self._begin(offer["out_trade_no"], offer)

    def pay(self, reference: str) -> None:
        """Pay a trade that waits; Alipay calls back."""
        self._close_what_is_over()
        self._tell(self.books.pay(reference), "TRADE_SUCCESS", gmt_payment=self._clock())

    # What the server does

    def named(self, asked: Asked) -> str:
        form = dict(parse_qsl(asked.body.decode()))
        return form.get("method", "").removeprefix("alipay.trade.")

    def answer(self, operation: str, asked: Asked) -> Said:
        name = f"alipay_trade_{operation.replace('.', '_')}_response"
        try:
            given = self._verified(asked.body.decode())
        except PermissionError:
            told = _no("40002", "isv.invalid-signature", "Invalid Arguments")
            return self._said(name, told)
        content: Content = json.loads(given["biz_content"])
        content["notify_url"] = given.get("notify_url", "")
        self._close_what_is_over()
        work = getattr(self, "_" + operation.replace(".", "_"))
        try:
            told = {"code": "10000", "msg": "Success", **work(content)}
        except Refused as refused:
            told = _no("40004", f"ACQ.{refused.args[0]}", "Business Failed")
        except InterruptedError:
            told = {"code": "10003", "msg": "order success pay inprocess"}
            told["out_trade_no"] = content["out_trade_no"]
        return self._said(name, told)

    def forged(self, said: Said) -> Said:
        body = json.loads(said.body)
        name = next(each for each in body if each != "sign")
        return self._said(name, body[name], Keys.made())

    def _said(self, name: str, told: dict[str, Any], keys: Keys | None = None) -> Said:
        raw = json.dumps(told, ensure_ascii=False).replace("/", "\\/")
        sign = (keys or self.own).sign(raw.encode())
        body = f'{{"{name}":{raw},"sign":"{sign}"}}'
        return Said(200, {"content-type": "text/html;charset=utf-8"}, body.encode())

    def _verified(self, form: str) -> dict[str, str]:
        given = dict(parse_qsl(form, keep_blank_values=True))
        text = "&".join(f"{name}={given[name]}" for name in sorted(given) if name != "sign")
        genuine = given.get("app_id") == self.app_id and given.get("sign_type") == "RSA2"
        if not genuine or not is_signed(self.app.public, text.encode(), given.get("sign", "")):
            raise PermissionError
        return given

    # Its methods

    def _pay(self, content: Content) -> dict[str, Any]:
        reference, code = content["out_trade_no"], content["auth_code"]
        trade = self._begin(reference, content)
        if self._used.setdefault(code, reference) != reference:
            raise Refused("PAYMENT_AUTH_CODE_INVALID")
        does = self.payers.get(code, "pays")
        if does == "poor":
            del self.books.trades[reference]
            raise Refused("BUYER_BALANCE_NOT_ENOUGH")
        if does == "pin":
            raise InterruptedError
        self.books.pay(reference)
        return _shown(trade)

    def _precreate(self, content: Content) -> dict[str, Any]:
        number = len(self._offers) + 1
        offer = {**content, "qr_code": f"https://qr.alipay.com/bax{number:021d}"}
        offer = self._offers.setdefault(content["out_trade_no"], offer)
        return {"out_trade_no": content["out_trade_no"], "qr_code": offer["qr_code"]}

    def _create(self, content: Content) -> dict[str, Any]:
        trade = self._begin(content["out_trade_no"], content)
        return {"out_trade_no": trade.reference, "trade_no": trade.id}

    def _query(self, content: Content) -> dict[str, Any]:
        return _shown(self._known(content))

    def _cancel(self, content: Content) -> dict[str, Any]:
        trade = self.books.trades.get(content["out_trade_no"])
        done = {"out_trade_no": content["out_trade_no"], "retry_flag": "N"}
        if trade is None:
            return done
        if trade.state == "paid":
            self.books.give_back(trade, f"cancel of {trade.reference}", trade.amount)
            return {**done, "trade_no": trade.id, "action": "refund"}
        self.books.close(trade.reference)
        return {**done, "trade_no": trade.id, "action": "close"}

    def _close(self, content: Content) -> dict[str, Any]:
        trade = self._known(content)
        if trade.state != "waiting":
            raise Refused("TRADE_STATUS_ERROR")
        self.books.close(trade.reference)
        return {"out_trade_no": trade.reference, "trade_no": trade.id}

    def _refund(self, content: Content) -> dict[str, Any]:
        trade = self._known(content)
        words = {"unpaid": "TRADE_STATUS_ERROR", "differs": "DISCORDANT_REPEAT_REQUEST"}
        try:
            reference = content["out_request_no"]
            new = self.books.give_back(trade, reference, _fen(content["refund_amount"]))
        except Refused as refused:
            raise Refused(words.get(refused.args[0], "REFUND_AMT_NOT_EQUAL_TOTAL")) from None
        if new:
            status = "TRADE_CLOSED" if trade.state == "closed" else "TRADE_SUCCESS"
            back = {"out_biz_no": reference, "refund_fee": _yuan(trade.given_back)}
            self._tell(trade, status, gmt_refund=f"{self._clock()}.000", **back)
        return {
            **_named(trade),
            "fund_change": "Y" if new else "N",
            "refund_fee": _yuan(trade.given_back),
        }

    def _fastpay_refund_query(self, content: Content) -> dict[str, Any]:
        trade = self._known(content)
        amount = trade.refunds.get(content["out_request_no"])
        if amount is None:
            return {}
        found = {"out_request_no": content["out_request_no"], "refund_status": "REFUND_SUCCESS"}
        return {**_named(trade), **found, "refund_amount": _yuan(amount)}

    # Its books

    def _known(self, content: Content) -> Trade:
        trade = self.books.seen(content["out_trade_no"])
        if trade is None:
            raise Refused("TRADE_NOT_EXIST")
        return trade

    def _begin(self, reference: str, content: Content) -> Trade:
        words = {"differs": "CONTEXT_INCONSISTENT", "paid": "TRADE_HAS_SUCCESS"}
        notes = {"until": content.get("time_expire", "9"), "notify_url": content["notify_url"]}
        try:
            return self.books.begin(reference, _fen(content["total_amount"]), **notes)
        except Refused as refused:
            raise Refused(words.get(refused.args[0], "TRADE_HAS_CLOSE")) from None

    def _close_what_is_over(self) -> None:
        for trade in list(self.books.trades.values()):
            if trade.state == "waiting" and trade.notes["until"] <= self._clock():
                self.books.close(trade.reference)

    def _tell(self, trade: Trade, status: str, **more: str) -> None:
        note = {
            "app_id": self.app_id,
            "charset": "utf-8",
            "version": "1.0",
            "notify_type": "trade_status_sync",
            "notify_id": f"{len(self.due):034d}",
            "notify_time": self._clock(),
            **_named(trade),
            "trade_status": status,
            "total_amount": _yuan(trade.amount),
            **more,
        }
        self.due.append(self.signed(note))

    def signed(self, note: dict[str, str], keys: Keys | None = None) -> Told:
        """A callback with these fields."""
        text = "&".join(f"{name}={note[name]}" for name in sorted(note))
        sign = (keys or self.own).sign(text.encode())
        body = urlencode({**note, "sign_type": "RSA2", "sign": sign})
        return Told({"content-type": "application/x-www-form-urlencoded"}, body.encode())

    def _clock(self) -> str:
        at = datetime.fromtimestamp(self.now_ms() / 1000, BEIJING)
        return at.strftime("%Y-%m-%d %H:%M:%S")


def _no(code: str, sub_code: str, message: str) -> dict[str, str]:
    return {"code": code, "msg": message, "sub_code": sub_code, "sub_msg": sub_code}


def _named(trade: Trade) -> dict[str, str]:
    return {"trade_no": trade.id, "out_trade_no": trade.reference}


def _shown(trade: Trade) -> dict[str, str]:
    states = {"waiting": "WAIT_BUYER_PAY", "paid": "TRADE_SUCCESS", "closed": "TRADE_CLOSED"}
    shown = {**_named(trade), "trade_status": states[trade.state]}
    if trade.was_paid:
        shown["send_pay_date"] = "2026-09-21 22:13:21"
    return {**shown, "total_amount": _yuan(trade.amount)}


def _fen(yuan: str) -> int:
    whole, _, rest = yuan.partition(".")
    return int(whole) * 100 + int(f"{rest:0<2}")


def _yuan(fen: int) -> str:
    return f"{fen // 100}.{fen % 100:02d}"
