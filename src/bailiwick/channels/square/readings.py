"""What Square can do, and what its payments, refunds, errors and events mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import marked, parsing, refusals, signatures, tables
from bailiwick.channels.contract import (
    ON_CHARGES,
    CallbackEvent,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    no_such_method,
    unknown,
)

SIGNED = signatures.OfAddress("x-square-hmacsha256-signature")
_SEEN = (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK)
PROFILE = Profile(
    name="square",
    title="Square",
    resolve={**dict.fromkeys(ON_CHARGES, _SEEN), Operation.CHARGE: (*_SEEN, Resolve.REVERSAL)},
    # How soon a payment is found by its key is not said, nor how long keys are kept.
    visibility_ms=60_000,
    replay_ms=3_600_000,
    # https://developer.squareup.com/docs/build-basics/international-development
    currencies=("AUD", "CAD", "EUR", "GBP", "JPY", "USD"),
    partial_capture=False,
    # Seven days, where the card was not there.
    hold_ms=156 * 3_600_000,
    reversal=True,
    secrets=("api_key", "callback_secret"),
    options=("location_id",),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    callbacks_by_id=True,
    # https://developer.squareup.com/docs/devtools/sandbox/payments
    shared_tokens=r"tok_cnon_card_nonce_[a-z_]+",
)
TABLES = tables.Tables.beside(__file__)
_PAYMENT, _REFUND = TABLES.shapes["payment"], TABLES.shapes["refund"]


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an answer says of what was asked for."""
    operation, body = instruction.operation, reply.body
    lost = operation is Operation.VOID and not instruction.provider_ref
    if lost and parsing.decode(body, dict[str, object]) == {}:
        # No payment is there by this key: none any more, or none yet.
        return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")
    refunding = operation is Operation.REFUND
    found = _REFUND.read(body, "refund") if refunding else _PAYMENT.read(body, "payment")
    if found is None or TABLES.shapes["fault"].listed(body, "errors", []) != []:
        return unknown("unreadable")
    own = instruction.reference
    if operation is Operation.CHARGE:
        own = marked.spelt(own, instruction.automatic)
    elif not refunding:
        named = marked.own(found.reference)
        own = instruction.charge_reference or ""
        found = replace(found, reference=None if named is None else named[0])
    if found.reference != own:
        return unknown("reference_mismatch")
    return TABLES.stands(PROFILE, operation, found, automatic=instruction.automatic)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer that is no success."""
    faults = TABLES.shapes["fault"].listed(reply.body, "errors")
    certain = 400 <= reply.status < 500 and reply.status not in (408, 409, 429)
    if not faults or not certain or TABLES.word("categories", faults[0].more["category"]):
        return unknown(parsing.not_answered(reply))
    fault, code = faults[0], faults[0].reason or ""
    if code == "IDEMPOTENCY_KEY_REUSED":
        return unknown(code.lower())  # an earlier try of ours has come there: look at that
    charging = instruction.operation is Operation.CHARGE
    if charging and fault.more["category"] == "PAYMENT_METHOD_ERROR":
        payment = _PAYMENT.read(reply.body, "payment")
        return TABLES.declined(fault if payment is None else replace(fault, id=payment.id))
    if charging and (code, fault.more.get("field")) == ("NOT_FOUND", "source_id"):
        return no_such_method()
    acts = instruction.operation in (Operation.CAPTURE, Operation.VOID)
    if acts and instruction.provider_ref and reply.status not in (401, 403):
        # It may have been done by an earlier try: it is looked at.
        return Result(Outcome.PENDING, instruction.provider_ref, detail="looked_at")
    return refusals.refusal(reply, code.lower(), fault.message)


def told(body: bytes) -> CallbackEvent | None:
    """What an event says, if it is about something of ours. Raises CallbackRefused."""
    event = TABLES.shapes["event"].demand(body)
    about, notice_id = (event.status or "").partition(".")[0], event.id or ""
    if about not in ("payment", "refund"):
        return None
    found = TABLES.shapes[about].demand(body, f"data.object.{about}")
    own = marked.own(found.reference)
    if own is None:
        return None
    reference, held = own
    if about == "refund":
        said = TABLES.stands(PROFILE, Operation.REFUND, found)
        return CallbackEvent(notice_id, Operation.REFUND, reference, found.id, said)
    if held and found.status in ("COMPLETED", "CANCELED"):
        operation = Operation.CAPTURE if found.status == "COMPLETED" else Operation.VOID
        said, known = TABLES.stands(PROFILE, operation, found), found.id
        return CallbackEvent(notice_id, operation, None, known, said, charge=known)
    now = TABLES.stands(PROFILE, Operation.CHARGE, found, automatic=not held)
    result = None if now.outcome is Outcome.UNKNOWN else now
    return CallbackEvent(notice_id, Operation.CHARGE, reference, found.id, result)
