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

from msgspec.structs import replace

from bailiwick.base.ids import is_id
from bailiwick.channels.blocks import amounts, marked, parsing, requests
from bailiwick.channels.checkout_com import readings as read
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CannotExpress,
    Family,
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

_LOOK_UPS = {
    Resolve.PROVIDER_ID: "/payments/{known}",
    Resolve.REFERENCE: "/payments?limit=10&reference={own}",
}


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
        body = _body(instruction, account)
        return requests.post_json(account, _path(instruction), headers, body)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        charging = instruction.operation is Operation.CHARGE
        if reply.status not in ((201, 202) if charging else (202,)):
            return read.failure(instruction, reply)
        if charging:
            return read.charge(instruction, reply)
        found = read.TABLES.shapes["receipt"].read(reply.body)
        if found is None or found.id is None:
            return unknown("unreadable")
        if found.reference not in (None, instruction.reference):
            return unknown("reference_mismatch")
        return Result(Outcome.PENDING, found.id, detail="accepted")

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        own = marked.spelt(instruction.reference, instruction.automatic)
        named = {"known": instruction.provider_ref, "own": own}
        by = _LOOK_UPS.get(way) if instruction.operation is Operation.CHARGE else None
        if instruction.operation is not Operation.CHARGE and way is Resolve.REFERENCE:
            by = "/payments/{known}/actions"
        return requests.look_up(account, requests.bearer(account), by, **named)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            return unknown(parsing.not_answered(reply))
        if instruction.operation is not Operation.CHARGE:
            return read.listed(instruction, reply)
        if way is Resolve.REFERENCE:
            return read.found_by(instruction, reply)
        return read.charge(instruction, reply)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        read.SIGNED.check(notice, account, now_ms)
        event = read.TABLES.shapes["event"].demand(notice.body)
        kind = read.TABLES.word("events", event.status)
        found = read.TABLES.shapes["payment"].demand(notice.body, "data")
        own = marked.own(found.reference)
        if kind is None or own is None:
            return None  # of no interest, or of another use of the account
        status = read.TABLES.word("told", event.status)
        operation, (reference, held), notice_id = Operation(kind), own, event.id or ""
        action = read.TABLES.shapes["receipt"].demand(notice.body, "data").id
        charges = is_id(reference, "ch")
        if operation is Operation.CAPTURE and charges and not held:
            operation = Operation.CHARGE  # it is taken at once, without a capture of ours
        if operation is Operation.CHARGE:
            if not charges:
                return None
            told = read.stands(replace(found, status=status), automatic=not held)
            return CallbackEvent(notice_id, operation, reference, found.id, told)
        # What is asked of a charge may be told under the charge's reference: its id says what.
        good = replace(found, flag=status != "Declined")
        told = read.done(operation, good, action, found.currency)
        named, charge = (None, found.id) if charges else (reference, None)
        return CallbackEvent(notice_id, operation, named, action, told, charge=charge)


CHANNEL = CheckoutComChannel()


def _path(instruction: Instruction) -> str:
    """Where an operation is asked for."""
    if instruction.operation is Operation.CHARGE:
        return "/payments"
    return requests.of_charge(f"/payments/{{charge}}/{instruction.operation}s", instruction)


def _body(instruction: Instruction, account: Account) -> dict[str, object]:
    """What it is asked for by."""
    if instruction.operation is Operation.VOID:
        return {"reference": instruction.reference}
    amount = {"amount": amounts.to_provider(read.PROFILE, instruction.amount, instruction.currency)}
    if instruction.operation is Operation.CHARGE:
        return {**amount, **_charge(instruction, account)}
    named = {**amount, "reference": instruction.reference}
    if instruction.operation is Operation.REFUND:
        return named
    return {**named, "capture_type": "Final" if instruction.final else "NonFinal"}


def _charge(instruction: Instruction, account: Account) -> dict[str, object]:
    token = instruction.payment_method or ""
    back = instruction.return_url
    if instruction.family is not Family.TOKEN:
        source = {"type": read.TABLES.word("sources", instruction.payment_method_type)}
    elif token.startswith("src_"):
        source = {"type": "id", "id": token}
    elif token.startswith("tok_"):
        source = {"type": "token", "token": token}
    else:
        raise CannotExpress(
            "Checkout.com takes its own tokens only; nothing was sent. Give tok_... or src_....",
            param="payment_method",
        )
    body: dict[str, object] = {
        "source": source,
        "currency": instruction.currency,
        "reference": marked.spelt(instruction.reference, instruction.automatic),
        "capture": instruction.automatic,
        "processing_channel_id": account.options.get("processing_channel_id", ""),
    }
    if instruction.off_session:
        body |= {"payment_type": "Recurring", "merchant_initiated": True}
    elif back is not None and instruction.family is Family.TOKEN:
        body["3ds"] = {"enabled": True, "attempt_n3d": True}
    return body if back is None else {**body, "success_url": back, "failure_url": back}
