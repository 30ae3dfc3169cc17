"""What Checkout.com can do, and what its payments, actions, errors and events mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import marked, parsing, refusals, signatures, tables
from bailiwick.channels.blocks.iso8583.codes import DECLINES
from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import (
    ON_CHARGES,
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

SIGNED = signatures.OfBody("cko-signature", "sha256", ("callback_secret", "callback_secret_2"))
_ASKED = (Resolve.REFERENCE, Resolve.REPLAY, Resolve.CALLBACK)
_PAGE = (Takes(Family.REDIRECT, returns=True, holds=False),)

PROFILE = Profile(
    name="checkout_com",
    title="Checkout.com",
    resolve={
        **dict.fromkeys(ON_CHARGES, _ASKED),
        Operation.CHARGE: (Resolve.PROVIDER_ID, *_ASKED),
    },
    # How soon a payment is listed is not said.
    visibility_ms=900_000,
    # Keys are kept for 24 hours.
    replay_ms=23 * 3_600_000,
    methods={"alipay": _PAGE, "card": (Takes(),), "ideal": _PAGE},
    # https://www.checkout.com/docs/payments/accept-payments/format-the-amount-value: all that are
    # not among its lists have two decimals; amounts with three end in 0.
    exponents={"CLP": 2},
    multiples=dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 10),
    multiple_captures=True,
    secrets=("api_key", "callback_secret"),
    options=("processing_channel_id",),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    callbacks_by_id=True,
)
TABLES = tables.Tables.beside(__file__)


def charge(instruction: Instruction, reply: Reply) -> Result:
    """What a payment says of the charge that it stands for."""
    found = TABLES.shapes["payment"].read(reply.body)
    own = marked.spelt(instruction.reference, instruction.automatic)
    named = tables.named(None if found is None or found.id is None else found, own)
    return named if isinstance(named, Result) else stands(named, instruction.automatic)


def stands(found: Seen, automatic: bool) -> Result:
    """How a charge stands."""
    action = redirect(parsing.link(found.url, https_only=True))
    how = "undecided_status"
    said = TABLES.stands(PROFILE, Operation.CHARGE, found, action=action, undecided=how)
    if said.outcome is Outcome.APPROVED and found.flag is False:
        return Result(Outcome.UNKNOWN, found.id, detail=how)
    if said.outcome is Outcome.APPROVED:
        return replace(said, captured=automatic or found.status != "Authorized")
    declined = said.code == "card_declined"
    return refusals.declined(found.id, _reason(found.reason or "")) if declined else said


def _reason(code: str) -> str:
    """The last two digits of 200.. and 300.. are the bank's own code, as ISO 8583 has it."""
    if code == "20014":
        return "incorrect_number"
    banks = len(code) == 5 and code[:3] in ("200", "300")
    return DECLINES.get(code[-2:], "generic_decline") if banks else "generic_decline"


def done(operation: Operation, found: Seen, known: str | None, currency: str | None) -> Result:
    """How a capture, void or refund ended."""
    if found.flag:
        amount, code = replace(found, currency=currency).money(PROFILE)
        return Result(Outcome.APPROVED, known, amount, code)
    return Result(Outcome.DECLINED, known, code=f"{operation}_failed", detail="failed")


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What the actions of a payment say of ours: their currency is the payment's."""
    kind = TABLES.word("types", instruction.operation)
    for each in TABLES.shapes["payment"].listed(reply.body) or ():
        if each.reference == instruction.reference and each.more.get("type") == kind:
            if each.flag is None:
                return Result(Outcome.UNKNOWN, each.id, detail="undecided_status")
            return done(instruction.operation, each, each.id, instruction.currency)
    return unknown("not_listed")


def found_by(instruction: Instruction, reply: Reply) -> Result:
    """What the payments with our reference say: there is one at most."""
    page = TABLES.shapes["payment"].listed(reply.body, "data")
    own = marked.spelt(instruction.reference, instruction.automatic)
    found = tables.only(page, own, whole=not page, others="reference_mismatch")
    return found if isinstance(found, Result) else stands(found, instruction.automatic)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer by which nothing was done, or that does not tell: 429 is said of a repeat, too."""
    fault = TABLES.shapes["failure"].read(reply.body)
    theirs = fault is not None or parsing.header(reply.headers, "cko-request-id") is not None
    if not theirs or reply.status == 429:
        return unknown(parsing.not_answered(reply))
    charging = instruction.operation is Operation.CHARGE
    if reply.status in (403, 404) and not charging:
        code = "resource_missing" if reply.status == 404 else f"{instruction.operation}_not_allowed"
        return Result(Outcome.DECLINED, code=code, detail="refused")
    if reply.status in (401, 403):
        return refusals.refusal(reply, "unauthorized", None)
    return refusals.refusal(reply, None if fault is None else fault.reason, None)
