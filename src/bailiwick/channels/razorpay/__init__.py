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

import re

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, parsing, requests, tables
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CannotExpress,
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

_TOKEN = re.compile(r"^tok_(cust_[A-Za-z0-9]{1,40})_(token_[A-Za-z0-9]{1,40})\Z")
_LOOK_UPS = {
    ("refund", Resolve.PROVIDER_ID): "/v1/refunds/{known}",
    ("refund", Resolve.REFERENCE): "/v1/payments/{known}/refunds?count=100",
    ("debit", Resolve.PROVIDER_ID): "/v1/orders/{order}/payments",
    ("order", Resolve.REFERENCE): "/v1/orders?receipt={own}",
    ("payment_link", Resolve.REFERENCE): "/v1/payment_links?reference_id={own}",
}


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
        path, body = _asked(instruction)
        value = amounts.to_provider(self.profile, instruction.amount, instruction.currency)
        headers = _headers(account)
        if instruction.operation is Operation.REFUND:
            headers["x-refund-idempotency"] = instruction.reference
        return requests.post_json(account, path, headers, {"amount": value, **body})

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(reply)
        kind = read.kind(instruction)
        own = _order(instruction) if kind == "debit" else instruction.reference
        return read.stands(kind, tables.named(read.SHAPES[kind].read(reply.body), own))

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        named = {"known": instruction.provider_ref, "own": instruction.reference}
        template = _LOOK_UPS.get((read.kind(instruction), way))
        named["order"] = _order(instruction)
        return requests.look_up(account, _headers(account), template, **named)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        if instruction.operation is Operation.REFUND and way is Resolve.PROVIDER_ID:
            return self.parse(instruction, reply, account)
        return read.listed(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        event = read.SHAPES["event"].demand(notice.body)
        if (kind := read.TABLES.word("events", event.status)) is None:
            return None
        found = read.SHAPES[kind].demand(notice.body, f"payload.{kind}.entity")
        told, by = read.stands(kind, found), "payload.payment.entity"
        if kind == "order":
            told = read.settled([read.SHAPES["payment"].demand(notice.body, by)])
        elif kind == "payment_link":
            payment = read.SHAPES["link_payment"].read(notice.body, by)
            told = read.paid(found, [] if payment is None else [payment])
        if not is_id(found.reference or ""):
            return None  # of another use of the account
        operation = Operation.REFUND if kind == "refund" else Operation.CHARGE
        result = None if told.outcome is Outcome.UNKNOWN else told
        # Nobody signs the event's own id.
        named = f"{event.status}:{told.provider_ref or found.id}"
        return CallbackEvent(named, operation, found.reference, told.provider_ref, result)


CHANNEL = RazorpayChannel()


def _headers(account: Account) -> dict[str, str]:
    return requests.basic(account, "key_id", "key_secret")


def _asked(instruction: Instruction) -> tuple[str, dict[str, object]]:
    """Where an operation, or its step, is asked for, and by what beside the amount."""
    own, kind = instruction.reference, read.kind(instruction)
    if kind == "refund":
        path = requests.of_charge("/v1/payments/{charge}/refund", instruction)
        return path, {"speed": "normal", "receipt": own}
    body: dict[str, object] = {"currency": instruction.currency}
    if kind == "payment_link":
        return "/v1/payment_links", {**body, **_link(instruction)}
    stored = _stored(instruction)
    if kind == "debit":
        order = _order(instruction) or parsing.charge_id(instruction)
        return "/v1/payments/create/recurring", {**body, **stored, "order_id": order}
    return "/v1/orders", {**body, "receipt": own, "payment_capture": True}


def _order(instruction: Instruction) -> str | None:
    return instruction.before[-1] if instruction.before else instruction.provider_ref


def _stored(instruction: Instruction) -> dict[str, object]:
    named = _TOKEN.match(instruction.payment_method or "")
    if named is None:
        raise CannotExpress(
            "Razorpay charges cards by its own tokens only; nothing was sent. Give the customer's "
            "and the token's id as tok_cust_..._token_....",
            param="payment_method",
        )
    who = instruction.payer
    if who is None or not who.email or not who.phone:
        raise CannotExpress(
            "Razorpay has to know the payer's e-mail address and phone number; nothing was sent. "
            "Give them.",
            param="payment_method_data[billing_details]",
        )
    card = {"customer_id": named[1], "token": named[2], "recurring": True}
    return {"email": who.email, "contact": who.phone, **card}


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
