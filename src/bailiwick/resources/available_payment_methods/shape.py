"""What the payment methods of a place look like to clients: ours. Pure."""

from typing import Literal

from msgspec import UNSET, UnsetType

from bailiwick.serving.shapes import Shape


class AvailablePaymentMethod(Shape):
    """A type that a payment could use now. ``gateway``: for secret keys."""

    object: Literal["available_payment_method"]
    type: str
    family: str
    display_name: str
    devices: list[str]
    gateway: str | UnsetType = UNSET


class AvailableMethodsPage(Shape):
    """All of them, the most usual first. ``node``: for secret keys."""

    object: Literal["list"]
    url: str
    has_more: bool
    data: list[AvailablePaymentMethod]
    country: str
    locale: str
    livemode: bool
    node: str | UnsetType = UNSET


SHAPE = AvailablePaymentMethod
ANSWERS = {"GET /v1/available_payment_methods": AvailableMethodsPage}
