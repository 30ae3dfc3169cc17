"""The versions of the Stripe API whose shapes we render, and which one a request is answered in.

One table: what is not in it is refused by name, wherever a version may be given. A client of
another version would read our objects by rules that they were not written by. Pure.
"""

from bailiwick.base.errors import ApiError
from bailiwick.base.objects import API_VERSION

VERSIONS: dict[str, str] = {
    API_VERSION: "stripe-python 16.1, stripe-node 23.1 and the SDKs of other languages of that date"
}
"""Version to the clients that ask for it unless they are told otherwise
(https://docs.stripe.com/api/versioning)."""


def checked(version: str, *, param: str) -> str:
    """A version that is rendered.

    Raises:
        ApiError: 400, any other, with those that are.
    """
    if version in VERSIONS:
        return version
    raise ApiError.invalid(
        f"Invalid Stripe API version: {version[:40]!r}. Supported here: {', '.join(VERSIONS)}. "
        "Send one of these, or none for that of your API key.",
        param=param,
        code="api_version_unsupported",
    )
