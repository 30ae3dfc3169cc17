"""The pages of a search: a token is a place in one search's results, made and read alike by access
and nodes. Pure.

It says the last id that was shown, with a digest of whose search that was: a token of another
query, merchant or mode is refused instead of taken for a place in this one. It opens nothing:
whoever makes up a token only chooses another place in what they may read anyway.
"""

import base64
import binascii
import hashlib

from bailiwick.base.errors import ApiError
from bailiwick.base.ids import is_id

_DIGEST_BYTES = 9


def _digest(search: str, last: str) -> bytes:
    text = f"{search}\n{last}".encode("utf-8", "surrogatepass")
    return hashlib.sha256(text).digest()[:_DIGEST_BYTES]


def search_of(merchant: str, livemode: bool, path: str, query: str) -> str:
    """What tells a search from all others."""
    return f"{merchant}\n{livemode}\n{path}\n{query}"


def token(search: str, last: str) -> str:
    """The page after an id."""
    return base64.urlsafe_b64encode(_digest(search, last) + last.encode()).decode().rstrip("=")


def last_of(search: str, page: str) -> str:
    """The id after which a page begins. Raises ApiError (400)."""
    try:
        raw = base64.b64decode(page + "=" * (-len(page) % 4), b"-_", validate=True)
        last = raw[_DIGEST_BYTES:].decode("ascii")
    except (ValueError, binascii.Error):
        raise _strange() from None
    if not is_id(last) or raw[:_DIGEST_BYTES] != _digest(search, last):
        raise _strange()
    return last


def _strange() -> ApiError:
    return ApiError.invalid(
        "This page is not one of this search: send the next_page of an answer to the same query, "
        "with the same key's merchant and mode.",
        param="page",
    )
