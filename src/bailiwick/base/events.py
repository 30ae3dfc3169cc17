"""What leaves a node about a payment: allow-listed fields, never a copy of an object.

An event tells that a payment has a further version. The amounts and the state beside it are
those of ``version``, which may be newer than the event itself: a reader keeps the newest. A
message is a JSON array of events; each of them is judged alone.
``data/residency.toml`` says of each field where it comes from and why it may leave.
"""

import hmac
from collections.abc import Sequence
from functools import lru_cache

import msgspec

STREAM = "BAILIWICK_EVENTS"
SUBJECTS = "bailiwick.events.*"
BATCH_MAX = 100
"""Events in one message, at most."""
ID_CHARS_MAX = 64
NAME_CHARS_MAX = 128
_DOMAIN = b"bailiwick.events.key-hash"


class PaymentEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """One event of one payment. Amounts are minor units of ``currency``; times milliseconds.

    ``key_hash`` is there for the first event of a payment that was created and confirmed in one
    request: equal hashes at two nodes are one key charged twice.
    """

    event: str
    type: str
    seq: int
    payment: str
    node: int
    merchant: str
    livemode: bool
    created_ms: int
    version: int
    state: str
    amount: int
    currency: str
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    attempts: int
    epoch: int
    payment_created_ms: int
    charge_attempt: str | None = None
    key_hash: str | None = None


class RelayReport(msgspec.Struct, frozen=True):
    """How far a node's relay has got; told now and then, kept by nobody but the last.

    ``oldest_ms``: when the oldest event not sent yet was written; 0: there is none.
    """

    node: int
    at_ms: int
    xact: int
    sweeping: bool
    published: int
    waiting: int
    oldest_ms: int
    parked: int


_encode = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(PaymentEvent)
_batch_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_report_decoder = msgspec.json.Decoder(RelayReport)


def subject(node: int) -> str:
    """Where a node's events go: one subject a node, in which each payment's order is kept."""
    return f"bailiwick.events.{node}"


def report_subject(node: int) -> str:
    """Where a node's relay tells how far it is; no stream keeps it."""
    return f"bailiwick.relay.{node}"


REPORT_SUBJECTS = "bailiwick.relay.*"


def encode(message: PaymentEvent | RelayReport) -> bytes:
    """An event's bytes, or a report's."""
    return _encode(message)


def join(encoded: Sequence[bytes]) -> bytes:
    """A message's bytes: encoded events, in order."""
    return b"[" + b",".join(encoded) + b"]"


def split(data: bytes) -> list[msgspec.Raw]:
    """The events of a message, each still encoded.

    Raises:
        ValueError: it is no array, or a longer one than any relay sends.
    """
    found = _batch_decoder.decode(data)
    if len(found) > BATCH_MAX:
        raise ValueError(f"a message has {len(found)} events, more than {BATCH_MAX}")
    return found


def decode(data: bytes | msgspec.Raw) -> PaymentEvent:
    """An event from its bytes.

    Raises:
        ValueError: it is no event of ours; names what is wrong.
    """
    found = _decoder.decode(data)
    if found.seq < 1 or found.version < found.seq or found.node < 1:
        raise ValueError("seq, version or node is out of range")
    for name in ("event", "payment", "charge_attempt", "key_hash", "state", "currency"):
        if len(getattr(found, name) or "") > ID_CHARS_MAX:
            raise ValueError(f"{name} is longer than {ID_CHARS_MAX} characters")
    if len(found.merchant) > NAME_CHARS_MAX or len(found.type) > NAME_CHARS_MAX:
        raise ValueError(f"merchant or type is longer than {NAME_CHARS_MAX} characters")
    return found


def decode_report(data: bytes) -> RelayReport:
    """A relay's report. Raises ValueError: it is none."""
    return _report_decoder.decode(data)


def key_hash(secret: bytes, merchant: str, livemode: bool, key: str) -> str:
    """An idempotency key as it may leave: keyed, so that nobody without the secret can try keys.

    ``secret`` is what nodes share: the same key has the same hash at each of them.
    """
    text = f"{merchant}\0{'live' if livemode else 'test'}\0{key}"
    return hmac.digest(_own(secret), text.encode(), "sha256").hex()[:32]


@lru_cache(maxsize=8)
def _own(secret: bytes) -> bytes:
    return hmac.digest(secret, _DOMAIN, "sha256")
