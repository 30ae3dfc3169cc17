"""What a payment and its charges look like to clients: see ``serving.shapes``. Pure.

https://docs.stripe.com/api/payment_intents/object and https://docs.stripe.com/api/charges/object;
what is null in all of ours is so declared.
"""

from typing import Any, Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import (
    Address,
    Billing,
    Currency,
    Expanded,
    Metadata,
    Minor,
    Open,
    Place,
    Second,
    Shape,
)

Status = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
]
Usage = Literal["off_session", "on_session"]


class Redirect(Shape):
    """Where the payer has to go, and comes back to."""

    url: str
    return_url: str | None


class ShownCode(Shape):
    """A code to scan; its pictures are in the addresses themselves."""

    data: str
    expires_at: Second | None
    hosted_instructions_url: str | None
    image_url_png: str
    image_url_svg: str


class WeChatCode(ShownCode):
    """The same, as Stripe has it for WeChat."""

    image_data_url: str


class InApp(Shape):
    """What the wallet's own script is called with. Ours."""

    parameters: dict[str, str]
    expires_at: Second | None


class Waiting(Shape):
    """The payer answers on the phone, until then. Ours."""

    expires_at: Second | None


class Voucher(Shape):
    """A slip to pay."""

    number: str | None
    reference: str | None
    expires_at: Second | None
    hosted_voucher_url: str | None


class Transfer(Shape):
    """An account to send the amount to."""

    reference: str | None
    account: dict[str, str]
    expires_at: Second | None
    hosted_instructions_url: str | None


class NextAction(Shape):
    """What the payer has to do: the member that ``type`` names is there, and no other."""

    type: Literal[
        "redirect_to_url",
        "display_qr_code",
        "paynow_display_qr_code",
        "pix_display_qr_code",
        "promptpay_display_qr_code",
        "upi_handle_redirect_or_display_qr_code",
        "wechat_pay_display_qr_code",
        "open_in_app",
        "wait_for_payer",
        "blik_authorize",
        "display_voucher_details",
        "boleto_display_details",
        "konbini_display_details",
        "multibanco_display_details",
        "oxxo_display_details",
        "display_bank_transfer_instructions",
    ]
    redirect_to_url: Redirect | UnsetType = UNSET
    display_qr_code: ShownCode | UnsetType = UNSET
    paynow_display_qr_code: ShownCode | UnsetType = UNSET
    pix_display_qr_code: ShownCode | UnsetType = UNSET
    promptpay_display_qr_code: ShownCode | UnsetType = UNSET
    upi_handle_redirect_or_display_qr_code: ShownCode | UnsetType = UNSET
    wechat_pay_display_qr_code: WeChatCode | UnsetType = UNSET
    open_in_app: InApp | UnsetType = UNSET
    wait_for_payer: Waiting | UnsetType = UNSET
    blik_authorize: Open | UnsetType = UNSET
    display_voucher_details: Voucher | UnsetType = UNSET
    boleto_display_details: Voucher | UnsetType = UNSET
    konbini_display_details: Voucher | UnsetType = UNSET
    multibanco_display_details: Voucher | UnsetType = UNSET
    oxxo_display_details: Voucher | UnsetType = UNSET
    display_bank_transfer_instructions: Transfer | UnsetType = UNSET


class Delivery(Shape):
    """Where the goods go."""

    address: Address | None
    carrier: str | None
    name: str | None
    phone: str | None
    tracking_number: str | None


class AmountDetails(Shape):
    """What an amount is made of."""

    tip: Open


class AutomaticMethods(Shape):
    """Whether methods follow from what is open where the payer is."""

    enabled: bool
    allow_redirects: Literal["always", "never"]


class LastError(Shape):
    """Why the latest attempt failed."""

    type: str
    message: str
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None
    charge: str | None = None
    doc_url: str | None = None
    advice_code: str | None = None


class Charge(Shape):
    """An attempt to charge a payment."""

    id: str
    object: Literal["charge"]
    amount: Minor
    amount_captured: Minor
    amount_refunded: Minor
    application: None
    application_fee: None
    application_fee_amount: None
    authorization_code: str | None
    balance_transaction: str | Expanded | None
    billing_details: Billing
    calculated_statement_descriptor: str | None
    captured: bool
    created: Second
    currency: Currency
    customer: str | Expanded | None
    description: str | None
    disputed: bool
    failure_balance_transaction: str | Expanded | None
    failure_code: str | None
    failure_message: str | None
    fraud_details: Open
    level3: None
    livemode: bool
    metadata: Metadata
    on_behalf_of: None
    outcome: Open | None
    paid: bool
    payment_intent: str | Expanded
    payment_method: str | None
    payment_method_details: Open
    presentment_details: None
    radar_options: None
    receipt_email: str | None
    receipt_number: None
    receipt_url: None
    refunded: bool
    refunds: None
    review: None
    shipping: Delivery | None
    source: None
    source_transfer: None
    statement_descriptor: str | None
    statement_descriptor_suffix: str | None
    status: Literal["failed", "pending", "succeeded"]
    transfer: None
    transfer_data: None
    transfer_group: None
    gateway: str
    provider_reference: str | None


class PublicPaymentIntent(Shape):
    """A payment as a publishable key and its client secret show it."""

    id: str
    object: Literal["payment_intent"]
    amount: Minor
    amount_details: AmountDetails
    automatic_payment_methods: AutomaticMethods | None
    canceled_at: Second | None
    cancellation_reason: str | None
    capture_method: str
    client_secret: str
    confirmation_method: Literal["automatic", "manual"]
    created: Second
    currency: Currency
    description: str | None
    last_payment_error: LastError | None
    livemode: bool
    next_action: NextAction | None
    payment_method: str | Expanded | None
    payment_method_types: list[str]
    processing: None
    receipt_email: str | None
    setup_future_usage: Usage | None
    shipping: Delivery | None
    source: None
    status: Status


class PaymentIntent(PublicPaymentIntent):
    """A payment; ``location``, ``node``, ``assignment`` and ``routing`` are ours."""

    allowed_payment_method_types: list[str] | None
    amount_capturable: Minor
    amount_received: Minor
    application: None
    application_fee_amount: None
    customer: str | Expanded | None
    customer_account: None
    excluded_payment_method_types: list[str] | None
    hooks: None
    latest_charge: str | Charge | None
    managed_payments: None
    metadata: Metadata
    on_behalf_of: None
    payment_details: None
    payment_method_configuration_details: Open | None
    payment_method_options: Open | None
    payment_record: None
    presentment_details: None
    review: None
    statement_descriptor: str | None
    statement_descriptor_suffix: str | None
    transfer_data: None
    transfer_group: None
    node: str | None
    location: Place
    assignment: Open
    routing: Open | None


SHAPE: type[Any] = PaymentIntent
PUBLIC: type[Any] = PublicPaymentIntent
"""What a publishable key sees instead."""
