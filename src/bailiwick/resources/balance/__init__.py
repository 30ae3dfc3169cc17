"""Balance and balance transactions: what a merchant is owed, and each movement that changed it."""

from bailiwick.interlink.resource import ById, Merged, Path, Resource, Summed

RESOURCE = Resource(
    object="balance_transaction",
    prefix="txn",
    path="/v1/balance_transactions",
    table="balance_transaction",
    paths=(
        Path("/v1/balance", {"GET": Summed()}),
        Path("/v1/balance_transactions", {"GET": Merged()}),
        Path(
            "/v1/balance_transactions/{identifier}",
            {"GET": ById("txn", "balance_transaction")},
        ),
    ),
)
