"""What Xendit can do, and what its payment requests, refunds and errors mean for money."""

import hmac
from decimal import Decimal

import msgspec

from bailiwick.channels.blocks import amounts, parsing, refusals, times
from bailiwick.channels.blocks.parsing import Id
from bailiwick.channels.contract import (
    Account,
    Act,
    Action,
    CallbackRefused,
    Family,
    Instruction,
    Notice,
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

_TOKEN = "x-callback-token"
_ASKED = (Resolve.PROVIDER_ID, Resolve.REFERENCE)
COUNTRIES = {"IDR": "ID", "PHP": "PH"}
_PAGE = (Takes(Family.REDIRECT, returns=True),)
_ACCOUNT = Takes(Family.TRANSFER, needs=("name",), lasts_ms=24 * 3_600_000, currencies=("IDR",))
PROFILE = Profile(
    name="xendit",
    title="Xendit",
    resolve={
        Operation.CHARGE: (*_ASKED, Resolve.CALLBACK),
        Operation.REFUND: (*_ASKED, Resolve.REPLAY, Resolve.CALLBACK),
    },
    # How soon a payment request is listed is not said. One whose code, account or address nobody
    # was told is paid by nobody.
    visibility_ms=60_000,
    # How long keys are kept is not said.
    replay_ms=3_600_000,
    methods={
        **dict.fromkeys(("dana", "gcash", "grabpay", "linkaja", "shopeepay"), _PAGE),
        "bank_transfer": (_ACCOUNT,),
        "ovo": (Takes(Family.PUSH, needs=("phone",)),),
        "qris": (Takes(Family.SHOWN_CODE, lasts_ms=30 * 60_000),),
    },
    currencies=tuple(COUNTRIES),
    exponents={"IDR": 0},
    secrets=("api_key", "callback_token"),
    options=("virtual_account_bank",),
    secret_headers=(_TOKEN,),
)

DONE = (200, 201, 202)
# "UNKNOWN" and "VOIDED" are missing: of the latter the money was taken, and given back since.
_CHARGES = {
    "PENDING": Outcome.PENDING,
    "REQUIRES_ACTION": Outcome.PENDING,
    "SUCCEEDED": Outcome.APPROVED,
    "CANCELED": Outcome.DECLINED,
    "EXPIRED": Outcome.DECLINED,
    "FAILED": Outcome.DECLINED,
}
_GONE = {"CANCELED": "charge_canceled", "EXPIRED": "payment_intent_payment_attempt_expired"}
_REFUNDS = {
    "CANCELLED": Outcome.DECLINED,
    "FAILED": Outcome.DECLINED,
    "PENDING": Outcome.PENDING,
    "SUCCEEDED": Outcome.APPROVED,
}
_UNABLE = ("CHANNEL_UNAVAILABLE", "ISSUER_UNAVAILABLE", "PROCESSOR_TEMPORARILY_UNAVAILABLE")
# Said of a repeat, too, of which the first may have been carried out.
_UNDECIDED = (
    "DUPLICATE_ERROR",
    "DUPLICATE_REFERENCE",
    "IDEMPOTENCY_ERROR",
    "PROCESSOR_ERROR",
    "PROCESSOR_TIMEOUT",
    "REFUND_IN_PROGRESS",
    "SERVER_ERROR",
)


class Properties(msgspec.Struct, frozen=True):
    """What was made for the payer."""

    qr_string: str | None = None
    virtual_account_number: str | None = None
    customer_name: str | None = None
    expires_at: str | None = None


class Way(msgspec.Struct, frozen=True):
    """A code or an account to pay by."""

    channel_code: str | None = None
    channel_properties: Properties | None = None


class Method(msgspec.Struct, frozen=True):
    """How it is paid."""

    qr_code: Way | None = None
    virtual_account: Way | None = None


class Step(msgspec.Struct, frozen=True):
    """What the payer may do next."""

    action: str
    url: str | None = None
    method: str | None = None


class Movement(msgspec.Struct, frozen=True):
    """A payment request or a refund."""

    id: Id
    status: str | None = None
    reference_id: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    payment_method: Method | None = None
    actions: list[Step] | None = None
    failure_code: str | None = None


class Page(msgspec.Struct, frozen=True):
    """Those that were looked for."""

    data: list[Movement]
    has_more: bool = False


class Failure(msgspec.Struct, frozen=True):
    """The body of an answer that says what is wrong."""

    error_code: str
    message: str | None = None


class Event(msgspec.Struct, frozen=True):
    """A callback."""

    event: str
    data: msgspec.Raw


class Told(msgspec.Struct, frozen=True):
    """The payment, which is not its request, or the refund that a callback is about."""

    id: Id
    reference_id: str | None = None
    payment_request_id: Id | None = None


def check_token(notice: Notice, account: Account) -> None:
    """Whether it bears the account's token, which proves nothing of what it says.

    Raises:
        CallbackRefused: it does not, or none is configured.
    """
    wanted = account.secrets.get("callback_token", "").strip()
    given = parsing.header(notice.headers, _TOKEN) or ""
    if not wanted or not hmac.compare_digest(wanted.encode(), given.encode("utf-8", "replace")):
        raise CallbackRefused("the token is missing, or not the account's")


def answer(instruction: Instruction, reply: Reply) -> Result:
    """What a payment request or refund says of what it stands for."""
    found = parsing.decode(reply.body, Movement)
    if found is None or found.reference_id != instruction.reference:
        return unknown("unreadable" if found is None else "reference_mismatch")
    return stands(instruction, found)


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What a list says of ours: there is one at most. That of refunds may lag."""
    page = parsing.decode(reply.body, Page)
    if page is None:
        return unknown("unreadable")
    own = [each for each in page.data if each.reference_id == instruction.reference]
    if own:
        return stands(instruction, own[0]) if len(own) == 1 else unknown("several_listed")
    if instruction.operation is Operation.REFUND or page.data or page.has_more:
        return unknown("not_listed")
    return Result(Outcome.UNKNOWN, not_found=True, detail="not_found")


def stands(instruction: Instruction, found: Movement) -> Result:
    """How a charge or refund stands."""
    charging, status = instruction.operation is Operation.CHARGE, found.status or ""
    outcome = (_CHARGES if charging else _REFUNDS).get(status, Outcome.UNKNOWN)
    word = parsing.word(status.lower()) or "unknown_status"
    if outcome is Outcome.PENDING:
        pushed = instruction.family is Family.PUSH
        action = (_action(found) or (Action(Act.PUSH) if pushed else None)) if charging else None
        return Result(outcome, found.id, action=action, detail=word)
    if outcome is Outcome.DECLINED and not charging:
        return Result(outcome, found.id, code="refund_failed", detail=word)
    if outcome is Outcome.DECLINED:
        return _declined(found, word)
    if outcome is Outcome.UNKNOWN:
        return Result(outcome, found.id, detail=word)
    currency = amounts.upper(found.currency)
    amount = amounts.from_major(PROFILE, found.amount, currency)
    return Result(outcome, found.id, amount, currency)


def _declined(found: Movement, word: str) -> Result:
    gone = _GONE.get(found.status or "")
    if gone is not None:
        return Result(Outcome.DECLINED, found.id, code=gone, detail=word)
    if found.failure_code in _UNABLE:
        return refusals.declined(found.id, "issuer_not_available")
    poor = found.failure_code == "INSUFFICIENT_BALANCE"
    return refusals.declined(found.id, "insufficient_funds" if poor else "generic_decline")


def _action(found: Movement) -> Action | None:
    method = found.payment_method or Method()
    for way in (method.qr_code, method.virtual_account):
        made = None if way is None else way.channel_properties
        if way is None or made is None:
            continue
        ends, number = times.to_ms(made.expires_at), parsing.shown(made.virtual_account_number)
        if (text := parsing.shown(made.qr_string)) is not None:
            return Action(Act.SHOWN_CODE, text=text, expires_ms=ends)
        if number is not None:
            given = {"bank": way.channel_code, "number": number, "holder": made.customer_name}
            account = {key: text for key, text in given.items() if text and parsing.shown(text)}
            return Action(Act.TRANSFER, account=account, expires_ms=ends)
    steps = [each for each in found.actions or () if each.action == "AUTH" and each.method == "GET"]
    links = [parsing.link(each.url, https_only=True) for each in steps]
    return redirect(next(filter(None, links), None))


def failure(reply: Reply) -> Result:
    """An answer that is no success."""
    found = parsing.decode(reply.body, Failure)
    if found is None or found.error_code in _UNDECIDED:
        return unknown(parsing.not_answered(reply))
    return refusals.refusal(reply, found.error_code.lower(), found.message)
