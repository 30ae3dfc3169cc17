"""What is asked of Mercado Pago, and of whom."""

import re

from bailiwick.channels.blocks import times
from bailiwick.channels.contract import Account, Address, CannotExpress, Instruction, Payer
from bailiwick.channels.mercado_pago.readings import METHODS


def charge(instruction: Instruction, account: Account) -> dict[str, object]:
    """What a charge is asked for by, beside its amount. Raises CannotExpress."""
    kind, currency = instruction.payment_method_type, instruction.currency
    method = METHODS.get(kind)
    # Requests do not name it. The others are known in the countries of their currency alone.
    if method is None and currency != account.options.get("currency"):
        raise CannotExpress(
            f"This account at Mercado Pago does not take {currency}; nothing was sent. "
            "Change the currency.",
            param="currency",
        )
    body: dict[str, object] = {
        "external_reference": instruction.reference,
        "description": instruction.description or instruction.reference,
        "payer": _payer(instruction.payer or Payer(), kind == "boleto"),
    }
    if method is None:
        brand, _, token = (instruction.payment_method or "").removeprefix("tok_").rpartition("_")
        if not brand or not token:
            raise CannotExpress(
                "Mercado Pago has to know the kind of card; nothing was sent. "
                "Give the token with it, as in tok_visa_...",
                param="payment_method",
            )
        return {
            **body,
            "payment_method_id": brand,
            "token": token,
            "installments": 1,
            "capture": instruction.automatic,
        }
    if instruction.expires_ms is not None:
        ends = times.of_ms(instruction.expires_ms).replace("Z", ".000Z")
        body["date_of_expiration"] = ends
    return {**body, "payment_method_id": method}


def _payer(who: Payer, living: bool) -> dict[str, object]:
    first, _, last = (who.name or "").partition(" ")
    told: dict[str, object] = {"email": who.email, "first_name": first, "last_name": last}
    digits = re.sub(r"[^0-9]", "", who.tax_id or "")
    if len(digits) in (11, 14):
        kind = "CPF" if len(digits) == 11 else "CNPJ"
        told["identification"] = {"type": kind, "number": digits}
    if living:
        told["address"] = _address(who.address or Address())
    return {key: value for key, value in told.items() if value}


def _address(where: Address) -> dict[str, str | None]:
    street, _, house = (where.line1 or "").rpartition(",")
    told = {
        "zip_code": where.postal_code,
        "street_name": street.strip(),
        "street_number": house.strip(),
        "neighborhood": where.line2,
        "city": where.city,
        "federal_unit": where.state,
    }
    if not all(told.values()):
        raise CannotExpress(
            "A boleto has the payer's whole address; nothing was sent. Give street and number with "
            "a comma between as line1, the neighborhood as line2, city, state and postal_code.",
            param="payment_method_data[billing_details][address]",
        )
    return told
