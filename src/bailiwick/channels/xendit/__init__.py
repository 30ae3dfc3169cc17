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

_LOOK_UPS = {
    (Operation.CHARGE, Resolve.PROVIDER_ID): "/payment_requests/{known}",
    (Operation.CHARGE, Resolve.REFERENCE): "/payment_requests?reference_id={own}",
    (Operation.REFUND, Resolve.PROVIDER_ID): "/refunds/{known}",
    (Operation.REFUND, Resolve.REFERENCE): "/refunds?payment_request_id={known}&limit=100",
}


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
        body: dict[str, object] = {
            "reference_id": instruction.reference,
            "amount": amounts.number(self.profile, instruction.amount, instruction.currency),
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
        template = _LOOK_UPS.get((instruction.operation, way))
        named = {"known": instruction.provider_ref, "own": instruction.reference}
        return requests.look_up(account, requests.basic(account), template, **named)

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
        event = read.TABLES.shapes["event"].demand(notice.body).status or ""
        kind, _, _ = event.partition(".")
        if kind not in ("payment", "refund"):
            return None
        told = read.TABLES.shapes["told"].demand(notice.body, "data")
        if told.reference is None or not is_id(told.reference):
            return None  # of another use of the account
        named = f"{event}:{told.id}"
        if kind == "refund":
            return CallbackEvent(named, Operation.REFUND, told.reference, told.id)
        known = told.charge
        return CallbackEvent(named, Operation.CHARGE, told.reference, known)


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
