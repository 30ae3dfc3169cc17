"""What Xendit can do, and what its payment requests, refunds and errors mean for money."""

import hmac

from bailiwick.channels.blocks import parsing, refusals, tables, times
from bailiwick.channels.blocks.tables import Seen
from bailiwick.channels.contract import (
    Account,
    Act,
    Action,
    CallbackRefused,
    Family,
    Instruction,
    Notice,
    Operation,
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

TABLES = tables.Tables.beside(__file__)
DONE = (200, 201, 202)


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
    found = TABLES.shapes["movement"].read(reply.body)
    return stands(instruction, tables.named(found, instruction.reference))


def listed(instruction: Instruction, reply: Reply) -> Result:
    """What a list says of ours: there is one at most. That of refunds may lag."""
    found = TABLES.shapes["movement"].listed(reply.body, "data")
    page = TABLES.shapes["page"].read(reply.body)
    whole = page is not None and not page.flag and not found
    whole = whole and instruction.operation is Operation.CHARGE
    return stands(instruction, tables.only(found, instruction.reference, whole=whole))


def stands(instruction: Instruction, found: Seen | Result) -> Result:
    """How a charge or refund stands."""
    if isinstance(found, Result):
        return found
    pushed = Action(Act.PUSH) if instruction.family is Family.PUSH else None
    action = _action(found) or pushed
    return TABLES.stands(PROFILE, instruction.operation, found, action=action)


def _action(found: Seen) -> Action | None:
    if (text := parsing.shown(found.text)) is not None:
        return Action(Act.SHOWN_CODE, text=text, expires_ms=times.to_ms(found.expires))
    if (number := parsing.shown(found.number)) is not None:
        given = {
            "number": number,
            "bank": found.more.get("bank"),
            "holder": found.more.get("holder"),
        }
        account = {key: text for key, text in given.items() if text and parsing.shown(text)}
        ends = times.to_ms(found.more.get("account_expires"))
        return Action(Act.TRANSFER, account=account, expires_ms=ends)
    wanted = {"action": "AUTH", "method": "GET"}
    steps = TABLES.shapes["step"].each(found.parts) or []
    links = [parsing.link(each.url, https_only=True) for each in steps if each.more == wanted]
    return redirect(next(filter(None, links), None))


def failure(reply: Reply) -> Result:
    """An answer that is no success."""
    found = TABLES.shapes["failure"].read(reply.body)
    if found is None or TABLES.word("errors", found.reason) == "undecided":
        return unknown(parsing.not_answered(reply))
    return refusals.refusal(reply, (found.reason or "").lower(), found.message)
