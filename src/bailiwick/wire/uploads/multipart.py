"""Bodies of several parts (``multipart/form-data``), read strictly: parameters, and files.

RFC 7578 and RFC 2046. Access and node read with this one module, as with ``forms``. What neither
reads alike with everybody else is refused: a preamble, something after the end, folded header
lines, parts in another encoding.
"""

import re
from collections.abc import Iterator

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.wire.forms import Params, nested, parse_body
from bailiwick.wire.limits import BODY_BYTES_MAX, too_large

PARTS_MAX = 50
HEAD_BYTES_MAX = 4 * 1024
MEDIA = "multipart/form-data"
_BOUNDARY = re.compile(
    r'(?:;[^;"]*)*;\s*boundary='
    r"""(?:"([ -!#-\[\]-~]{1,70})"|([!#-'*+.0-9A-Z^-z|~-]{1,70}))\s*(?:;.*)?""",
    re.IGNORECASE,
)
_NAMED = re.compile(r'form-data;\s*name="([^"]*)"(?:;\s*filename="([^"]*)")?', re.IGNORECASE)
_AS_IT_IS = frozenset({"", "7bit", "8bit", "binary"})


class Part(msgspec.Struct, frozen=True):
    """A file as it was sent: what it is called and said to be, and what is in it."""

    filename: str
    media: str
    content: bytes

    def __repr__(self) -> str:
        return f"Part({len(self.content)} bytes)"


def parse(content_type: str | None, body: bytes) -> tuple[Params, dict[str, Part]]:
    """Parameters and files of a body; one of another content type has no files.

    Raises:
        ApiError: 400 for what cannot be read, or is more than is taken; 413 for a body without
            files that is larger than such bodies may be; 415 for another content type.
    """
    kind, _, rest = (content_type or "").partition(";")
    if kind.strip().lower() != MEDIA:
        if len(body) > BODY_BYTES_MAX:
            raise ApiError.invalid(too_large(BODY_BYTES_MAX), code=None, status=413)
        return parse_body(content_type, body), {}
    texts: list[tuple[str, str]] = []
    files: dict[str, Part] = {}
    size = 0
    for head, content in _parts(_boundary(";" + rest), body):
        name, filename, media = _described(head)
        if filename is None:
            size += len(content)
            if size > BODY_BYTES_MAX:
                raise ApiError.invalid(too_large(BODY_BYTES_MAX), param=name, status=413)
            texts.append((name, _text(content, name)))
        elif name in files:
            raise _unreadable(f"{name} is given twice", name)
        else:
            files[name] = Part(filename, media, content)
    params = nested(texts)
    for name in files:
        if name in params:
            raise _unreadable(f"{name} is given twice", name)
    return params, files


def _boundary(rest: str) -> bytes:
    found = _BOUNDARY.fullmatch(rest)
    if found is None:
        raise _unreadable("its Content-Type names no boundary")
    return (found[1] or found[2]).encode("ascii")


def _parts(boundary: bytes, body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Head and content of each part."""
    mark = b"--" + boundary
    between = b"\r\n" + mark
    if not body.startswith(mark):
        raise _unreadable("it does not begin with its boundary")
    at = len(mark)
    for _ in range(PARTS_MAX + 1):
        follows = body[at : at + 2]
        if follows == b"--":
            if body[at + 2 :] not in (b"", b"\r\n"):
                raise _unreadable("something stands after its end")
            return
        if follows != b"\r\n":
            raise _unreadable("a boundary's line does not end")
        end = body.find(b"\r\n\r\n", at, at + HEAD_BYTES_MAX)
        if end < 0:
            raise _unreadable(f"a part's head does not end within {HEAD_BYTES_MAX} bytes")
        begins = end + 4
        ends = body.find(between, begins)
        if ends < 0:
            raise _unreadable("it broke off")
        yield body[at + 2 : end], body[begins:ends]
        at = ends + len(between)
    raise _unreadable(f"it has more than {PARTS_MAX} parts")


def _described(head: bytes) -> tuple[str, str | None, str]:
    """Name, filename (None: it is no file) and media type of a part."""
    lines: dict[str, str] = {}
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        raise _unreadable("a part's head is not valid UTF-8") from None
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        name = name.lower()
        if not colon or name != name.strip() or name in lines or not value.isprintable():
            raise _unreadable("a part's head is no list of header lines, each once")
        lines[name] = value.strip()
    found = _NAMED.fullmatch(lines.get("content-disposition", ""))
    if found is None:
        raise _unreadable('a part needs Content-Disposition: form-data; name="..."')
    if lines.get("content-transfer-encoding", "").lower() not in _AS_IT_IS:
        raise _unreadable("a part must be sent as it is, in no other encoding", found[1])
    media = lines.get("content-type", "").partition(";")[0].strip().lower()
    return found[1], found[2], media


def _text(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise _unreadable(f"{name[:100]} is not valid UTF-8", name) from None


def _unreadable(why: str, param: str | None = None) -> ApiError:
    shown = None if param is None else param[:100]
    return ApiError.invalid(f"The request's body cannot be read as {MEDIA}: {why}.", param=shown)
