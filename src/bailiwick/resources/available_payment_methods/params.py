"""What a request for the payment methods of a place may carry."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bailiwick.jurisdiction.locate import Evidence
from bailiwick.methods import Device
from bailiwick.methods.locales import CHARS_MAX
from bailiwick.serving.params import Amount, Text


class AvailableMethods(msgspec.Struct, frozen=True):
    """GET /v1/available_payment_methods"""

    amount: Amount
    currency: Annotated[str, Meta(max_length=16)]
    location: Evidence | None = None
    device: Device | None = None
    capture_method: Literal["automatic", "automatic_async", "manual"] = "automatic"
    payment_method_configuration: Text | None = None
    locale: Annotated[str, Meta(max_length=CHARS_MAX)] | None = None
