"""Earlier homes: who may already have taken a key, because the payer's place was theirs. Pure.

Under each epoch the nodes that may take a request are a *chain*: the active nodes of the place's
rule, in order. A node further on takes it only with the committed refusals (tombstones) of all
before it. So a node of a later epoch is safe once it holds the refusals of everyone in the
earlier chain who could have taken the request, followed in the chain's own order:

* up to a refusal that lets nobody after it go on: reason ``moved``, committed on behalf of an
  epoch later than the chain's. Whoever comes after it in this chain can never take the key;
* or up to the node itself, whose own claim of the key decides.

A tombstone and a claim of one key exclude each other in the node's database, and a refusal's
reason and epoch never change: that is why two nodes never both go on. See decision record 11.

The same functions serve access, which asks, and the node, which checks by its own World.
"""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from bailiwick.base.errors import ApiError
from bailiwick.base.keys import CLOCK_SKEW_MS, born_ms, is_fresh
from bailiwick.geo.atlas import Atlas
from bailiwick.jurisdiction.assign import Assignment, EarlierHome, takers
from bailiwick.jurisdiction.locate import Evidence, Location, locate
from bailiwick.topology.merchants import Merchant
from bailiwick.topology.snapshot import Earlier, World

MOVED = "moved"
ASK_FIRST = "ask_earlier_homes"
_HOUR_MS = 3_600_000


class Held(msgspec.Struct, frozen=True):
    """What a genuine refusal says. ``epoch`` counts for the reason ``moved`` alone: the epoch on
    whose behalf it was committed."""

    reason: str
    epoch: int

    def lets_on(self, epoch: int) -> bool:
        """Whether under this epoch the next node in order may take the request."""
        return self.reason != MOVED or self.epoch <= epoch


class Chain(msgspec.Struct, frozen=True):
    """Who could take a request under an earlier epoch.

    Attributes:
        epoch: the last one in which these nodes had the place, in this order.
        until_ms: when it was superseded.
        ordered: False where the order cannot be told any more: everyone has to be asked.
    """

    epoch: int
    until_ms: int
    nodes: tuple[int, ...]
    ordered: bool = True


class PriorHomeCheck(msgspec.Struct, frozen=True):
    """How a request stands with its earlier homes.

    Attributes:
        homes: those that refused it, or need not be asked, with what they said.
        missing: those still to be asked, the latest first.
        gone: those that cannot be asked any more and that nothing excuses.
    """

    homes: tuple[EarlierHome, ...] = ()
    missing: tuple[EarlierHome, ...] = ()
    gone: tuple[EarlierHome, ...] = ()

    @property
    def clear(self) -> bool:
        """Whether the request may be taken."""
        return not (self.missing or self.gone)


CLEAR = PriorHomeCheck()


def binding(held: Mapping[int, Held], epoch: int) -> dict[int, str]:
    """The refusals that pass a node over under an epoch, for ``assign``."""
    return {number: each.reason for number, each in held.items() if each.lets_on(epoch)}


class HomeHistory:
    """What the earlier topologies of one World say of a place: resolved once, then looked up."""

    def __init__(self, world: World, atlas: Atlas) -> None:
        self.world = world
        self._atlas = atlas
        now = world.topology
        olds = [each.topology for each in world.earlier]
        self._same_overrides = all(old.overrides == now.overrides for old in olds)
        self._same_geo = all(old.geo == now.geo for old in olds)
        self._areas = any(topology.areas_at for topology in (now, *olds))
        self._defaults = frozenset(name for each in world.earlier for name in each.defaults)
        self._names = {node.number: node.name for old in reversed(olds) for node in old.nodes}
        self._names |= {node.number: node.name for node in now.nodes}
        self._gone = _gone(world)
        self._known: dict[tuple[str, str | None, bool], tuple[Chain, ...]] = {}

    def look(
        self,
        evidence: Evidence,
        location: Location,
        merchant: Merchant,
        key: str,
        candidate: int | None,
        held: Mapping[int, Held],
        now_ms: int,
        *,
        longer_ms: int = 0,
    ) -> PriorHomeCheck:
        """Who must be asked before ``candidate`` may take a request that may move money.

        Args:
            location: where the request's evidence leads in this World.
            held: the refusals of this very request, by node.
            now_ms: wall clock.
            longer_ms: how much longer than keys are kept to look back.
        """
        chains = self.chains(evidence, location, merchant)
        if not chains or is_fresh(key):
            return CLEAR
        oldest = now_ms - self.world.topology.key_retention_hours * _HOUR_MS - longer_ms
        chains = tuple(chain for chain in chains if chain.until_ms >= oldest)

        def excuse(number: int) -> str | None:
            return self._excuse(number, merchant, key, now_ms)

        return _follow(chains, candidate, held, self._names, self._gone, excuse)

    def chains(
        self, evidence: Evidence, location: Location, merchant: Merchant
    ) -> tuple[Chain, ...]:
        """Chains other than today's, the latest first, however long ago."""
        plain = (
            self._same_overrides
            and (self._same_geo or location.source == "explicit")
            and not (self._areas and evidence.coordinates is not None)
            and not (location.source == "default" and merchant.id in self._defaults)
        )
        if not plain:
            return self._resolve(evidence, location, merchant)
        place = (location.country, location.subdivision, location.source == "explicit")
        found = self._known.get(place)
        if found is None:  # bounded by the number of places
            found = self._known[place] = self._resolve(evidence, location, merchant)
        return found

    def _resolve(
        self, evidence: Evidence, location: Location, merchant: Merchant
    ) -> tuple[Chain, ...]:
        now = takers(location, self.world.topology)
        found: dict[tuple[tuple[int, ...], bool], Chain] = {}
        for earlier in self.world.earlier:
            if self._by_other_geo(earlier, evidence, location):
                nodes, ordered = _all_takers(earlier), False
            else:
                nodes, ordered = self._takers_then(earlier, evidence, location, merchant), True
                if nodes == now:  # one chain: its nodes' own refusals keep it exact
                    continue
            if nodes:
                chain = Chain(earlier.epoch, earlier.superseded_ms, nodes, ordered)
                found.setdefault((nodes, ordered), chain)
        return tuple(found.values())

    def _by_other_geo(self, earlier: Earlier, evidence: Evidence, location: Location) -> bool:
        """Whether geographic data that is no longer at hand decided where the payer is."""
        if earlier.topology.geo == self.world.topology.geo or location.source == "default":
            return False
        if location.source != "explicit":
            return True
        # Coordinates that agree with a stated country find areas, and data says if they agree.
        return evidence.coordinates is not None and bool(earlier.topology.areas_at)

    def _takers_then(
        self, earlier: Earlier, evidence: Evidence, location: Location, merchant: Merchant
    ) -> tuple[int, ...]:
        topology = earlier.topology
        default = earlier.defaults.get(merchant.id, merchant.default_country)
        moved = location.source == "default" and default != merchant.default_country
        try:
            if moved or topology.overrides != self.world.topology.overrides:
                location = locate(evidence, self._atlas, topology.overrides, default)
            return takers(location, topology)
        except ApiError:  # refused by that epoch: nobody can have taken it
            return ()

    def _excuse(self, number: int, merchant: Merchant, key: str, now_ms: int) -> str | None:
        born = born_ms(key, merchant.key_time, now_ms)
        if born is not None and born > self._gone[number] + CLOCK_SKEW_MS:
            return "evacuated before this key was made"
        return (
            "evacuated: a second charge is accepted" if merchant.after_fence == "accept" else None
        )


class HomeHistories:
    """The ``HomeHistory`` of the World in use, made when it is first needed."""

    def __init__(self, atlas: Atlas) -> None:
        self._atlas = atlas
        self._last: HomeHistory | None = None

    def of(self, world: World) -> HomeHistory:
        """What a World says of earlier epochs."""
        last = self._last
        if last is None or last.world is not world:
            last = self._last = HomeHistory(world, self._atlas)
        return last


def _all_takers(earlier: Earlier) -> tuple[int, ...]:
    """Every node that this topology could have chosen for any place."""
    return tuple(sorted({number for rule in earlier.topology.rules for number in rule.takers}))


def _gone(world: World) -> dict[int, int]:
    """Nodes whose database cannot be asked any more, and since when (wall clock, ms)."""
    gone: dict[int, int] = {}
    for earlier in world.earlier:
        for node in earlier.topology.nodes:
            today = world.topology.by_number.get(node.number)
            if today is not None and today.state != "evacuated":
                continue
            if node.state != "evacuated":
                gone[node.number] = max(gone.get(node.number, 0), earlier.superseded_ms)
    return gone


def _follow(
    chains: Iterable[Chain],
    candidate: int | None,
    held: Mapping[int, Held],
    names: Mapping[int, str],
    gone: Mapping[int, int],
    excuse: Callable[[int], str | None],
) -> PriorHomeCheck:
    homes: dict[int, EarlierHome] = {}
    missing: dict[int, EarlierHome] = {}
    lost: dict[int, EarlierHome] = {}
    for chain in chains:
        for number in chain.nodes:
            if number == candidate:
                if chain.ordered:
                    break
                continue
            known = held.get(number)
            if known is not None:
                said = _said(names, chain, number, f"refused: {known.reason}")
                homes.setdefault(number, said)
                if chain.ordered and not known.lets_on(chain.epoch):
                    break
            elif number not in gone:
                missing.setdefault(number, _said(names, chain, number, "not asked"))
                if chain.ordered:  # whom to ask next follows from its answer
                    break
            else:
                words = excuse(number)
                if words is None:
                    lost.setdefault(number, _said(names, chain, number, "evacuated"))
                else:
                    homes.setdefault(number, _said(names, chain, number, words))
    return PriorHomeCheck(tuple(homes.values()), tuple(missing.values()), tuple(lost.values()))


def _said(names: Mapping[int, str], chain: Chain, number: int, answer: str) -> EarlierHome:
    return EarlierHome(number, names[number], chain.epoch, answer)


def explained(assignment: Assignment, looked: PriorHomeCheck) -> Assignment:
    """An assignment with the earlier homes that its request would be sent to first."""
    homes = (
        *looked.homes,
        *(msgspec.structs.replace(home, answer="would be asked") for home in looked.missing),
        *(msgspec.structs.replace(home, answer="evacuated: refused") for home in looked.gone),
    )
    return msgspec.structs.replace(assignment, earlier_homes=homes) if homes else assignment


def age_unknown(home: EarlierHome) -> ApiError:
    """The answer when nothing can tell whether an earlier home has taken a key."""
    error = ApiError.conflict(
        f"This place's payments were taken by node {home.name} until epoch {home.epoch}. It cannot "
        "be asked any more whether it has taken this Idempotency-Key, so it is not taken here. "
        "Create the PaymentIntent without confirm and then confirm it, or see after_fence in the "
        "merchant's settings.",
        code="key_age_unknown",
    )
    error.retry = False
    return error


def ask_first(missing: Iterable[EarlierHome], epoch: int) -> ApiError:
    """A node's answer to a request whose earlier homes have not all been asked."""
    names = [home.name for home in missing]
    error = ApiError.invalid(
        f"The payer's place was moved: its earlier homes ({', '.join(names)}) must refuse this key "
        "first. Send the request through access.",
        param="location",
        code=ASK_FIRST,
        status=421,
    )
    error.extra = {"epoch": epoch, "earlier_homes": names}
    return error
