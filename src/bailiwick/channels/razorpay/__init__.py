"""Razorpay: UPI and wallets at its page, by payment links, stored cards, and refunds.

Sources: the official https://github.com/razorpay/razorpay-python 2.0 and razorpay-node (documents,
types, recorded answers), and https://razorpay.com/docs: api/payments/payment-links,
payments/payment-links/states, api/orders (fetch-all, fetch-payments), api/payments/
recurring-payments/cards, api/refunds (normal-refunds-idempotent), webhooks (payment-links,
payments, payloads/refunds). Readings of answers are in ``readings``.

How unknowns end: a charge is looked for by our reference, which its link or order has; it is never
repeated. A card is charged in two requests: an order first, which is no charge yet, and the debit
then, which is looked for among the order's payments. Those that have just begun are not listed.
A refund is read by its id, or found among the payment's by our reference in its receipt; else it is
repeated under the same key.
"""

from typing import TypeVar

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import parsing, requests
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
from bailiwick.channels.razorpay import messages as said
from bailiwick.channels.razorpay import orders
from bailiwick.channels.razorpay import readings as read

T = TypeVar("T")


class RazorpayChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/v1/payments?count=1", _headers(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Razorpay", reply, "key_secret")

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no provider id of the payment, or a card that cannot be charged so.
        """
        requests.only_declared(self.profile, instruction)
        path, body = orders.asked(instruction)
        headers = _headers(account)
        if instruction.operation is Operation.REFUND:
            headers["x-refund-idempotency"] = instruction.reference
        return requests.post_json(account, path, headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(reply)
        if instruction.operation is Operation.REFUND:
            return read.refund(instruction, parsing.decode(reply.body, said.Refund))
        if instruction.step is not None:
            return read.debited(instruction, parsing.decode(reply.body, said.Debit))
        if instruction.payment_method_type == "card":
            return read.ordered(instruction, parsing.decode(reply.body, said.Order))
        return read.charge(instruction, parsing.decode(reply.body, said.Link))

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        path = orders.look_up(instruction, way)
        return None if path is None else requests.get(account, path, _headers(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        if instruction.step is not None:
            return read.of_order(instruction, reply)
        if instruction.operation is not Operation.REFUND:
            by = read.order_listed if instruction.payment_method_type == "card" else read.listed
            return by(instruction, reply)
        if way is Resolve.PROVIDER_ID:
            return read.refund(instruction, parsing.decode(reply.body, said.Refund))
        return read.refund_listed(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        event = parsing.demand(notice.body, said.Event)
        operation = read.EVENTS.get(event.event)
        if operation is None:
            return None
        if operation is Operation.REFUND:
            refund = _part(event, "refund", said.Refund)
            reference, known, told = refund.receipt, refund.id, read.returned(refund)
        elif event.event == "order.paid":
            order, payment = _part(event, "order", said.Order), _part(event, "payment", said.Paid)
            reference, known, told = order.receipt, order.id, read.settled([payment])
        else:
            link = _part(event, "payment_link", said.Link)
            paid = [_part(event, "payment", said.Payment)] if "payment" in event.payload else []
            reference, known, told = link.reference_id, link.id, read.stands(link, paid)
        if reference is None or not is_id(reference):
            return None  # of another use of the account
        result = None if told.outcome is Outcome.UNKNOWN else told
        named = f"{event.event}:{told.provider_ref or known}"  # nobody signs the event's own id
        return CallbackEvent(named, operation, reference, told.provider_ref, result)


CHANNEL = RazorpayChannel()


def _headers(account: Account) -> dict[str, str]:
    return requests.basic(account, "key_id", "key_secret")


def _part(event: said.Event, name: str, kind: type[T]) -> T:
    found = event.payload.get(name)
    return parsing.demand(b"" if found is None else bytes(found.entity), kind)
