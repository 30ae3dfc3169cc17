"""What is asked of Adyen: payments by stored cards, codes and other providers' pages, and what is
done to them then."""

from urllib.parse import quote

from bailiwick.channels.adyen import readings as read
from bailiwick.channels.blocks import amounts, marked, parsing, times
from bailiwick.channels.contract import Account, CannotExpress, Family, Instruction, Operation

TYPES = {
    **{name: name for name in ("alipay", "blik", "dana", "gcash", "ideal", "paynow", "pix")},
    "wechat_pay": "wechatpayQR",
}


def path(instruction: Instruction) -> str:
    """Where an operation is asked for."""
    operation = instruction.operation
    if operation is Operation.CHARGE:
        return "/payments" if instruction.step is None else "/payments/details"
    if operation is Operation.VOID and not instruction.provider_ref:
        return "/cancels"
    what = "cancels" if operation is Operation.VOID else f"{operation}s"
    return f"/payments/{quote(parsing.charge_id(instruction), safe='')}/{what}"


def body(instruction: Instruction, account: Account) -> dict[str, object]:
    """What it is asked for by."""
    if instruction.step is not None:
        return {"details": {name: instruction.kept.get(name, "") for name in read.BROUGHT}}
    value = amounts.to_provider(read.PROFILE, instruction.amount, instruction.currency)
    amount = {"value": value, "currency": instruction.currency}
    merchant: dict[str, object] = {"merchantAccount": account.options.get("merchant_account", "")}
    if instruction.operation is Operation.CHARGE:
        return {**merchant, "amount": amount, **_charge(instruction, account)}
    named: dict[str, object] = {**merchant, "reference": instruction.reference}
    if instruction.operation is not Operation.VOID:
        return {**named, "amount": amount}
    if instruction.provider_ref:
        return named
    held = instruction.charge_reference or parsing.charge_id(instruction)
    return {**named, "paymentReference": marked.spelt(held, instruction.automatic)}


def _charge(instruction: Instruction, account: Account) -> dict[str, object]:
    asked: dict[str, object] = {
        "reference": marked.spelt(instruction.reference, instruction.automatic),
        "returnUrl": instruction.return_url or account.options.get("return_url", ""),
    }
    if instruction.family is Family.TOKEN:
        return {**asked, **_stored(instruction)}
    if not instruction.automatic:
        raise CannotExpress(
            "Adyen holds cards only; nothing was sent. Use capture_method=automatic.",
            param="capture_method",
        )
    method = {"type": TYPES[instruction.payment_method_type]}
    if instruction.code is not None:
        method["blikCode"] = instruction.code
    if instruction.expires_ms is not None:
        asked["sessionValidity"] = times.of_ms(instruction.expires_ms)
    return {**asked, "paymentMethod": method}


def _stored(instruction: Instruction) -> dict[str, object]:
    token = (instruction.payment_method or "").removeprefix("tok_")
    stored, _, shopper = token.partition("_")
    if not stored or len(shopper) < 3:
        raise CannotExpress(
            "Adyen charges stored cards only; nothing was sent. Give the stored payment method's "
            "id and the shopper's reference as tok_ID_SHOPPER.",
            param="payment_method",
        )
    model = "UnscheduledCardOnFile" if instruction.off_session else "CardOnFile"
    held: dict[str, object] = {"additionalData": {"manualCapture": "true"}}
    return {
        "paymentMethod": {"type": "scheme", "storedPaymentMethodId": stored},
        "shopperReference": shopper,
        "shopperInteraction": "ContAuth",
        "recurringProcessingModel": model,
        "authenticationData": {"attemptAuthentication": "never"},
        # Whatever the account's own capture delay is.
        **({"captureDelayHours": 0} if instruction.automatic else held),
    }
