"""An account as the API shows it. Pure.

Fields of https://docs.stripe.com/api/accounts/object. Everything here is of the World: what it
does not know is null or empty, and what belongs to Connect is left out.
"""

from typing import Any

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import Object
from bailiwick.resources.accounts.params import RetrieveAccount
from bailiwick.topology.merchants import Merchant, Principal
from bailiwick.wire.forms import Params, struct_from


def show(who: Principal, identifier: str | None, params: Params) -> Object:
    """The key's own account; ``identifier``: the one that the path names, if it does.

    Raises:
        ApiError: 403, another's: it is not told whether it exists. 400, an unknown parameter, or
            an expansion.
    """
    asked = struct_from(params, RetrieveAccount)
    for wish in asked.expand:
        raise ApiError.invalid(
            f"This property cannot be expanded ({wish}). You can expand: nothing here.",
            param="expand",
        )
    if identifier is not None and identifier != who.merchant.id:
        raise _not_theirs(identifier)
    return account(who.merchant)


def account(merchant: Merchant) -> Object:
    """The account object."""
    return {
        "id": merchant.id,
        "object": "account",
        "business_profile": _profile(merchant),
        "business_type": None,
        "capabilities": {},
        "charges_enabled": True,
        "country": merchant.default_country or None,
        "created": None,
        "default_currency": None,
        "details_submitted": True,
        "email": None,
        "metadata": {},
        "payouts_enabled": True,
        "settings": _settings(merchant),
        "type": "standard",
    }


def _profile(merchant: Merchant) -> dict[str, Any]:
    nothing = (
        "mcc", "product_description", "support_address", "support_email", "support_phone",
        "support_url", "url",
    )  # fmt: skip
    return {**dict.fromkeys(nothing), "name": merchant.name}


def _settings(merchant: Merchant) -> dict[str, Any]:
    descriptor = "statement_descriptor"
    return {
        "branding": dict.fromkeys(("icon", "logo", "primary_color", "secondary_color")),
        "card_payments": dict.fromkeys(
            (f"{descriptor}_prefix", f"{descriptor}_prefix_kana", f"{descriptor}_prefix_kanji")
        ),
        "dashboard": {"display_name": merchant.name, "timezone": "Etc/UTC"},
        "payments": dict.fromkeys((descriptor, f"{descriptor}_kana", f"{descriptor}_kanji")),
    }


def _not_theirs(identifier: str) -> ApiError:
    error = ApiError.forbidden(
        f"The provided key does not have access to account '{identifier[:64]}' (or that account "
        "does not exist). A key shows its own account alone: GET /v1/account."
    )
    error.code = "account_invalid"
    return error
