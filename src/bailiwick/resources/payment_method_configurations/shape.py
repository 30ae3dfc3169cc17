"""What a payment method configuration looks like to clients. Pure; see
https://docs.stripe.com/api/payment_method_configurations/object."""

from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from bailiwick.resources.payment_method_configurations.types import TYPES, offered
from bailiwick.serving.shapes import Shape


class DisplayPreference(Shape):
    """Whether a type is shown."""

    overridable: None
    preference: Literal["none", "off", "on"]
    value: Literal["off", "on"]


class ConfiguredMethod(Shape):
    """One type of payment methods. ``available``: it may be offered to payers, where a gateway of
    the payment's node takes it."""

    available: bool
    display_preference: DisplayPreference


class _Configuration(Shape):
    """Which types of payment methods a merchant wants to take. ``lagging_nodes`` is ours: they do
    not have this change yet."""

    id: str
    object: Literal["payment_method_configuration"]
    active: bool
    application: None
    is_default: bool
    livemode: bool
    name: str
    parent: None
    lagging_nodes: list[str] | UnsetType = UNSET


SHAPE = msgspec.defstruct(
    "PaymentMethodConfiguration",
    [
        (name, ConfiguredMethod) if offered(name) else (name, ConfiguredMethod | UnsetType, UNSET)
        for name in TYPES
    ],
    bases=(_Configuration,),
    namespace={"__doc__": _Configuration.__doc__},
    module=__name__,
    kw_only=True,
    forbid_unknown_fields=True,
)
