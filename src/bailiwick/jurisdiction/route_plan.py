"""A request on its way to whichever node takes it: what is known of it, and where to go next.

No input or output, so that tests can run many of them against each other in any order.
"""

from collections.abc import Mapping

import msgspec

from bailiwick.geo.atlas import Atlas
from bailiwick.jurisdiction.assign import OPEN, Assignment, EarlierHome, assign
from bailiwick.jurisdiction.home_history import (
    CLEAR,
    Held,
    HomeHistories,
    PriorHomeCheck,
    age_unknown,
    binding,
)
from bailiwick.jurisdiction.locate import Evidence, Location, locate
from bailiwick.topology.merchants import Merchant
from bailiwick.topology.snapshot import World

CLOCKS_MS = 60_000
"""Access asks for so much longer than nodes want it: their clocks may differ."""
_encode = msgspec.json.Encoder().encode


class RoutePlan:
    """Where a request is to go, given the World and the refusals so far.

    Attributes:
        world: the World by which it is placed.
        evidence: what it says about where the payer is.
        key: its idempotency key, made up or given.
        location: where the payer is.
        assignment: the latest match.
        held: what the refusals of this request say, by node.
    """

    __slots__ = (
        "_atlas", "_home_histories", "_merchant", "_tokens", "_usage",
        "assignment", "evidence", "held", "key", "location", "world",
    )  # fmt: skip

    def __init__(
        self,
        world: World,
        atlas: Atlas,
        home_histories: HomeHistories,
        evidence: Evidence,
        merchant: Merchant,
        key: str,
    ) -> None:
        """Locate and assign. Raises ApiError (400)."""
        self._atlas = atlas
        self._home_histories = home_histories
        self.evidence = evidence
        self._merchant = merchant
        self.key = key
        self._tokens: list[bytes] = []
        self._usage: Mapping[int, str] | None = None
        self.held: dict[int, Held] = {}
        self.renewed(world)

    def renewed(self, world: World) -> None:
        """Place it anew by another World; refusals are for ever and stay. Raises ApiError (400)."""
        self.world = world
        self._usage = None
        merchant = world.merchants.by_id.get(self._merchant.id, self._merchant)
        self._merchant = merchant
        self.location: Location = locate(
            self.evidence, self._atlas, world.topology.overrides, merchant.default_country
        )
        self._match()

    def _match(self) -> None:
        refused = binding(self.held, self.world.epoch) if self.held else {}
        self.assignment: Assignment = assign(
            self.location, self.world.topology, refused=refused, usage=self._usage
        )

    def refused(self, number: int, token: bytes, held: Held) -> None:
        """Match again without a node that refused."""
        if number not in self.held:
            self._tokens.append(token)
        self.held[number] = held
        self._match()

    def by_usage(self, verdicts: Mapping[int, str]) -> None:
        """Match again by usage state; with no open node at all it does not count."""
        self._usage = verdicts
        self._match()
        if self.assignment.node is None:
            self._usage = None
            self._match()

    @property
    def behind(self) -> bool:
        """Whether a refusal shows that a later epoch than this World's is in force."""
        return any(not each.lets_on(self.world.epoch) for each in self.held.values())

    def unsupported(self) -> bool:
        """Whether every node refused because none of its gateways could ever take this."""
        refused = [each.node for each in self.assignment.considered if each.verdict == "refused"]
        return {self.held[number].reason for number in refused} == {"unsupported"}

    def look(self, now_ms: int) -> PriorHomeCheck:
        """How the request stands with its earlier homes, if it may move money."""
        if not self.world.earlier:
            return CLEAR
        return self._home_histories.of(self.world).look(
            self.evidence,
            self.location,
            self._merchant,
            self.key,
            self.assignment.node,
            self.held,
            now_ms,
            longer_ms=CLOCKS_MS,
        )

    def to_ask(self, now_ms: int) -> EarlierHome | None:
        """The earlier home to be asked next, if any.

        Raises:
            ApiError: 409, one cannot be asked any more, and the merchant's policy is to refuse.
        """
        looked = self.look(now_ms)
        if looked.clear:
            return None
        if looked.gone:
            raise age_unknown(looked.gone[0])
        return looked.missing[0]

    def lines(self) -> list[bytes]:
        """What the node must know of the matching so far, to come to the same assignment: the
        epoch, refusals, and what was passed over by usage state."""
        lines = [b"bailiwick-epoch: %d\r\n" % self.world.epoch]
        if self._tokens:
            lines.append(b"bailiwick-refusals: %b\r\n" % b",".join(self._tokens))
        if self._usage is not None:
            passed = {str(n): verdict for n, verdict in self._usage.items() if verdict != OPEN}
            lines.append(b"bailiwick-passed-over: %b\r\n" % _encode(passed))
        return lines
