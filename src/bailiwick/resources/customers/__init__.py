"""Customers: a merchant's payers, kept at the node with jurisdiction over where they are."""

from bailiwick.interlink.resource import ById, Merged, Path, Placed, Refused, Resource, Searched

_ITS = ById("cus", "customer")
_ONE = "/v1/customers/{identifier}"
_NO_SOURCES = Refused(
    "Customers have payment methods, not sources: POST /v1/payment_methods, then "
    "POST /v1/payment_methods/{id}/attach."
)
_NO_BALANCE = Refused(
    "Customers have no balance here: invoices draw on it, and there are none. Money that goes back "
    "to a payer is a refund: POST /v1/refunds."
)
_NO_CASH = Refused(
    "Customers have no cash balance here: a bank transfer pays its payment at once "
    "(POST /v1/payment_intents, payment_method_types[]=bank_transfer)."
)
_NO_DISCOUNT = Refused("There are no coupons here: ask for the amount that is to be paid.")
_NO_TAX_IDS = Refused("Tax ids are printed on invoices, and there are none: keep them in metadata.")

RESOURCE = Resource(
    object="customer",
    prefix="cus",
    path="/v1/customers",
    table="record",
    paths=(
        Path("/v1/customers", {"POST": Placed(), "GET": Merged()}),
        Path("/v1/customers/search", {"GET": Searched()}),
        Path(_ONE, {"GET": _ITS, "POST": _ITS, "DELETE": _ITS}),
        *(
            Path(f"{_ONE}/{rest}", dict.fromkeys(methods.split(), refused))
            for rest, methods, refused in (
                ("sources", "GET POST", _NO_SOURCES),
                ("sources/{source}", "GET POST DELETE", _NO_SOURCES),
                ("sources/{source}/verify", "POST", _NO_SOURCES),
                ("balance_transactions", "GET POST", _NO_BALANCE),
                ("balance_transactions/{transaction}", "GET POST", _NO_BALANCE),
                ("cash_balance", "GET POST", _NO_CASH),
                ("cash_balance_transactions", "GET", _NO_CASH),
                ("cash_balance_transactions/{transaction}", "GET", _NO_CASH),
                ("funding_instructions", "POST", _NO_CASH),
                ("discount", "DELETE", _NO_DISCOUNT),
                ("tax_ids", "GET POST", _NO_TAX_IDS),
                ("tax_ids/{tax_id}", "GET DELETE", _NO_TAX_IDS),
            )
        ),
    ),
)
