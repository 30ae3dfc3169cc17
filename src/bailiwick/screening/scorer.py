"""An outside scorer: asked before a charge, with a deadline; late is an answer, too.

It is posted what ``Question`` has, as JSON, signed as webhooks are
(https://www.standardwebhooks.com), and answers 200 with ``{"score": 0 to 100, "reason": "..."}``.
"""

import asyncio
import re
import ssl
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from bailiwick.base.clock import now_ms
from bailiwick.delivery.webhooks import signatures
from bailiwick.screening.facts import Facts
from bailiwick.wire.client import Bounds, WireError
from bailiwick.wire.pool import Pool, origin

CONNECTIONS_MAX = 64
WAITING_MAX = 1_024
ANSWER_BYTES_MAX = 16_384
IDLE_S = 20.0
_SECRET = re.compile(r"whsec_[A-Za-z0-9+/]{43,512}={0,2}")


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a scorer is told. ``reference`` is the same when it is asked again."""

    reference: str
    merchant: str
    livemode: bool
    payment_intent: str
    amount: int
    currency: str
    country: str
    payment_method_type: str
    card: str | None = None
    customer: str | None = None
    ip_address: str | None = None
    email: str | None = None


class Score(msgspec.Struct, frozen=True):
    """What a scorer answers: 0 is harmless, 100 is fraud; ``reason`` is kept with the charge."""

    score: Annotated[int, Meta(ge=0, le=100)]
    reason: Annotated[str, Meta(max_length=100)] = ""


_score = msgspec.json.Decoder(Score)
_encoder = msgspec.json.Encoder()


def question(facts: Facts) -> Question:
    """What a scorer is told of a confirmation."""
    return Question(
        reference=facts.reference,
        merchant=facts.merchant,
        livemode=facts.livemode,
        payment_intent=facts.payment,
        amount=facts.amount,
        currency=facts.currency.lower(),
        country=facts.country,
        payment_method_type=facts.method,
        card=facts.card,
        customer=facts.customer,
        ip_address=facts.ip_address,
        email=facts.email,
    )


class OutsideScorer:
    """The scorer of a node.

    Args:
        url: where it is asked; ``https://``, or ``http://``.
        secret: by which questions are signed, ``whsec_...``.

    Raises:
        ValueError: url or secret cannot be used, with the setting's name.
    """

    def __init__(self, url: str, secret: str) -> None:
        if not _SECRET.fullmatch(secret):
            raise ValueError("scorer_secret: must be whsec_ and 32 bytes or more in base64")
        parts = urlsplit(url)
        try:
            where = origin(f"{parts.scheme}://{parts.netloc}")
        except ValueError as error:
            raise ValueError(f"scorer_url: {error}") from None
        self._head = (
            f"POST {parts.path or '/'}{'?' + parts.query if parts.query else ''} HTTP/1.1\r\n"
            f"host: {where.authority}\r\naccept: application/json\r\n"
            "content-type: application/json\r\n"
        )
        if not self._head.isascii() or any(each.isspace() for each in parts.path + parts.query):
            raise ValueError("scorer_url: must be ASCII, without spaces")
        self._secret = secret
        self._pool = Pool(
            where,
            limit=CONNECTIONS_MAX,
            waiting=WAITING_MAX,
            idle_seconds=IDLE_S,
            context=ssl.create_default_context() if where.tls else None,
        )

    async def score(self, facts: Facts, deadline_ms: int) -> Score | None:
        """What it says; None: nothing usable in time."""
        body = _encoder.encode(question(facts))
        signed = signatures([self._secret], facts.reference, body, now_ms() // 1000)
        signed.pop("Stripe-Signature")
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        head = f"{self._head}{lines}content-length: {len(body)}\r\n\r\n"
        seconds = deadline_ms / 1000
        bounds = Bounds(
            connect_s=seconds, silence_s=seconds, total_s=seconds, body_bytes=ANSWER_BYTES_MAX
        )
        try:
            answer = await asyncio.wait_for(
                self._pool.exchange(head.encode("ascii") + body, bounds), seconds
            )
            return _score.decode(answer.body) if answer.status == 200 else None
        except (WireError, TimeoutError, msgspec.ValidationError, msgspec.DecodeError):
            return None

    def close(self) -> None:
        """Close its connections."""
        self._pool.close()
