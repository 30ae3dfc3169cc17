"""Refusal tokens: proof, carried by access, that a node has refused a key for ever.

Without a valid token of the home, no other node takes a request that may move money.
"""

import hmac

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.keys import Named
from bailiwick.interlink import admission_query
from bailiwick.jurisdiction.home_history import MOVED, Held

NO_GATEWAY = "no_gateway"
"""Why a node does not take a payment that a gateway of its could take at another time."""
TOKENS_MAX = 64
TOKEN_CHARS_MAX = 200
REASONS = frozenset({"overloaded", "draining", NO_GATEWAY, "unsupported", MOVED})


def moved_for(epoch: int) -> str:
    """The reason to store when a key is refused on behalf of a later epoch's home.

    The epoch belongs to it: under an earlier one, nobody may go on from this refusal.
    """
    return f"{MOVED}:{epoch}"


def on_behalf(epoch: int, ours: int) -> str | None:
    """The reason to store when a home of ``epoch`` wants a key that is not known here; None when
    the question means nothing, because this node's epoch is later: it may be the home again."""
    return moved_for(epoch) if epoch >= ours else None


def stored(reason: str, epoch: int) -> Held:
    """What a tombstone says; ``epoch`` where the stored reason holds none."""
    word, _, at = reason.partition(":")
    return Held(word, int(at) if at else epoch)


class Refusals(msgspec.Struct, frozen=True):
    """Makes and checks tokens with the secret that the nodes share."""

    secret: bytes

    def token(self, node: int, said: Held, named: Named) -> str:
        """See ``admission_query.token``."""
        return admission_query.token(self.secret, node, said, named)

    def read(self, header: str | None, named: Named) -> dict[int, Held]:
        """Which nodes have refused this key, and what they said.

        Raises:
            ApiError: 400, a token is not genuine.
        """
        refused: dict[int, Held] = {}
        for token in (header or "").split(",")[: TOKENS_MAX + 1]:
            if not token.strip():
                continue
            parts = token.strip().split(".")
            genuine = len(parts) == 4 and token.isascii() and len(token) <= TOKEN_CHARS_MAX
            genuine = genuine and parts[0].isdigit() and parts[1].isdigit()
            if genuine:
                node, epoch, reason = int(parts[0]), int(parts[1]), parts[2]
                expected = self.token(node, Held(reason, epoch), named)
                genuine = reason in REASONS and hmac.compare_digest(expected, token.strip())
            if not genuine or len(refused) >= TOKENS_MAX:
                raise ApiError.invalid(
                    "Bailiwick-Refusals holds a token that is not genuine for this request.",
                    param="Bailiwick-Refusals",
                )
            refused[node] = Held(reason, epoch)
        return refused
