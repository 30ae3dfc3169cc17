"""What differs from run to run gets a name: ids, times, addresses and measured figures.

Nothing else is changed. In particular the order of a JSON object's members stays as it was sent,
and the layout in lines only adds line breaks, so that equal texts mean equal bytes.
"""

import re
from collections.abc import Callable

_ID = r"(?:[a-z]{2,5}_[0-9a-hjkmnp-tv-z]{26}(?:_[1-9][0-9]?)?)"
_PATTERNS = (
    ("secret", re.compile(rf"\b{_ID}_secret_[0-9a-f]{{36}}\b")),
    ("", re.compile(rf"\b{_ID}(?![0-9a-z])")),
    ("whsec", re.compile(r"\bwhsec_[0-9A-Za-z+/=]{24,}")),
)
# Two banks may give the same number, and do when they have done as much in the same hour.
_BANK = re.compile(r'("gateway":"([a-z-]+)","provider_reference":"|/([a-z-]+)/pay/)([0-9A-Z-]+)')
_TIME = re.compile(
    r'("(?:created|canceled_at|capture_before|available_on)":|\bcreated(?:\[[a-z]+\])?=)\d{10}(?!\d)'
)
_FIGURE = re.compile(r'("(?:database_lag_ms|queue_ms|error_rate|room|stale_s)":)[0-9.]+')
_REQUEST_ID = re.compile(r"\breq_[0-9a-f]{24}\b")
_DURATION = re.compile(r"(;dur=)[0-9.]+")
LEFT_OUT = frozenset({"date", "content-length", "connection"})
COLUMNS = 100


class Names:
    """The names of one scene, given in the order of first appearance."""

    def __init__(self, addresses: dict[str, str]) -> None:
        self._addresses = sorted(addresses.items(), key=lambda pair: -len(pair[0]))
        self._given: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def named(self, text: str) -> str:
        """A text with everything of this run replaced by its name."""
        for address, name in self._addresses:
            text = text.replace(address, f"<{name}>")
        for kind, pattern in _PATTERNS:
            text = pattern.sub(self._namer(kind), text)
        text = _BANK.sub(self._numbered, text)
        text = _REQUEST_ID.sub("<req>", text)
        text = _TIME.sub(r"\1<time>", text)
        text = _FIGURE.sub(r"\1<figure>", text)
        return _DURATION.sub(r"\1<ms>", text)

    def _namer(self, kind: str) -> Callable[[re.Match[str]], str]:
        def name(found: re.Match[str]) -> str:
            return self._name(kind or found[0].partition("_")[0], found[0])

        return name

    def _numbered(self, found: re.Match[str]) -> str:
        before, gateway, provider, number = found.groups()
        return before + self._name("bank", f"{gateway or provider} {number}")

    def _name(self, kind: str, of: str) -> str:
        if of not in self._given:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._given[of] = f"<{kind}.{self._counts[kind]}>"
        return self._given[of]


_CONTROLS = {code: chr(0x2400 + code) for code in range(32)} | {127: "␡"}


def visible(text: str) -> str:
    """A text whose control characters are shown, line breaks included."""
    return text.translate(_CONTROLS)


def body_text(body: bytes) -> str:
    """A body as text in which no byte is lost: bad UTF-8 is escaped."""
    return visible(body.decode("utf-8", "backslashreplace"))


def laid_out(text: str) -> list[str]:
    """JSON text in lines: a member a line where its object is too long for one."""
    return _lines("", text, "", 0)


def _lines(before: str, value: str, after: str, indent: int) -> list[str]:
    whole = " " * indent + before + value + after
    items = _items(value) if len(whole) > COLUMNS else None
    if not items:
        return [whole]
    found = [" " * indent + before + value[0]]
    for place, item in enumerate(items):
        name, inner = _member(item)
        comma = "," if place < len(items) - 1 else ""
        found += _lines(name, inner, comma, indent + 1)
    return [*found, " " * indent + value[-1] + after]


_MEMBER = re.compile(r'("(?:[^"\\]|\\.)*":)(.+)', re.DOTALL)


def _member(item: str) -> tuple[str, str]:
    found = _MEMBER.fullmatch(item)
    return (found[1], found[2]) if found else ("", item)


def _items(text: str) -> list[str] | None:
    """The items of an object or array; None for anything else, broken JSON included."""
    if text[:1] + text[-1:] not in ("{}", "[]"):
        return None
    depth, quoted, escaped, start = 0, False, False, 1
    items = []
    for place, char in enumerate(text):
        if quoted:
            quoted = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "{[":
            depth += 1
        elif char in "]}":
            depth -= 1
        if not quoted and ((char == "," and depth == 1) or place == len(text) - 1):
            items.append(text[start:place])
            start = place + 1
    return items if depth == 0 and not quoted else None
