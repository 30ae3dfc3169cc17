"""Canonical texts: what of a request, an answer or a callback is signed. Pure."""

from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit


def lines(*parts: str | bytes) -> bytes:
    """Each part with a line end behind it."""
    return b"".join((each.encode() if isinstance(each, str) else each) + b"\n" for each in parts)


def pairs(given: Mapping[str, str], without: Iterable[str] = ()) -> bytes:
    """``name=value`` with ``&`` between, by name; what is empty or in ``without`` is left out."""
    left_out = set(without)
    names = sorted(name for name, value in given.items() if value and name not in left_out)
    return "&".join(f"{name}={given[name]}" for name in names).encode()


def target(url: str) -> str:
    """Path and query of an address as they are sent."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def credentials(scheme: str, **parts: str) -> str:
    """The value of ``authorization`` with named parts: ``scheme name="value",...``, in order.

    Raises:
        ValueError: a part that would end its quotes.
    """
    for name, value in parts.items():
        if '"' in value or "\\" in value or not value.isprintable():
            raise ValueError(f"{name} cannot stand between quotes")
    return f"{scheme} " + ",".join(f'{name}="{value}"' for name, value in parts.items())
