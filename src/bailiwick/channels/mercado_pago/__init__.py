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

from bailiwick.channels.blocks import amounts, parsing, requests, times
from bailiwick.channels.contract import (
    Account,
    Address,
    CallbackEvent,
    CallbackRefused,
    CannotExpress,
    Instruction,
    Notice,
    Operation,
    Payer,
    Profile,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.mercado_pago import readings as read

_KNOWN = re.compile(r"[0-9]{1,19}(?:/refunds/[0-9]{1,19})?\Z")


class MercadoPagoChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/users/me", requests.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        who = read.TABLES.shapes["person"].read(reply.body)
        site, given = "" if who is None else who.more.get("site"), account.options.get("currency")
        currency = read.TABLES.word("sites", site)
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
        amount = amounts.number(self.profile, instruction.amount, instruction.currency)
        if operation is Operation.CHARGE:
            body = {"transaction_amount": amount, **_charge(instruction, account)}
            return requests.post_json(account, "/v1/payments", headers, body)
        path = requests.of_charge("/v1/payments/{charge}", instruction)
        if operation is Operation.REFUND:
            headers["x-render-in-process-refunds"] = "true"
            return requests.post_json(account, f"{path}/refunds", headers, {"amount": amount})
        capture = {"capture": True, "transaction_amount": amount}
        given = capture if operation is Operation.CAPTURE else {"status": "cancelled"}
        return requests.send_json(account, "PUT", path, headers, given)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        return (read.answer if reply.status in (200, 201) else read.failure)(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        headers, known = requests.bearer(account), instruction.provider_ref or ""
        if way is Resolve.REFERENCE and instruction.operation is Operation.CHARGE:
            path = "/v1/payments/search?external_reference={own}"
            return requests.look_up(account, headers, path, own=instruction.reference)
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


def _charge(instruction: Instruction, account: Account) -> dict[str, object]:
    """What a charge is asked for by, beside its amount. Raises CannotExpress."""
    kind, currency = instruction.payment_method_type, instruction.currency
    method = read.METHODS.get(kind)
    # Requests do not name it. The others are known in the countries of their currency alone.
    if method is None and currency != account.options.get("currency"):
        raise CannotExpress(
            f"This account at Mercado Pago does not take {currency}; nothing was sent. "
            "Change the currency.",
            param="currency",
        )
    body: dict[str, object] = {
        "external_reference": instruction.reference,
        "description": instruction.description or instruction.reference,
        "payer": _payer(instruction.payer or Payer(), kind == "boleto"),
    }
    if method is None:
        brand, _, token = (instruction.payment_method or "").removeprefix("tok_").rpartition("_")
        if not brand or not token:
            raise CannotExpress(
                "Mercado Pago has to know the kind of card; nothing was sent. "
                "Give the token with it, as in tok_visa_...",
                param="payment_method",
            )
        card = {"token": token, "installments": 1, "capture": instruction.automatic}
        return {**body, "payment_method_id": brand, **card}
    if instruction.expires_ms is not None:
        body["date_of_expiration"] = times.of_ms(instruction.expires_ms).replace("Z", ".000Z")
    return {**body, "payment_method_id": method}


def _payer(who: Payer, living: bool) -> dict[str, object]:
    first, _, last = (who.name or "").partition(" ")
    told: dict[str, object] = {"email": who.email, "first_name": first, "last_name": last}
    digits = re.sub(r"[^0-9]", "", who.tax_id or "")
    if len(digits) in (11, 14):
        told["identification"] = {"type": "CPF" if len(digits) == 11 else "CNPJ", "number": digits}
    if living:
        told["address"] = _address(who.address or Address())
    return {key: value for key, value in told.items() if value}


def _address(where: Address) -> dict[str, str | None]:
    street, _, house = (where.line1 or "").rpartition(",")
    told = {
        "zip_code": where.postal_code,
        "street_name": street.strip(),
        "street_number": house.strip(),
        "neighborhood": where.line2,
        "city": where.city,
        "federal_unit": where.state,
    }
    if not all(told.values()):
        raise CannotExpress(
            "A boleto has the payer's whole address; nothing was sent. Give street and number with "
            "a comma between as line1, the neighborhood as line2, city, state and postal_code.",
            param="payment_method_data[billing_details][address]",
        )
    return told
