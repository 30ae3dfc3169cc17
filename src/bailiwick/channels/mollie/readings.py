"""What Mollie can do, and what its payments, captures, refunds and errors mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import parsing, refusals, tables, times, words
from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import (
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
    redirect,
    unknown,
)

_PAGE = Takes(Family.REDIRECT, returns=True, holds=False)
_ASKED = (Resolve.REFERENCE, Resolve.REPLAY)
METHODS = words.pairs(
    "bancontact bancontact bank_transfer banktransfer card creditcard eps eps ideal ideal"
    " p24 przelewy24 paypal paypal sepa_debit directdebit"
)
# https://docs.mollie.com/payments/multicurrency. PayPal gets forints rounded to whole ones.
_BOTH = tuple("AUD CAD CHF CZK DKK EUR GBP HKD ILS JPY NOK NZD PHP PLN SEK SGD USD".split())
PROFILE = Profile(
    name="mollie",
    title="Mollie",
    resolve={
        Operation.CHARGE: (Resolve.PROVIDER_ID, Resolve.REPLAY, Resolve.CALLBACK),
        Operation.CAPTURE: _ASKED,
        Operation.VOID: (Resolve.PROVIDER_ID, Resolve.REPLAY),
        Operation.REFUND: _ASKED,
    },
    # How soon a capture or refund is listed is not said.
    visibility_ms=900_000,
    # Keys are kept for one hour.
    replay_ms=50 * 60_000,
    methods={
        **dict.fromkeys(METHODS, (_PAGE,)),
        "bank_transfer": (Takes(Family.TRANSFER, returns=True, currencies=("EUR",), holds=False),),
        "card": (Takes(), Takes(Family.REDIRECT, returns=True)),
        "paypal": (replace(_PAGE, currencies=_BOTH),),
        "sepa_debit": (Takes(holds=False),),
    },
    currencies=(*_BOTH, "AED", "BGN", "HUF", "ISK", "RON", "ZAR"),
)
TABLES = tables.Tables.beside(__file__)


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What an answer with one object says of what was asked for."""
    found, operation = TABLES.shapes["made"].read(reply.body), instruction.operation
    if operation is Operation.VOID:
        same = found is not None and found.id == instruction.provider_ref
        return _given_up(found) if found is not None and same else unknown("unreadable")
    return _stands(instruction, tables.named(found, instruction.reference))


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What the captures or refunds of a payment say of ours: there is one at most."""
    found = TABLES.shapes["made"].listed(reply.body, f"_embedded.{instruction.operation}s")
    page = TABLES.shapes["page"].read(reply.body)
    whole = page is not None and "next" not in page.more
    return _stands(instruction, tables.only(found, instruction.reference, whole=whole))


def _stands(instruction: Instruction, found: Seen | Result) -> Result:
    if isinstance(found, Result):
        return found
    how, action = instruction.automatic, _action(found)
    return TABLES.stands(PROFILE, instruction.operation, found, automatic=how, action=action)


def _given_up(found: Seen) -> Result:
    """How a payment stands that was to be canceled."""
    if found.status == "authorized" and found.flag is False:
        return Result(Outcome.DECLINED, found.id, code="void_not_allowed", detail=found.word)
    return TABLES.stands(PROFILE, Operation.VOID, found)


def _action(found: Seen) -> Action | None:
    named = {name: found.more.get(name) for name in ("bank", "bic", "iban")}
    if named["iban"] is None:
        return redirect(parsing.link(found.url, https_only=True))
    account = {key: text for key, text in named.items() if text and parsing.shown(text)}
    reference, ends = parsing.shown(found.number), times.to_ms(found.expires)
    return Action(Act.TRANSFER, reference=reference, account=account, expires_ms=ends)


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer that is no success. 400 is said of a key that was used before, and 429 may be said
    of a repeat."""
    fault = TABLES.shapes["failure"].read(reply.body)
    if fault is None or fault.status != str(reply.status) or reply.status in (400, 429):
        return unknown(parsing.not_answered(reply))
    if instruction.operation is Operation.VOID and reply.status in (404, 422):
        # It may have ended meanwhile, or an earlier try may have canceled it: it is looked at.
        return Result(Outcome.PENDING, instruction.provider_ref, detail="not_cancelable")
    field = fault.more.get("field")
    code = "invalid_request" if field is None else f"invalid_{field.lower()}"
    return refusals.refusal(reply, code, fault.message)
