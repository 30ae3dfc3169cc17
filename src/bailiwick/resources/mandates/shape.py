"""What a mandate looks like to clients: https://docs.stripe.com/api/mandates/object. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import Expanded, Open, Second, Shape


class Online(Shape):
    """Where an acceptance in a browser came from."""

    ip_address: str | None
    user_agent: str | None


class CustomerAcceptance(Shape):
    """How the payer has agreed."""

    accepted_at: Second | None
    type: Literal["online", "offline"]
    online: Online | UnsetType = UNSET
    offline: Open | UnsetType = UNSET


class Mandate(Shape):
    """What a payer has agreed to."""

    id: str
    object: Literal["mandate"]
    customer_acceptance: CustomerAcceptance
    livemode: bool
    multi_use: Open
    on_behalf_of: None
    payment_method: str | Expanded | None
    payment_method_details: Open
    single_use: None
    status: Literal["active", "inactive", "pending"]
    type: Literal["multi_use"]


SHAPE = Mandate
