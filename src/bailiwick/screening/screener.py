"""Whether a charge may be tried: lists first, then limits, then the outside scorer.

Decided before the charge gets its permit, and stored with it: what is refused is never sent to a
provider, also not by whoever finds it after a crash.
"""

from collections import Counter

from bailiwick.screening.facts import Facts, Verdict
from bailiwick.screening.scorer import OutsideScorer, Score
from bailiwick.screening.velocity import Velocity, applies
from bailiwick.topology.screening import Listed, Scorer, Screening

PASSED = Verdict()


class Screener:
    """Screens the charges of a node; ``scorer``: None where the node has none.

    Attributes:
        counts: charges so far, by what decided and whether it refused them.
    """

    def __init__(self, velocity: Velocity, scorer: OutsideScorer | None) -> None:
        self.velocity = velocity
        self._scorer = scorer
        self.counts: Counter[tuple[str, bool]] = Counter()

    async def verdict(self, facts: Facts, wanted: Screening) -> Verdict:
        """What a merchant's rules make of a charge.

        Raises:
            ApiError: 503, it could not be counted; nothing was charged.
        """
        found = await self._looked(facts, wanted)
        self.counts[found.by or "nothing", found.blocked] += 1
        return found

    async def _looked(self, facts: Facts, wanted: Screening) -> Verdict:
        listed = of_lists(facts, wanted.lists)
        if listed is not None:
            return Verdict(listed.action == "block", "list", listed.name)
        name = await self.velocity.exceeded(facts, wanted.limits)
        if name is not None:
            return Verdict(blocked=True, by="velocity", rule=name)
        if wanted.scorer is None:
            return PASSED
        if self._scorer is None:
            return _unscored(wanted.scorer, "no_scorer")
        said = await self._scorer.score(facts, wanted.scorer.deadline_ms)
        return of_score(said, wanted.scorer)

    def close(self) -> None:
        """Close connections."""
        if self._scorer is not None:
            self._scorer.close()


def counts(facts: Facts, wanted: Screening) -> bool:
    """Whether a charge is counted, or a scorer asked about it. Pure."""
    if of_lists(facts, wanted.lists) is not None:
        return False
    return wanted.scorer is not None or any(applies(each, facts) for each in wanted.limits)


def of_lists(facts: Facts, lists: tuple[Listed, ...]) -> Listed | None:
    """The list that decides: one that refuses before one that trusts. Pure."""
    found = None
    for each in lists:
        if facts.of(each.by) in each.values:
            if each.action == "block":
                return each
            found = found or each
    return found


def of_score(said: Score | None, policy: Scorer) -> Verdict:
    """What a score means to a merchant. Pure."""
    if said is None:
        return _unscored(policy, "no_answer")
    elevated = said.score >= policy.elevated_from
    if said.score >= policy.block_from:
        reason = said.reason or "score"
        return Verdict(blocked=True, by="scorer", rule=reason, score=said.score, elevated=elevated)
    return Verdict(score=said.score, elevated=elevated)


def _unscored(policy: Scorer, why: str) -> Verdict:
    return Verdict(policy.when_late == "block", "scorer", why)
