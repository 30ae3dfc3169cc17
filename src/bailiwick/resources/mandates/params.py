"""What requests about mandates may carry: https://docs.stripe.com/api/mandates/retrieve."""

from typing import Annotated

import msgspec
from msgspec import Meta

from bailiwick.serving.params import Expand, Second

IpAddress = Annotated[str, Meta(max_length=45, pattern=r"^[0-9A-Fa-f:.]+\Z")]
UserAgent = Annotated[str, Meta(min_length=1, max_length=500)]


class Online(msgspec.Struct, frozen=True):
    """An acceptance in a browser: where it came from."""

    ip_address: IpAddress
    user_agent: UserAgent


class Acceptance(msgspec.Struct, frozen=True):
    """How the payer has agreed. ``accepted_at``: seconds since 1970; now, if it is not said. Of one
    on paper or by word (``offline``) there is nothing more to say."""

    type: Annotated[str, Meta(max_length=20)]
    accepted_at: Second | None = None
    online: Online | None = None


class MandateData(msgspec.Struct, frozen=True):
    """What a mandate is made of."""

    customer_acceptance: Acceptance


class RetrieveMandate(msgspec.Struct, frozen=True):
    """GET /v1/mandates/{id}"""

    expand: Expand = []
