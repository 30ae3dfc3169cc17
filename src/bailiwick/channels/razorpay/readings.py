"""What Razorpay can do, and what its payment links, orders, refunds and errors mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import parsing, refusals, signatures, tables
from bailiwick.channels.blocks.tables import Seen
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

SIGNED = signatures.OfBody(
    "x-razorpay-signature", "sha256", ("callback_secret", "callback_secret_2")
)
_WAYS = (Resolve.PROVIDER_ID, Resolve.REFERENCE, Resolve.REPLAY, Resolve.CALLBACK)
_PAGE = Takes(Family.REDIRECT, tells=("name", "email", "phone"), returns=True, lasts_ms=30 * 60_000)
PROFILE = Profile(
    name="razorpay",
    title="Razorpay",
    resolve={
        Operation.CHARGE: (Resolve.REFERENCE, Resolve.CALLBACK),
        Operation.REFUND: _WAYS,
    },
    # How soon a link is listed is not said. One whose address nobody was told is paid by nobody.
    visibility_ms=60_000,
    # How long keys are kept is not said.
    replay_ms=3_600_000,
    steps={"debit": (Resolve.PROVIDER_ID, Resolve.CALLBACK)},
    methods={"card": (Takes(needs=("email", "phone")),), "upi": (_PAGE,), "wallet": (_PAGE,)},
    currencies=("INR",),
    secrets=("key_id", "key_secret", "callback_secret"),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
)

TABLES = tables.Tables.beside(__file__)
SHAPES = TABLES.shapes


def kind(instruction: Instruction) -> str:
    """What stands for an operation, or its step."""
    if instruction.operation is Operation.REFUND:
        return "refund"
    if instruction.step is not None:
        return "debit"
    return "order" if instruction.payment_method_type == "card" else "payment_link"


def stands(what: str, found: Seen | Result) -> Result:
    """How an operation stands, by what stands for it."""
    if isinstance(found, Result):
        return found
    if what == "refund":
        told, (amount, currency) = (
            TABLES.stands(PROFILE, Operation.REFUND, found),
            found.money(PROFILE),
        )
        failed = told.outcome is Outcome.DECLINED
        return told if failed else replace(told, amount=amount, currency=currency)
    if what == "payment_link":
        return paid(found, SHAPES["link_payment"].each(found.parts) or [])
    # An order can be paid now. Of a payment that has begun the payer's bank tells the payer first.
    step, word = ("debit", "ordered") if what == "order" else (None, "created")
    return Result(Outcome.PENDING, found.id, detail=word, step=step)


def paid(link: Seen, payments: list[Seen]) -> Result:
    """How a charge by a link stands. Only once it is paid has it an id that will do for a
    refund."""
    taken = [each.charge or each.id for each in payments if each.status == "captured"]
    known = taken[0] if link.status == "paid" and len(taken) == 1 else None
    action = redirect(parsing.link(link.url, https_only=True))
    found = replace(link, id=known)
    told = TABLES.stands(PROFILE, Operation.CHARGE, found, action=action)
    sure = told.outcome not in (Outcome.APPROVED, Outcome.UNKNOWN) or known is not None
    return told if sure else unknown("undecided_status")


def settled(payments: list[Seen]) -> Result:
    """How the only payment of an order stands; that there is none says nothing."""
    if not payments:
        return unknown("not_listed")
    told = TABLES.stands(PROFILE, Operation.CHARGE, payments[0], table="payments")
    sure = len(payments) == 1 and told.outcome is not Outcome.UNKNOWN
    return told if sure else unknown("undecided_status")


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What a list says of ours: there is one at most."""
    what = kind(instruction)
    if what == "debit":
        payments = SHAPES["payment"].listed(reply.body, "items")
        return unknown("unreadable") if payments is None else settled(payments)
    page = SHAPES[what].listed(reply.body, "payment_links" if what == "payment_link" else "items")
    whole = what != "refund" and not page
    others = "reference_mismatch" if what == "order" else "not_listed"
    own = instruction.reference
    return stands(what, tables.only(page, own, whole=whole, several="not_listed", others=others))


def failure(reply: Reply) -> Result:
    """An answer other than 200. Errors of banks and of Razorpay's own decide nothing."""
    found = SHAPES["failure"].read(reply.body)
    if found is None or found.reason != "BAD_REQUEST_ERROR":
        return unknown(parsing.not_answered(reply))
    if "idempotency" in (found.message or "").lower():
        return unknown("key_used_otherwise")
    return refusals.refusal(reply, "invalid_request", found.message)
