"""Adyen's Checkout API, version 71: payments and what is asked of them later.

Sources: https://github.com/Adyen/adyen-openapi (checkout 71, webhooks 1), and
https://docs.adyen.com: development-resources (api-idempotency, currency-codes, refusal-reasons,
webhooks), online-payments (capture, cancel, refund, build-your-integration/payment-result-codes,
tokenization), payment-methods (ideal, alipay, dana, gcash: API only).
Readings of answers are in ``readings``.

How unknowns end: Adyen answers no questions. The same request is repeated under the same key for
as long as Adyen keeps it, and gets the first answer; else an event ends it. Captures, cancels and
refunds are only received at first, and each ends by an event. What payers bring back from another
provider's page is told to Adyen, whose answer is believed only if it names our reference.
"""

from bailiwick.base.ids import is_id
from bailiwick.channels.adyen import readings as read
from bailiwick.channels.blocks import amounts, marked, parsing, requests, times
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
    CannotExpress,
    Family,
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


class AdyenChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        merchant = {"merchantAccount": account.options.get("merchant_account", "")}
        return _post(account, "/paymentMethods", merchant, {})

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        problem = requests.credential_problem("Adyen", reply)
        also = ", or options.merchant_account, which it may not use"
        return f"{problem}{also}" if reply.status == 403 else problem

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no stored payment method, a hold of what is no card, or a charge of which
                neither Adyen's id nor ours is known.
        """
        requests.only_declared(self.profile, instruction)
        key = {"idempotency-key": instruction.key}
        return _post(account, _path(instruction), _body(instruction, account), key)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        charging = instruction.operation is Operation.CHARGE
        if reply.status != (200 if charging else 201):
            return read.failure(instruction, reply)
        return (read.charge if charging else read.received)(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        return None

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        return unknown(parsing.not_answered(reply))

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        told = read.TABLES.shapes["told"].demand(notice.body)
        item = read.TABLES.shapes["item"].demand(notice.body, read.SIGNED.inside)
        if len(told.parts) != 1 or item.more["success"] not in ("true", "false"):
            raise CallbackRefused("the callback cannot be read: it is not one event")
        own, about = marked.own(item.reference), read.TABLES.word("events", item.status)
        here = item.more["account"] == account.options.get("merchant_account")
        if own is None or about is None or not here:
            return None  # of no interest, or of another use of Adyen
        (reference, held), operation = own, Operation(about)
        result = read.told(item, operation, captured=not held or operation is not Operation.CHARGE)
        # What is asked of a charge may be told under the charge's reference: its id says what.
        named = is_id(reference, "ch") == (operation is Operation.CHARGE)
        notice_id = f"{item.status}:{item.id}:{item.more['success']}"
        ours, known = (reference, result.provider_ref) if named else (None, item.id)
        charge = None if named else item.charge or None
        return CallbackEvent(notice_id, operation, ours, known, result, charge=charge)


CHANNEL = AdyenChannel()


def _post(account: Account, path: str, body: object, headers: dict[str, str]) -> Request:
    headers = {"x-api-key": account.secrets.get("api_key", ""), **headers}
    return requests.post_json(account, path, headers, body)


def _path(instruction: Instruction) -> str:
    """Where an operation is asked for."""
    operation = instruction.operation
    if operation is Operation.CHARGE:
        return "/payments" if instruction.step is None else "/payments/details"
    if operation is Operation.VOID and not instruction.provider_ref:
        return "/cancels"
    what = "cancels" if operation is Operation.VOID else f"{operation}s"
    return requests.of_charge(f"/payments/{{charge}}/{what}", instruction)


def _body(instruction: Instruction, account: Account) -> dict[str, object]:
    if instruction.step is not None:
        return {"details": {name: instruction.kept.get(name, "") for name in read.BROUGHT}}
    value = amounts.to_provider(read.PROFILE, instruction.amount, instruction.currency)
    amount = {"value": value, "currency": instruction.currency}
    merchant: dict[str, object] = {"merchantAccount": account.options.get("merchant_account", "")}
    if instruction.operation is Operation.CHARGE:
        return {**merchant, "amount": amount, **_charge(instruction, account)}
    named: dict[str, object] = {**merchant, "reference": instruction.reference}
    if instruction.operation is not Operation.VOID:
        return {**named, "amount": amount}
    if instruction.provider_ref:
        return named
    held = instruction.charge_reference or parsing.charge_id(instruction)
    return {**named, "paymentReference": marked.spelt(held, instruction.automatic)}


def _charge(instruction: Instruction, account: Account) -> dict[str, object]:
    asked: dict[str, object] = {
        "reference": marked.spelt(instruction.reference, instruction.automatic),
        "returnUrl": instruction.return_url or account.options.get("return_url", ""),
    }
    if instruction.family is Family.TOKEN:
        return {**asked, **_stored(instruction)}
    method = {"type": read.TABLES.word("types", instruction.payment_method_type)}
    if instruction.code is not None:
        method["blikCode"] = instruction.code
    if instruction.expires_ms is not None:
        asked["sessionValidity"] = times.of_ms(instruction.expires_ms)
    return {**asked, "paymentMethod": method}


def _stored(instruction: Instruction) -> dict[str, object]:
    token = (instruction.payment_method or "").removeprefix("tok_")
    stored, _, shopper = token.partition("_")
    if not stored or len(shopper) < 3:
        raise CannotExpress(
            "Adyen charges stored cards only; nothing was sent. Give the stored payment method's "
            "id and the shopper's reference as tok_ID_SHOPPER.",
            param="payment_method",
        )
    held: dict[str, object] = {"additionalData": {"manualCapture": "true"}}
    return {
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": stored},
        "shopperReference": shopper,
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": f"{'Unscheduled' if instruction.off_session else ''}CardOnFile",
        "authenticationData": {"attemptAuthentication": "never"},
        # Whatever the account's own capture delay is.
        **({"captureDelayHours": 0} if instruction.automatic else held),
    }
