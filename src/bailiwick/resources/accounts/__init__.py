"""Accounts: who the merchant is, as its own API key shows it."""

from bailiwick.interlink.resource import OfWorld, Path, Refused, Resource
from bailiwick.resources.accounts.render import show

_OWN = OfWorld(show)
_ONE = "/v1/accounts/{identifier}"
_BY_OPERATORS = Refused(
    "An account is changed by the operator, in merchants.toml; it takes effect with the next "
    "published epoch."
)
_NO_CONNECT = Refused(
    "There is no Connect here: accounts are made by the operator, in merchants.toml. Use an API "
    "key of the account that is meant."
)

RESOURCE = Resource(
    object="account",
    prefix="acct",
    path="/v1/accounts",
    table="",
    paths=(
        Path("/v1/account", {"GET": _OWN, "POST": _BY_OPERATORS}),
        Path("/v1/accounts", {"GET": _NO_CONNECT, "POST": _NO_CONNECT}),
        Path(_ONE, {"GET": _OWN, "POST": _BY_OPERATORS, "DELETE": _BY_OPERATORS}),
        *(
            Path(f"{_ONE}/{rest}", dict.fromkeys(methods.split(), _NO_CONNECT))
            for rest, methods in (
                ("capabilities", "GET"),
                ("capabilities/{capability}", "GET POST"),
                ("external_accounts", "GET POST"),
                ("external_accounts/{external}", "GET POST DELETE"),
                ("login_links", "POST"),
                ("persons", "GET POST"),
                ("persons/{person}", "GET POST DELETE"),
                ("reject", "POST"),
            )
        ),
    ),
)
