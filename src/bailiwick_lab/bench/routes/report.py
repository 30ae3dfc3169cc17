"""What came of the routing simulation, as a document and in words."""

from typing import Any

from bailiwick_lab.bench.routes.play import Played, play
from bailiwick_lab.bench.routes.splits import SPLITS, deviation, deviation_with_outages
from bailiwick_lab.bench.routes.world import MARKETS, Simulated

SOON_S = 5.0
"""Markets that learn of an outcome within so long can react to a brown-out at once."""


def simulate(seed: int, hours: float) -> tuple[Simulated, Played]:
    """One world, and what came of its payments."""
    world = Simulated(seed, hours)
    return world, play(world)


def document(world: Simulated, played: Played) -> dict[str, Any]:
    """The figures; times in seconds, rates as shares."""
    count = played.payments
    return {
        "seed": world.seed,
        "hours": world.hours,
        "payments": count,
        "success": {
            "static_priority": round(played.static / count, 4),
            "success_strategy": round(played.learned / count, 4),
            "oracle": round(played.oracle / count, 4),
        },
        "recovered": round(played.recovered, 4),
        "turns_per_market_and_hour": {
            "success_strategy": round(played.turns / len(MARKETS) / world.hours, 2),
            "oracle": round(played.needed / len(MARKETS) / world.hours, 2),
        },
        "brown_outs": [
            {
                "gateway": outage.gateway,
                "country": market.country,
                "left": round(outage.left, 2),
                "outcomes_known_after_s": market.delay_s,
                "given_up_after_s": round(took, 1),
            }
            for outage, market, took in played.reactions
        ],
        "splits": [
            {
                "shares": shares,
                "deviation": round(deviation(shares), 5),
                "deviation_with_outages": round(deviation_with_outages(shares, world.seed), 5),
            }
            for shares in SPLITS
        ],
    }


def lines(found: dict[str, Any]) -> list[str]:
    """The same for people."""
    success, turns = found["success"], found["turns_per_market_and_hour"]
    static, learned = success["static_priority"], success["success_strategy"]
    told = [
        f"{found['payments']} payments of {found['hours']:g} hours, seed {found['seed']}",
        f"succeeded: {static:.2%} by static priority, {learned:.2%} by the success strategy",
        f"succeeded by an oracle: {success['oracle']:.2%}",
        f"recovered of the oracle's advantage: {found['recovered']:.1%}",
        f"changes of the leader by market and hour: {turns['success_strategy']:g}",
        f"changes of the oracle's choice: {turns['oracle']:g}",
    ]
    for each in found["brown_outs"]:
        told.append(
            f"brown-out of {each['gateway']} in {each['country']} ({each['left']:.0%} left, "
            f"outcomes known after {each['outcomes_known_after_s']:g} s): given up after "
            f"{each['given_up_after_s']:g} s"
        )
    for each in found["splits"]:
        shares = ":".join(str(share) for share in each["shares"].values())
        told.append(
            f"split {shares}: off by {each['deviation']:.3%} over 10,000, with outages by "
            f"{each['deviation_with_outages']:.3%}"
        )
    if "choosing_p50_us" in found:
        times = (f"{name} {us:g} us" for name, us in found["choosing_p50_us"].items())
        told.append(f"choosing among 200 gateways under 1,000 rules, p50: {', '.join(times)}")
    return told
