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
from bailiwick.channels.adyen import orders
from bailiwick.channels.adyen import readings as read
from bailiwick.channels.blocks import marked, parsing, requests
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
        return _post(account, orders.path(instruction), orders.body(instruction, account), key)

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
        told = parsing.demand(notice.body, read.Told)
        item = told.notification_items[0]["NotificationRequestItem"]
        own, about = marked.own(item.merchant_reference), read.EVENTS.get(item.event_code)
        ours = item.merchant_account_code == account.options.get("merchant_account")
        if own is None or about is None or not ours:
            return None  # of no interest, or of another use of Adyen
        (reference, held), operation = own, Operation(about)
        result = read.told(item, operation, captured=not held or operation is not Operation.CHARGE)
        # What is asked of a charge may be told under the charge's reference: its id says what.
        named = is_id(reference, "ch") == (operation is Operation.CHARGE)
        known = result.provider_ref if named else item.psp_reference
        notice_id = f"{item.event_code}:{item.psp_reference}:{item.success}"
        return CallbackEvent(
            notice_id,
            operation,
            reference if named else None,
            known,
            result,
            charge=None if named else item.original_reference or None,
        )


CHANNEL = AdyenChannel()


def _post(account: Account, path: str, body: object, headers: dict[str, str]) -> Request:
    headers = {"x-api-key": account.secrets.get("api_key", ""), **headers}
    return requests.post_json(account, path, headers, body)
