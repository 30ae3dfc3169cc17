"""What the head of a request may say, and what its target is; pure.

The parser (llhttp) is strict about line ends, white space before a colon, folded lines and
contradicting lengths. Here is what it lets through although two servers might read it in two
ways: whoever stands before us must never see other requests in the same bytes than we do.
"""

import re
from collections.abc import Callable, Iterable

import httptools

from bailiwick.base.errors import ApiError
from bailiwick.wire.limits import too_large

Refused = tuple[int, str]
"""Status and message."""

# No empty segment, no dot segment, nothing percent-encoded, no fragment: what routes compare.
_PLAIN = re.compile(rb"(?:/(?!\.{0,2}(?:[/?#]|\Z))[^/?#%]+)+(?:\?[^#]*)?\Z")
_SCHEME = re.compile(rb"https?://", re.IGNORECASE)
_DOT = re.compile(rb"%2e", re.IGNORECASE)
_HOP = frozenset({b"close", b"keep-alive"})
_LENGTH_DIGITS_MAX = 20


def _content_length(value: bytes, most: int) -> Refused | None:
    value = value.strip(b" \t")
    if not value.isdigit() or len(value) > _LENGTH_DIGITS_MAX:
        return 400, "The header Content-Length is no plain number."
    if int(value) > most:
        return 413, too_large(most)
    return None


def _transfer_encoding(value: bytes, _: int) -> Refused | None:
    if value.lower() != b"chunked":  # with a space behind it the parser finds no end
        return 400, "The header Transfer-Encoding can be chunked and nothing else."
    return None


def _content_encoding(value: bytes, _: int) -> Refused | None:
    if value.strip(b" \t").lower() not in (b"", b"identity"):
        return 415, "The header Content-Encoding is not supported: send the body as it is."
    return None


HEADER_CHECKS: dict[bytes, Callable[[bytes, int], Refused | None]] = {
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"content-encoding": _content_encoding,
}
"""By lower-case name: why a header with this value, as it came, is refused, or None; by how many
bytes a body may have."""


def check_version(version: str, headers: Iterable[tuple[bytes, bytes]]) -> Refused | None:
    """Why a request of a version other than 1.1 is refused, or None."""
    if version != "1.0":
        return 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    if any(name == b"transfer-encoding" for name, _ in headers):
        return 400, "HTTP/1.0 has no Transfer-Encoding: send Content-Length."  # RFC 9112 6.1
    return None


def unreadable(reason: str) -> Refused:
    """What to answer when the parser has given up, for its reason."""
    if reason in ("Invalid HTTP version", "Pause on PRI/Upgrade"):
        return 505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."
    return 400, "The request is not valid HTTP/1.1."


def origin_form(target: bytes) -> bytes | None:
    """Path and query of a request's target, or None for one that names nothing here.

    Only one spelling of a path is served: what has an empty segment, a dot segment, an encoded
    slash or a fragment may be another path to whoever stands before us. ``http`` and ``https``
    URLs are taken for what stands behind their authority (RFC 9112 3.2.2).
    """
    if _PLAIN.match(target):
        return target
    if _SCHEME.match(target):
        try:
            url = httptools.parse_url(target)
        except httptools.HttpParserInvalidURLError:
            return None
        if url.fragment is not None:
            return None
        target = (url.path or b"/") + (b"" if url.query is None else b"?" + url.query)
    path = target.partition(b"?")[0]
    if b"#" in target or b"%2f" in path.lower():
        return None
    # An encoded dot is a dot (RFC 3986 2.3); other escapes make no new segment.
    undotted = _DOT.sub(b".", path).replace(b"%", b"_")
    if path != b"/" and not _PLAIN.match(undotted):
        return None
    return target


def without_upgrade(
    method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """The same head without its wish for another protocol, which a server may ignore
    (RFC 9110 7.8)."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode("ascii"))]
    for name, value in headers:
        if name in (b"upgrade", b"http2-settings"):
            continue
        if name == b"connection":
            options = (each.strip().lower() for each in value.split(b","))
            value = b", ".join(each for each in options if each in _HOP)
            if not value:
                continue
        lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + b"\r\n\r\n"


def unrecognized(method: str, path: str, near: str | None = None) -> ApiError:
    """404 for a method and path that no route has; ``near``: the route that may be meant."""
    shown = f"{method}: {path[:200]}"
    hint = "" if near is None else f" Did you mean {near}?"
    message = f"Unrecognized request URL ({shown}).{hint} See the API reference for the routes."
    return ApiError.invalid(message, code=None, status=404)
