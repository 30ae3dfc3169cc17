"""The settings of a gateway: which channel, with which account, for which payments."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Kind = Literal[
    "large_domestic_bank",
    "small_domestic_bank",
    "foreign_bank",
    "domestic_platform",
    "foreign_platform",
]
State = Literal["enabled", "draining", "disabled"]
"""What a gateway's operator says of it. Draining: no new charges and setups. Disabled: nothing new
at all, payouts included. What was begun there is ended there in either."""
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class GatewaySettings(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[[gateways]]`` entry: a channel to configure and connect at this node.

    Amounts: ``cost_bps`` in basis points of the payment, ``cost_fixed`` in minor units.
    """

    name: Annotated[Name, Meta(description="unique at this node; stands in the callback's address")]
    channel: Annotated[str, Meta(description="a name that `bailiwick channel list` has")]
    kind: Annotated[Kind, Meta(description="what sort of provider; shown")]
    base_url: Annotated[str, Meta(description="the provider's API; live mode needs `https`")]
    mode: Annotated[Literal["test", "live"], Meta(description="`test` or `live`")] = "test"
    priority: Annotated[int, Meta(ge=0, le=10_000, description="lower first")] = 100
    cost_bps: Annotated[int, Meta(ge=0, le=10_000, description="basis points of the payment")] = 0
    cost_fixed: Annotated[
        int, Meta(ge=0, le=1_000_000, description="minor units on top of `cost_bps`")
    ] = 0
    countries: Annotated[list[str], Meta(description="payers' countries served; none: all")] = []
    currencies: Annotated[
        list[str], Meta(description="narrowed to what the channel can; none: all of those")
    ] = []
    methods: Annotated[tuple[str, ...], Meta(description="payment methods, likewise")] = ("card",)
    secrets: Annotated[
        dict[str, str], Meta(description="where each secret is; see [connect](../connect.md)")
    ] = {}
    options: Annotated[
        dict[str, str],
        Meta(description="what the channel must be told that is no secret, as its page says"),
    ] = {}
    vault: Annotated[
        Annotated[str, Meta(pattern=r"^([a-z0-9][a-z0-9-]{0,62})?$")],
        Meta(
            description="whose tokens it can use: gateways of one account have the same; "
            "none: its own, called as the gateway"
        ),
    ] = ""
    tls_certificate: Annotated[
        str,
        Meta(
            description="client certificate chain shown to the provider, PEM; `file:PATH` or "
            "`env:NAME`"
        ),
    ] = ""
    tls_key: Annotated[str, Meta(description="its private key, PEM, not encrypted, likewise")] = ""
    tls_ca: Annotated[
        str,
        Meta(
            description="authorities trusted for the provider, in place of the system's, likewise"
        ),
    ] = ""
    proxy: Annotated[
        str,
        Meta(description="forward proxy for https, `http://HOST:PORT`; none: straight there"),
    ] = ""
    proxy_credentials: Annotated[
        str, Meta(description="where its `USER:PASSWORD` is, as a secret is given")
    ] = ""
    connections_max: Annotated[
        int, Meta(ge=1, le=4096, description="connections to the provider at once")
    ] = 256
    calls_max: Annotated[
        Annotated[int, Meta(ge=1, le=65_536)] | None,
        Meta(
            description="calls under way at once, above which new charges go elsewhere; none: "
            "twice `connections_max`"
        ),
    ] = None
    visibility_ms: Annotated[
        Annotated[int, Meta(ge=0, le=86_400_000)] | None,
        Meta(description='how long "not found" means nothing; none: the channel\'s'),
    ] = None
    total_ms: Annotated[
        Annotated[int, Meta(ge=100, le=30_000)] | None,
        Meta(description="longest call; none: the channel's"),
    ] = None

    @property
    def vault_name(self) -> str:
        """The vault whose tokens this gateway can use."""
        return self.vault or self.name
