"""Mercado Pago's Payments API: Pix, boleto, OXXO, cards by a token, held or taken, and refunds.

Sources: the official https://github.com/mercadopago/sdk-python 3.6 and
https://github.com/mercadopago/sdk-java (requests, resources, and the answers of its tests),
https://github.com/mercadopago/devsite-docs (guides/payments/api/other-features), and
https://www.mercadopago.com.br/developers/en: reference (payments, chargebacks), docs/checkout-api
(response-handling/query-results, payment-management/cancellations-and-refunds/refund-pix). Readings
of answers are in ``readings``.

How unknowns end: a charge by its id, else by our reference among the payments, else the request
is repeated under the same key, as all others are. A refund is read by its id beside its payment's.
What is refused of a capture or void is looked at: it may be done already. What Mercado Pago tells
by itself is signed, but says no more than a payment's id: the node asks.
"""

import re
from urllib.parse import quote, urlencode

import msgspec

from bailiwick.channels.blocks import amounts, parsing, requests
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
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
from bailiwick.channels.mercado_pago import orders
from bailiwick.channels.mercado_pago import readings as read

_KNOWN = re.compile(r"[0-9]{1,19}(?:/refunds/[0-9]{1,19})?\Z")


class MercadoPagoChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/users/me", requests.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        who = parsing.decode(reply.body, read.Person) or read.Person()
        currency, given = read.SITES.get(who.site_id or ""), account.options.get("currency")
        if reply.status == 200 and currency not in (None, given):
            return f"the account at Mercado Pago takes {currency}: correct options.currency"
        return requests.credential_problem("Mercado Pago", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: another currency than the account's or the payment method's, no token,
                too little of the payer, or no provider id of the charge.
        """
        requests.only_declared(self.profile, instruction)
        operation, headers = instruction.operation, requests.bearer(account)
        headers["x-idempotency-key"] = instruction.reference
        major = amounts.to_major(self.profile, instruction.amount, instruction.currency)
        amount = msgspec.Raw(major.encode())
        if operation is Operation.CHARGE:
            body = {"transaction_amount": amount, **orders.charge(instruction, account)}
            return requests.post_json(account, "/v1/payments", headers, body)
        path = f"/v1/payments/{quote(parsing.charge_id(instruction), safe='')}"
        if operation is Operation.REFUND:
            headers["x-render-in-process-refunds"] = "true"
            return requests.post_json(account, f"{path}/refunds", headers, {"amount": amount})
        capture = {"capture": True, "transaction_amount": amount}
        given = capture if operation is Operation.CAPTURE else {"status": "cancelled"}
        return msgspec.structs.replace(
            requests.post_json(account, path, headers, given), method="PUT"
        )

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status not in (200, 201):
            return read.failure(instruction, reply)
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        headers, known = requests.bearer(account), instruction.provider_ref or ""
        if way is Resolve.REFERENCE and instruction.operation is Operation.CHARGE:
            named = urlencode({"external_reference": instruction.reference})
            return requests.get(account, f"/v1/payments/search?{named}", headers)
        if way is not Resolve.PROVIDER_ID or not _KNOWN.match(known):
            return None
        headers["x-render-in-process-refunds"] = "true"
        return requests.get(account, f"/v1/payments/{known}", headers)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        return (read.found_by if way is Resolve.REFERENCE else read.answer)(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        fresh = read.SIGNED.check(notice, account, now_ms)
        about, number = read.SIGNED.named(notice)
        if not number or len(number) > 200 or not about:
            raise CallbackRefused("the callback does not say what it is about, or has no number")
        if not about.isdecimal() or not about.isascii() or len(about) > 19:
            return None  # of no payment
        return CallbackEvent(number, None, None, about, dated=not fresh)


CHANNEL = MercadoPagoChannel()
