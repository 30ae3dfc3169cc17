"""Careful reading of what a provider says. Pure."""

import re
from collections.abc import Mapping
from typing import Annotated, TypeVar

import msgspec

from bailiwick.channels.blocks.redact import redact
from bailiwick.channels.contract import CallbackRefused, CannotExpress, Instruction, Reply

T = TypeVar("T")

# Ids end up in PostgreSQL text and in URLs: no control characters, no blanks, bounded.
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+\Z")]
Minor = Annotated[int, msgspec.Meta(ge=0, le=10**15)]

_WORD = re.compile(r"^[a-z0-9_.\-]{1,64}\Z")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_MESSAGE_CHARS_MAX = 500
_URL_CHARS_MAX = 2048
_URL = re.compile(r"^https?://[\x21-\x7e]+\Z")


def decode(body: bytes, kind: type[T]) -> T | None:
    """The body as a struct of this type, or None when it is not exactly that."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def demand(body: bytes, kind: type[T]) -> T:
    """A callback, or a part of one, as a struct of this type.

    Raises:
        CallbackRefused: it is not exactly that.
    """
    found = decode(body, kind)
    if found is None:
        raise CallbackRefused(f"the callback cannot be read: there is no {kind.__name__} in it")
    return found


def converted(given: Mapping[str, str], kind: type[T]) -> T | None:
    """Fields of a form as a struct of this type, or None when they are not exactly that."""
    try:
        return msgspec.convert(given, kind, strict=False)
    except (msgspec.MsgspecError, ValueError):
        return None


def word(text: str | None) -> str | None:
    """A provider's machine-readable code, or None when it does not look like one."""
    return text if text is not None and _WORD.match(text) is not None else None


def sentence(text: str | None) -> str | None:
    """A provider's message for people, safe to store: printable, bounded, no card number."""
    if text is None:
        return None
    return redact(_UNPRINTABLE.sub(" ", text)).strip()[:_MESSAGE_CHARS_MAX] or None


def shown(text: str | None) -> str | None:
    """What a payer is shown as it is (the text of a code, a number of a slip), or None when it
    could not be kept: empty, too long, or with control characters."""
    if not text or len(text) > _URL_CHARS_MAX or _UNPRINTABLE.search(text) is not None:
        return None
    return text


def link(url: str | None, *, https_only: bool = False) -> str | None:
    """An address to send the payer to, or None when it is not a plain web address."""
    if url is None or len(url) > _URL_CHARS_MAX or _URL.match(url) is None:
        return None
    if https_only and not url.startswith("https://"):
        return None
    return url


def refused(status: int, body: object) -> str | None:
    """Why a provider did not process a request at all, if the answer proves that.

    ``body`` is the decoded error object: without one, an answer may be a middlebox's.
    """
    if body is None:
        return None
    if status in (401, 403):
        return "credentials"
    return "rate_limited" if status == 429 else None


def header(headers: Mapping[str, str], name: str) -> str | None:
    """A header by its lower-case name, however the mapping spells it."""
    found = headers.get(name)
    if found is not None:
        return found
    return next((value for key, value in headers.items() if key.lower() == name), None)


def charge_id(instruction: Instruction) -> str:
    """The provider's id of the charge that a capture, void or refund acts upon.

    Raises:
        CannotExpress: it is not known.
    """
    if not instruction.provider_ref:
        raise CannotExpress(
            f"A {instruction.operation} needs the provider's id of the charge, which is not known; "
            "nothing was sent. Look for the charge in the provider's own records."
        )
    return instruction.provider_ref


def charge_reference(instruction: Instruction) -> str:
    """Our reference of the charge that a void acts upon.

    Raises:
        CannotExpress: it is not known.
    """
    if not instruction.charge_reference:
        raise CannotExpress(
            f"A {instruction.operation} needs our reference of the charge, which is not known; "
            "nothing was sent."
        )
    return instruction.charge_reference


def not_answered(reply: Reply) -> str:
    """The detail word of an answer that decides nothing."""
    return f"http_{reply.status}" if reply.status != 200 else "unreadable"
