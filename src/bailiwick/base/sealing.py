"""Seals on internal questions and on their answers, with the secret that access and nodes share.

A seal is ``<version>.<mac>`` in the header ``Bailiwick-Seal``. The question's covers its body,
which says for which node it is, when it was asked, and which one it is; so it is good at one node,
for a while, and once. The answer's covers the question's seal too, so that an answer is good for
the question that it was given to. Pure.
"""

import hmac
from typing import Final

import msgspec

from bailiwick.base.errors import ApiError

SEAL: Final = "bailiwick-seal"
VERSION: Final = "2"
"""Of what is sealed and how. Raised when either changes: who has another version says so."""
_ASKER_CHARS: Final = range(16, 65)


class Stamp(msgspec.Struct, frozen=True):
    """What a sealed question says of itself.

    Attributes:
        node: number of the node that is asked.
        at_ms: when, by that node's clock as far as the asker knows it.
        asker: 16 to 64 random characters, the same for all questions of one asker.
        count: of its questions to that node; higher with each.
    """

    node: int
    at_ms: int
    asker: str
    count: int


def seal(secret: bytes, kind: str, body: bytes) -> str:
    """Proof that a question of this kind comes from who knows the secret."""
    return _mac(secret, f"{kind}.{VERSION}|".encode(), body)


def answer_seal(secret: bytes, kind: str, question: str, body: bytes) -> str:
    """Proof that a body is the answer to the question that bears this seal."""
    return _mac(secret, f"{kind}.{VERSION}.answer|{question}|".encode(), body)


def _mac(secret: bytes, domain: bytes, body: bytes) -> str:
    return f"{VERSION}.{hmac.digest(secret, domain + body, 'sha256').hex()}"


def fits(expected: str, given: str | bytes | None) -> bool:
    """Whether a seal is the expected one; takes as long for any of its length."""
    raw = given.encode("utf-8", "replace") if isinstance(given, str) else given or b""
    return hmac.compare_digest(expected.encode("ascii"), raw)


def require(secret: bytes, kind: str, given: str | None, body: bytes, who: str) -> str:
    """The seal of a question, checked; ``who`` may ask, in words.

    Raises:
        ApiError: 403, it is missing, not genuine, or of another version.
    """
    if given and given.partition(".")[0] != VERSION:
        raise ApiError.forbidden(
            f"The seal is not of version {VERSION}: another release made it. Upgrade access "
            "processes, nodes and operators' hosts together."
        )
    expected = seal(secret, kind, body)
    if not fits(expected, given):
        raise ApiError.forbidden(f"Only {who} may ask this: the seal is missing or not genuine.")
    return expected


class Fresh:
    """Remembers, per asker, the last question that was taken, so that none is taken twice.

    One entry an asker, for as long as a question of its could still be fresh; never more than
    ``most``. Lost at a restart: what is asked must then do no harm the second time.

    Args:
        node: our own number.
        window_ms: how far a question's time may be from ours.
    """

    def __init__(self, node: int, window_ms: int, most: int) -> None:
        self._node = node
        self._window_ms = window_ms
        self._most = most
        self._last: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._last)

    def take(self, stamp: Stamp, now_ms: int) -> None:
        """Take a question, whose seal is genuine, as asked.

        Raises:
            ApiError: 400, it is for another node, too old or too new, or was taken already; 503,
                too many ask.
        """
        if stamp.node != self._node:
            raise ApiError.invalid(f"This is node {self._node}.", param="node")
        if abs(now_ms - stamp.at_ms) > self._window_ms:
            raise ApiError.invalid("The question is too old, or a clock is wrong.", param="at_ms")
        if len(stamp.asker) not in _ASKER_CHARS:
            raise ApiError.invalid("An asker has 16 to 64 characters.", param="asker")
        known = self._last.get(stamp.asker)
        if known is not None and stamp.count <= known[0]:
            raise ApiError.invalid("This question, or a later one, was asked.", param="count")
        if known is None and len(self._last) >= self._most:
            self._forget(now_ms)
        until_ms = stamp.at_ms if known is None else max(stamp.at_ms, known[1])
        self._last[stamp.asker] = (stamp.count, until_ms)

    def _forget(self, now_ms: int) -> None:
        """Let go of those whose questions are all too old by now."""
        oldest = now_ms - self._window_ms
        self._last = {name: last for name, last in self._last.items() if last[1] >= oldest}
        if len(self._last) >= self._most:
            raise ApiError.unavailable("Too many processes ask; try again in some minutes.")
