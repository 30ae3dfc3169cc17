"""Who asks, by the Authorization header: one reading, at access and at the node. Pure.

Two readings of one header would be two answers to the question whose money it is.
"""

import binascii

from bailiwick.base.clock import now_ms
from bailiwick.base.errors import ApiError
from bailiwick.topology.merchants import Merchants, Principal


def authenticate(header: str | None, merchants: Merchants, *, public: bool = False) -> Principal:
    """On whose behalf a request comes: Bearer, or Basic with the API key as user name (RFC 9110,
    section 11; RFC 7617). The scheme's case does not matter; Base64 is taken strictly, and an API
    key is ASCII.

    Args:
        header: its value, None where there is none.
        public: a publishable key will do.

    Raises:
        ApiError: 401 without a known key that still counts, 403 for a publishable one where it may
            not be used.
    """
    if header is None:
        raise _unauthorized(
            "You did not provide an API key. Send it as 'Authorization: Bearer YOUR_KEY'."
        )
    key = _presented(header)
    principal = merchants.by_key(key) if key.isascii() else None
    if principal is None:
        raise _unauthorized("Invalid API Key provided.")
    if principal.expires_ms and now_ms() >= principal.expires_ms:
        raise _unauthorized(f"Expired API Key provided: ***{principal.last4}", "api_key_expired")
    if principal.kind != "secret" and not public:
        check_secret(principal)
    return principal


def check_secret(principal: Principal) -> None:
    """Refuse a publishable key where only a secret one will do. Raises ApiError (403)."""
    if principal.kind != "secret":
        raise ApiError.forbidden(
            "This API call cannot be made with a publishable API key. Use a secret key, from your "
            "server."
        )


def _presented(header: str) -> str:
    scheme, _, value = header.partition(" ")
    value = value.strip(" \t")
    if scheme != "Bearer":
        scheme = scheme.lower()
        if scheme == "basic":
            try:
                plain = binascii.a2b_base64(value, strict_mode=True)
            except ValueError:  # binascii.Error is one; so is what is not ASCII
                raise _unauthorized("The Authorization header is not valid Basic.") from None
            return plain.partition(b":")[0].decode("latin-1")
        if scheme != "bearer":
            raise _unauthorized("Use 'Authorization: Bearer YOUR_KEY', or Basic.")
    return value


def _unauthorized(message: str, code: str = "api_key_invalid") -> ApiError:
    error = ApiError.unauthorized(message)
    error.code = code
    error.headers["www-authenticate"] = 'Bearer realm="bailiwick"'
    return error
