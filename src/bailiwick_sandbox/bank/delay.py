"""How long the bank thinks before it answers."""

from __future__ import annotations

import math
import random
from collections import OrderedDict
from typing import Annotated, Literal

from msgspec import Meta, Struct

# The 99th percentile of the standard normal distribution.
_Z99 = 2.3263478740408408

# How many calls' waits are remembered; the oldest are forgotten first.
_REMEMBERED = 200_000

Milliseconds = Annotated[float, Meta(gt=0, le=600_000)]


class DelayRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /delay."""

    kind: Literal["zero", "lognormal"]
    p50_ms: Milliseconds | None = None
    p99_ms: Milliseconds | None = None


class Delay:
    """None, or lognormal by its median and 99th percentile."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed or None)
        self._mu = 0.0
        self._sigma = 0.0
        self.setting = DelayRequest("zero")
        self.waited: OrderedDict[str, float] = OrderedDict()

    def set(self, request: DelayRequest) -> None:
        """Change the model; raises ValueError when the percentiles are missing or crossed."""
        if request.kind == "lognormal":
            if request.p50_ms is None or request.p99_ms is None:
                raise ValueError("lognormal needs p50_ms and p99_ms")
            if request.p99_ms < request.p50_ms:
                raise ValueError("p99_ms must not be below p50_ms")
            self._mu = math.log(request.p50_ms)
            self._sigma = math.log(request.p99_ms / request.p50_ms) / _Z99
        self.setting = request

    def sample_ms(self) -> float:
        """The next delay in milliseconds."""
        if self.setting.kind == "zero":
            return 0.0
        return self._random.lognormvariate(self._mu, self._sigma)

    def note(self, reference: str, waited_ms: float) -> None:
        """Remember how long an operation really waited, by its reference: whoever measures a
        client can tell the bank's own time from the client's."""
        self.waited[reference] = waited_ms
        if len(self.waited) > _REMEMBERED:
            self.waited.popitem(last=False)
