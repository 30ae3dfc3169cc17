"""Reading of ``routing.toml``: rules, fees and retries, completely, or refused with every problem
named. Pure."""

from collections.abc import Collection, Mapping
from typing import cast, get_args

from bailiwick.geo.places import load_places
from bailiwick.topology.groups import unknown
from bailiwick.topology.nodes import NAME, NAME_RULE
from bailiwick.topology.reading import Problems, Table, parse_toml
from bailiwick.topology.routes import conditions
from bailiwick.topology.routes.conditions import MOST_AMOUNT, Known
from bailiwick.topology.routes.parts import By, Fee, RoutingRule, Strategy, Tier
from bailiwick.topology.routes.retries import MOST_RETRIES
from bailiwick.topology.routes.retries import read as read_retry
from bailiwick.topology.routes.table import RoutingTable
from bailiwick.topology.routes.words import conditions as said

FILE = "routing.toml"
MOST_BYTES = 8 << 20
MOST_RULES = 10_000
MOST_FEES = 10_000
MOST_GATEWAYS = 1_000
MOST_TIERS = 100
MOST_BPS = 10_000
MOST_FIXED = 1_000_000
KINDS = (
    "large_domestic_bank", "small_domestic_bank", "foreign_bank", "domestic_platform",
    "foreign_platform",
)  # fmt: skip


def parse(
    raw: bytes,
    *,
    merchants: Collection[str],
    groups: Mapping[str, frozenset[str]],
    file: str = FILE,
) -> RoutingTable:
    """Read and check a routing table. Raises WorldError with every problem found.

    ``merchants``: those that there are, by id; ``groups``: of places, as the topology has them.
    """
    problems = Problems(file)
    top = parse_toml(raw, problems, MOST_BYTES)
    known = Known(load_places(), groups)
    rules: dict[str, RoutingRule] = {}
    for number, table in enumerate(top.tables("rules", most=MOST_RULES)):
        rule = _rule(table, number, known, merchants)
        if rule.name in rules:
            table.bad("name", f"'{rule.name}' is used twice; make it unique")
        rules[rule.name] = rule
    fees = [_fee(table, known) for table in top.tables("fees", most=MOST_FEES)]
    written = top.tables("retries", most=MOST_RETRIES)
    retries = tuple(read_retry(table, merchants) for table in written)
    top.done()
    problems.raise_if_any()
    return RoutingTable(tuple(rules.values()), tuple(fees), retries)


def _rule(table: Table, number: int, known: Known, merchants: Collection[str]) -> RoutingRule:
    name = table.text("name")
    if name and not NAME.fullmatch(name):
        table.bad("name", NAME_RULE)
    whose = table.texts("merchants", most=10_000, empty=True)
    for merchant in whose:
        if merchant not in merchants:
            table.bad("merchants", unknown("merchant", merchant, merchants))
    if "merchants" in table.value and not whose:
        table.bad("merchants", "must not be empty; leave it out for all merchants")
    found = conditions.read(table, known)
    gateways = _gateways(table)
    kinds = table.texts("kinds", most=len(KINDS), empty=True)
    for kind in kinds:
        if kind not in KINDS:
            table.bad("kinds", unknown("kind of providers", kind, KINDS))
    strategy = table.choice("strategy", get_args(Strategy), "priority")
    others = table.flag("others", False)
    if others and not gateways and not kinds:
        table.bad("others", "says nothing: without gateways and kinds all are meant; remove it")
    shares, by = _shares(table, strategy, gateways, others or bool(kinds))
    below = _below(table)
    table.done()
    return RoutingRule(
        number, name, whose, found.box, gateways, frozenset(kinds), others,
        cast(Strategy, strategy), shares, cast(By, by), below, said(found.box, found.given),
    )  # fmt: skip


def _gateways(table: Table) -> tuple[str, ...]:
    gateways = table.texts("gateways", most=MOST_GATEWAYS, empty=True)
    for name in gateways:
        if not NAME.fullmatch(name):
            table.bad("gateways", f"'{name[:70]}': the name {NAME_RULE}")
        elif gateways.count(name) > 1:
            table.bad("gateways", f"'{name}' is listed twice; list it once")
            break
    return gateways


def _shares(
    table: Table, strategy: str, gateways: tuple[str, ...], more: bool
) -> tuple[dict[str, int], str]:
    """Of a split or a sticky choice; and by what the latter holds on."""
    given = table.table("shares")
    shares = {name: given.whole(name, 1, 1_000_000) for name in given.value}
    sticky = strategy == "sticky"
    by = ""
    if sticky:
        by = table.choice("by", ("customer", "fingerprint"), "customer")
    elif "by" in table.value:
        table.known.append("by")
        table.bad("by", 'is of strategy = "sticky" alone; remove it')
    if shares and strategy not in ("split", "sticky"):
        table.bad("shares", 'are of strategy = "split" and "sticky" alone; remove them')
    if strategy == "split" and not shares:
        table.bad("shares", "are missing: { gateway = 70, another = 30 }")
    for name in shares:
        if name not in gateways:
            table.bad("shares", unknown("gateway of this rule", name, gateways))
    if shares and (more or len(shares) < len(gateways)):
        lacking = ", ".join(name for name in gateways if name not in shares)
        why = f"{lacking} has none" if lacking else "kinds and others have none"
        table.bad("shares", f"must be of all the rule's gateways: {why}")
    return shares, by


def _below(table: Table) -> float:
    if "eliminate_below" not in table.value:
        table.known.append("eliminate_below")
        return 0.0
    return table.ratio("eliminate_below", 0.5)


def _fee(table: Table, known: Known) -> Fee:
    gateway = table.text("gateway")
    if gateway and not NAME.fullmatch(gateway):
        table.bad("gateway", f"the name {NAME_RULE}")
    found = conditions.read(table, known)
    absolute = [name for name in ("fixed", "minimum", "cap", "tiers") if name in table.value]
    if absolute and "currencies" not in table.value:
        table.bad(absolute[0], "is in minor units, which differ: name the currencies, too")
    least, most = _bound(table, "minimum"), _bound(table, "cap")
    if least is not None and most is not None and least > most:
        table.bad("cap", "is below the minimum; no price is between")
    tiers = _tiers(table)
    table.done()
    return Fee(gateway, found.box, tiers, least, most, said(found.box, found.given))


def _bound(table: Table, name: str) -> int | None:
    if name not in table.value:
        table.known.append(name)
        return None
    return table.whole(name, 0, MOST_AMOUNT)


def _tiers(table: Table) -> tuple[Tier, ...]:
    written = table.tables("tiers", most=MOST_TIERS)
    plain = [name for name in ("bps", "fixed") if name in table.value]
    bps, fixed = table.whole("bps", 0, MOST_BPS, 0), table.whole("fixed", 0, MOST_FIXED, 0)
    if not written:
        if not plain:
            table.bad("bps", "is missing; add it, or fixed, or tiers")
        return (Tier(0, bps, fixed),)
    if plain:
        table.bad(plain[0], "stands in the tiers where there are any; move it there")
    tiers: list[Tier] = []
    for each in written:
        start = each.whole("from", 0, MOST_AMOUNT)
        if not tiers and start:
            each.bad("from", "of the first tier must be 0, or small payments had no price")
        if tiers and start <= tiers[-1].start:
            each.bad("from", "must be above that of the tier before")
        tiers.append(
            Tier(start, each.whole("bps", 0, MOST_BPS, 0), each.whole("fixed", 0, MOST_FIXED, 0))
        )
        each.done()
    return tuple(tiers)
