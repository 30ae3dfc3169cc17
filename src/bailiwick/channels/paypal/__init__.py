"""PayPal: an order, the payer's approval at PayPal's page, then its capture or authorization.

Sources: https://github.com/paypal/paypal-rest-api-specifications (Orders v2, Payments v2), and of
https://developer.paypal.com: api/rest/reference/idempotency, api/rest/webhooks/rest (signatures),
api/rest/reference/currency-codes, docs/checkout/standard/customize/authorization-honor. Readings
are in ``readings``.

How unknowns end: what has an id is read by it, and everything is repeated under its key
(``PayPal-Request-Id``), which PayPal keeps for 6 hours of orders and for 45 days of payments.
Nothing is taken before the step ``complete``, whatever the payer does.
"""

from urllib.parse import quote

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, oauth, parsing, requests
from bailiwick.channels.blocks.signing import rsa
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CannotExpress,
    Instruction,
    Notice,
    Operation,
    Prepared,
    Profile,
    Refused,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.paypal import readings as read

_TOKENS = oauth.ClientCredentials("PayPal", "/v1/oauth2/token")
_ACTS = {"capture": Operation.CAPTURE, "refund": Operation.REFUND}


class PayPalChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def prepare(self, name: str, account: Account, now_ms: int) -> Request:
        return _TOKENS.request(account)

    def prepared(
        self, name: str, reply: Reply, account: Account, now_ms: int
    ) -> Prepared | Refused:
        return _TOKENS.read(reply)

    def check(self, account: Account, now_ms: int) -> Request:
        """Asks for the webhook whose callbacks are to be checked."""
        rsa.public_key(account, read.SIGNED.certificates[0])
        known = quote(account.options.get(read.SIGNED.about, ""), safe="")
        return requests.get(account, f"/v1/notifications/webhooks/{known}", oauth.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        if reply.status == 404:
            return "PayPal knows no such webhook: correct options.webhook_id of the gateway"
        return requests.credential_problem("PayPal", reply, "client_secret")

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: an amount, no address for the payer to come back to, or a charge whose id
                is not known.
        """
        requests.only_declared(self.profile, instruction)
        headers = {**oauth.bearer(account), "prefer": "return=representation"}
        headers["paypal-request-id"] = instruction.key
        path, operation = _path(instruction), instruction.operation
        if operation is Operation.VOID:
            return Request("POST", requests.at(account, path), headers)
        if instruction.step is not None:
            return requests.post_json(account, path, headers, {})
        value = amounts.to_major(self.profile, instruction.amount, instruction.currency)
        body: dict[str, object] = {
            "amount": {"currency_code": instruction.currency, "value": value},
            "invoice_id": instruction.reference,
        }
        if operation is Operation.CHARGE:
            body = _order(instruction, body)
        elif operation is Operation.CAPTURE:
            body["final_capture"] = instruction.final
        return requests.post_json(account, path, headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        voided = instruction.operation is Operation.VOID
        if reply.status not in ((200, 204) if voided else (200, 201)):
            return read.failure(reply)
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        known, place = read.looked_up(instruction), read.PLACES.get(instruction.operation)
        template = f"{place}/{{known}}" if place and way is Resolve.PROVIDER_ID else None
        return requests.look_up(account, oauth.bearer(account), template, known=known)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200 or instruction.operation not in read.PLACES:
            return unknown(parsing.not_answered(reply))
        return read.answer(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.SIGNED.check(notice, account, now_ms)
        event = read.TABLES.shapes["event"].demand(notice.body)
        own = event.reference or event.more.get("unit")
        operation = _ACTS.get(event.more.get("kind", ""))
        if operation is not Operation.REFUND and is_id(own or "", "ch"):
            operation = Operation.CHARGE
        elif operation is None or not is_id(own or "", "at"):
            return None  # of no interest, or of another use of the account
        # The signature covers no more than a checksum of the body: PayPal is asked.
        about = event.charge or None
        return CallbackEvent(event.id or "", operation, own, about, dated=dated)


CHANNEL = PayPalChannel()


def _path(instruction: Instruction) -> str:
    if instruction.operation is Operation.CHARGE and instruction.step is None:
        return "/v2/checkout/orders"
    template = f"/v2/payments/authorizations/{{charge}}/{instruction.operation}"
    if instruction.step is not None:
        step = "capture" if instruction.automatic else "authorize"
        template = f"/v2/checkout/orders/{{charge}}/{step}"
    elif instruction.operation is Operation.REFUND:
        known = quote(instruction.capture or parsing.charge_id(instruction), safe="")
        template = f"/v2/payments/captures/{known}/refund"
    return requests.of_charge(template, instruction)


def _order(instruction: Instruction, unit: dict[str, object]) -> dict[str, object]:
    back = instruction.return_url
    if back is None:
        raise CannotExpress(
            "PayPal has to know where the payer comes back to; nothing was sent. Give it.",
            param="return_url",
        )
    if instruction.description:
        unit["description"] = instruction.description[:127]
    page = {
        "return_url": back,
        "cancel_url": back,
        "user_action": "PAY_NOW",
        "shipping_preference": "NO_SHIPPING",
        "payment_method_preference": "IMMEDIATE_PAYMENT_REQUIRED",
    }
    return {
        "intent": "CAPTURE" if instruction.automatic else "AUTHORIZE",
        "purchase_units": [{**unit, "custom_id": instruction.reference}],
        "payment_source": {"paypal": {"experience_context": page}},
    }
