"""How a gateway's connections are secured, beyond what its address says."""

import msgspec

from bailiwick.runtime.tls import Outgoing
from bailiwick.wire.tunnel import Proxy


class Secured(msgspec.Struct, frozen=True):
    """What a gateway's settings say of its connections.

    Attributes:
        tls: whom they believe, and what they show; None: the system's authorities, and nothing.
        proxy: the way out; None: straight.
    """

    tls: Outgoing | None = None
    proxy: Proxy | None = None


USUAL = Secured()
"""Nothing beyond the address."""
