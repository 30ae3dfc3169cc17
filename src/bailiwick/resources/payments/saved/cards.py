"""What is known of a card by its token alone. Pure.

Of the documented test tokens their page tells it (https://docs.stripe.com/testing, cards by brand).
Of any other token nothing is known here before a provider says it, and nothing is guessed.
"""

import hmac
from typing import Any

_BRANDS = {
    "visa": ("visa", "credit", "4242"),
    "visa_debit": ("visa", "debit", "5556"),
    "mastercard": ("mastercard", "credit", "4444"),
    "mastercard_debit": ("mastercard", "debit", "8210"),
    "mastercard_prepaid": ("mastercard", "prepaid", "5100"),
    "amex": ("amex", "credit", "0005"),
    "discover": ("discover", "credit", "1117"),
    "diners": ("diners", "credit", "0004"),
    "jcb": ("jcb", "credit", "0505"),
    "unionpay": ("unionpay", "credit", "0005"),
}
_DOMAIN = b"bailiwick.card.fingerprint"


def known(token: str, *, livemode: bool) -> dict[str, Any]:
    """Brand, funding and last four digits of a test token; nothing of any other."""
    for prefix in ("pm_card_", "tok_"):
        found = _BRANDS.get(token.removeprefix(prefix)) if token.startswith(prefix) else None
        if found is not None and not livemode:
            return dict(zip(("brand", "funding", "last4"), found, strict=True))
    return {}


def fingerprint(
    secret: bytes, merchant: str, vault: str | None, token: str, *, livemode: bool
) -> str:
    """Tells whether two payment methods of a merchant are the same token of the same vault.

    Keyed with what nodes share: the same at each of them, and nobody without the secret can try
    tokens, nor find one merchant's payer at another.
    """
    mode = "live" if livemode else "test"
    said = "\0".join((merchant, mode, vault or "", token)).encode()
    key = hmac.digest(secret, _DOMAIN, "sha256")
    return hmac.digest(key, said, "sha256").hex()[:16]
