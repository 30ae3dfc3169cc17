"""Before a node that sheds load: requests wait here for one answer about many keys.

One batch at a time is under way to a node; what comes meanwhile makes the next one. A node that
sheds is not asked more often than each ``SPACING_S``, twice that in a crowd: the fewer batches, the
less it pays for what it does not take. Waiting is bounded, and a node that does not answer holds up
nobody for long.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable

import msgspec

from bailiwick.access.nodes.forward import Answer, HopError, HopLimits, NodeClient
from bailiwick.base.sealing import SEAL, answer_seal, fits, seal
from bailiwick.interlink.admission_query import (
    ASKS_MAX,
    FULL,
    KIND,
    PATH,
    SEND,
    AdmissionQueries,
    AdmissionQuery,
    AdmissionVerdict,
    AdmissionVerdicts,
)
from bailiwick.runtime import telemetry

WAITING_MAX = 1_024
TIMEOUT_S = 3.0
SPACING_S = 0.1
MANY = 100
"""After a batch of so many the next one waits twice as long, and is as full as can be."""
_LIMITS = HopLimits(connections=1, waiting=0, total_seconds=TIMEOUT_S)
_SEAL = SEAL.encode("ascii")

log = telemetry.logger()

_encode = msgspec.json.Encoder().encode
_telling = msgspec.json.Decoder(AdmissionVerdicts)
_Waiting = tuple[int, AdmissionQuery, "asyncio.Future[AdmissionVerdict]"]


class AdmissionBatcher:
    """The questions to one node.

    Args:
        node: its number.
        connect: makes a client of the node, with these limits.
        secret: what access and nodes share.
        heard: takes in the usage report that came with an answer.
        clock: the node's wall clock, in milliseconds, as far as it is known here.
    """

    def __init__(
        self,
        node: int,
        connect: Callable[[HopLimits], NodeClient],
        secret: bytes,
        heard: Callable[[bytes | None], None],
        clock: Callable[[], int],
    ) -> None:
        self._node = node
        self._client = connect(_LIMITS)
        self._secret = secret
        self._heard = heard
        self._clock = clock
        self._asker = os.urandom(16).hex()
        self._count = 0
        self._said = 200
        self._queue: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._last = 0

    @property
    def waiting(self) -> int:
        """Requests that wait for the next batch."""
        return len(self._queue)

    async def ask(self, epoch: int, ask: AdmissionQuery) -> AdmissionVerdict:
        """The node's word on a request; ``full`` too where it cannot be asked in time."""
        if len(self._queue) >= WAITING_MAX:
            return FULL
        loop = asyncio.get_running_loop()
        future: asyncio.Future[AdmissionVerdict] = loop.create_future()
        self._queue.append((epoch, ask, future))
        if self._task is None:
            self._task = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._queue:
                await asyncio.sleep(self._pause())
                batch = self._take()
                self._begun, self._last = time.monotonic(), len(batch)
                told = await self._told(batch[0][0], [ask for _, ask, _ in batch])
                _tell(batch, told)
        finally:
            self._task = None
            rest = [*batch, *self._queue]  # when closed, or by a defect: nobody waits for ever
            self._queue.clear()
            _tell(rest, [FULL] * len(rest))

    def _pause(self) -> float:
        """Seconds until the next batch; none for one that is full, or has an earlier home's word to
        get, which is not overloaded by it."""
        full = len(self._queue) >= ASKS_MAX or any(ask.earlier for _, ask, _ in self._queue)
        spacing = SPACING_S if self._last < MANY else 2 * SPACING_S
        return 0.0 if full else max(0.0, self._begun + spacing - time.monotonic())

    def _take(self) -> list[_Waiting]:
        """The next batch: as many as are of one epoch, in their order."""
        epoch = self._queue[0][0]
        batch: list[_Waiting] = []
        while self._queue and len(batch) < ASKS_MAX and self._queue[0][0] == epoch:
            batch.append(self._queue.popleft())
        return batch

    async def _told(self, epoch: int, asks: list[AdmissionQuery]) -> list[AdmissionVerdict]:
        self._count += 1
        body = _encode(
            AdmissionQueries(self._node, self._clock(), self._asker, self._count, epoch, asks)
        )
        proof = seal(self._secret, KIND, body)
        lines = [
            b"content-type: application/json\r\n",
            f"{SEAL}: {proof}\r\n".encode("ascii"),
        ]
        try:
            answer = await self._client.request("POST", PATH.encode("ascii"), lines, body)
        except HopError:
            # A tombstone may be there. The same request again gets its token, or is taken.
            return [FULL] * len(asks)
        self._heard(answer.headers.get(b"bailiwick-usage"))
        if answer.status == 503:
            return [FULL] * len(asks)
        self._note(answer)
        if answer.status == 200:
            expected = answer_seal(self._secret, KIND, proof, answer.body)
            if not fits(expected, answer.headers.get(_SEAL)):
                # A refusal that the node did not commit would let another node take the key.
                log.error("an answer about refusals is not the node's", node=self._node)
                return [FULL] * len(asks)
        try:
            told = _telling.decode(answer.body).told if answer.status == 200 else []
        except msgspec.DecodeError:
            told = []
        # A node that does not understand the question sees each request itself.
        return told if len(told) == len(asks) else [SEND] * len(asks)

    def _note(self, answer: Answer) -> None:
        """Say once why a node does not answer questions: another version, say, or a clock."""
        if answer.status not in (200, self._said):
            said = answer.body[:300].decode(errors="replace")
            log.warning(
                "a node does not answer about refusals; it is sent each request instead",
                node=self._node,
                status=answer.status,
                reason=said,
            )
        self._said = answer.status

    def close(self) -> None:
        """Close the connection; who waits is told ``full``."""
        self._client.close()
        if self._task is not None:
            self._task.cancel()


def _tell(batch: list[_Waiting], told: list[AdmissionVerdict]) -> None:
    for (_, _, future), each in zip(batch, told, strict=True):
        if not future.done():
            future.set_result(each)
