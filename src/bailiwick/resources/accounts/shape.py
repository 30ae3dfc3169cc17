"""What an account looks like to clients: https://docs.stripe.com/api/accounts/object. Pure."""

from typing import Literal

from bailiwick.serving.shapes import Open, Shape


class BusinessProfile(Shape):
    """Of the profile the name is known."""

    mcc: None
    product_description: None
    support_address: None
    support_email: None
    support_phone: None
    support_url: None
    url: None
    name: str


class Account(Shape):
    """The merchant that the API key is of."""

    id: str
    object: Literal["account"]
    business_profile: BusinessProfile
    business_type: None
    capabilities: Open
    charges_enabled: bool
    country: str | None
    created: None
    default_currency: None
    details_submitted: bool
    email: None
    metadata: Open
    payouts_enabled: bool
    settings: Open
    type: Literal["standard"]


SHAPE = Account
