"""Xendit: QRIS, virtual accounts and e-wallets by payment requests, and refunds.

Sources: the official https://github.com/xendit/xendit-python 7.0 and xendit-node (documents, types,
events; version 1.70.0 of the interface), and https://docs.xendit.co: apidocs
(refund-payment-request, payment-webhook-notification, refund-webhook-notification), and the pages
of payment channels (docs/qris, docs/dana, docs/ovo, docs/shopeepay, docs/gcash, docs/grabpay).
Readings of answers are in ``readings``.

How unknowns end: a charge is read by its id, or looked for by our reference; it is never repeated.
A refund is read by its id, or found among the charge's by our reference; else it is repeated under
the same key. What Xendit tells by itself bears a token that is always the same: the node asks.
"""

from urllib.parse import quote, urlencode

import msgspec

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, parsing, requests, times
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    Instruction,
    Notice,
    Operation,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.xendit import readings as read

_PAGE = 100


class XenditChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/payment_requests?limit=1", requests.basic(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Xendit", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no provider id of the charge.
        """
        requests.only_declared(self.profile, instruction)
        major = amounts.to_major(self.profile, instruction.amount, instruction.currency)
        body: dict[str, object] = {
            "reference_id": instruction.reference,
            "amount": msgspec.Raw(major.encode()),
            "currency": instruction.currency,
        }
        headers = {**requests.basic(account), "idempotency-key": instruction.reference}
        if instruction.operation is Operation.REFUND:
            body["payment_request_id"] = parsing.charge_id(instruction)
            body["reason"] = "REQUESTED_BY_CUSTOMER"
            return requests.post_json(account, "/refunds", headers, body)
        body["country"] = read.COUNTRIES[instruction.currency]
        body["payment_method"] = _method(instruction, account)
        return requests.post_json(account, "/payment_requests", headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status not in read.DONE:
            return read.failure(reply)
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        path = _look_up(instruction, way)
        return None if path is None else requests.get(account, path, requests.basic(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        if way is Resolve.PROVIDER_ID:
            return read.answer(instruction, reply)
        return read.listed(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.check_token(notice, account)
        event = parsing.demand(notice.body, read.Event)
        kind, _, _ = event.event.partition(".")
        if kind not in ("payment", "refund"):
            return None
        told = parsing.demand(bytes(event.data), read.Told)
        if told.reference_id is None or not is_id(told.reference_id):
            return None  # of another use of the account
        named = f"{event.event}:{told.id}"
        if kind == "refund":
            return CallbackEvent(named, Operation.REFUND, told.reference_id, told.id)
        known = told.payment_request_id
        return CallbackEvent(named, Operation.CHARGE, told.reference_id, known)


CHANNEL = XenditChannel()


def _method(instruction: Instruction, account: Account) -> dict[str, object]:
    name = instruction.payment_method_type
    ends = None if instruction.expires_ms is None else times.of_ms(instruction.expires_ms)
    if name == "qris":
        return _once("qr_code", "QRIS", {"expires_at": ends})
    who = instruction.payer
    if name == "bank_transfer":
        holder = None if who is None else who.name
        bank = account.options.get("virtual_account_bank", "")
        return _once("virtual_account", bank, {"customer_name": holder, "expires_at": ends})
    back = instruction.return_url
    asked = {f"{how}_return_url": back for how in ("success", "failure", "cancel")}
    asked["mobile_number"] = None if who is None else who.phone
    return _once("ewallet", name.upper(), asked)


def _once(kind: str, code: str, asked: dict[str, str | None]) -> dict[str, object]:
    given = {key: value for key, value in asked.items() if value is not None}
    how = {"channel_code": code, "channel_properties": given}
    return {"type": kind.upper(), "reusability": "ONE_TIME_USE", kind: how}


def _look_up(instruction: Instruction, way: Resolve) -> str | None:
    known, refunding = instruction.provider_ref, instruction.operation is Operation.REFUND
    if way is Resolve.PROVIDER_ID and known:
        return f"/{'refunds' if refunding else 'payment_requests'}/{quote(known, safe='')}"
    if way is not Resolve.REFERENCE or (refunding and not known):
        return None
    if refunding:
        return f"/refunds?{urlencode({'payment_request_id': known, 'limit': _PAGE})}"
    return f"/payment_requests?{urlencode({'reference_id': instruction.reference})}"
