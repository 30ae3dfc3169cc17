"""What a request that no route takes may have meant: the nearest route. Pure."""

import difflib
import re
from collections.abc import Iterable

Routes = Iterable[tuple[str, str]]
"""Method and template of each route: ``GET``, ``/v1/refunds/{identifier}``."""

SEGMENT_CHARS_MAX = 40
SEGMENTS_MAX = 8
"""Above these nothing is near: what anybody may ask must not cost more than an answer."""
_ID = re.compile(r"[a-z]{2,8}_[A-Za-z0-9_]+")
_ALIKE = 0.7
_HELD = "{}"


class Nearest:
    """Knows the routes of one version of the API, ``/v1``.

    >>> Nearest([("GET", "/v1/refunds/{identifier}")]).of("GET", "/v1/refund/re_1")
    'GET /v1/refunds/{id}'
    """

    def __init__(self, routes: Routes) -> None:
        self._below: dict[str, list[tuple[str, list[str], str]]] = {}
        for method, template in sorted(routes):
            version, _, rest = template.lstrip("/").partition("/")
            if version == "v1" and rest:
                parts = rest.split("/")
                shown = template.replace("{identifier}", "{id}")
                plain = [_HELD if part.startswith("{") else part for part in parts]
                self._below.setdefault(parts[0], []).append((method, plain, shown))

    def of(self, method: str, path: str) -> str | None:
        """The method and template that are nearest, if any is near."""
        parts = path.split("/")[1:]
        if len(parts) < 2 or len(parts) > SEGMENTS_MAX or parts[0] != "v1":
            return None
        if any(len(part) > SEGMENT_CHARS_MAX for part in parts):
            return None
        first = difflib.get_close_matches(parts[1], self._below, n=1, cutoff=_ALIKE)
        if not first:
            return None
        asked = [_HELD if _ID.fullmatch(part) else part for part in parts[1:]]
        found = max(self._below[first[0]], key=lambda each: _likeness(asked, method, each))
        return f"{found[0]} {found[2]}"


def _likeness(asked: list[str], method: str, route: tuple[str, list[str], str]) -> float:
    """How near a route is: segment by segment, then its length, then its method."""
    taken, parts, _ = route
    alike = sum(_ratio(a, b) for a, b in zip(asked[1:], parts[1:], strict=False))
    return alike - 0.4 * abs(len(asked) - len(parts)) + (0.1 if method == taken else 0.0)


def _ratio(asked: str, part: str) -> float:
    """How alike two segments are; below zero where one is an id and the other is not."""
    if _HELD in (asked, part):
        return 1.0 if asked == part else -0.5
    ratio = difflib.SequenceMatcher(None, asked, part).ratio()
    return ratio if ratio >= _ALIKE else -0.5
