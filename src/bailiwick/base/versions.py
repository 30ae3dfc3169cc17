"""The versions of the API's format that a request may ask for, and which one it is answered in.

What is not among them is refused by name, wherever a version may be given. Since 2025-03-31.basil
all objects of ours have gained fields and lost none (read off the types of the official Node SDK's
releases 18.0.0 and 23.1.0), and clients do not mind more fields, so a request of each of these
versions gets the same answer. Pure.
"""

from difflib import get_close_matches

from bailiwick.base.api_versions import RENDERED, lacks_nothing
from bailiwick.base.errors import ApiError

VERSIONS = tuple(each for each in reversed(RENDERED) if lacks_nothing(each))
"""The newest first: that is the one of our shapes (https://docs.stripe.com/api/versioning)."""


def checked(version: str, *, param: str) -> str:
    """A version that is rendered.

    Raises:
        ApiError: 400, any other, with those that are.
    """
    if version in VERSIONS:
        return version
    near = get_close_matches(version[:40], VERSIONS, n=1, cutoff=0.8)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ApiError.invalid(
        f"Invalid Stripe API version: {version[:40]!r}.{hint} Supported here: every one from "
        f"{VERSIONS[-1]} to {VERSIONS[0]}. Send one of these, or none for that of your API key.",
        param=param,
        code="api_version_unsupported",
    )
