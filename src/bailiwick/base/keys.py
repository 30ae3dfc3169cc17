"""What makes two requests with one idempotency key the same request."""

from hashlib import blake2b
from typing import Any

import msgspec

_encode_sorted = msgspec.json.Encoder(order="sorted").encode


def request_hash(operation: str, target: str, params: dict[str, Any]) -> str:
    """What must be the same when a key comes again: 128 bits over the parsed parameters."""
    digest = blake2b(f"{operation}\n{target}\n".encode(), digest_size=16)
    digest.update(_encode_sorted(params))
    return digest.hexdigest()
