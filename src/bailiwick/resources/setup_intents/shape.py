"""What a setup looks like to clients: https://docs.stripe.com/api/setup_intents/object. Pure."""

from typing import Any, Literal

from bailiwick.resources.payments.shape import AutomaticMethods, NextAction, Usage
from bailiwick.serving.shapes import Expanded, KeptPlace, Metadata, Open, Second, Shape


class LastSetupError(Shape):
    """Why the latest attempt failed."""

    type: str
    message: str
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None


class PublicSetupIntent(Shape):
    """A setup as a publishable key and its client secret show it."""

    id: str
    object: Literal["setup_intent"]
    automatic_payment_methods: AutomaticMethods | None
    cancellation_reason: str | None
    client_secret: str
    created: Second
    description: str | None
    last_setup_error: LastSetupError | None
    livemode: bool
    next_action: NextAction | None
    payment_method: str | Expanded | None
    payment_method_types: list[str]
    status: Literal[
        "requires_payment_method",
        "requires_confirmation",
        "requires_action",
        "processing",
        "canceled",
        "succeeded",
    ]
    usage: Usage


class SetupIntent(PublicSetupIntent):
    """A setup; ``location``, ``node`` and ``routing`` are ours."""

    allowed_payment_method_types: list[str] | None
    application: None
    attach_to_self: bool
    customer: str | Expanded | None
    customer_account: None
    excluded_payment_method_types: None
    flow_directions: None
    latest_attempt: str | None
    managed_payments: None
    mandate: str | Expanded | None
    metadata: Metadata
    on_behalf_of: None
    payment_method_configuration_details: None
    payment_method_options: Open
    single_use_mandate: None
    node: str | None
    location: KeptPlace
    routing: Open | None


SHAPE: type[Any] = SetupIntent
PUBLIC: type[Any] = PublicSetupIntent
"""What a publishable key sees instead."""
