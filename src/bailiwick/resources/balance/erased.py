"""What is left of balance transactions once a payer is erased: they are all money."""

from bailiwick.serving.erasing import Stays

STAYS = {
    "balance_transaction": Stays(
        whole=frozenset(
            {
                "amount",
                "available_on",
                "balance_type",
                "created",
                "currency",
                "exchange_rate",
                "fee",
                "fee_details",
                "id",
                "net",
                "object",
                "reporting_category",
                "source",
                "status",
                "type",
            }
        )
    )
}
