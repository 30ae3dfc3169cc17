"""What requests about payment method configurations may carry: one struct per route.

Names and meanings follow https://docs.stripe.com/api/payment_method_configurations. Each type of
payment methods (``types``) is a parameter.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bailiwick.resources.payment_method_configurations.types import TYPES
from bailiwick.serving.params import Expand, Text

Name = Annotated[str, Meta(min_length=1, max_length=100)]


class Display(msgspec.Struct, frozen=True):
    """Whether a type is shown: ``none`` leaves it to us, who show all that can be used."""

    preference: Literal["none", "off", "on"] | None = None


class Setting(msgspec.Struct, frozen=True):
    """What is configured of one type."""

    display_preference: Display | None = None


class ListConfigurations(msgspec.Struct, frozen=True):
    """GET /v1/payment_method_configurations: the default one first, then the newest."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 10
    starting_after: Text | None = None
    ending_before: Text | None = None
    active: bool | None = None
    application: Text | None | UnsetType = UNSET
    expand: Expand = []


def _with_methods(name: str, route: str, *more: Any) -> type[Any]:
    methods = [(each, Setting | None, None) for each in TYPES]
    return msgspec.defstruct(
        name,
        [("name", Name | None, None), *more, *methods, ("expand", Expand, [])],
        namespace={"__doc__": route},
        module=__name__,
        frozen=True,
        kw_only=True,
    )


CreateConfiguration = _with_methods("CreateConfiguration", "POST /v1/payment_method_configurations")
CreateConfiguration.UNDONE = {"parent": "there are no connected accounts here: leave it out"}
UpdateConfiguration = _with_methods(
    "UpdateConfiguration",
    "POST /v1/payment_method_configurations/{id}",
    ("active", bool | None, None),
)


def preferences(wish: Any) -> dict[str, str]:
    """What a request prefers, by type."""
    found: dict[str, str] = {}
    for name in TYPES:
        setting: Setting | None = getattr(wish, name)
        display = None if setting is None else setting.display_preference
        if display is not None and display.preference is not None:
            found[name] = display.preference
    return found
