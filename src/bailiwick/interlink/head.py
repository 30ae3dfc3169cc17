"""What a request's head says of how it is to be read, and of whose money: at access and at the
node alike. Pure.

A header that would change either is done as it says or refused by name; none is ignored.
"""

from collections.abc import Mapping

from bailiwick.base.errors import ApiError
from bailiwick.base.versions import checked
from bailiwick.topology.merchants import Principal

VERSION = "Stripe-Version"
OTHERS = ("Stripe-Account", "Stripe-Context")
"""They name another account than the key's, whose money would move
(https://docs.stripe.com/connect/authentication)."""
_OTHERS = {name.lower(): name for name in OTHERS}


def version_of(who: Principal, asked: str | None) -> str:
    """The version of the API in which a request is answered: the header's, else the API key's.

    Raises:
        ApiError: 400, it is not rendered here.
    """
    return who.api_version if asked is None else checked(asked, param=VERSION)


def check_account(headers: Mapping[str, str]) -> None:
    """Refuse a request on behalf of another account than its key's; ``headers``: by their names in
    lower case. Raises ApiError (400)."""
    for lower, name in _OTHERS.items():
        if lower in headers:
            raise refuse_other_account(name)


def refuse_other_account(name: str) -> ApiError:
    """The answer to a request on behalf of another account than its key's."""
    return ApiError.invalid(
        f"{name} is not supported: there is no Connect here, and every request acts for the "
        "account of its API key. Leave the header out, and use a key of that account.",
        param=name,
        code="parameter_unsupported",
    )
