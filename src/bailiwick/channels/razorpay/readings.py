"""What Razorpay can do, and what its payment links, refunds and errors mean for money."""

from bailiwick.channels.blocks import amounts, parsing, refusals, signatures
from bailiwick.channels.contract import (
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    Takes,
    redirect,
    unknown,
)
from bailiwick.channels.razorpay.messages import (
    Debit,
    Failure,
    Link,
    Links,
    Order,
    Orders,
    Paid,
    Paids,
    Payment,
    Refund,
    Refunds,
)

SIGNED = signatures.OfBody(
    "x-razorpay-signature", "sha256", ("callback_secret", "callback_secret_2")
)
_PAGE = Takes(Family.REDIRECT, tells=("name", "email", "phone"), returns=True, lasts_ms=30 * 60_000)
PROFILE = Profile(
    name="razorpay",
    title="Razorpay",
    resolve={
        Operation.CHARGE: (Resolve.REFERENCE, Resolve.CALLBACK),
        Operation.REFUND: (
            Resolve.PROVIDER_ID,
            Resolve.REFERENCE,
            Resolve.REPLAY,
            Resolve.CALLBACK,
        ),
    },
    # How soon a link is listed is not said. One whose address nobody was told is paid by nobody.
    visibility_ms=60_000,
    # How long keys are kept is not said.
    replay_ms=3_600_000,
    steps={"debit": (Resolve.PROVIDER_ID, Resolve.CALLBACK)},
    methods={
        "card": (Takes(needs=("email", "phone")),),
        "upi": (_PAGE,),
        "wallet": (_PAGE,),
    },
    currencies=("INR",),
    secrets=("key_id", "key_secret", "callback_secret"),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
)

# docs: payments/payment-links/states. "partially_paid" is missing: no link of ours may be.
_LINKS = {
    "created": Outcome.PENDING,
    "cancelled": Outcome.DECLINED,
    "expired": Outcome.DECLINED,
    "paid": Outcome.APPROVED,
}
# docs: api/refunds.
_REFUNDS = {
    "failed": Outcome.DECLINED,
    "pending": Outcome.PENDING,
    "processed": Outcome.APPROVED,
}
# docs: api/orders/fetch-payments. "refunded" is missing: it was taken, and given back since.
_PAYMENTS = {
    "authorized": Outcome.PENDING,
    "captured": Outcome.APPROVED,
    "created": Outcome.PENDING,
    "failed": Outcome.DECLINED,
}
EVENTS = {
    "order.paid": Operation.CHARGE,
    "payment_link.cancelled": Operation.CHARGE,
    "payment_link.expired": Operation.CHARGE,
    "payment_link.paid": Operation.CHARGE,
    "refund.created": Operation.REFUND,
    "refund.failed": Operation.REFUND,
    "refund.processed": Operation.REFUND,
}


def charge(instruction: Instruction, found: Link | None) -> Result:
    """What a link says of the charge that it stands for."""
    if found is None or found.reference_id != instruction.reference:
        return unknown("unreadable" if found is None else "reference_mismatch")
    return stands(found, found.payments or [])


def stands(found: Link, payments: list[Payment]) -> Result:
    """How a charge stands. Only once it is paid has it an id that will do for a refund."""
    outcome = _LINKS.get(found.status, Outcome.UNKNOWN)
    if outcome is Outcome.PENDING:
        action = redirect(parsing.link(found.short_url, https_only=True))
        return Result(outcome, action=action, detail=found.status)
    if outcome is Outcome.DECLINED:
        expired = found.status == "expired"
        code = "payment_intent_payment_attempt_expired" if expired else "charge_canceled"
        return Result(outcome, code=code, detail=found.status)
    taken = [each.payment_id or each.id for each in payments if each.status == "captured"]
    if outcome is Outcome.UNKNOWN or len(taken) != 1 or taken[0] is None:
        return unknown("undecided_status")
    amount, currency = amounts.told(PROFILE, found.amount_paid, found.currency)
    return Result(Outcome.APPROVED, taken[0], amount, currency)


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What the links with our reference say: there is one at most."""
    page = parsing.decode(reply.body, Links)
    if page is None:
        return unknown("unreadable")
    own = [each for each in page.payment_links if each.reference_id == instruction.reference]
    if not own and not page.payment_links:
        return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
    return charge(instruction, own[0]) if len(own) == 1 else unknown("not_listed")


def ordered(instruction: Instruction, found: Order | None) -> Result:
    """An order that stands for the charge: it can be paid now."""
    if found is None or found.receipt != instruction.reference:
        return unknown("unreadable" if found is None else "reference_mismatch")
    return Result(Outcome.PENDING, found.id, detail="ordered", step="debit")


def order_listed(instruction: Instruction, reply: Reply) -> Result:
    """What the orders with our reference say: there is one at most."""
    page = parsing.decode(reply.body, Orders)
    if page is None:
        return unknown("unreadable")
    if not page.items:
        return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
    return ordered(instruction, page.items[0]) if len(page.items) == 1 else unknown("not_listed")


def debited(instruction: Instruction, found: Debit | None) -> Result:
    """A payment of the order was begun: the payer's bank tells the payer first."""
    if found is None or found.razorpay_order_id not in instruction.before:
        return unknown("unreadable" if found is None else "reference_mismatch")
    return Result(Outcome.PENDING, found.razorpay_payment_id, detail="created")


def of_order(instruction: Instruction, reply: Reply) -> Result:
    """What the payments of the order say; that there is none says nothing."""
    page = parsing.decode(reply.body, Paids)
    if page is None or not page.items:
        return unknown("unreadable" if page is None else "not_listed")
    return settled(page.items)


def settled(paid: list[Paid]) -> Result:
    """How the only payment of an order stands."""
    outcome = _PAYMENTS.get(paid[0].status or "", Outcome.UNKNOWN)
    if len(paid) > 1 or outcome is Outcome.UNKNOWN:
        return unknown("undecided_status")
    known = paid[0].id
    if outcome is Outcome.DECLINED:
        return refusals.declined(known, "generic_decline")
    if outcome is Outcome.PENDING:
        return Result(outcome, known, detail=paid[0].status)
    amount, currency = amounts.told(PROFILE, paid[0].amount, paid[0].currency)
    return Result(outcome, known, amount, currency)


def refund(instruction: Instruction, found: Refund | None) -> Result:
    """What a refund says."""
    if found is None or found.receipt != instruction.reference:
        return unknown("unreadable" if found is None else "reference_mismatch")
    return returned(found)


def returned(found: Refund) -> Result:
    """How a refund stands."""
    outcome = _REFUNDS.get(found.status or "", Outcome.UNKNOWN)
    if outcome is Outcome.DECLINED:
        return Result(outcome, found.id, code="refund_failed", detail="failed")
    amount, currency = amounts.told(PROFILE, found.amount, found.currency)
    detail = None if outcome is Outcome.APPROVED else parsing.word(found.status) or "unknown_status"
    return Result(outcome, found.id, amount, currency, detail=detail)


def refund_listed(instruction: Instruction, reply: Reply) -> Result:
    """What the refunds of a payment say of ours."""
    page = parsing.decode(reply.body, Refunds)
    for each in [] if page is None else page.items:
        if each.receipt == instruction.reference:
            return returned(each)
    return unknown("unreadable" if page is None else "not_listed")


def failure(reply: Reply) -> Result:
    """An answer other than 200. Errors of banks and of Razorpay's own decide nothing."""
    found = parsing.decode(reply.body, Failure)
    if found is None or found.error.code != "BAD_REQUEST_ERROR":
        return unknown(parsing.not_answered(reply))
    said = found.error.description or ""
    if "idempotency" in said.lower():
        return unknown("key_used_otherwise")
    return refusals.refusal(reply, "invalid_request", said)
