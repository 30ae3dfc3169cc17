"""An instruction as a message to a bank. Pure; the same bytes for the same instruction."""

import re
from datetime import UTC, datetime

from bailiwick.base.cards import has_card_number
from bailiwick.channels.blocks import amounts, parsing
from bailiwick.channels.blocks.iso8583.codec import Message
from bailiwick.channels.blocks.iso8583.currencies import NUMBERS
from bailiwick.channels.blocks.iso8583.dialect import Dialect
from bailiwick.channels.contract import (
    Account,
    CannotExpress,
    Context,
    Instruction,
    Operation,
    Profile,
)

_STANS = 999_999
_RETRIEVALS = 10**12
_PROVIDER_REF = re.compile(r"([0-9A-Za-z]{1,12})(?:-([!-~]{1,6}))?")
_ORIGINAL_DIGITS = 42


def stan(context: Context) -> str:
    """The systems trace audit number, field 11: another one within each 16 minutes, and so, with
    the time in field 7, in each year."""
    return f"{context.sequence % _STANS + 1:06d}"


def retrieval(context: Context) -> str:
    """The retrieval reference number, field 37: another one for ever."""
    return f"{context.sequence % _RETRIEVALS:012d}"


def sent_at(context: Context) -> str:
    """Field 7: month, day, hour, minute and second, in UTC."""
    return _time(context, "%m%d%H%M%S")


def message(profile: Profile, instruction: Instruction, account: Account) -> Message:
    """What asks the bank for an operation.

    Raises:
        CannotExpress: it cannot be said in this dialect.
    """
    dialect: Dialect = profile.wire
    context = _known(instruction.context)
    if instruction.operation is Operation.VOID:
        kind, fields = _reversal(dialect, instruction, account)
    else:
        hold = not instruction.automatic
        found = dialect.kind(instruction.operation, hold=hold)
        kind, fields = found.type, {3: found.processing}
        fields |= _about(dialect, instruction, account)
    amount = amounts.to_provider(profile, instruction.amount, instruction.currency)
    fields |= {
        4: f"{amount:012d}",
        7: sent_at(context),
        11: stan(context),
        12: _time(context, "%H%M%S"),
        13: _time(context, "%m%d"),
        49: NUMBERS[instruction.currency],
        **dialect.constant,
        **options(dialect.options, account),
    }
    if dialect.reference is not None:
        fields[dialect.reference] = instruction.reference
    if dialect.original is not None and instruction.charge_reference is not None:
        fields[dialect.original] = instruction.charge_reference
    return Message(kind[:3] + "1" if instruction.repeat else kind, fields)


def options(names: dict[str, int], account: Account) -> dict[int, str]:
    """Fields that are options of the gateway."""
    return {number: account.options.get(name, "") for name, number in names.items()}


def _about(dialect: Dialect, instruction: Instruction, account: Account) -> dict[int, str]:
    """What a charge, capture or refund says of itself."""
    context = _known(instruction.context)
    if instruction.operation is Operation.CHARGE:
        token = instruction.payment_method or ""
        if not token or has_card_number(token):
            raise CannotExpress(
                "The payment method is no token of the bank's; nothing was sent. Send the token "
                "that the bank has given for the card or account, never a card number.",
                param="payment_method",
            )
        return {37: retrieval(context), dialect.token: token}
    number, approval = _charge(instruction)
    if instruction.operation is Operation.REFUND:
        return {37: retrieval(context)}
    if not instruction.final:
        raise CannotExpress(
            "The bank takes one capture of an authorization; nothing was sent. Capture what is to "
            "be taken at once.",
            param="final_capture",
        )
    authorization = dialect.authorization.type
    fields = {37: number, 90: _original_data(authorization, dialect, instruction, account)}
    return fields | ({38: approval} if approval else {})


def _reversal(
    dialect: Dialect, instruction: Instruction, account: Account
) -> tuple[str, dict[int, str]]:
    """A reversal of a charge: of a hold that is known, or of one that was never answered."""
    if instruction.charge_reference is None:
        parsing.charge_id(instruction)
    known = instruction.provider_ref is not None
    # What is known and can be let go is a hold; what was never answered may have been either.
    hold = known or not instruction.automatic
    kind = dialect.kind(Operation.CHARGE, hold=hold)
    number, approval = _charge(instruction) if known else ("", "")
    original = _known(instruction.original)
    fields = {
        3: kind.processing,
        37: number or retrieval(original),
        90: _original_data(kind.type, dialect, instruction, account),
    }
    return dialect.reversal, fields | ({38: approval} if approval else {})


def _original_data(kind: str, dialect: Dialect, instruction: Instruction, account: Account) -> str:
    """Field 90: type, number and time of the message that is meant, and by whom it was sent."""
    original = _known(instruction.original)
    acquirer = next(
        (account.options.get(name, "") for name, number in dialect.options.items() if number == 32),
        "",
    )
    told = kind + stan(original) + sent_at(original) + acquirer.rjust(11, "0")
    return told.ljust(_ORIGINAL_DIGITS, "0")


def _charge(instruction: Instruction) -> tuple[str, str]:
    """Retrieval number and approval code of the charge acted upon."""
    found = _PROVIDER_REF.fullmatch(parsing.charge_id(instruction))
    if found is None:
        raise CannotExpress(
            "What is known of the charge is no retrieval number of the bank's; nothing was sent. "
            "Look for the charge in the bank's own records."
        )
    return found[1], found[2] or ""


def _known(context: Context | None) -> Context:
    if context is None:
        raise CannotExpress(
            "The operation has no number at the bank, as it was begun at another channel; nothing "
            "was sent. Look for it in the bank's own records."
        )
    return context


def _time(context: Context, form: str) -> str:
    return datetime.fromtimestamp(context.instant_ms / 1000, UTC).strftime(form)
