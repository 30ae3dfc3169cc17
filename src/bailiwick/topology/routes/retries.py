"""What follows on a decline: another gateway, or nothing. Pure.

A decline is definite: nothing was charged. So another gateway may be asked, if somebody thinks that
its answer may differ, and if the schemes allow it: what they call never to be tried again is
refused here.

Sources: Stripe's decline codes (https://docs.stripe.com/declines/codes); Visa's category 1
(https://developers.getevolved.com/enterprise/docs/visas-processing-integrity-fee-program).
"""

from collections.abc import Collection
from typing import Literal, cast

import msgspec

from bailiwick.topology.groups import unknown
from bailiwick.topology.reading import Table

MOST_RETRIES = 1_000
CODES = frozenset(
    """
    approve_with_id authentication_not_handled authentication_required call_issuer
    card_not_supported card_velocity_exceeded currency_not_supported do_not_honor
    do_not_try_again duplicate_transaction expired_card fraudulent generic_decline incorrect_cvc
    incorrect_number incorrect_pin incorrect_zip insufficient_funds invalid_account invalid_amount
    invalid_cvc invalid_expiry_month invalid_expiry_year invalid_number invalid_pin
    issuer_not_available lost_card merchant_blacklist new_account_information_available
    no_action_taken not_permitted offline_pin_required online_or_offline_pin_required pickup_card
    pin_try_exceeded processing_error reenter_transaction restricted_card
    revocation_of_all_authorizations revocation_of_authorization security_violation
    service_not_allowed stolen_card stop_payment_order testmode_decline transaction_not_allowed
    try_again_later withdrawal_count_limit_exceeded
    """.split()
)
NEVER = frozenset(
    """
    do_not_try_again invalid_account invalid_number incorrect_number lost_card pickup_card
    restricted_card revocation_of_all_authorizations revocation_of_authorization stolen_card
    stop_payment_order transaction_not_allowed
    """.split()
)
"""No issuer will ever say yes; the schemes charge for asking again."""
_PAYER = frozenset({"authentication_not_handled", "authentication_required"})
"""The payer is asked, not another gateway."""

Action = Literal["other_gateway", "stop"]


class Retry(msgspec.Struct, frozen=True):
    """What follows on some declines; ``merchants``: whose; none: everybody's."""

    merchants: tuple[str, ...]
    codes: tuple[str, ...]
    action: Action


def read(table: Table, merchants: Collection[str]) -> Retry:
    """One entry of ``[[retries]]``."""
    whose = table.texts("merchants", most=10_000, empty=True)
    for merchant in whose:
        if merchant not in merchants:
            table.bad("merchants", unknown("merchant", merchant, merchants))
    codes = table.texts("codes", most=len(CODES))
    action = table.choice("action", ("other_gateway", "stop"))
    table.done()
    for code in codes:
        if code not in CODES:
            table.bad("codes", unknown("decline code", code, CODES))
        elif action == "other_gateway" and code in NEVER:
            table.bad("codes", f"'{code}' is final: the schemes forbid to ask again; take it out")
        elif action == "other_gateway" and code in _PAYER:
            table.bad("codes", f"'{code}' is for the payer to act on; take it out")
    return Retry(whose, codes, cast(Action, action))
