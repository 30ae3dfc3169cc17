"""What Adyen can do, and what its result codes, errors and events mean for money."""

from msgspec.structs import replace

from bailiwick.channels.blocks import marked, parsing, refusals, sealed, tables, times, wallets
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
    redirect,
    unknown,
)

TABLES = tables.Tables.beside(__file__)
SIGNED = sealed.OfFields(
    fields=tuple(TABLES.words["signed"]),
    signature="additionalData.hmacSignature",
    inside="notificationItems.0.NotificationRequestItem",
    secrets=("hmac_key", "hmac_key_2"),
)
BROUGHT = ("redirectResult",)
_BACK = Takes(Family.REDIRECT, returns=True, return_step="details", return_params=BROUGHT)
_PAGE = (replace(_BACK, holds=False),)
PROFILE = Profile(
    name="adyen",
    title="Adyen",
    resolve=dict.fromkeys(ON_CHARGES, (Resolve.REPLAY, Resolve.CALLBACK)),
    steps={"details": (Resolve.REPLAY, Resolve.CALLBACK)},
    visibility_ms=0,  # never used: Adyen answers no questions
    replay_ms=6 * 24 * 3_600_000,  # keys are good for 7 days at least
    methods={
        **dict.fromkeys(("alipay", "dana", "gcash", "ideal"), _PAGE),
        "blik": (Takes(Family.PRESENTED_CODE, needs=("code",), holds=False),),
        "card": (Takes(),),
        **dict.fromkeys(("paynow", "pix", "wechat_pay"), (Takes(Family.SHOWN_CODE, holds=False),)),
    },
    currencies=tuple(TABLES.words["currencies"]),
    exponents={"CLP": 2, "CVE": 0, "IDR": 0, "ISK": 2},
    reversal=True,
    secrets=("api_key", "hmac_key"),
    options=("merchant_account", "return_url"),
    callbacks=SIGNED,
    callbacks_by_id=True,
)


def charge(instruction: Instruction, reply: Reply) -> Result:
    """The answer to a charge."""
    found = TABLES.shapes["answer"].read(reply.body)
    if found is None or found.status is None:
        return unknown("unreadable")
    own = marked.spelt(instruction.reference, instruction.automatic)
    # What a payer brings may be about anything: that it is about this charge has to be said.
    if found.reference not in ((own,) if instruction.step is not None else (None, own)):
        return unknown("reference_mismatch")
    strange = found.status == "RedirectShopper" and instruction.family is not Family.REDIRECT
    said = TABLES.stands(PROFILE, Operation.CHARGE, found, action=_action(found))
    if said.outcome is Outcome.PENDING and not strange:
        return replace(said, provider_ref=None)  # the id that its event will have may be another
    if said.outcome is Outcome.APPROVED:
        return replace(said, captured=instruction.automatic)
    declined = said.outcome is Outcome.DECLINED and found.id is not None
    return said if declined else unknown("undecided_status")


def received(instruction: Instruction, reply: Reply) -> Result:
    """The answer to a capture, void or refund: it is received, and how it ends is told later."""
    found = TABLES.shapes["answer"].read(reply.body)
    if found is None or found.more.get("received") != "received" or found.id is None:
        return unknown("unreadable")
    asked = {
        "own": instruction.reference,
        "payment": instruction.provider_ref,
        "payment_own": marked.spelt(instruction.charge_reference or "", instruction.automatic),
    }
    if any(found.more.get(name, ours) != ours for name, ours in asked.items()):
        return unknown("reference_mismatch")
    amount, currency = found.money(PROFILE)
    return Result(Outcome.PENDING, found.id, amount, currency, detail="received")


def failure(instruction: Instruction, reply: Reply) -> Result:
    """An answer by which nothing was done, or that does not tell."""
    fault = TABLES.shapes["failure"].read(reply.body)
    kind = None if fault is None else fault.more["type"]
    if fault is None or kind not in ("validation", "security", "configuration"):
        return unknown(parsing.not_answered(reply))
    # 704: the same is being done, or was; 0: an unknown error.
    transient = parsing.header(reply.headers, "transient-error") == "true"
    if transient or fault.reason in ("0", "704"):
        return unknown("in_progress")
    if instruction.step is not None:
        # Whatever the payer brought, it is no reason to end a charge that may be paid yet.
        strange = kind == "validation" and reply.status in (400, 422)
        found = Result(Outcome.PENDING, detail="result_invalid")
        return found if strange else unknown(parsing.not_answered(reply))
    charging = instruction.operation is Operation.CHARGE
    if charging and reply.status == 422 and fault.reason in ("800", "803"):
        return no_such_method()
    return refusals.refusal(reply, "invalid_request", fault.message)


def told(item: Seen, operation: Operation, captured: bool) -> Result:
    """What an event says; that something was undone later may come under another id."""
    undone = TABLES.word("undone", item.status) is not None
    if item.more["success"] == "true" and not undone:
        amount, currency = item.money(PROFILE)
        return Result(Outcome.APPROVED, item.id, amount, currency, captured)
    known = None if undone else item.id
    if item.status == "OFFER_CLOSED":
        return replace(wallets.expired(None), detail="expired")
    if operation is Operation.CHARGE:
        return refusals.declined(known, "generic_decline")
    return Result(Outcome.DECLINED, known, code=f"{operation}_failed", detail="failed")


def _action(found: Seen) -> Action | None:
    until, kind = times.to_ms(found.expires), found.more.get("action")
    if kind == "await":
        return Action(Act.WAIT, expires_ms=until)
    if kind == "redirect" and found.more.get("method", "GET") == "GET":
        return redirect(parsing.link(found.url, https_only=True))
    text = parsing.shown(found.text) if kind == "qrCode" else None
    return None if text is None else Action(Act.SHOWN_CODE, text=text, expires_ms=until)
