"""Stripe's PaymentIntents over its v1 HTTP API, form-encoded, version pinned.

Sources: https://docs.stripe.com/api (payment_intents, refunds, errors, idempotent_requests),
https://docs.stripe.com/currencies, https://docs.stripe.com/webhooks/signature. Readings of
answers are in ``readings``.

How unknowns end: Stripe has no strongly consistent look-up by our reference (its search lags),
so an unknown whose provider id is known is read by that id, else the same request is repeated
under the same Idempotency-Key within its retention, else a callback ends it. A repeat returns
the *first* answer as it was, stored 500s included; so the id comes first where there is one.
"""

from urllib.parse import quote, urlencode

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

_REFUND_PAGE = 100
_EVENTS_OF_INTENTS = frozenset(
    {
        "payment_intent.amount_capturable_updated",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
        "payment_intent.processing",
        "payment_intent.requires_action",
        "payment_intent.succeeded",
    }
)
_EVENTS_OF_REFUNDS = frozenset(
    {"refund.created", "refund.updated", "refund.failed", "charge.refund.updated"}
)


class StripeChannel:
    """See the module's description."""

    profile = read.PROFILE

    def check(self, account: Account, now_ms: int) -> Request:
        return _get(account, "/v1/account")

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
        headers = {
            **_headers(account),
            "content-type": "application/x-www-form-urlencoded",
            "idempotency-key": instruction.reference,
        }
        return Request("POST", requests.at(account, path), headers, urlencode(fields).encode())

    def parse(self, instruction: Instruction, reply: Reply, account: Account) -> Result:
        if reply.status != 200:
            return read.failure(instruction, reply)
        if instruction.operation is Operation.REFUND:
            refund = parsing.decode(reply.body, read.Refund)
            return unknown("unreadable") if refund is None else read.refund(instruction, refund)
        intent = parsing.decode(reply.body, read.Intent)
        return unknown("unreadable") if intent is None else read.answer(instruction, intent)

    def query(self, instruction: Instruction, account: Account, way: Resolve) -> Request | None:
        known = instruction.provider_ref
        if way is not Resolve.PROVIDER_ID or not known:
            return None
        if instruction.operation is not Operation.REFUND:
            if not known.startswith("pi_"):
                return None
            return _get(account, f"/v1/payment_intents/{quote(known, safe='')}")
        if known.startswith("re_"):
            return _get(account, f"/v1/refunds/{quote(known, safe='')}")
        # Only the charge is known: our refund is in its list, with our reference on it.
        fields = {_target(known): known, "limit": str(_REFUND_PAGE)}
        return _get(account, f"/v1/refunds?{urlencode(fields)}")

    def parse_query(
        self, instruction: Instruction, reply: Reply, way: Resolve, account: Account
    ) -> Result:
        if reply.status != 200:
            # A refused look-up says nothing about the operation looked for.
            return unknown(parsing.not_answered(reply))
        if instruction.operation is not Operation.REFUND:
            intent = parsing.decode(reply.body, read.Intent)
            return unknown("unreadable") if intent is None else read.state(instruction, intent)
        refund = parsing.decode(reply.body, read.Refund)
        if refund is not None:
            return read.refund(instruction, refund)
        page = parsing.decode(reply.body, read.RefundList)
        if page is None:
            return unknown("unreadable")
        for listed in page.data:
            if listed.metadata.get(read.REFERENCE) == instruction.reference:
                return read.refund(instruction, listed)
        return unknown("not_listed")

    def callback(self, notice: Notice, account: Account, now_ms: int) -> CallbackEvent | None:
        dated = not read.SIGNED.check(notice, account, now_ms)
        event = parsing.decode(notice.body, read.Event)
        if event is None:
            raise CallbackRefused("the body is not an event of the provider")
        if event.livemode != account.livemode:
            raise CallbackRefused("a test event for a live gateway, or the reverse")
        payload = bytes(event.data.object)
        if event.type in _EVENTS_OF_INTENTS:
            return _intent_notice(event, payload, dated)
        if event.type in _EVENTS_OF_REFUNDS:
            return _refund_notice(event, payload, dated)
        return None


CHANNEL = StripeChannel()


def _headers(account: Account) -> dict[str, str]:
    return {**requests.bearer(account), "stripe-version": API_VERSION}


def _get(account: Account, path: str) -> Request:
    return requests.get(account, path, _headers(account))


def _order(instruction: Instruction) -> tuple[str, list[tuple[str, str]]]:
    if instruction.operation is Operation.CHARGE:
        return "/v1/payment_intents", _charge_fields(instruction)
    known = parsing.charge_id(instruction)
    if instruction.operation is Operation.VOID:
        return f"/v1/payment_intents/{quote(known, safe='')}/cancel", []
    amount = str(amounts.to_provider(read.PROFILE, instruction.amount, instruction.currency))
    if instruction.operation is Operation.CAPTURE:
        return f"/v1/payment_intents/{quote(known, safe='')}/capture", [
            ("amount_to_capture", amount),
            (f"metadata[{read.CAPTURE}]", instruction.reference),
        ]
    return "/v1/refunds", [
        (_target(known), known),
        ("amount", amount),
        (f"metadata[{read.REFERENCE}]", instruction.reference),
    ]


def _charge_fields(instruction: Instruction) -> list[tuple[str, str]]:
    amount = amounts.to_provider(read.PROFILE, instruction.amount, instruction.currency)
    fields = [
        ("amount", str(amount)),
        ("currency", instruction.currency.lower()),
        ("confirm", "true"),
        ("capture_method", "automatic" if instruction.automatic else "manual"),
        # Without it an account's dynamic methods apply, which demand a return_url.
        ("allowed_payment_method_types[0]", instruction.payment_method_type),
        (f"metadata[{read.REFERENCE}]", instruction.reference),
    ]
    optional = (
        ("payment_method", instruction.payment_method),
        ("description", instruction.description),
        ("return_url", instruction.return_url),
        ("metadata[bailiwick_payment]", instruction.payment),
    )
    return fields + [(name, value) for name, value in optional if value]


def _target(known: str) -> str:
    return "charge" if known.startswith("ch_") else "payment_intent"


def _intent_notice(event: read.Event, payload: bytes, dated: bool) -> CallbackEvent | None:
    intent = parsing.decode(payload, read.Intent)
    if intent is None:
        raise CallbackRefused("the event's payment cannot be read")
    reference = intent.metadata.get(read.REFERENCE)
    if reference is None:
        return None  # another application's payment on the same account
    capture = intent.metadata.get(read.CAPTURE)
    if capture is not None and intent.status == "succeeded":
        result = read.captured(intent)
        return CallbackEvent(event.id, Operation.CAPTURE, capture, intent.id, result, dated)
    # A cancellation ends a charge that never was held, or releases one that was: it does not
    # say which, so the node asks.
    told = None if intent.status == "canceled" else read.charge(intent)
    if told is not None and told.outcome is Outcome.UNKNOWN:
        told = None
    return CallbackEvent(event.id, Operation.CHARGE, reference, intent.id, told, dated)


def _refund_notice(event: read.Event, payload: bytes, dated: bool) -> CallbackEvent | None:
    refund = parsing.decode(payload, read.Refund)
    if refund is None:
        raise CallbackRefused("the event's refund cannot be read")
    reference = refund.metadata.get(read.REFERENCE)
    if reference is None:
        return None
    result = read.refund_result(refund)
    return CallbackEvent(event.id, Operation.REFUND, reference, refund.id, result, dated)
