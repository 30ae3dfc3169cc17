"""What Mercado Pago can do, and what its payments, refunds and errors mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import parsing, refusals, signatures, tables, times, wallets, words
from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import (
    ON_CHARGES,
    Act,
    Action,
    Family,
    Instruction,
    Operation,
    Outcome,
    Profile,
    Reply,
    Resolve,
    Result,
    Takes,
    no_such_method,
    unknown,
)

_DAY_MS = 24 * 3_600_000
_ASKED = (Resolve.PROVIDER_ID, Resolve.REFERENCE, Resolve.REPLAY, Resolve.CALLBACK)
_SEEN = (Resolve.PROVIDER_ID, Resolve.REPLAY)
SIGNED = signatures.OfName("x-signature")
TABLES = tables.Tables.beside(__file__)
SITES = TABLES.words["sites"]
_PIX = Takes(Family.SHOWN_CODE, ("email",), ("name", "tax_id"), lasts_ms=_DAY_MS, holds=False)
METHODS = words.pairs("boleto bolbradesco oxxo oxxo pix pix")


def _slip(*needs: str) -> Takes:
    return Takes(Family.VOUCHER, needs, ("name",), lasts_ms=3 * _DAY_MS, holds=False)


PROFILE = Profile(
    name="mercado_pago",
    title="Mercado Pago",
    resolve={**dict.fromkeys(ON_CHARGES, _SEEN), Operation.CHARGE: _ASKED},
    # How soon a payment is found by its reference is not said, nor how long keys are kept.
    visibility_ms=900_000,
    replay_ms=3_600_000,
    methods={
        "boleto": (_slip("name", "email", "tax_id", "address"),),
        "card": (Takes(needs=("email",), tells=("name", "tax_id")),),
        "oxxo": (_slip("email"),),
        "pix": (_PIX,),
    },
    currencies=tuple(SITES.values()),
    # Whether it takes centavos of Colombia is not said.
    multiples={"COP": 100},
    # Seven days.
    hold_ms=156 * 3_600_000,
    secrets=("api_key", "callback_secret"),
    options=("currency",),
    secret_headers=(SIGNED.header,),
    callbacks=SIGNED,
    callbacks_by_id=True,
)


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an answer says of what was asked for."""
    operation = instruction.operation
    if operation is Operation.REFUND:
        return _refund(instruction, TABLES.shapes["refund"].read(reply.body))
    own = wallets.charge_of(instruction)
    found = tables.named(TABLES.shapes["payment"].read(reply.body), own)
    if operation is Operation.CHARGE or isinstance(found, Result):
        return _charge(instruction, found)
    return TABLES.stands(PROFILE, operation, found)


def found_by(instruction: Instruction, reply: Reply) -> Result:
    """What the payments with our reference say: there is one at most."""
    page, others = TABLES.shapes["payment"].listed(reply.body, "results"), "reference_mismatch"
    own = tables.only(page, instruction.reference, whole=not page, others=others)
    return _charge(instruction, own)


def _charge(instruction: Instruction, found: Seen | Result) -> Result:
    if isinstance(found, Result):
        return found
    how, action = instruction.automatic, _action(found)
    said = TABLES.stands(PROFILE, Operation.CHARGE, found, automatic=how, action=action)
    if said.outcome is Outcome.PENDING:
        return replace(said, detail=parsing.word(found.reason) or said.detail)
    late = found.status == "cancelled" and found.reason == "expired"
    return replace(said, code="payment_intent_payment_attempt_expired") if late else said


def _action(found: Seen) -> Action | None:
    ends = times.to_ms(found.expires)
    if (text := parsing.shown(found.text)) is not None:
        return Action(Act.SHOWN_CODE, text=text, expires_ms=ends)
    if (url := parsing.link(found.url, https_only=True)) is None:
        return None
    number = parsing.shown(found.number or found.more.get("slip"))
    return Action(Act.VOUCHER, url=url, number=number, expires_ms=ends)


def _refund(instruction: Instruction, found: Seen | None) -> Result:
    if found is None:
        return unknown("unreadable")
    known = f"{found.charge}/refunds/{found.id}"
    if instruction.provider_ref not in (found.charge, known):
        return unknown("reference_mismatch")
    found = replace(found, id=known, currency=instruction.currency)
    return TABLES.stands(PROFILE, Operation.REFUND, found)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer that is no success."""
    fault, operation = TABLES.shapes["failure"].read(reply.body), instruction.operation
    if fault is None or fault.status != str(reply.status) or reply.status == 429:
        return unknown(parsing.not_answered(reply))
    cause = TABLES.word("causes", fault.reason)
    if cause == "undecided" or (fault.parts and fault.reason is None):
        return unknown(f"cause_{fault.reason}".lower())
    if operation is Operation.CHARGE and cause == "no_token":
        return no_such_method()
    acts = operation in (Operation.CAPTURE, Operation.VOID)
    if acts and 400 <= reply.status < 500 and reply.status not in (401, 403, 408, 409):
        # It may have been done by an earlier try: it is looked at.
        return Result(Outcome.PENDING, instruction.provider_ref, detail="looked_at")
    message = fault.more.get("cause") or fault.message
    return refusals.refusal(reply, fault.more["error"].lower(), message)
