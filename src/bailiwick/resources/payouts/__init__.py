"""Payouts: a merchant's money, sent from a provider to the merchant's bank account or wallet."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Refused, Resource

_ITS = ById("po", "payout")
_NOT_REVERSED = Refused(
    "A payout that was sent on is not reversed here: no channel can take money out of a bank "
    "account. While it is pending, cancel it; afterwards ask the provider."
)

RESOURCE = Resource(
    object="payout",
    prefix="po",
    path="/v1/payouts",
    table="payout",
    paths=(
        Path("/v1/payouts/{identifier}/reverse", {"POST": _NOT_REVERSED}),
        Path("/v1/payouts", {"POST": Placed(moves=True, always=True), "GET": Merged()}),
        Path("/v1/payouts/{identifier}", {"GET": _ITS, "POST": _ITS}),
        Path("/v1/payouts/{identifier}/cancel", {"POST": _ITS}),
    ),
)
