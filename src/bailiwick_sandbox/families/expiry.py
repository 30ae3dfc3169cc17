"""Until when a payer may act, by the bank's clock."""

from __future__ import annotations

from typing import Final

from bailiwick_sandbox.bank.records import Decline, Refusal
from bailiwick_sandbox.families.wire import Flow

_MINUTE_MS: Final = 60_000
_DAY_MS: Final = 24 * 60 * _MINUTE_MS
MOST_MS: Final = 90 * _DAY_MS
"""How far ahead a payer's time may end."""
USUAL_MS: Final[dict[Flow, int]] = {
    "redirect": _DAY_MS,
    "shown_code": 30 * _MINUTE_MS,
    "presented_code": 5 * _MINUTE_MS,
    "in_app": 30 * _MINUTE_MS,
    "push": 5 * _MINUTE_MS,
    "voucher": 3 * _DAY_MS,
    "transfer": 14 * _DAY_MS,
}
"""How long a payer has where the request does not say."""
EXPIRED: Final = Decline("expired", None, "The payer did not act in time.")


def check_expiry(expires_at: int | None, now: int) -> None:
    """Refuse an end of the payer's time that is over or too far ahead. Raises Refusal."""
    if expires_at is None:
        return
    if expires_at <= now:
        raise Refusal(400, "invalid_request", "Must be later than now.", "expires_at")
    if expires_at > now + MOST_MS:
        raise Refusal(400, "invalid_request", "At most 90 days ahead.", "expires_at")
