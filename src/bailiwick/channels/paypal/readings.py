"""What PayPal can do, and what its orders, payments and errors mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import parsing, refusals, tables
from bailiwick.channels.blocks.signing import transmissions
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

SIGNED = transmissions.Checksummed(
    "paypal", "webhook_id", ("webhook_certificate", "webhook_certificate_2")
)
COMPLETE = "complete"
_WAYS = (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK)
_PAGE = Takes(Family.REDIRECT, returns=True, lasts_ms=170 * 60_000, completed_by=COMPLETE)
PLACES = {
    Operation.CHARGE: "/v2/checkout/orders",
    Operation.CAPTURE: "/v2/payments/captures",
    Operation.REFUND: "/v2/payments/refunds",
}
"""Where what was made by an operation is read."""

PROFILE = Profile(
    name="paypal",
    title="PayPal",
    resolve={**dict.fromkeys(PLACES, _WAYS), Operation.VOID: (Resolve.REPLAY,)},
    steps={COMPLETE: _WAYS},
    visibility_ms=60_000,
    # Keys of orders are kept for 6 hours, those of payments for 45 days.
    replay_ms=5 * 3_600_000,
    methods={"paypal": (_PAGE,)},
    currencies=tuple(
        "AUD BRL CAD CHF CZK DKK EUR GBP HKD HUF ILS JPY MXN MYR NOK NZD PHP PLN SEK SGD THB TWD "
        "USD".split()
    ),
    exponents={"HUF": 0, "TWD": 0},
    capture_ids=True,
    # An authorization is good for 29 days, and is honoured for the first three.
    hold_ms=28 * 86_400_000,
    secrets=("client_id", "client_secret", SIGNED.certificates[0]),
    options=(SIGNED.about,),
    preparations=("token",),
    callbacks=SIGNED,
)
TABLES = tables.Tables.beside(__file__)
_LINKS = ("payer-action", "approve")


def looked_up(instruction: Instruction) -> str | None:
    """Under which id to look: of a charge that went on, its order's, which tells what was made."""
    return instruction.before[0] if instruction.before else instruction.provider_ref


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an order or a payment says of what was wanted."""
    operation, found = instruction.operation, TABLES.shapes["payment"].read(reply.body)
    if operation is Operation.CHARGE:
        return _charge(instruction, reply.body)
    if operation is Operation.VOID and reply.status == 204:
        amount, currency = instruction.amount, instruction.currency
        return Result(Outcome.APPROVED, None, amount, currency, captured=False)
    if operation is Operation.VOID:
        return _voided(instruction, found)
    own = tables.named(found, instruction.reference)
    if isinstance(own, Result):
        return own
    if operation is Operation.CAPTURE:
        return TABLES.stands(PROFILE, Operation.CHARGE, own, table="captures")
    told = TABLES.stands(PROFILE, operation, own)
    return replace(told, detail="failed") if told.outcome is Outcome.DECLINED else told


def _voided(instruction: Instruction, found: Seen | None) -> Result:
    if found is None or found.id != instruction.provider_ref:
        return unknown("unreadable" if found is None else "reference_mismatch")
    if found.status != "VOIDED":
        return unknown("not_done")
    amount, currency = found.money(PROFILE)
    return Result(Outcome.APPROVED, None, amount, currency, captured=False)


def _charge(instruction: Instruction, body: bytes) -> Result:
    found, read = TABLES.shapes["order"].read(body), TABLES.shapes["payment"]
    held = read.listed(body, "purchase_units.0.payments.authorizations", [])
    taken = read.listed(body, "purchase_units.0.payments.captures", [])
    links = TABLES.shapes["link"].listed(body, "links", [])
    if found is None or held is None or taken is None or links is None or len(found.parts) != 1:
        return unknown("unreadable")
    paid = held or taken
    named = {found.reference, *(each.more.get("order") for each in paid)} - {None}
    if named != {instruction.reference} or looked_up(instruction) not in (None, found.id):
        return unknown("reference_mismatch")
    if len(paid) > 1:
        return unknown("several_payments")
    if paid:
        by = "authorizations" if held else "captures"
        return TABLES.stands(PROFILE, Operation.CHARGE, paid[0], table=by, automatic=False)
    if found.status == "APPROVED":
        return Result(Outcome.PENDING, found.id, detail=found.word, step=COMPLETE)
    to = next((each.url for each in links if each.status in _LINKS), None)
    action = redirect(parsing.link(to, https_only=True))
    return TABLES.stands(PROFILE, Operation.CHARGE, found, table="orders", action=action)


def failure(reply: Reply) -> Result:
    """What an answer other than a success says."""
    found = TABLES.shapes["failure"].read(reply.body)
    if found is None or found.more.get("error", "invalid_token") != "invalid_token":
        return unknown(parsing.not_answered(reply))
    codes = (found.more.get(name) for name in ("issue", "name", "error"))
    code = next(filter(None, codes), "")
    issue, reason = TABLES.word("issues", code), TABLES.word("reasons", code)
    if issue == "done_before":
        return unknown(code.lower())
    told = refusals.refusal(reply, code.lower(), found.message)
    if told.detail != "refused":
        return told
    if reason is not None:
        return replace(refusals.declined(None, reason), message=told.message)
    return replace(told, code="charge_expired_for_capture") if issue == "expired" else told
