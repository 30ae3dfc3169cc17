"""Razorpay: UPI and wallets at its page, by payment links, and refunds.

Sources: the official https://github.com/razorpay/razorpay-python 2.0 and razorpay-node (documents,
types, recorded answers), and https://razorpay.com/docs: api/payments/payment-links,
payments/payment-links/states, api/refunds (normal-refunds-idempotent), webhooks (payment-links,
payloads/refunds). Readings of answers are in ``readings``.

How unknowns end: a charge is looked for by our reference, which its link has; it is never repeated.
A refund is read by its id, or found among the payment's by our reference in its receipt; else it is
repeated under the same key.
"""

from typing import TypeVar
from urllib.parse import quote, urlencode

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, parsing, requests
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.razorpay import readings as read

T = TypeVar("T")
_PAGE = 100


class RazorpayChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account) -> Request:
        return requests.get(account, "/v1/payments?count=1", _headers(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Razorpay", reply, "key_secret")

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no provider id of the payment.
        """
        requests.only_declared(self.profile, instruction)
        value = amounts.to_provider(self.profile, instruction.amount, instruction.currency)
        if instruction.operation is Operation.REFUND:
            path = f"/v1/payments/{quote(parsing.charge_id(instruction), safe='')}/refund"
            body = {"amount": value, "speed": "normal", "receipt": instruction.reference}
            key = {"x-refund-idempotency": instruction.reference}
            return requests.post_json(account, path, {**_headers(account), **key}, body)
        body = {"amount": value, "currency": instruction.currency, **_link(instruction)}
        return requests.post_json(account, "/v1/payment_links", _headers(account), body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(reply)
        if instruction.operation is Operation.REFUND:
            return read.refund(instruction, parsing.decode(reply.body, read.Refund))
        return read.charge(instruction, parsing.decode(reply.body, read.Link))

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        path = _look_up(instruction, way)
        return None if path is None else requests.get(account, path, _headers(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        if instruction.operation is not Operation.REFUND:
            return read.listed(instruction, reply)
        if way is Resolve.PROVIDER_ID:
            return read.refund(instruction, parsing.decode(reply.body, read.Refund))
        return read.refund_listed(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        event = parsing.demand(notice.body, read.Event)
        operation = read.EVENTS.get(event.event)
        if operation is None:
            return None
        if operation is Operation.REFUND:
            refund = _part(event, "refund", read.Refund)
            reference, known, told = refund.receipt, refund.id, read.returned(refund)
        else:
            link = _part(event, "payment_link", read.Link)
            paid = [_part(event, "payment", read.Payment)] if "payment" in event.payload else []
            reference, known, told = link.reference_id, link.id, read.stands(link, paid)
        if reference is None or not is_id(reference):
            return None  # of another use of the account
        result = None if told.outcome is Outcome.UNKNOWN else told
        named = f"{event.event}:{told.provider_ref or known}"  # nobody signs the event's own id
        return CallbackEvent(named, operation, reference, told.provider_ref, result)


CHANNEL = RazorpayChannel()


def _headers(account: Account) -> dict[str, str]:
    return requests.basic(account, "key_id", "key_secret")


def _part(event: read.Event, name: str, kind: type[T]) -> T:
    found = event.payload.get(name)
    return parsing.demand(b"" if found is None else bytes(found.entity), kind)


def _link(instruction: Instruction) -> dict[str, object]:
    by_upi, who = instruction.payment_method_type == "upi", instruction.payer
    body: dict[str, object] = {
        "reference_id": instruction.reference,
        "accept_partial": False,
        "upi_link": by_upi,
        "notify": {"sms": False, "email": False},
        "reminder_enable": False,
    }
    if not by_upi:
        shown = {"netbanking": "0", "card": "0", "upi": "0", "wallet": "1"}
        body["options"] = {"checkout": {"method": shown}}
    if instruction.expires_ms is not None:
        body["expire_by"] = instruction.expires_ms // 1000
    if instruction.return_url is not None:
        body |= {"callback_url": instruction.return_url, "callback_method": "get"}
    if who is not None:
        given = {"name": who.name, "email": who.email, "contact": who.phone}
        body["customer"] = {key: value for key, value in given.items() if value}
    return body


def _look_up(instruction: Instruction, way: Resolve) -> str | None:
    known = instruction.provider_ref
    if instruction.operation is Operation.CHARGE:
        query = urlencode({"reference_id": instruction.reference})
        return f"/v1/payment_links?{query}" if way is Resolve.REFERENCE else None
    if known and way is Resolve.PROVIDER_ID:
        return f"/v1/refunds/{quote(known, safe='')}"
    if known and way is Resolve.REFERENCE:
        return f"/v1/payments/{quote(known, safe='')}/refunds?{urlencode({'count': _PAGE})}"
    return None
