"""Which status may follow which, by the event that says so.

Written down from the published life of a payment, not from the program's table. A capture or
void under way is shown as ``processing``. Pure.
"""

from __future__ import annotations

METHOD = "requires_payment_method"
CONFIRMATION = "requires_confirmation"
ACTION = "requires_action"
PROCESSING = "processing"
CAPTURE = "requires_capture"
SUCCEEDED = "succeeded"
CANCELED = "canceled"

STATUSES = frozenset({METHOD, CONFIRMATION, ACTION, PROCESSING, CAPTURE, SUCCEEDED, CANCELED})
FIRST = frozenset({METHOD, CONFIRMATION, PROCESSING})
TERMINAL = frozenset({SUCCEEDED, CANCELED})
CREATED = "payment_intent.created"
ERASED = "bailiwick.payment_intent.erased"
UPDATED = "bailiwick.payment_intent.updated"
LATE = "bailiwick.late_success"
REFUNDS = frozenset({"refund.created", "refund.updated", "refund.failed"})
DISPUTES = frozenset(
    f"charge.dispute.{name}"
    for name in ("created", "updated", "closed", "funds_withdrawn", "funds_reinstated")
)
NOTED = "charge.updated"
ADJUSTMENTS = REFUNDS | DISPUTES | {LATE, UPDATED, NOTED, ERASED}
"""What may still happen to a payment that has ended; none of it changes the status."""

_SAME = {(status, status) for status in STATUSES}
MOVES: dict[str, frozenset[tuple[str, str]]] = {
    "payment_intent.processing": frozenset(
        {
            (METHOD, PROCESSING),  # confirmed
            (CONFIRMATION, PROCESSING),
            (PROCESSING, PROCESSING),  # the next gateway, or not decided yet
            (ACTION, PROCESSING),  # the payer has acted, or a void began
            (CAPTURE, PROCESSING),  # a capture or a void began
            (CAPTURE, CAPTURE),  # a refund of what was captured so far is not decided yet
        }
    ),
    "payment_intent.requires_action": frozenset({(PROCESSING, ACTION)}),
    "payment_intent.succeeded": frozenset({(PROCESSING, SUCCEEDED), (ACTION, SUCCEEDED)}),
    "payment_intent.amount_capturable_updated": frozenset(
        {(PROCESSING, CAPTURE), (ACTION, CAPTURE)}
    ),
    "payment_intent.payment_failed": frozenset({(PROCESSING, METHOD), (ACTION, METHOD)}),
    "payment_intent.canceled": frozenset(
        {(METHOD, CANCELED), (CONFIRMATION, CANCELED), (ACTION, CANCELED), (PROCESSING, CANCELED)}
    ),
    "bailiwick.increment_refused": frozenset({(PROCESSING, CAPTURE)}),
    "bailiwick.capture_refused": frozenset({(PROCESSING, CAPTURE)}),
    "bailiwick.cancel_refused": frozenset({(PROCESSING, CAPTURE), (PROCESSING, PROCESSING)}),
    UPDATED: frozenset(_SAME | {(METHOD, CONFIRMATION), (CONFIRMATION, METHOD)}),
    LATE: frozenset(_SAME),
    NOTED: frozenset(_SAME),
    ERASED: frozenset(_SAME),
    # What was captured of a hold can be refunded, or disputed, while the rest is held, or is being
    # captured.
    **{
        name: frozenset({(SUCCEEDED, SUCCEEDED), (CAPTURE, CAPTURE), (PROCESSING, PROCESSING)})
        for name in REFUNDS | DISPUTES
    },
}


def first_wrong(event: str, status: str) -> str | None:
    """What is wrong with a payment's first event; None when nothing is."""
    if event != CREATED:
        return f"begins with {event}"
    if status not in FIRST:
        return f"is created as {status}"
    return None


def move_wrong(before: str, event: str, after: str) -> str | None:
    """What is wrong with an event that takes a payment from one status to another."""
    allowed = MOVES.get(event)
    if allowed is None:
        return f"{event} after the first event" if event == CREATED else f"unknown event {event}"
    if (before, after) not in allowed:
        return f"{event} from {before} to {after}"
    return None


def leaves_terminal(before: str, event: str, after: str) -> bool:
    """Whether an ended payment goes on in a way that no named adjustment covers."""
    return before in TERMINAL and (event not in ADJUSTMENTS or after != before)
