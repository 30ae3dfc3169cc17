"""What is asked of Checkout.com."""

from urllib.parse import quote

from bailiwick.channels.blocks import amounts, marked, parsing
from bailiwick.channels.checkout_com.readings import PROFILE
from bailiwick.channels.contract import Account, CannotExpress, Family, Instruction, Operation

SOURCES = {"alipay": "alipay_cn", "ideal": "ideal"}


def path(instruction: Instruction) -> str:
    """Where an operation is asked for."""
    if instruction.operation is Operation.CHARGE:
        return "/payments"
    known = quote(parsing.charge_id(instruction), safe="")
    return f"/payments/{known}/{instruction.operation}s"


def body(instruction: Instruction, account: Account) -> dict[str, object]:
    """What it is asked for by."""
    if instruction.operation is Operation.VOID:
        return {"reference": instruction.reference}
    amount = {"amount": amounts.to_provider(PROFILE, instruction.amount, instruction.currency)}
    if instruction.operation is Operation.CHARGE:
        return {**amount, **_charge(instruction, account)}
    named = {**amount, "reference": instruction.reference}
    if instruction.operation is Operation.REFUND:
        return named
    return {**named, "capture_type": "Final" if instruction.final else "NonFinal"}


def _charge(instruction: Instruction, account: Account) -> dict[str, object]:
    token = instruction.payment_method or ""
    back = instruction.return_url
    if instruction.family is not Family.TOKEN:
        source = {"type": SOURCES[instruction.payment_method_type]}
    elif token.startswith("src_"):
        source = {"type": "id", "id": token}
    elif token.startswith("tok_"):
        source = {"type": "token", "token": token}
    else:
        raise CannotExpress(
            "Checkout.com takes its own tokens only; nothing was sent. Give tok_... or src_....",
            param="payment_method",
        )
    if instruction.family is not Family.TOKEN and not instruction.automatic:
        raise CannotExpress(
            "Checkout.com holds cards only; nothing was sent. Use capture_method=automatic.",
            param="capture_method",
        )
    body: dict[str, object] = {
        "source": source,
        "currency": instruction.currency,
        "reference": marked.spelt(instruction.reference, instruction.automatic),
        "capture": instruction.automatic,
        "processing_channel_id": account.options.get("processing_channel_id", ""),
    }
    if instruction.off_session:
        body |= {"payment_type": "Recurring", "merchant_initiated": True}
    elif back is not None and instruction.family is Family.TOKEN:
        body["3ds"] = {"enabled": True, "attempt_n3d": True}
    return body if back is None else {**body, "success_url": back, "failure_url": back}
