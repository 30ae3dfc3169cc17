"""What access chooses for a new webhook endpoint, told to every node with proof. Pure.

Id and signing secret must be the same at every node, also without an Idempotency-Key. A node that
took them from anybody would let one merchant name another's endpoint, and choose its secret.
"""

import msgspec

from bailiwick.base import sealing
from bailiwick.base.ids import is_id, node_of
from bailiwick.base.sealing import SEAL
from bailiwick.topology.merchants import Principal

HEADER = "bailiwick-resource"


class Resource(msgspec.Struct, frozen=True):
    """A webhook endpoint that is to be.

    Attributes:
        id: of no node, since it lives at all of them. created_ms: Unix time, in milliseconds.
    """

    id: str
    secret: str
    created_ms: int


_decoder = msgspec.json.Decoder(Resource)


def resource_lines(
    secret: bytes, who: Principal, resource: Resource, action: str = ""
) -> list[bytes]:
    """The header lines that tell a node. ``secret``: what access and nodes share; ``action``: what
    is done to one that exists."""
    text = msgspec.json.encode(resource)
    return [
        b"%b: %b\r\n" % (HEADER.encode("ascii"), text),
        f"{SEAL}: {_seal(secret, who, text, action)}\r\n".encode("ascii"),
    ]


def read_resource(
    secret: bytes, who: Principal, text: str | None, proof: str | None, action: str = ""
) -> Resource | None:
    """What access has chosen for ``who``; None when the proof is not genuine.

    Raises:
        ValueError: it is genuine, and yet no new endpoint; says why.
    """
    raw = (text or "").encode("latin-1", "replace")
    if not sealing.fits(_seal(secret, who, raw, action), proof):
        return None
    found = _decoder.decode(raw)  # msgspec's errors are ValueErrors
    if not is_id(found.id, "we") or node_of(found.id) != 0:
        raise ValueError("the id is not one of a webhook endpoint")
    return found


def _seal(secret: bytes, who: Principal, text: bytes, action: str = "") -> str:
    mode = "live" if who.livemode else "test"
    done = f"|{action}" if action else ""
    return sealing.seal(secret, f"endpoint|{who.merchant.id}|{mode}" + done, text)
