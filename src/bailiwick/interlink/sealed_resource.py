"""What access chooses for a new object that lives at every node, told with proof. Pure.

Id and signing secret must be the same at every node, also without an Idempotency-Key. A node that
took them from anybody would let one merchant name another's webhook endpoint, and choose its
secret.
"""

import msgspec

from bailiwick.base import sealing
from bailiwick.base.ids import is_id, node_of
from bailiwick.base.sealing import SEAL
from bailiwick.topology.merchants import Principal

HEADER = "bailiwick-resource"


class Given(msgspec.Struct, frozen=True):
    """What is given to an object that is to be.

    Attributes:
        id: of no node, since it lives at all of them. created_ms: Unix time, in milliseconds.
    """

    id: str
    secret: str
    created_ms: int


_decoder = msgspec.json.Decoder(Given)


def resource_lines(secret: bytes, who: Principal, given: Given, action: str = "") -> list[bytes]:
    """The header lines that tell a node. ``secret``: what access and nodes share; ``action``: what
    is done to one that exists."""
    text = msgspec.json.encode(given)
    return [
        b"%b: %b\r\n" % (HEADER.encode("ascii"), text),
        f"{SEAL}: {_seal(secret, who, text, action)}\r\n".encode("ascii"),
    ]


def read_resource(
    secret: bytes,
    who: Principal,
    text: str | None,
    proof: str | None,
    action: str = "",
    prefix: str = "we",
) -> Given | None:
    """What access has chosen for ``who``; None when the proof is not genuine.

    Raises:
        ValueError: it is genuine, and yet no new object of this kind; says why.
    """
    raw = (text or "").encode("latin-1", "replace")
    if not sealing.fits(_seal(secret, who, raw, action), proof):
        return None
    found = _decoder.decode(raw)  # msgspec's errors are ValueErrors
    if not is_id(found.id, prefix) or node_of(found.id) != 0:
        raise ValueError(f"the id is not one that begins with {prefix}_, of no node")
    return found


def _seal(secret: bytes, who: Principal, text: bytes, action: str = "") -> str:
    mode = "live" if who.livemode else "test"
    done = f"|{action}" if action else ""
    return sealing.seal(secret, f"endpoint|{who.merchant.id}|{mode}" + done, text)
