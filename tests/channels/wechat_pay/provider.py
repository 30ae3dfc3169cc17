"""WeChat Pay, as far as tests need it: a server that keeps books by the rules it has documented.

It verifies our signature and its time, makes an order once under a number, closes what has run out,
gives back later than it was asked, signs its answers by a certificate or by its public key, and
seals its callbacks. What payers do is the test's: ``payers`` has what happens to a code at a till
(``pays``, ``pin``, ``poor``), and ``pay`` is a payer at a phone.
"""

import base64
import json
import re
import secrets
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.providers.books import Refused, Trade
from tests.providers.keys import Keys, certificate, is_signed
from tests.providers.serving import Asked, Provider, Said, Told

BEIJING = timezone(timedelta(hours=8))
MINUTES_5_S = 300
Content = dict[str, Any]
_ORDERS = "/v3/pay/transactions/"
_REFUNDS = "/v3/refund/domestic/refunds"
_KINDS = {"codepay": "MICROPAY", "native": "NATIVE", "jsapi": "JSAPI", "app": "APP", "h5": "MWEB"}


class No(Exception):
    """An answer that is no success: status and code."""


class WeChatPay(Provider):
    """See the module's description.

    Attributes:
        now_ms: its clock.
        due: callbacks that it has made, in order.
        public_key_id: signs by its public key; None: by its certificates, the last of them.
    """

    def __init__(self, now_ms: Callable[[], int], public_key_id: str | None = None) -> None:
        super().__init__()
        self.merchant, self.mchid, self.appid = Keys.made(), "1230000109", "wxd678efh567hg6787"
        self.serial_no, self.api_v3_key = "1DDE55AD98ED71D6EDD4A4A1", secrets.token_hex(16)
        self.public_key_id = public_key_id
        self.now_ms = now_ms
        self.payers: dict[str, str] = {}
        self.due: list[Told] = []
        self.certificates: list[tuple[str, Keys, str]] = []
        self._used: dict[str, str] = {}
        self.renew()

    def renew(self) -> None:
        """Sign by a new certificate; those before stay good."""
        keys, number = Keys.made(), 0x5157F09EFDC096DE15EBE81A47057A72 + len(self.certificates)
        self.certificates.append((f"{number:X}", keys, certificate(keys, number)))

    @property
    def own(self) -> Keys:
        return self.certificates[-1][1]

    # What the payer does

    def pay(self, reference: str) -> None:
        """Pay an order that waits; of what is paid elsewhere than at a till it calls back."""
        self._close_what_is_over()
        trade = self.books.pay(reference)
        if trade.notes["kind"] != "codepay":
            self._tell("TRANSACTION.SUCCESS", "transaction", _shown(self, trade))

    def refunded(self, reference: str, status: str = "SUCCESS") -> None:
        """A refund comes to its end."""
        trade = next(each for each in self.books.trades.values() if reference in each.refunds)
        trade.notes[reference] = status
        told = self._refund_shown(trade, reference)
        told["refund_status"] = told.pop("status")
        told["amount"].pop("currency")
        if status == "CLOSED":
            self.books.keep(trade, reference)
            trade.notes[f"closed {reference}"] = json.dumps(self._refund_of(trade, reference, 0))
        self._tell(f"REFUND.{status}", "refund", {"mchid": self.mchid, **told})

    # What the server does

    def named(self, asked: Asked) -> str:
        path = asked.target.partition("?")[0]
        if path == "/v3/certificates":
            return "certificates"
        if path.startswith(_REFUNDS):
            return "refund" if asked.method == "POST" else "refund_query"
        last = path.rpartition("/")[2]
        return last if asked.method == "POST" else "query"

    def answer(self, operation: str, asked: Asked) -> Said:
        if not self._is_verified(asked):
            body = b'{"code":"SIGN_ERROR","message":"wrong signature"}'
            return Said(401, {"content-type": "application/json"}, body)  # never signed
        self._close_what_is_over()
        content: Content = json.loads(asked.body) if asked.body else {}
        own = (self.mchid, self.appid)
        given = (content.get("mchid", self.mchid), content.get("appid", self.appid))
        try:
            if given != own:
                raise No(400, "APPID_MCHID_NOT_MATCH")
            if operation in _KINDS:
                status, told = self._order(operation, content)
            else:
                path = asked.target.partition("?")[0].split("/")
                status, told = getattr(self, f"_{operation}")(path, content)
        except No as no:
            status, told = no.args[0], {"code": no.args[1], "message": no.args[1]}
        return self._said(status, told)

    def forged(self, said: Said) -> Said:
        return self._signed(said.status, said.body, Keys.made())

    def _said(self, status: int, told: Content | None) -> Said:
        body = b"" if told is None else json.dumps(told, ensure_ascii=False).encode()
        return self._signed(status, body, self.own)

    def _signed(self, status: int, body: bytes, keys: Keys) -> Said:
        return Said(status, {"content-type": "application/json", **self._headers(body, keys)}, body)

    def _headers(self, body: bytes, keys: Keys, off_s: int = 0) -> dict[str, str]:
        moment, nonce = str(self.now_ms() // 1000 + off_s), secrets.token_hex(16)
        return {
            "wechatpay-timestamp": moment,
            "wechatpay-nonce": nonce,
            "wechatpay-serial": self.public_key_id or self.certificates[-1][0],
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
            "wechatpay-signature": keys.sign(f"{moment}\n{nonce}\n".encode() + body + b"\n"),
        }

    def _is_verified(self, asked: Asked) -> bool:
        scheme, _, rest = asked.headers.get("authorization", "").partition(" ")
        told = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        known = (scheme, told.get("mchid"), told.get("serial_no"))
        if known != ("WECHATPAY2-SHA256-RSA2048", self.mchid, self.serial_no):
            return False
        if abs(self.now_ms() // 1000 - int(told["timestamp"])) > MINUTES_5_S:
            return False
        head = (asked.method, asked.target, told["timestamp"], told["nonce_str"], "")
        text = "\n".join(head).encode() + asked.body + b"\n"
        return is_signed(self.merchant.public, text, told["signature"])

    # Its operations

    def _order(self, kind: str, content: Content) -> tuple[int, Content]:
        reference, total = content["out_trade_no"], content["amount"]["total"]
        until = content.get("time_expire", "9")
        try:
            trade = self.books.begin(
                reference, total, until=until, kind=kind,
                notify_url=content.get("notify_url", ""),
            )  # fmt: skip
        except Refused as refused:
            closed = refused.args[0] == "closed"
            raise No(*((400, "ORDER_CLOSED") if closed else (403, "OUT_TRADE_NO_USED"))) from None
        if kind == "native":
            return 200, {"code_url": f"weixin://wxpay/bizpayurl?pr={trade.id}"}
        if kind == "h5":
            page = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id="
            return 200, {"h5_url": f"{page}{trade.id}&package=1405458241"}
        if kind != "codepay":
            return 200, {"prepay_id": f"wx{trade.id}"}
        code = content["payer"]["auth_code"]
        does = self.payers.get(code, "pays")
        if self._used.setdefault(code, reference) != reference or does == "poor":
            del self.books.trades[reference]
            raise No(403, "NOT_ENOUGH" if does == "poor" else "TRADE_ERROR")
        if does == "pays":
            self.books.pay(reference)
        return (200 if does == "pays" else 202), _shown(self, trade)

    def _query(self, path: list[str], content: Content) -> tuple[int, Content]:
        trade = self.books.seen(path[-1])
        if trade is None:
            raise No(404, "ORDER_NOT_EXIST")
        return 200, _shown(self, trade)

    def _close(self, path: list[str], content: Content) -> tuple[int, None]:
        if path[-2] in self.books.trades:  # of what it does not know it says the same
            try:
                self.books.close(path[-2])
            except Refused:
                raise No(400, "INVALID_REQUEST") from None
        return 204, None

    def _reverse(self, path: list[str], content: Content) -> tuple[int, Content]:
        trade = self.books.trades.get(path[-2])
        if trade is None:
            raise No(404, "ORDER_NOT_EXIST")
        if trade.state == "paid":
            self.books.give_back(trade, f"reversal of {trade.reference}", trade.amount)
        else:
            self.books.close(trade.reference)
        trade.notes["revoked"] = "yes"
        return 200, _named(self, trade)

    def _refund(self, path: list[str], content: Content) -> tuple[int, Content]:
        trade = self.books.trades.get(content["out_trade_no"])
        amount, reference = content["amount"], content["out_refund_no"]
        if trade is None or amount["total"] != trade.amount:
            raise No(*((404, "RESOURCE_NOT_EXISTS") if trade is None else (400, "PARAM_ERROR")))
        try:
            if self.books.give_back(trade, reference, amount["refund"]):
                trade.notes[reference] = "PROCESSING"
        except Refused:
            raise No(400, "INVALID_REQUEST") from None
        return 200, self._refund_shown(trade, reference)

    def _refund_query(self, path: list[str], content: Content) -> tuple[int, Content]:
        for trade in self.books.trades.values() if not self.books.hidden else ():
            if path[-1] in trade.refunds:
                return 200, self._refund_shown(trade, path[-1])
            if f"closed {path[-1]}" in trade.notes:
                return 200, json.loads(trade.notes[f"closed {path[-1]}"])
        raise No(404, "RESOURCE_NOT_EXISTS")

    def _certificates(self, path: list[str], content: Content) -> tuple[int, Content]:
        return 200, {
            "data": [
                {
                    "serial_no": serial,
                    "effective_time": "2020-01-01T08:00:00+08:00",
                    "expire_time": "2040-01-01T08:00:00+08:00",
                    "encrypt_certificate": self._sealed(text.encode(), "certificate"),
                }
                for serial, _, text in self.certificates
            ]
        }

    # Its books

    def _refund_shown(self, trade: Trade, reference: str) -> Content:
        return self._refund_of(trade, reference, trade.refunds[reference])

    def _refund_of(self, trade: Trade, reference: str, amount: int) -> Content:
        return {
            "refund_id": f"50{trade.id}{len(reference)}",
            "out_refund_no": reference,
            "transaction_id": trade.id,
            "out_trade_no": trade.reference,
            "channel": "ORIGINAL",
            "user_received_account": "card",
            "create_time": self._clock(),
            "status": trade.notes[reference],
            "amount": {"total": trade.amount, "refund": amount, "currency": "CNY"},
        }

    def _close_what_is_over(self) -> None:
        for trade in list(self.books.trades.values()):
            if trade.state == "waiting" and trade.notes["until"] <= self._clock():
                self.books.close(trade.reference)

    def _tell(self, event: str, kind: str, told: Content) -> None:
        self.due.append(self.signed(event, kind, told))

    def signed(
        self, event: str, kind: str, told: Content, keys: Keys | None = None, off_s: int = 0
    ) -> Told:
        """A callback about this object. ``off_s``: sent so many seconds from now."""
        note = {
            "id": f"EV-{len(self.due):019d}",
            "create_time": self._clock(),
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": event,
            "resource": self._sealed(json.dumps(told).encode(), kind),
        }
        body = json.dumps(note).encode()
        return Told(self._headers(body, keys or self.own, off_s), body)

    def _sealed(self, text: bytes, kind: str) -> Content:
        nonce = secrets.token_hex(6)
        sealed = AESGCM(self.api_v3_key.encode()).encrypt(nonce.encode(), text, kind.encode())
        return {
            "algorithm": "AEAD_AES_256_GCM",
            "nonce": nonce,
            "associated_data": kind,
            "ciphertext": base64.b64encode(sealed).decode(),
        }

    def _clock(self) -> str:
        at = datetime.fromtimestamp(self.now_ms() // 1000, BEIJING)
        return at.isoformat(timespec="seconds")


def _named(provider: WeChatPay, trade: Trade) -> Content:
    return {"appid": provider.appid, "mchid": provider.mchid, "out_trade_no": trade.reference}


def _shown(provider: WeChatPay, trade: Trade) -> Content:
    waits = "USERPAYING" if trade.notes["kind"] == "codepay" else "NOTPAY"
    state = {"waiting": waits, "paid": "SUCCESS", "closed": "CLOSED"}[trade.state]
    if trade.refunds:
        state = "REFUND"
    if "revoked" in trade.notes:
        state = "REVOKED"
    shown = {
        **_named(provider, trade),
        "trade_type": _KINDS[trade.notes["kind"]],
        "trade_state": state,
        "trade_state_desc": state,
        "amount": {"total": trade.amount, "currency": "CNY"},
    }
    return {**shown, "transaction_id": trade.id} if trade.was_paid else shown
