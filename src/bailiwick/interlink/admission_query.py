"""Refusals in bulk: what access asks a node about keys alone, and what the node tells. Pure.

Two kinds of questions go in one batch:

* *Is there room?* A payment that is refused one by one costs its node much of what a taken one
  costs: it is received, parsed, checked and answered. So access asks an overloaded node about many
  keys at once first. The node decides on each by its own load at that moment: there is room, send
  it; or the key is refused for ever, and access makes the token; or there is no room and nobody
  else may take it. (Decision record 12.)
* *Have you taken it?* An earlier home of a place that was moved refuses the key for ever, or knows
  it already. What the payment says is not its business any more. (Decision record 11.)

A node is shown two hashes: the key's identity and the request's. Neither the key nor anything that
the payment says is among them.
"""

import hmac
from typing import Any, Literal

import msgspec

from bailiwick.base.cards import has_card_number, maybe_card
from bailiwick.base.keys import Named, key_identity, request_hash
from bailiwick.base.sealing import Stamp
from bailiwick.jurisdiction.home_history import Held
from bailiwick.methods.presented import without_code
from bailiwick.topology.merchants import Principal

PATH = "/internal/refusals"
KIND = "refusals"
"""Of the batch's seal; see ``base.sealing``."""
FRESH_MS = 300_000
"""How far the time of a batch may be from the node's. Asked again after a node's restart, which
forgets what it was asked, a batch of the last minutes refuses keys that were refused, or that the
node may refuse anyway: each ask is decided by what the database knows of the key by then."""
ASKERS_MAX = 4_096
CAN_ASK = "bailiwick-can-ask"
"""With a request that is sent because of what the node reported or told. ``MAY_ASK``: access would
ask about its key instead; a node without room then reads no more of it, writes nothing, and says so
with ``FULL_UP``. ``HAS_ASKED``: the node has told to send it."""
MAY_ASK = "1"
HAS_ASKED = "0"
FULL_UP = "bailiwick-full"
ASKS_MAX = 256
BATCH_BYTES_MAX = 256 * 1024
_TEXT_CHARS_MAX = 16 * 1024


class AdmissionQuery(Named, frozen=True, array_like=True):
    """One create request that may move money.

    Attributes:
        elsewhere: others may take it if this node does not.
        earlier: asked of an earlier home, on behalf of the home of the batch's epoch.
    """

    elsewhere: bool
    earlier: bool = False


class AdmissionQueries(Stamp, frozen=True):
    """One batch, placed by the topology of ``epoch``."""

    epoch: int
    asks: list[AdmissionQuery]


class AdmissionVerdict(msgspec.Struct, frozen=True, array_like=True):
    """The node's word on one of them.

    Attributes:
        word: ``send`` it; ``refused`` by tombstone, for a ``reason`` and by an ``epoch`` (see
            ``Held``); ``full``: nothing was done, and the same request may come again. Of an
            earlier home also ``known``: this request was taken here; ``mismatch``: its key was,
            for another request; ``behind``: asked by an epoch older than the node's ``epoch``.
    """

    word: Literal["send", "refused", "full", "known", "mismatch", "behind"]
    reason: str = ""
    epoch: int = 0


class AdmissionVerdicts(msgspec.Struct, frozen=True):
    """The node's answer, in the order of the asks."""

    told: list[AdmissionVerdict]


SEND = AdmissionVerdict("send")
FULL = AdmissionVerdict("full")
KNOWN = AdmissionVerdict("known")
MISMATCH = AdmissionVerdict("mismatch")


def token(secret: bytes, node: int, held: Held, named: Named) -> str:
    """Proof for other nodes that ``node`` has refused a key: ``<number>.<epoch>.<reason>.<mac>``,
    bound to the key and the request. Who knows the secret is trusted: access makes it of a node's
    word, and the node itself where it refuses one request."""
    said = f"{node}.{held.epoch}.{held.reason}"
    text = f"refusal|{said}|{named.identity}|{named.request_hash}"
    return f"{said}.{hmac.digest(secret, text.encode(), 'sha256').hex()}"


def ask_for(
    who: Principal, key: str, params: dict[str, Any], *, elsewhere: bool
) -> AdmissionQuery | None:
    """The question about one create request; None when the node must see the request itself.

    That is so for what it would refuse before it looks at the key: a hash over a card number is
    never stored. It is so too for what is too large to be looked through here.
    """
    text = f"{key} {params}"
    if len(text) > _TEXT_CHARS_MAX:
        return None
    if maybe_card(text) and has_card_number(f"{key} {without_code(params)}"):
        return None
    return _ask(who, key, params, elsewhere=elsewhere, earlier=False)


def ask_earlier(who: Principal, key: str, params: dict[str, Any]) -> AdmissionQuery:
    """The question to an earlier home about one create request, which today's home has read."""
    return _ask(who, key, params, elsewhere=True, earlier=True)


def _ask(
    who: Principal, key: str, params: dict[str, Any], *, elsewhere: bool, earlier: bool
) -> AdmissionQuery:
    merchant, livemode = who.merchant.id, who.livemode
    identity = key_identity(merchant, livemode, key)
    return AdmissionQuery(
        merchant, livemode, identity, request_hash("create", "", params), elsewhere, earlier
    )
