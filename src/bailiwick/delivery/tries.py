"""What is kept of a try of a delivery: bounded, and without card numbers. Pure."""

import msgspec

from bailiwick.base.cards import maybe_card, without_cards
from bailiwick.base.ids import lowest_id, new_id

PREFIX = "whd"
KEPT_MS = 30 * 86_400_000
"""How long a try is kept."""
KEPT_OF_DELIVERY = 64
"""Of how many tries of one delivery."""
BODY_CHARS_MAX = 2_048
HEADERS_MAX = 24
HEADER_NAME_CHARS_MAX = 64
HEADER_CHARS_MAX = 256
_SLACK = 256
"""So much more is looked at: a card number that begins before a bound is one as a whole."""
_HELD_BACK = frozenset({"set-cookie", "set-cookie2", "authorization", "proxy-authorization"})
HELD_BACK = "[not kept]"


class Told(msgspec.Struct, frozen=True):
    """How a try went at the other end.

    Attributes:
        began_ms: Unix time in milliseconds. took_ms: until the answer, or until it was given up.
        status: of HTTP; 0: there was no answer, and ``failure`` says why.
        headers: of the answer, bounded. body: its beginning, as text; ``cut``: there was more.
    """

    url: str
    began_ms: int
    took_ms: int
    status: int = 0
    failure: str | None = None
    headers: dict[str, str] = {}
    body: str = ""
    cut: bool = False

    @property
    def good(self) -> bool:
        """Whether the event counts as delivered: any 2xx."""
        return 200 <= self.status < 300


class Try(msgspec.Struct, frozen=True):
    """A row of ``delivery_try``, in the order of its columns."""

    id: str
    merchant: str
    livemode: bool
    event: str
    endpoint: str
    subject: str
    number: int
    resent: int
    created_ms: int
    took_ms: int
    url: str
    status: int
    failure: str | None
    headers: str | None
    body: str | None
    body_cut: bool
    follows: str
    next_ms: int | None


def new_name(node: int, began_ms: int) -> str:
    """A fresh id for a try at a node."""
    return new_id(PREFIX, node, began_ms)


def oldest_kept(now_ms: int) -> str:
    """Tries with lower ids are forgotten."""
    return lowest_id(PREFIX, max(0, now_ms - KEPT_MS))


def bounded_body(raw: bytes, *, more: bool) -> tuple[str, bool]:
    """The beginning of an answer's body as text that may be kept, and whether it was cut."""
    seen = raw[: 4 * (BODY_CHARS_MAX + _SLACK)].decode("utf-8", "replace")
    text = _kept(seen[: BODY_CHARS_MAX + _SLACK])
    cut = more or len(seen) > BODY_CHARS_MAX or len(raw) > 4 * (BODY_CHARS_MAX + _SLACK)
    return text[:BODY_CHARS_MAX], cut


def bounded_headers(headers: list[tuple[str, str]]) -> dict[str, str]:
    """The first headers of an answer, in lower case; cookies and credentials are not kept."""
    found: dict[str, str] = {}
    for name, value in headers[:HEADERS_MAX]:
        short = _kept(name.lower()[:HEADER_NAME_CHARS_MAX])
        known = found.get(short)
        text = HELD_BACK if short in _HELD_BACK else _kept(value[: HEADER_CHARS_MAX + _SLACK])
        found[short] = (text if known is None else f"{known}, {text}")[:HEADER_CHARS_MAX]
    return found


def _kept(text: str) -> str:
    """Text without card numbers, and without what the database cannot hold."""
    plain = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    plain = plain.encode("utf-8", "replace").decode()  # surrogates of odd header bytes
    return without_cards(plain) if maybe_card(plain) else plain
