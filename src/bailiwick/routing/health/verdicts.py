"""What an outcome says of the provider: whether it works, and not whether the payer paid. Pure."""

from bailiwick.channels.contract import Outcome, Result
from bailiwick.routing.health.windows import Seen

PAYERS = frozenset(
    "authentication_required card_not_supported card_velocity_exceeded currency_not_supported"
    " duplicate_transaction expired expired_card fraudulent incorrect_address incorrect_cvc"
    " incorrect_number incorrect_pin incorrect_zip insufficient_funds invalid_account"
    " invalid_amount invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number"
    " invalid_pin live_mode_test_card lost_card merchant_blacklist offline_pin_required"
    " online_or_offline_pin_required pickup_card pin_try_exceeded restricted_card stolen_card"
    " stop_payment_order testmode_decline withdrawal_count_limit_exceeded".split()
)
"""Reasons that lie with the payer, or with what the payer pays by:
https://docs.stripe.com/declines/codes. However many there are, the provider works."""


def seen(result: Result) -> Seen:
    """What an outcome in real traffic says."""
    if result.outcome is Outcome.UNKNOWN:
        return Seen.FAILED
    if result.outcome is not Outcome.DECLINED:
        return Seen.GOOD
    if (result.decline_code or result.code) in PAYERS:
        return Seen.REFUSED
    return Seen.FAILED if result.retryable else Seen.VAGUE
