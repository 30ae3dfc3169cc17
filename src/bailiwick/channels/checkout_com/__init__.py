"""Checkout.com's Unified Payments API: cards by a token or a stored instrument, iDEAL, Alipay.

Sources: https://github.com/checkout/checkout-api-reference (nas_spec), the official
https://github.com/checkout/checkout-sdk-python 4.8, and https://www.checkout.com/docs: payments
(manage-payments/idempotency, accept-payments/format-the-amount-value, 3d-secure), resources
(codes/http-response-codes), developer-resources/webhooks. Readings are in ``readings``.

How unknowns end: a charge by its id, else by our reference among the payments, else the request is
repeated under the same key. Only successes are kept under a key, so that the list is asked first;
a repeat while the first is being done gets 429. Captures, voids and refunds are only accepted at
first: how they ended is among the payment's actions, under our reference.
"""

from urllib.parse import quote, urlencode

from msgspec.structs import replace

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import marked, parsing, requests
from bailiwick.channels.checkout_com import orders
from bailiwick.channels.checkout_com import readings as read
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


class CheckoutComChannel:
    """See the module's description."""

    profile: Profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/payments?limit=1&reference=check", requests.bearer(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("Checkout.com", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: no token, a hold of what is no card, or no provider id of the charge.
        """
        requests.only_declared(self.profile, instruction)
        headers = {**requests.bearer(account), "cko-idempotency-key": instruction.reference}
        body = orders.body(instruction, account)
        return requests.post_json(account, orders.path(instruction), headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        charging = instruction.operation is Operation.CHARGE
        if reply.status not in ((201, 202) if charging else (202,)):
            return read.failure(instruction, reply)
        found = parsing.decode(reply.body, read.Payment) or read.Payment()
        if charging:
            return read.charge(instruction, found)
        if found.action_id is None or found.reference not in (None, instruction.reference):
            return unknown("unreadable" if found.action_id is None else "reference_mismatch")
        return Result(Outcome.PENDING, found.action_id, detail="accepted")

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        known, charging = instruction.provider_ref, instruction.operation is Operation.CHARGE
        own = marked.spelt(instruction.reference, instruction.automatic)
        if way is Resolve.REFERENCE and charging:
            path = f"/payments?{urlencode({'limit': 10, 'reference': own})}"
        elif way is Resolve.PROVIDER_ID and charging and known:
            path = f"/payments/{quote(known, safe='')}"
        elif way is Resolve.REFERENCE and known:
            path = f"/payments/{quote(known, safe='')}/actions"
        else:
            return None
        return requests.get(account, path, requests.bearer(account))

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        if instruction.operation is not Operation.CHARGE:
            return read.listed(instruction, reply)
        if way is Resolve.REFERENCE:
            return read.found_by(instruction, reply)
        return read.charge(instruction, parsing.decode(reply.body, read.Payment) or read.Payment())

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        event = parsing.demand(notice.body, read.Event)
        kind, found = read.EVENTS.get(event.type), event.data
        own = marked.own(found.reference)
        if kind is None or own is None:
            return None  # of no interest, or of another use of the account
        (operation, status), (reference, held) = kind, own
        charges = is_id(reference, "ch")
        if operation is Operation.CAPTURE and charges and not held:
            operation = Operation.CHARGE  # it is taken at once, without a capture of ours
        if operation is Operation.CHARGE:
            if not charges:
                return None
            told = read.stands(found, status, automatic=not held)
            return CallbackEvent(event.id, operation, reference, found.id, told)
        # What is asked of a charge may be told under the charge's reference: its id says what.
        good = replace(found, approved=status != "Declined")
        told = read.done(operation, good, found.action_id, found.currency)
        named, charge = (None, found.id) if charges else (reference, None)
        return CallbackEvent(event.id, operation, named, found.action_id, told, charge=charge)


CHANNEL = CheckoutComChannel()
