"""What requests about disputes may carry: one struct per route, checked at the edge.

Names and meanings follow https://docs.stripe.com/api/disputes.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.serving.params import Expand, ListQuery, LongText, Metadata, Text

Statement = Annotated[str, Meta(max_length=20_000)]
EVIDENCE_CHARS_MAX = 150_000
"""Of all texts together."""


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """What speaks against a dispute: texts, and files by their ids; an empty value unsets."""

    access_activity_log: Statement | None | UnsetType = UNSET
    billing_address: LongText | None | UnsetType = UNSET
    cancellation_policy: Text | None | UnsetType = UNSET
    cancellation_policy_disclosure: Statement | None | UnsetType = UNSET
    cancellation_rebuttal: Statement | None | UnsetType = UNSET
    customer_communication: Text | None | UnsetType = UNSET
    customer_email_address: Text | None | UnsetType = UNSET
    customer_name: Text | None | UnsetType = UNSET
    customer_purchase_ip: Text | None | UnsetType = UNSET
    customer_signature: Text | None | UnsetType = UNSET
    duplicate_charge_documentation: Text | None | UnsetType = UNSET
    duplicate_charge_explanation: Statement | None | UnsetType = UNSET
    duplicate_charge_id: Text | None | UnsetType = UNSET
    product_description: Statement | None | UnsetType = UNSET
    receipt: Text | None | UnsetType = UNSET
    refund_policy: Text | None | UnsetType = UNSET
    refund_policy_disclosure: Statement | None | UnsetType = UNSET
    refund_refusal_explanation: Statement | None | UnsetType = UNSET
    service_date: Text | None | UnsetType = UNSET
    service_documentation: Text | None | UnsetType = UNSET
    shipping_address: LongText | None | UnsetType = UNSET
    shipping_carrier: Text | None | UnsetType = UNSET
    shipping_date: Text | None | UnsetType = UNSET
    shipping_documentation: Text | None | UnsetType = UNSET
    shipping_tracking_number: Text | None | UnsetType = UNSET
    uncategorized_file: Text | None | UnsetType = UNSET
    uncategorized_text: Statement | None | UnsetType = UNSET


UNDONE_EVIDENCE = {
    "appeal": "no channel here can appeal: ask your provider",
    "enhanced_evidence": "no channel here can send it: use the other fields",
}
UNDONE_UPDATE = {
    **{f"evidence[{name}]": why for name, why in UNDONE_EVIDENCE.items()},
    "intended_submission_method": "evidence is sent as you submit it, and nobody writes it for you",
}


class UpdateDispute(msgspec.Struct, frozen=True):
    """POST /v1/disputes/{id}; ``submit``: send the evidence to the provider, unless it is false."""

    evidence: Evidence | None = None
    submit: bool | None = None
    metadata: Metadata | None | UnsetType = UNSET
    expand: Expand = []


class CloseDispute(msgspec.Struct, frozen=True):
    """POST /v1/disputes/{id}/close."""

    expand: Expand = []


class ListDisputes(ListQuery, frozen=True):
    """GET /v1/disputes"""

    charge: Text | None = None
    payment_intent: Text | None = None
