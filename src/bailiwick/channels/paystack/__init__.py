"""Paystack: charges of stored card authorizations, and refunds.

Sources: https://github.com/PaystackOSS/openapi, and https://paystack.com/docs: api/errors,
api/refund, payments/recurring-charges, payments/refunds, payments/webhooks. Readings of answers
are in ``readings``.

How unknowns end: a charge by our reference, which Paystack takes but once. A refund is read by
its id, or found among the charge's by our reference in its note. That list may lag, and a repeat
would be a second refund: one that is not listed is repeated by nobody, and ends before a person.
"""

from urllib.parse import quote, urlencode

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, parsing, requests
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
)
from bailiwick.channels.paystack import readings as read

_EVENTS = {
    "charge.success": Operation.CHARGE,
    "refund.failed": Operation.REFUND,
    "refund.needs-attention": Operation.REFUND,
    "refund.pending": Operation.REFUND,
    "refund.processed": Operation.REFUND,
    "refund.processing": Operation.REFUND,
}
_REFUND_PAGE = 100


class PaystackChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/balance", requests.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Paystack", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no authorization or e-mail address, or no provider id of the charge.
        """
        requests.only_declared(self.profile, instruction)
        body: dict[str, object] = {
            "amount": amounts.to_provider(self.profile, instruction.amount, instruction.currency),
            "currency": instruction.currency,
        }
        if instruction.operation is Operation.REFUND:
            path = "/refund"
            body["transaction"] = parsing.charge_id(instruction)
            body["merchant_note"] = instruction.reference
        else:
            path = "/transaction/charge_authorization"
            body["reference"] = read.spelt(instruction.reference)
            body |= _payer(instruction)
        return requests.post_json(account, path, requests.bearer(account), body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(reply)
        return read.answer(instruction.operation, instruction.reference, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        path = _look_up(instruction, way)
        return None if path is None else requests.get(account, path, requests.bearer(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        verified = (instruction.operation, way) == (Operation.CHARGE, Resolve.REFERENCE)
        if verified and read.is_absent(reply):
            return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
        return read.answer(instruction.operation, instruction.reference, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        event = parsing.demand(notice.body, read.Event)
        operation = _EVENTS.get(event.event)
        if operation is None:
            return None
        found = parsing.demand(bytes(event.data), read.Movement)
        reference = read.own(operation, found)
        if reference is None or not is_id(reference):
            return None  # of another use of the account, or a refund that is not named
        told = read.told(operation, found)
        # Events have no id, and are sent again until they are taken.
        notice_id = f"{event.event}:{told.provider_ref or reference}:{parsing.word(found.status)}"
        result = None if told.outcome is Outcome.UNKNOWN else told
        return CallbackEvent(notice_id, operation, reference, told.provider_ref, result)


CHANNEL = PaystackChannel()


def _payer(instruction: Instruction) -> dict[str, str]:
    code = (instruction.payment_method or "").removeprefix("tok_")
    if not code.startswith("AUTH_"):
        raise CannotExpress(
            "Paystack charges stored authorizations only; nothing was sent. "
            "Give the authorization code as tok_AUTH_...",
            param="payment_method",
        )
    email = None if instruction.payer is None else instruction.payer.email
    if email is None:
        raise CannotExpress(
            "Paystack has to know the payer's e-mail address; nothing was sent. Give it.",
            param="payment_method_data[billing_details][email]",
        )
    return {"authorization_code": code, "email": email}


def _look_up(instruction: Instruction, way: Resolve) -> str | None:
    known = instruction.provider_ref
    if instruction.operation is Operation.CHARGE:
        own = quote(read.spelt(instruction.reference), safe="")
        return f"/transaction/verify/{own}" if way is Resolve.REFERENCE else None
    if known and way is Resolve.PROVIDER_ID:
        return f"/refund/{quote(known, safe='')}"
    if known and way is Resolve.REFERENCE:
        return f"/refund?{urlencode({'transaction': known, 'perPage': _REFUND_PAGE})}"
    return None
