"""Words that several providers share. Pure."""

TEST_CARDS = (
    r"pm_card_[A-Za-z0-9_]+"
    r"|tok_(?:[a-z]{2}(?:_[a-z]+)?|(?:amex|authentication|avs|bypass|cartes|charge|create|cvc|debit"
    r"|diners|discover|domestic|eftpos|jcb|mastercard|pending|radar|refund|risk|threeDSecure"
    r"|unionpay|visa)[A-Za-z0-9_]*)"
)
"""The published test cards, as payment methods and as tokens: https://docs.stripe.com/testing. A
token that an account made is ``pm_`` or ``tok_`` and random letters and digits."""

RETRYABLE_DECLINES = frozenset(
    {
        "approve_with_id",
        "card_not_supported",
        "currency_not_supported",
        "issuer_not_available",
        "processing_error",
        "try_again_later",
    }
)
"""Declines by which a provider says that *it* cannot, not that the payer or the payer's bank
will not: only these may go on to another gateway. ``do_not_honor`` and ``generic_decline`` are
the bank's own refusal and are not among them. Source: https://docs.stripe.com/declines/codes"""


def pairs(text: str) -> dict[str, str]:
    """A provider's words, each with ours behind it, as a table."""
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))
