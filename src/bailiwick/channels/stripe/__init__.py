"""Stripe's PaymentIntents over its v1 HTTP API, form-encoded, version pinned.

Sources: https://docs.stripe.com/api (payment_intents, refunds, errors, idempotent_requests),
https://docs.stripe.com/currencies, https://docs.stripe.com/webhooks/signature. Readings of
answers are in ``readings``.

How unknowns end: Stripe has no strongly consistent look-up by our reference (its search lags),
so an unknown whose provider id is known is read by that id, else the same request is repeated
under the same Idempotency-Key within its retention, else a callback ends it. A repeat returns
the *first* answer as it was, stored 500s included; so the id comes first where there is one.
"""

from bailiwick.channels.blocks import amounts, parsing, requests
from bailiwick.channels.contract import (
    Account,
    CallbackEvent,
    CallbackRefused,
    Instruction,
    Notice,
    Operation,
    Outcome,
    Reply,
    Request,
    Resolve,
    Result,
    unknown,
)
from bailiwick.channels.stripe import readings as read

API_VERSION = "2026-10-28.endive"


class StripeChannel:
    """See the module's description."""

    profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return requests.get(account, "/v1/account", _headers(account))

    def parse_check(self, reply: Reply, account: Account) -> str | None:
        return requests.credential_problem("the provider", reply)

    def request(self, instruction: Instruction, account: Account) -> Request:
        """See ``Channel.request``.

        Raises:
            CannotExpress: an amount that this provider cannot express (``Profile.multiples``), or
                no provider id of the charge for an operation that needs it.
        """
        requests.only_declared(self.profile, instruction)
        path, fields = _order(instruction)
        headers = {**_headers(account), "idempotency-key": instruction.reference}
        return requests.post_form(account, path, headers, fields)

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(instruction, reply)
        return read.answer(instruction, reply)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        known = instruction.provider_ref or ""
        if way is not Resolve.PROVIDER_ID:
            return None
        template = "/v1/payment_intents/{known}" if known.startswith("pi_") else None
        if instruction.operation is Operation.REFUND:
            # If only the charge is known, our refund is in its list, with our reference on it.
            listed = f"/v1/refunds?{_target(known)}={{known}}&limit=100"
            template = "/v1/refunds/{known}" if known.startswith("re_") else listed
        return requests.look_up(account, _headers(account), template, known=known)

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            # A refused look-up says nothing about the operation looked for.
            return unknown(parsing.not_answered(reply))
        one = read.SHAPES["refund"].read(reply.body) is not None
        if instruction.operation is Operation.REFUND and not one:
            return read.listed(instruction, reply)
        return read.answer(instruction, reply, asked=True)

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.SIGNED.check(notice, account, now_ms)
        event = read.SHAPES["event"].demand(notice.body)
        if event.flag != account.livemode:
            raise CallbackRefused("a test event for a live gateway, or the reverse")
        if (kind := read.TABLES.word("events", event.status)) is None:
            return None
        found = read.SHAPES[kind].read(notice.body, "data.object")
        if found is None:
            raise CallbackRefused(f"the event's {kind} cannot be read")
        if found.reference is None:
            return None  # another application's on the same account
        operation, own, told = Operation.CHARGE, found.reference, None
        capture = found.more.get("capture")
        if kind == "refund":
            operation, told = Operation.REFUND, read.refund(found)
        elif capture is not None and found.status == "succeeded":
            operation, own, told = Operation.CAPTURE, capture, read.captured(found)
        elif found.status != "canceled":
            # A cancellation ends a charge that never was held, or releases one that was: it does
            # not say which, so the node asks.
            told = read.charge(found)
            told = None if told.outcome is Outcome.UNKNOWN else told
        return CallbackEvent(event.id or "", operation, own, found.id, told, dated)


CHANNEL = StripeChannel()


def _headers(account: Account) -> dict[str, str]:
    return {**requests.bearer(account), "stripe-version": API_VERSION}


def _order(instruction: Instruction) -> tuple[str, dict[str, str | None]]:
    amount = str(amounts.to_provider(read.PROFILE, instruction.amount, instruction.currency))
    own, operation = instruction.reference, instruction.operation
    if operation is Operation.VOID:
        return requests.of_charge("/v1/payment_intents/{charge}/cancel", instruction), {}
    if operation is Operation.CAPTURE:
        path = requests.of_charge("/v1/payment_intents/{charge}/capture", instruction)
        return path, {"amount_to_capture": amount, "metadata[bailiwick_capture]": own}
    named = {"metadata[bailiwick_reference]": own}
    if operation is Operation.REFUND:
        known = parsing.charge_id(instruction)
        return "/v1/refunds", {_target(known): known, "amount": amount, **named}
    return "/v1/payment_intents", {
        "amount": amount,
        "currency": instruction.currency.lower(),
        "confirm": "true",
        "capture_method": "automatic" if instruction.automatic else "manual",
        # Without it an account's dynamic methods apply, which demand a return_url.
        "allowed_payment_method_types[0]": instruction.payment_method_type,
        **named,
        "payment_method": instruction.payment_method,
        "description": instruction.description,
        "return_url": instruction.return_url,
        "metadata[bailiwick_payment]": instruction.payment,
    }


def _target(known: str) -> str:
    return "charge" if known.startswith("ch_") else "payment_intent"
